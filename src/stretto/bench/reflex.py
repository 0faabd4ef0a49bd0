"""Card "reflex": a word stops the arm. Recall, stop latency, false halts an hour, release of what was not meant, cost.

Stop sentences of the test split in rooms and noise (20 to 0 dB) go through the reflex as in a session on the virtual
clock: frames of 32 ms, the measured delay of each (card "reflex-costs"), the alarm, an executor with control periods of
50 ms, at every phase of frames and periods. The arm has no part in that, so it is the dummy world's. What the arm does
after it is measured in LIBERO (bench/reflex_libero.py), beside an oracle. Hours without a listed word count false halts
by kind. A sentence counts as halted when the arm stands within a second of its word's end, and did not before the word
began.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from stretto.agents.cascade import Cascade
from stretto.bench import reflex_libero
from stretto.bench.card import Trial
from stretto.bench.reflex_libero import Case, Tape
from stretto.bench.reflex_sound import KINDS, OTHERS, READABLE, SNRS, STRETCH_S, Sounds
from stretto.core.clock import VirtualClock
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, ActionChunk, Sound
from stretto.data.talk_style import plain
from stretto.data.talk_wide import draw
from stretto.listen.spotter.features import FRAME
from stretto.listen.spotter.runner import WEIGHTS
from stretto.listen.whisper import Whisper
from stretto.runtime.delays import from_card
from stretto.runtime.reflex import Reflex
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.guard import Guard

Row = dict[str, Any]
SPEECH = Path("out/reflex/speech")
SENTENCES, OTHER_SENTENCES, PER_TRIAL = 140, 20, 20
"""Stop sentences of each voice, each at every noise level; of each of the other voices; clips of a trial."""
STRETCHES = {"speech": 26, "noise": 14, "backchannel": 9, "echo": 11}
LIBERO = 204
WER_SENTENCES = 20
LATE_S = 1.0


@dataclass
class State:
    """What a worker keeps; LIBERO and the cascade only once they are asked for."""

    reflex: Reflex
    sounds: Sounds
    dummy: World
    libero: list[Case] = field(default_factory=list)

    def case(self) -> Case:
        """The world and agent of the trials in LIBERO."""
        if not self.libero:
            world, agent = World.Config().build(), Cascade.Config().build()
            self.libero.append(Case(world, self.reflex, agent, self.sounds, {}))
        return self.libero[0]


class ReflexCard:
    """Trials of five kinds; see the file's header."""

    name = "reflex"
    clock = "virtual"
    parallel = True
    seconds_per_trial = 5.5

    def __init__(self) -> None:
        self.weights = _hash(WEIGHTS)

    def trials(self, n: int | None) -> list[Trial]:
        """All, or `n` of each kind."""
        clips = [(voice, number, snr) for number in range(SENTENCES) for voice in READABLE for snr in SNRS]
        clips += [(voice, number, snr) for number in range(OTHER_SENTENCES) for voice in OTHERS for snr in SNRS]
        blocks = [clips[begin : begin + PER_TRIAL] for begin in range(0, len(clips), PER_TRIAL)]
        listed = [
            [Trial(f"halt/{index}", {"kind": "halt", "clips": block}) for index, block in enumerate(blocks)],
            *(
                [Trial(f"clean/{kind}/{at}", {"kind": "clean", "what": kind, "at": at}) for at in range(count)]
                for kind, count in STRETCHES.items()
            ),
            [Trial(f"stop/{at}", {"kind": "stop", "at": at}) for at in range(LIBERO)],
            [Trial(f"hard/{at}", {"kind": "hard", "at": at}) for at in range(LIBERO)],
            [Trial(f"share/{at}", {"kind": "share", "at": at}) for at in range(32)],
            [Trial(f"wer/{voice}", {"kind": "wer", "voice": voice}) for voice in (*READABLE, *OTHERS)],
            [Trial("file", {"kind": "file"})],
        ]
        return [trial for kind in listed for trial in kind[:n]]

    def quick(self) -> list[Trial]:
        """One trial of each kind."""
        return self.trials(1)

    def open(self) -> State:
        """The reflex, the sounds, a world without physics."""
        return State(
            Reflex.Config().build(), Sounds(SPEECH), World.Config(env="dummy", suite="dummy", expert="").build()
        )

    def run(self, trial: Trial, state: State) -> list[Row]:
        """One trial."""
        kind = trial.params["kind"]
        rows = _KINDS[kind](trial.params, state)
        shared = {"arm": "reflex", "unit": trial.key, "seed": 0, "privileged": kind in ("stop", "hard")}
        return [{**shared, "reflex": row.get("arm") != "oracle", "delays": 1.0, **row} for row in rows]

    def close(self, state: State) -> None:
        """End the worlds."""
        state.dummy.close()
        for case in state.libero:
            case.world.close()


