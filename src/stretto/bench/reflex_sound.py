"""What the card "reflex" plays: stop sentences in noise, hours without a listed word, sentences that only sound so.

All of it is drawn from seeds: test wordings by test voices (and by three more that are kept in a column of their own),
in rooms, at levels, over noise. Spoken sentences are kept in a folder, so the second run begins at once. Clean sound
comes in stretches of six minutes of four kinds: people talking (to the robot and to each other), backchannels, noise
(also music and babble), and the robot's own voice coming back from its loudspeaker, over quiet noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from stretto.core import registry
from stretto.core.rng import derive, generator
from stretto.core.signals import HEARING_RATE, Sound, Speech, Word
from stretto.core.sound import level_dbfs, resample
from stretto.data import rooms
from stretto.data.clip_plan import ROBOT_SAYS, ROBOT_VOICE
from stretto.data.clips import Scene, in_scene
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_grammar import draw as fill
from stretto.data.talk_style import sentence, spoken_words
from stretto.data.talk_wide import Saying, commands_in, draw, draw_from
from stretto.data.voices import STILL

READABLE = ("festival-slt", "festival-ked", "piper-joe")
"""Test voices on which Whisper-tiny errs at most 15 % (row `wer`)."""
OTHERS = ("flite-kal", "espeak-m5", "espeak-f5")
"""Voices for a column of their own: the development voice, and two variants of espeak-ng never trained on."""
SNRS = (20.0, 15.0, 10.0, 5.0, 0.0)
NOISES = ("white", "pink", "hum", "music", "babble")
STRETCH_S = 375.0
PACES = (0.85, 0.95, 1.0, 1.1, 1.2)
LEAD_S = 1.2
"""Sound before the sentence, so that a session has begun."""


@dataclass(frozen=True, kw_only=True)
class StopClip:
    """A sentence with a listed word: `word` as spoken, `start` and `end` of the first one, seconds in `samples`."""

    samples: Float32[np.ndarray, " samples"]
    text: str
    command: str
    start: float
    end: float
    noise: str
    level: float


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Minutes without a listed word. `voice` is what the robot's loudspeaker played meanwhile."""

    samples: Float32[np.ndarray, " samples"]
    voice: Float32[np.ndarray, " samples"]


