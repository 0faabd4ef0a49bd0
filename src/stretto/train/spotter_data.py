"""Sound and labels to train the spotter on: utterances by training speakers, heard in ever other surroundings.

What an engine speaks is kept (data/speech_cache.py) and made once. Each time it is heard it is another speaker's: speed
and pitch, room, noise, microphone and level are drawn anew, and what reaches the network is kept. The label of a step
is 1 from just before the end of a word of the list until 130 ms after it, 0 elsewhere, and unsaid shortly before and
after, and around words that nobody can tell from one of the list.

Needs: the training voices of data/voices.py. Does not know the network.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Int8

from stretto.core.rng import derive, generator
from stretto.core.signals import Sound, Speech
from stretto.data.clips import Clip, Scene, in_scene
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_wide import commands_in
from stretto.listen.spotter.features import FRAME, KEPT, PER_STEP, STEP_S, mel
from stretto.train.spotter_text import unsure, utterance

UNSAID = -1
"""Label of a step that is not judged."""

_ESPEAK = ("m1", "m2", "m3", "m4", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "klatt", "klatt2", "klatt3")
_SHARES = {"piper-joe": 0.16, "flite-awb": 0.28, "flite-rms": 0.28, "espeak": 0.28}
_NOISES = {"white": 1.0, "pink": 2.0, "hum": 0.7, "music": 2.0, "babble": 3.0}
_EARLY_S, _AFTER_S, _BEFORE_S, _LATER_S = 0.03, 0.13, 0.16, 0.45
_VAGUE_S = 0.12
"""How far espeak's estimated word times may be wrong."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """`steps`: one row a step, one column a word: 1, 0, or -1 where it is not judged. `ends`: (word's number, first
    step, last step) within which some step should be 1.
    """

    steps: Int8[np.ndarray, "steps words"]
    ends: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One utterance as the network sees it, with its labels."""

    features: Float16[np.ndarray, "windows 32"]
    labels: Labels


def speak(number: int, cache: SpeechCache, words: tuple[str, ...], seed: int = 0) -> Speech:
    """Utterance `number` by a training speaker, from the cache or spoken now."""
    source = generator(seed, "spotter voice", number)
    names = list(_SHARES)
    name = names[int(source.choice(len(names), p=list(_SHARES.values())))]
    settings: dict[str, float | str] = {"pace": round(float(np.clip(np.exp(source.normal(0, 0.2)), 0.65, 1.6)), 1)}
    if name != "piper-joe":
        settings["pitch"] = float(np.clip(round(source.normal(0, 2)), -4, 5))
    if name == "espeak":
        name, settings["variant"] = "espeak-m1", _ESPEAK[int(source.integers(len(_ESPEAK)))]
    return cache.speak(utterance(number, words, seed), name, True, **settings)


def heard(number: int, again: int, cache: SpeechCache, words: tuple[str, ...], pool: int, seed: int = 0) -> Heard:
    """Utterance `number` in its surroundings number `again`. Babble is drawn from the first `pool` utterances."""
    source = generator(seed, "spotter scene", number, again)
    speech = speak(number, cache, words, seed)
    scene = draw_scene(source)
    others: list[Sound] = []
    if scene.noise == "babble":
        picked = source.integers(pool, size=int(source.integers(2, 5)))
        others = [without_commands(speak(int(each), cache, words, seed), words) for each in picked]
    clip = in_scene(speech, scene, derive(seed, "spotter", number, again) % 2**31, others)
    sound = _band(clip.sound.samples, source)
    steps = len(sound) // FRAME
    features = mel(np.pad(sound[: steps * FRAME], (KEPT, 0))).astype(np.float16)
    vague = speech.speaker.startswith("espeak")
    return Heard(features=features, labels=label(clip, words, steps, vague))


def draw_scene(source: np.random.Generator) -> Scene:
    """Surroundings of training: wider than those of a corpus."""
    kinds = list(_NOISES)
    shares = np.array(list(_NOISES.values())) / sum(_NOISES.values())
    noisy = source.random() < 0.8
    return Scene(
        speed=round(float(np.clip(np.exp(source.normal(0.02, 0.11)), 0.76, 1.34)), 2),
        lead_s=round(float(source.uniform(0.05, 0.6)), 3),
        tail_s=round(float(source.uniform(0.3, 0.7)), 3),
        rt60_s=round(float(source.uniform(0.1, 0.7)), 2) if source.random() < 0.5 else None,
        direct_db=round(float(source.uniform(0, 12)), 1),
        noise=kinds[int(source.choice(len(kinds), p=shares))] if noisy else None,
        snr_db=round(float(source.triangular(-2, 10, 30)), 1) if noisy else None,
        level=round(float(source.uniform(-38, -14)), 1),
        floor=round(float(source.uniform(-80, -58)), 1),
    )