def _halt(params: Any, state: State) -> list[Row]:
    """Twenty stop sentences, each from a fresh session."""
    rows = []
    for voice, number, snr in params["clips"]:
        clip = state.sounds.stop(voice, number, snr)
        phase = float(generator(0, "reflex card", "phase", voice, number, int(snr)).uniform(0, 0.2))
        steps = _played(state, clip.samples, phase, number * 10 + int(snr))
        stand = measures.first_stand(steps, 0.2)
        start, end = phase + clip.start, phase + clip.end
        halted = stand is not None and start <= stand <= end + LATE_S
        latency = stand - end if halted and stand is not None else measures.NEVER_STOPPED_S
        told = {
            "unit": f"{voice}/{number}/{snr:g}",
            "voice": voice,
            "readable": voice in READABLE,
            "snr_db": snr,
            "easy_snr": snr >= 10,
            "noise": clip.noise,
            "level": clip.level,
            "command": clip.command,
            "said": clip.text,
            "before": stand is not None and stand < start,
        }
        rows += [{**told, "row": "halted", "value": halted}, {**told, "row": "stop_latency_s", "value": latency}]
    return rows


def _played(state: State, samples: np.ndarray, phase: float, seed: int) -> list[Any]:
    """The control steps of an arm that moves all the time unless the reflex halts it."""
    world, seconds = state.dummy, phase + len(samples) / HEARING_RATE
    world.reset("0", 0)
    count = round((seconds + 2.0) / world.dt)
    moving = np.full((count, world.env.actions), 0.5)
    world.post(ActionChunk(values=moving, rate=1 / world.dt, start=0.0), 0.0)
    guard = Guard(state.reflex, world.post, VirtualClock(), from_card(seed=seed))
    guard.begin(seed, -80.0)
    guard.hear(Tape(phase, samples), seconds)
    return world.advance(seconds + 1.5).steps


def _clean(params: Any, state: State) -> list[Row]:
    """Six minutes in which nothing must halt."""
    kind, at = params["what"], params["at"]
    stretch = state.sounds.clean(kind, at)
    state.reflex.start()
    found: list[Any] = []
    second = HEARING_RATE
    for begin in range(0, len(stretch.samples), second):
        t = begin / HEARING_RATE
        if kind == "echo":
            state.reflex.play(t, stretch.voice[begin : begin + second])
        found += state.reflex.hear(t, stretch.samples[begin : begin + second])
    hours = STRETCH_S / 3_600
    told = {"kind": kind, "hours": hours, "words": [f"{each.word} {each.t:.2f}" for each in found]}
    return [
        {"row": "false_halts", "value": len(found), **told},
        {"row": "clean_hours", "value": hours, "kind": kind},
    ]


def _stop(params: Any, state: State) -> list[Row]:
    return reflex_libero.stop(state.case(), params["at"])


def _hard(params: Any, state: State) -> list[Row]:
    return reflex_libero.hard(state.case(), params["at"])


def _share(params: Any, state: State) -> list[Row]:
    """Processor seconds for each second of sound, frame by frame; in every second stretch the robot speaks too."""
    stretch = state.sounds.clean("echo" if params["at"] % 2 else "speech", params["at"], 20.0)
    samples, voice = stretch.samples, stretch.voice
    state.reflex.start()
    used = time.process_time()
    for begin in range(0, len(samples) - FRAME, FRAME):
        t = begin / HEARING_RATE
        if params["at"] % 2:
            state.reflex.play(t, voice[begin : begin + FRAME])
        state.reflex.hear(t, samples[begin : begin + FRAME])
    used = time.process_time() - used
    return [
        {"row": "spotter_core_share", "value": used * HEARING_RATE / len(samples), "speaking": bool(params["at"] % 2)}
    ]


def _wer(params: Any, state: State) -> list[Row]:
    """How well Whisper-tiny reads a voice: word errors of its instructions, in silence."""
    reader, voice = Whisper.Config().build(), params["voice"]
    errors = words = 0
    for number in range(WER_SENTENCES):
        speech = state.sounds.say(voice, draw("instruct", number, "test", hesitation=0.0).text)
        quiet = np.zeros(HEARING_RATE // 2, np.float32)
        sound = Sound(samples=np.concatenate([quiet, speech.sound.samples, quiet]), rate=HEARING_RATE)
        said, heard = plain(speech.text).split(), plain(reader.recognise(sound)).split()
        errors, words = errors + Levenshtein.distance(said, heard), words + len(said)
    return [{"row": "wer", "value": errors / words, "voice": voice, "readable": voice in READABLE}]


def _file(params: Any, state: State) -> list[Row]:
    """What the weights weigh, and what the recipe noted when it made them."""
    told = json.loads(WEIGHTS.with_suffix(".json").read_text())
    return [
        {"row": "spotter_mb", "value": WEIGHTS.stat().st_size / 1e6},
        {"row": "retrain_minutes", "value": told["minutes"]},
        {"row": "threshold", "value": told["threshold"]},
    ]


def _hash(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


_KINDS = {
    "halt": _halt,
    "clean": _clean,
    "stop": _stop,
    "hard": _hard,
    "share": _share,
    "wer": _wer,
    "file": _file,
}
assert set(STRETCHES) == set(KINDS)
