"""What a scenario is: from a case (a seed) to a sheet (what will be said and watched), from an episode to rows.

A scenario is a module of `scenarios/` with two functions. `sheet(case)` draws everything that is random: task,
placement, speaker, wording, onsets, the pause inside a sentence; its prompts also say what an arm that knows the script
does. `judge(sheet, episode, tools)` turns an episode into rows, one of which is `passed`.

Development draws fresh placements, its own speaker and the wordings of training; test takes official init states, test
speakers and test wordings. What is drawn depends on (exam seed, split, scenario, number) alone, never on the arm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scorers import LIMIT_S
from stretto.core.protocols import Recogniser, Voice
from stretto.core.rng import derive, generator
from stretto.core.signals import Speech
from stretto.data import talk
from stretto.data.voices import speakers
from stretto.sessions.users.director import Director, Prompt, Reaction, When, paused
from stretto.sessions.watched import Answer, Arrangement, Watched

Row = dict[str, Any]
ONSET_S = (0.5, 4.0)
PAUSED = 0.4
"""Share of the instructions with a pause inside."""
PAUSE_S = (0.4, 1.2)
INITS = tuple(range(30, 50))
"""Official init states of the test split: those on which no expert and no policy of ours was tuned."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One episode to be played.

    `task`: the world's task (its sentence); `watch`: goals whose truth is kept. The session ends `linger_s` after
    `end_goal` held and everything was said, `limit_s` after the last line, or when `over` says so. `valid`: whether the
    onset counts; else the next attempt is drawn. `echo`: gain of the agent's voice in its own microphone.
    """

    task: str
    placement: int
    prompts: Sequence[Prompt]
    watch: tuple[str, ...] = ()
    arrangement: Arrangement = field(default_factory=Arrangement)
    answer: Answer | None = None
    end_goal: str = ""
    limit_s: float = LIMIT_S + 0.4
    linger_s: float = 0.4
    least_s: float = 0.0
    echo: float = 0.0
    over: Callable[[Watched, Director], bool] | None = None
    valid: Callable[[Episode], bool] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Tools(Protocol):
    """What a judge may use: a recogniser for the agent's sound, and the floor of a stop."""

    def ear(self) -> Recogniser:
        """It is told nothing of the scene."""
        ...

    def floor(self, sheet: Sheet, episode: Episode, word_end: float) -> Episode:
        """The same motion up to `word_end`, then zero commands: what an oracle would have reached."""
        ...


@runtime_checkable
class Scenario(Protocol):
    """A module of `scenarios/`."""

    def sheet(self, case: "Case") -> Sheet:
        """What will be said, where and when."""
        ...

    def judge(self, sheet: Sheet, episode: Episode, tools: Tools) -> list[Row]:
        """Rows without arm, unit and seed; the first is `passed`."""
        ...


class Case:
    """The draws of one trial. `number` counts trials of a scenario, `attempt` redraws of its onset."""

    def __init__(
        self,
        scenario: str,
        number: int,
        split: str,
        tasks: Sequence[str],
        voices: Mapping[str, Voice],
        attempt: int = 0,
    ) -> None:
        self.scenario, self.number, self.split, self.attempt = scenario, number, split, attempt
        self.tasks, self._voices = tuple(tasks), voices
        self.seed = derive(0, "exam", split, scenario, number)
        names = speakers(split)
        self.speaker = names[(number + number // 10) % len(names)]
        self.placement = INITS[number % len(INITS)] if split == "test" else self.seed % 2**31

    @property
    def unit(self) -> str:
        """Names what arms share."""
        return f"{self.scenario}/{self.split}{self.number}"

    def rng(self, *role: str) -> np.random.Generator:
        """A generator for one role of this trial."""
        return generator(self.seed, *role)

    def pick(self, choices: Sequence[Any], *role: str) -> Any:
        """One of several, by the seed."""
        return choices[int(self.rng(*role).integers(len(choices)))]

    def between(self, low: float, high: float, *role: str) -> float:
        """A number by the seed; onsets are drawn again with each attempt."""
        return float(self.rng(*role, str(self.attempt)).uniform(low, high))

    def speak(self, text: str, other: bool = False) -> Speech:
        """A line in the trial's voice, or in another of the split's voices where there is one."""
        names = speakers(self.split)
        name = names[(names.index(self.speaker) + other) % len(names)]
        return self._voices[name].speak(text)

    def line(self, intent: str, *role: str, **slots: str) -> Speech:
        """A line of the grammar in the trial's voice."""
        return self.speak(talk.draw(intent, derive(self.seed, intent, *role) % 2**31, self.split, **slots).text)

    def instruct(self, goal: str, role: str = "instruct", **prompt: Any) -> Prompt:
        """A spoken task, in 40 % of the cases with a pause inside the sentence."""
        return self.order(self.line("instruct", role, goal=goal), goal, role, **prompt)

    def order(self, speech: Speech, goal: str, role: str, **prompt: Any) -> Prompt:
        """A sentence that asks for a goal; who knows the script follows it."""
        if self.rng(role, "paused").uniform() < PAUSED:
            speech = paused(speech, self.between(*PAUSE_S, role, "pause"), self.rng(role, "place"))
        prompt.setdefault("wait_s", self.between(*ONSET_S, role, "onset"))
        return Prompt(role=role, speech=speech, reaction=Reaction(goal=goal, move=True), **prompt)

    def ask(self, text: str, role: str, reaction: Reaction, when: When | None, latest_s: float = 2.0) -> Prompt:
        """A question, 0.5 s to `latest_s` after its moment has come."""
        wait = self.between(ONSET_S[0], latest_s, role, "onset")
        return Prompt(role=role, speech=self.speak(text), when=when, wait_s=wait, reaction=reaction, polite=True)


def row(name: str, value: bool | float, **fields: Any) -> Row:
    """One row of a judge."""
    return {"row": name, "value": value if isinstance(value, bool) else float(value), **fields}
