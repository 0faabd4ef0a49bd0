"""Card "live": a conversation through the page's own WebSocket, on the wall clock, with LIBERO in real time.

Each trial is a session of `stretto serve`: a spoken task, a stop while the arm moves, a question while it stands. The
client streams sound in real time as an open microphone does and knows when each word ends.

rows: stop_latency_s (end of the stop word to the first of 20 zero commands; a word that ended while the arm was slower
than 5 cm/s is drawn again, row redraws; never: 5) · first_audio_s (end of the question to the arrival of the first
sound of an answer that this server has not said before; never: 10) · tick_late_s (how late each tick began) ·
lost_or_reordered (numbers missing or out of order, and sound that does not follow on). A server lives for ten trials,
one for each task, so that every answer is new to it.
"""

import contextlib
import itertools
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from stretto.bench.card import Trial
from stretto.bench.live_client import Talker
from stretto.core.errors import StrettoError
from stretto.core.rng import derive, generator
from stretto.core.signals import Speech
from stretto.data import talk
from stretto.data.voices import speaker
from stretto.sessions.measures import NEVER_STOPPED_S, STANDING
from stretto.sessions.score import stop_word_end

TRIALS = 30
TASKS = 10
VOICES = ("festival-slt", "festival-ked", "piper-joe")
MOVING = 0.05
REDRAWS = 4
NO_AUDIO_S = 10.0
START_S, UNDERSTOOD_S = 120.0, 20.0
"""How long a session may take to start, and an instruction to be acted on."""

Row = dict[str, Any]


@dataclass
class Served:
    """A server, which of its ten trials it is for, and what it has said."""

    voices: dict[str, Any] = field(default_factory=dict)
    block: int = -1
    process: Any = None
    url: str = ""
    said: set[str] = field(default_factory=set)