class Sounds:
    """Makes all of it; `folder` keeps what engines spoke."""

    def __init__(self, folder: Path) -> None:
        self._cache = SpeechCache(folder)

    def stop(self, voice: str, number: int, snr: float) -> StopClip:
        """Stop sentence `number` of a voice over noise at `snr` dB."""
        saying, speech = self.command(voice, number)
        source = generator(0, "reflex card", "stop", voice, number, int(snr))
        kind = NOISES[int(source.integers(len(NOISES)))]
        scene = Scene(
            lead_s=LEAD_S + round(float(source.uniform(0, 0.3)), 4),
            tail_s=1.5,
            rt60_s=round(float(source.uniform(0.1, 0.5)), 2) if source.random() < 0.5 else None,
            direct_db=round(float(source.uniform(3, 12)), 1),
            noise=kind,
            snr_db=snr,
            level=round(float(source.uniform(-34, -18)), 1),
            floor=-68.0,
        )
        others = [self.tame(other, number + at).sound for at, other in enumerate(READABLE) if other != voice]
        clip = in_scene(speech, scene, derive(0, "reflex card", voice, number, int(snr)) % 2**31, others)
        name, first, last = commands_in([word.text for word in clip.words])[0]
        return StopClip(
            samples=clip.sound.samples,
            text=saying.text,
            command=name,
            start=clip.words[first].start,
            end=clip.words[last].end,
            noise=kind,
            level=scene.level,
        )

    def command(self, voice: str, number: int) -> tuple[Saying, Speech]:
        """A test sentence of stopping or pausing with a listed word, as a voice says it."""
        for again in range(50):
            seed = derive(0, "reflex card", "command", voice, number, again) % 2**31
            saying = draw(("stop", "pause")[number % 2], seed, "test", hesitation=0.0)
            speech = self.say(voice, saying.text, PACES[number % len(PACES)])
            if commands_in([word.text for word in speech.words]):
                break
        return saying, speech

    def hard(self, voice: str, number: int) -> tuple[Saying, Speech]:
        """A test sentence that sounds like a command and is none."""
        for again in range(50):
            saying = draw("hard", derive(0, "reflex card", "hard", number, again) % 2**31, "test", hesitation=0.0)
            if commands_in(spoken_words(saying.text)):
                break
        return saying, self.say(voice, saying.text, PACES[number % len(PACES)])

    def tame(self, voice: str, number: int) -> Speech:
        """A test sentence without a listed word."""
        saying = draw_from("tame", derive(0, "reflex card", "tame", voice, number % 90) % 2**31, "test")
        return self.say(voice, saying.text, PACES[number % len(PACES)])

    def say(self, voice: str, text: str, pace: float = 1.0) -> Speech:
        """A sentence by any voice of this card, at 16 kHz."""
        if voice.startswith("espeak-"):
            spoken = registry.build("voice", "espeak", variant=voice.partition("-")[2], pace=pace).speak(text)
            samples = resample(spoken.sound.samples, spoken.sound.rate, HEARING_RATE)
            return Speech(text=text, sound=Sound(samples=samples, rate=HEARING_RATE), words=spoken.words, speaker=voice)
        settings = {} if voice.startswith("piper") and pace == 1.0 else {"pace": pace}
        return self._cache.speak(text, voice, voice.partition("-")[0] in STILL, **settings)

    def clean(self, kind: str, number: int, seconds: float = STRETCH_S) -> Stretch:
        """Stretch `number` of a kind: speech, backchannel, noise or echo; or its first `seconds`."""
        source = generator(0, "reflex card", "clean", kind, number)
        count = round(seconds * HEARING_RATE)
        samples, voice = np.zeros(count, np.float32), np.zeros(count, np.float32)
        for start, piece, played in _MAKERS[kind](self, source, number):
            if start >= seconds:
                break
            begin = round(start * HEARING_RATE)
            for whole, part in ((samples, piece), (voice, played)):
                part = part[: max(0, count - begin)]
                whole[begin : begin + len(part)] += part
        hiss = source.standard_normal(count) * 10 ** (float(source.uniform(-75, -60)) / 20)
        return Stretch(samples=np.clip(samples + hiss, -1, 1).astype(np.float32), voice=voice)

    def _speech(self, source: np.random.Generator, number: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """One sentence after the other by one voice, mostly with noise."""
        t, at, voice = 0.5, 0, READABLE[number % len(READABLE)]
        while t < STRETCH_S:
            piece = self._in_scene(self.tame(voice, int(source.integers(90))), source, snr_low=0.0)
            yield t, piece, np.zeros(0, np.float32)
            t, at = t + len(piece) / HEARING_RATE + float(source.exponential(0.3)), at + 1

    def _backchannels(self, source: np.random.Generator, number: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """Short sounds of agreement with pauses between them."""
        t, voice = 0.5, READABLE[number % len(READABLE)]
        while t < STRETCH_S:
            saying = draw("backchannel", int(source.integers(40)), "test")
            piece = self._in_scene(self.say(voice, saying.text, PACES[int(source.integers(5))]), source, snr_low=5.0)
            yield t, piece, np.zeros(0, np.float32)
            t += len(piece) / HEARING_RATE + float(source.uniform(0.5, 2.0))

    def _noises(self, source: np.random.Generator, number: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """Twenty seconds of one noise after the other, at any level."""
        for index in range(round(STRETCH_S / 20) + 1):
            kind = NOISES[int(source.integers(len(NOISES)))]
            others = [self.tame(voice, int(source.integers(90))).sound for voice in READABLE]
            bed = rooms.bed(kind, 20 * HEARING_RATE, HEARING_RATE, int(source.integers(2**31)), others)
            gain = 10 ** ((float(source.uniform(-50, -20)) - level_dbfs(bed.astype(np.float32))) / 20)
            yield 20.0 * index, (gain * bed).astype(np.float32), np.zeros(0, np.float32)

    def _echoes(self, source: np.random.Generator, number: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """The robot's own sentences out of its loudspeaker, through a room, 20 ms late, at a gain of -20 to 0 dB."""
        t, rt60, gain = 0.5, float(source.uniform(0.1, 0.5)), 10 ** (float(source.uniform(-20, 0)) / 20)
        while t < STRETCH_S:
            text = sentence(fill(ROBOT_SAYS[int(source.integers(len(ROBOT_SAYS)))], {}, source))
            played = self.say(ROBOT_VOICE, text).sound
            wet = rooms.room(played, rt60, 3.0, number).samples
            late = np.concatenate([np.zeros(round(0.02 * HEARING_RATE), np.float32), np.float32(gain) * wet])
            yield t, late, played.samples
            t += played.seconds + float(source.uniform(0.2, 2.0))

    def _in_scene(self, speech: Speech, source: np.random.Generator, snr_low: float) -> np.ndarray:
        noisy = source.random() < 0.6
        scene = Scene(
            lead_s=round(float(source.uniform(0.1, 0.4)), 3),
            tail_s=0.3,
            rt60_s=round(float(source.uniform(0.1, 0.5)), 2) if source.random() < 0.5 else None,
            direct_db=round(float(source.uniform(3, 12)), 1),
            noise=NOISES[int(source.integers(4))] if noisy else None,
            snr_db=round(float(source.uniform(snr_low, 30)), 1) if noisy else None,
            level=round(float(source.uniform(-34, -18)), 1),
            floor=-75.0,
        )
        return in_scene(speech, scene, int(source.integers(2**31))).sound.samples


_MAKERS = {
    "speech": Sounds._speech,
    "backchannel": Sounds._backchannels,
    "noise": Sounds._noises,
    "echo": Sounds._echoes,
}
KINDS = tuple(_MAKERS)


def first_command(words: tuple[Word, ...]) -> tuple[str, float, float] | None:
    """The first listed word: (its name, start, end); None where there is none."""
    found = commands_in([word.text for word in words])
    return (found[0][0], words[found[0][1]].start, words[found[0][2]].end) if found else None
