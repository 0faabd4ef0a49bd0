"""Who speaks in training, development and test: a table of speakers with their splits.

Whole engines are kept out for testing (festival), and the two speakers that exist in two engines (slt and kal) are
used in one only, so that the test compares speakers, not engines. Piper speaks in training and in test, with wordings
that do not meet (data/talk.py). Kokoro's voices are many for one network, so some of training's are mixes of two.

Needs: nothing until a speaker is built; then its engine (speak/). Does not know what is said.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stretto.core import registry
from stretto.core.errors import unknown
from stretto.core.protocols import Voice

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """One speaker: the registered voice, its settings, the splits in which it may speak.

    `share` is how often it is drawn beside the others of its split, `pitched` whether its engine has a pitch setting,
    `exact` whether its word times are those of the engine and not estimates.
    """

    voice: str
    splits: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    pitched: bool = True
    exact: bool = True


def _espeak(variant: str) -> Speaker:
    return Speaker(voice="espeak", splits=("train",), settings={"variant": variant}, share=0.4, exact=False)


def _kokoro(voice: str, other: str = "", share: float = 0.5, split: str = "train") -> Speaker:
    mixed = {"other": other, "share": share} if other else {}
    return Speaker(voice="kokoro", splits=(split,), settings={"voice": voice, **mixed}, share=0.25, pitched=False)


SPEAKERS: dict[str, Speaker] = {
    "piper-joe": Speaker(voice="piper", splits=("train", "test"), share=6.0, pitched=False),
    "flite-awb": Speaker(voice="flite", splits=("train",), settings={"voice": "awb"}, share=1.5),
    "flite-rms": Speaker(voice="flite", splits=("train",), settings={"voice": "rms"}, share=1.5),
    "espeak-m1": _espeak("m1"),
    "espeak-m3": _espeak("m3"),
    "espeak-m7": _espeak("m7"),
    "espeak-f1": _espeak("f1"),
    "espeak-f2": _espeak("f2"),
    "espeak-f4": _espeak("f4"),
    "kokoro-alpha": _kokoro("alpha"),
    "kokoro-gongitsune": _kokoro("gongitsune"),
    "kokoro-tebukuro": _kokoro("tebukuro"),
    "kokoro-kumo": _kokoro("kumo"),
    "kokoro-kumo-alpha": _kokoro("kumo", "alpha", 0.35),
    "kokoro-kumo-tebukuro": _kokoro("kumo", "tebukuro"),
    "kokoro-gongitsune-kumo": _kokoro("gongitsune", "kumo", 0.35),
    "flite-kal": Speaker(voice="flite", splits=("dev",), settings={"voice": "kal"}),
    "kokoro-nezumi": _kokoro("nezumi", split="dev"),
    "festival-slt": Speaker(voice="festival", splits=("test",), settings={"voice": "slt"}, pitched=False),
    "festival-ked": Speaker(voice="festival", splits=("test",), settings={"voice": "ked"}),
}


def speakers(split: str) -> tuple[str, ...]:
    """Names of the speakers of one split. Raises StrettoError for an unknown split."""
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return tuple(name for name, entry in SPEAKERS.items() if split in entry.splits)


PACES = 0.14
"""Spread of people's pace, in logarithms."""

STILL: dict[str, dict[str, Any]] = {"piper": {"noise": 0.0, "noise_width": 0.0}}
"""Settings that make an engine repeat its sound; engines that are not here repeat by themselves."""


def somebody(rng: np.random.Generator, split: str) -> tuple[str, dict[str, float]]:
    """A speaker of a split, by their shares, and how the person speaks: the engine's pace, and pitch if it has one."""
    names = speakers(split)
    shares = np.array([SPEAKERS[each].share for each in names])
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    pace = round(round(math.exp(rng.normal(0, PACES)) / 0.05) * 0.05, 2)
    settings: dict[str, float] = {"pace": min(1.5, max(0.7, pace))}
    if SPEAKERS[name].pitched:
        settings["pitch"] = round(float(np.clip(rng.normal(0, 1.5), -4, 4)) * 2) / 2
    return name, settings


def settings_of(name: str, still: bool = False, **settings: Any) -> tuple[str, dict[str, Any]]:
    """The registered voice of a speaker and all settings that differ from the voice's own. Raises as `speaker` does."""
    if name not in SPEAKERS:
        raise unknown("speaker", name, SPEAKERS)
    entry = SPEAKERS[name]
    repeats = STILL.get(entry.voice, {}) if still else {}
    return entry.voice, {**entry.settings, **repeats, **settings}


def speaker(name: str, still: bool = False, **settings: Any) -> Voice:
    """The voice of a speaker; `settings` (pace, pitch, level …) replace its own; `still`: same text, same sound.

    Raises StrettoError when there is no such speaker.
    """
    voice, chosen = settings_of(name, still, **settings)
    return registry.build("voice", voice, **chosen)