class Live:
    """30 conversations."""

    name = "live"
    clock = "wall"
    parallel = False
    seconds_per_trial = 25.0
    patience_s = 400.0

    def trials(self, n: int | None) -> list[Trial]:
        """Tasks and voices by turns."""
        return [Trial(f"talk{i}", {"unit": i}) for i in range(n or TRIALS)]

    def open(self) -> Served:
        """The voices; a server is started by the first trial."""
        return Served(voices={name: speaker(name, still=True) for name in VOICES})

    def run(self, trial: Trial, state: Served) -> list[Row]:
        """One conversation."""
        unit = trial.params["unit"]
        if state.block != unit // TASKS or state.process is None or state.process.poll() is not None:
            self.close(state)
            _start(state, unit // TASKS)
        with Talker(state.url) as talker:
            return Conversation(unit, state, talker).rows()

    def close(self, state: Served) -> None:
        """End the server."""
        if state.process is not None:
            state.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                state.process.wait(20)
            state.process.kill()
            state.process.wait()
            state.process.stdout.close()
            state.process = None


def _start(state: Served, block: int) -> None:
    """`stretto serve` on a free port. Raises StrettoError when it does not say where it listens."""
    command = [sys.executable, "-m", "stretto.cli.main", "serve", "--port", "0", "--agent", "cascade"]
    environment = {"MUJOCO_GL": "egl", **os.environ}
    state.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    line = state.process.stdout.readline()
    found = re.search(r"http://(\S+?)/", line)
    if not found:
        raise StrettoError(f"The server did not say where it listens, but: '{line.strip()}'.")
    state.url, state.block = f"ws://{found[1]}/v1/realtime", block
    state.said.clear()


class Conversation:
    """One trial."""

    def __init__(self, unit: int, state: Served, talker: Talker) -> None:
        self.unit, self.state, self.talker = unit, state, talker
        self.rng = generator(0, "live", unit)
        self.task = unit % TASKS
        self.ticks: list[float] = []

    def rows(self) -> list[Row]:
        """Stop, answer, ticks, losses."""
        self.talker.wait("session.status", START_S, lambda event: event["role"] == "owner")
        redraws, latency = -1, None
        while latency is None and redraws < REDRAWS:
            redraws += 1
            self._session(redraws)
            latency = self._stop(redraws)
        audio = self._question()
        self._keep_ticks()
        base = {"arm": "cascade", "seed": 0, "unit": self.unit, "task": self.task, "privileged": True}
        rows = [
            {"row": "stop_latency_s", "value": NEVER_STOPPED_S if latency is None else latency, **base},
            {"row": "redraws", "value": redraws, **base},
            {"row": "first_audio_s", "value": audio, **base},
            {"row": "lost_or_reordered", "value": self.talker.lost, **base},
        ]
        late = [
            {"row": "tick_late_s", "value": t, **base, "unit": f"{self.unit}/{n}"} for n, t in enumerate(self.ticks)
        ]
        return rows + late

    def _session(self, redraw: int) -> None:
        """Begin anew: this trial's task, from a placement of its own."""
        self._keep_ticks()
        self.talker.begin()
        seed = derive(0, "live", self.unit, redraw) % 2**31
        self.talker.send("session.reset", task=f"libero_goal:{self.task}", seed=seed)
        _, status = self.talker.wait(
            "session.status", START_S, lambda event: event["state"] == "running" and event["seed"] == seed
        )
        self.goal = status["tasks"][self.task]
        time.sleep(float(self.rng.uniform(0.6, 1.2)))

    def _keep_ticks(self) -> None:
        self.ticks += [event["late_s"] for _, event in self.talker.of("session.tick")]

    def _say(self, intent: str, number: int, **slots: Any) -> tuple[Speech, float]:
        """Speak a line of the test split; (it, the client's time at which it begins)."""
        return self._speak(talk.draw(intent, derive(self.unit, intent, number) % 2**31, "test", **slots))

    def _speak(self, line: talk.Line) -> tuple[Speech, float]:
        speech = self.state.voices[VOICES[self.unit % len(VOICES)]].speak(line.text)
        return speech, self.talker.say(speech.sound)

    def _stop(self, redraw: int) -> float | None:
        """Give the task, say stop while the arm moves. None: it did not move fast enough at the word's end."""
        self._say("instruct", redraw, goal=self.goal)
        try:
            self.talker.wait("action.started", UNDERSTOOD_S)
        except StrettoError:
            return None  # it was not understood: there is nothing to stop
        time.sleep(float(self.rng.uniform(0.2, 2.0)))
        speech, begins = self._say("stop", redraw)
        end = begins + stop_word_end(speech.words, speech.end)
        steps, word_end = self._steps(), self.talker.session_time(end)
        while time.perf_counter() < end or (
            first_zero(steps, word_end) == float("inf") and time.perf_counter() < end + NEVER_STOPPED_S + 1.5
        ):
            time.sleep(0.1)
            steps, word_end = self._steps(), self.talker.session_time(end)
        before = [step for step in steps if step[0] <= word_end]
        if not before or before[-1][1] < MOVING or self._done_before(word_end):
            return None
        return min(NEVER_STOPPED_S, first_zero(steps, word_end) - word_end)

    def _steps(self) -> list[list[Any]]:
        return [step for _, event in self.talker.of("session.pulse") for step in event["steps"]]

    def _done_before(self, word_end: float) -> bool:
        """The task was completed before any halt: then the arm stands without having obeyed."""
        done = [event["t"] for _, event in self.talker.of("action.completed")]
        halts = [event["t"] for _, event in self.talker.of("action.halted") if event["t"] > word_end - 2.0]
        return bool(done) and (not halts or done[0] < halts[0])

    def _question(self) -> float:
        """Ask what it is doing; seconds to the first sound of an answer that is new to this server."""
        known = {event["delta"] for _, event in self.talker.of("response.audio_transcript.delta")} | self.state.said
        seeds = (derive(self.unit, "ask_scene", number) % 2**31 for number in itertools.count())
        lines = (talk.draw("ask_scene", seed, "test") for seed in seeds)
        speech, begins = self._speak(next(line for line in lines if line.topic == "what are you doing"))
        end = begins + speech.end
        try:
            _, answer = self.talker.wait(
                "response.audio_transcript.delta", speech.end + NO_AUDIO_S, lambda event: event["delta"] not in known
            )
            name = answer["response_id"]
            arrival, _ = self.talker.wait("response.audio.delta", 2.0, lambda event: event["response_id"] == name)
        except StrettoError:
            return NO_AUDIO_S
        finally:
            said = self.talker.of("response.audio_transcript.delta")
            self.state.said.update(event["delta"] for _, event in said)
        return min(NO_AUDIO_S, arrival - end)


def first_zero(steps: list[list[Any]], after: float) -> float:
    """The time of the first of at least 20 zero commands in a row at or after `after`; infinity when there is none.

    A step is [t, speed, whether its command was zero, whether it was halted].
    """
    run = 0
    for index, (t, _, zero, _) in enumerate(steps):
        run = run + 1 if zero and t >= after - 1e-9 else 0
        if run == STANDING:
            return float(steps[index - STANDING + 1][0])
    return float("inf")
