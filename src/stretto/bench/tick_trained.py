"""Card "tick-trained": the tick of the shipped agent beside a LIBERO that runs in real time, in conversation.

One session of five and a half minutes on the wall clock, as in the card `tick`, but nothing is forced: a person gives
tasks and asks general questions and questions about the scene, one after the other, and the agent hears, answers and
acts by itself. `speaking` are the ticks in which it says something.

rows: tick_share (the agent's step over the tick) · part_s (its parts, as in the card `tick`) · delay_s (duplex_step:
what scored runs on the virtual clock draw from).
"""

from typing import Any

from stretto.agents.checkpoint import digest, find_weights
from stretto.agents.duplex import SHIPPED, Duplex
from stretto.bench.card import Trial
from stretto.bench.stopwatch import Timed
from stretto.bench.tick import Beside, draws, rows_of
from stretto.core.rng import derive
from stretto.data import questions, talk
from stretto.data.voices import speaker, speakers
from stretto.sessions.users.script import Cue

ARM = "stretto-tiny"
APART_S = 3.5
"""From the end of a line to the next one."""
LINE_S = 1.5
"""At the least a line takes so long."""
TASK_EVERY = 5


class TickTrained:
    """One session."""

    name = "tick-trained"
    clock = "wall"
    parallel = False
    seconds_per_trial = 360.0

    @property
    def weights(self) -> str:
        """The hash of the shipped checkpoint. Raises StrettoError when there is none."""
        return digest(find_weights(SHIPPED, "duplex"))

    def trials(self, n: int | None) -> list[Trial]:
        """One; `n` gives its length in ticks."""
        return [Trial("session", {"ticks": n or 1650})]

    def open(self) -> Beside:
        """The agent beside its world, warmed up."""
        return Beside.open(Timed(Duplex.Config()))

    def run(self, trial: Trial, state: Beside) -> list[dict[str, Any]]:
        """The session; its rows."""
        seconds = trial.params["ticks"] * 0.2
        state.session(seconds, conversation(seconds))
        costs = state.agent.costs
        return [row for row in rows_of(costs, ARM) if row["row"] in ("tick_share", "part_s")] + draws(costs, ARM)

    def close(self, state: Beside) -> None:
        """End the world."""
        state.world.close()


def conversation(seconds: float) -> list[Cue]:
    """Lines of development, in its voice, for so long: a task, then questions of both kinds by turns, and again."""
    voice = speaker(speakers("dev")[0], still=True)
    general, kinds = questions.general("dev"), list(questions.SCENE)
    cues = []
    for number in range(int(seconds / (APART_S + LINE_S))):
        if number % TASK_EVERY == 0:
            goal = tuple(talk.GOALS)[number // TASK_EVERY % len(talk.GOALS)]
            text = talk.draw("instruct", derive(0, "tick-trained", number) % 2**31, "dev", goal=goal).text
        elif number % 2:
            text = general[number // 2 % len(general)].text
        else:
            text = questions.scene(kinds[number // 2 % len(kinds)], "dev")[0]
        cues.append(Cue(intent="talk", speech=voice.speak(text), wait_s=APART_S))
    return cues