def without_commands(speech: Speech, words: tuple[str, ...]) -> Sound:
    """The sound of a speech with the words of the list cut out, for babble that must not halt anything."""
    samples = speech.sound.samples.copy()
    for _, first, last in commands_in([word.text for word in speech.words], words):
        start, end = speech.words[first].start - 0.1, speech.words[last].end + 0.1
        samples[max(0, round(start * speech.sound.rate)) : round(end * speech.sound.rate)] = 0
    return Sound(samples=samples, rate=speech.sound.rate)


def label(clip: Clip, words: tuple[str, ...], steps: int, vague: bool = False) -> Labels:
    """The labels of a clip's steps, each judged by the time at which it ends; `vague`: word times are estimates."""
    table = np.zeros((steps, len(words)), np.int8)
    ends = (np.arange(steps) + 1) * STEP_S
    more = _VAGUE_S if vague else 0.0
    said = [word.text for word in clip.words]
    for word in clip.words:
        if unsure(word.text, words):
            table[(ends > word.start) & (ends < word.end + _LATER_S + more)] = UNSAID
    goals = []
    for name, _, last in commands_in(said, words):
        end, column = clip.words[last].end, words.index(name)
        near = (ends > end - _BEFORE_S - more) & (ends < end + _LATER_S + more)
        table[near] = np.where(table[near] == 1, 1, UNSAID)
        inside = (ends >= end - _EARLY_S) & (ends <= end + _AFTER_S)
        if not vague:
            table[inside, column] = 1
        wide = np.flatnonzero((ends >= end - 0.06 - more) & (ends <= end + _AFTER_S + more))
        if len(wide):
            goals.append((column, int(wide[0]), int(wide[-1])))
    return Labels(steps=table, ends=tuple(goals))


@functools.lru_cache(maxsize=64)
def _response(low: int, high: int, tilt: int) -> np.ndarray:
    """A minimum of a microphone: 65 taps that pass `low` to `high` Hz with a slope of `tilt` dB from end to end."""
    from scipy.signal import firwin2

    edges = np.array([0, low * 0.6, low, high, min(high * 1.25, 7_900), 8_000]) / 8_000
    gains = np.array([0.1, 0.1, 10 ** (-tilt / 40), 10 ** (tilt / 40), 0.03, 0.03])
    return firwin2(65, np.maximum.accumulate(edges), gains).astype(np.float32)


def _band(samples: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Every third time through a narrow or slanted microphone."""
    if source.random() > 0.35:
        return samples
    low, high, tilt = (int(source.choice(each)) for each in ((60, 200, 300), (3_400, 5_000, 7_000), (-12, 0, 12)))
    return np.convolve(samples, _response(low, high, tilt), "same").astype(np.float32)


def save(heard_ones: list[Heard], path: Path) -> None:
    """Writes utterances into one file, in one step."""
    goals = [(index, *goal) for index, each in enumerate(heard_ones) for goal in each.labels.ends]
    beside = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(
        beside,
        sizes=np.array([len(each.labels.steps) for each in heard_ones], np.int64),
        features=np.concatenate([each.features for each in heard_ones]),
        steps=np.concatenate([each.labels.steps for each in heard_ones]),
        goals=np.array(goals, np.int64).reshape(-1, 4),
    )
    os.replace(beside, path)


def load(path: Path) -> list[Heard]:
    """Reads what `save` wrote."""
    with np.load(path) as file:
        cuts = np.cumsum(file["sizes"])[:-1]
        features, steps = np.split(file["features"], cuts * PER_STEP), np.split(file["steps"], cuts)
        goals = file["goals"]
    ends: list[list[tuple[int, int, int]]] = [[] for _ in features]
    for index, word, first, last in goals.tolist():
        ends[index].append((word, first, last))
    return [
        Heard(features=some, labels=Labels(steps=rows, ends=tuple(goal)))
        for some, rows, goal in zip(features, steps, ends, strict=True)
    ]
