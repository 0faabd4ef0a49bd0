"""Spoken sentences kept on disk, named by their content: what was spoken once is never synthesised again.

A file's name is a hash of the text, the voice and all its settings, so the same sentence is found by whoever asks for
it, and a changed setting is another file. A file is FLAC of 16 bits at 16 kHz, with text and word times in its comment:
one file, written beside its place and renamed, so a kill leaves a whole file or none, and processes may share a folder.

Needs: soundfile, and the engine of a voice when a sentence is new. Does not know rooms or noise (data/clips.py).
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound, Speech, Word
from stretto.core.sound import resample
from stretto.data.talk_style import spoken_words
from stretto.data.voices import settings_of, speaker

VERSION = 1
"""Counted up when a change of the engines' code changes what they speak."""

RESPELLED = {"mm-hm": "umhum", "hm": "hum"}
"""Words that every engine spells out, and how it says them instead."""


class SpeechCache:
    """A folder of spoken sentences. Threads and processes may use one folder at once.

    Raises StrettoError when the folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._voices: dict[str, Any] = {}
        self._lock = threading.Lock()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StrettoError(
                f"Cannot make the folder '{root}' for speech: {error.strerror}. Give another one."
            ) from error

    def speak(self, text: str, name: str, still: bool = True, **settings: Any) -> Speech:
        """The sentence by a speaker of data/voices.py at 16 kHz, from the folder or else spoken now and kept.

        `still` silences the noise inside an engine, so that a sentence sounds the same wherever it is made. Raises
        StrettoError for an unknown speaker, a setting it has not, a missing engine, a full disk.
        """
        key = speech_key(text, name, still, **settings)
        kept = self._load(key)
        if kept is not None:
            return kept
        spoken = self._voice(name, still, settings).speak(respelled(text))
        samples = resample(spoken.sound.samples, spoken.sound.rate, HEARING_RATE)
        self._keep(key, samples, {"text": text, "speaker": name, "words": written(text, spoken.words)})
        return self.read(key)

    def read(self, key: str) -> Speech:
        """A sentence that is there. Raises StrettoError when it is not."""
        kept = self._load(key)
        if kept is None:
            raise StrettoError(
                f"The sentence {key} is not in '{self.root}' any more. Delete the index beside it and make it again."
            )
        return kept

    def __contains__(self, key: str) -> bool:
        return self._file(key).exists()

    def _file(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.flac"

    def _voice(self, name: str, still: bool, settings: Mapping[str, Any]) -> Any:
        """The voice, made once; one thread at a time, because a voice may load a network."""
        which = json.dumps([name, still, sorted(settings.items())])
        with self._lock:
            if which not in self._voices:
                self._voices[which] = speaker(name, still, **settings)
            return self._voices[which]

    def _load(self, key: str) -> Speech | None:
        """The sentence, or None when there is no such file or it is no whole one."""
        try:
            with soundfile.SoundFile(str(self._file(key))) as opened:
                told = json.loads(opened.comment)
                samples = opened.read(dtype="float32")
                whole = len(samples) == opened.frames
        except (soundfile.LibsndfileError, json.JSONDecodeError):
            return None
        words = tuple(Word(text, start, end) for text, start, end in told["words"])
        sound = Sound(samples=np.ascontiguousarray(samples), rate=HEARING_RATE)
        return Speech(text=told["text"], sound=sound, words=words, speaker=told["speaker"]) if whole else None

    def _keep(self, key: str, samples: np.ndarray, told: Mapping[str, Any]) -> None:
        file = self._file(key)
        words = [(word.text, round(word.start, 4), round(word.end, 4)) for word in told["words"]]
        beside = file.with_name(f"{key}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            file.parent.mkdir(exist_ok=True)
            with soundfile.SoundFile(str(beside), "w", HEARING_RATE, 1, "PCM_16", format="FLAC") as opened:
                opened.comment = json.dumps({**told, "words": words})
                opened.write(np.clip(samples, -1, 1))
            os.replace(beside, file)
        except (OSError, soundfile.LibsndfileError) as error:
            beside.unlink(missing_ok=True)
            raise StrettoError(f"Cannot write speech into '{self.root}': {error}. Is the disk full?") from error


def respelled(text: str) -> str:
    """The text as a voice has to get it, so that sounds people make are not spelled out letter by letter.

    >>> respelled("Mm-hm, put it, hm, there.")
    'umhum, put it, hum, there.'
    """
    return re.sub(r"[\w'-]+", lambda word: RESPELLED.get(word[0].lower(), word[0]), text)


def written(text: str, words: Sequence[Word]) -> tuple[Word, ...]:
    """The spoken words with the spelling of the text, where the voice spoke as many as were written."""
    spelled = spoken_words(text)
    if len(spelled) != len(words):
        return tuple(words)
    return tuple(Word(own, word.start, word.end) for own, word in zip(spelled, words, strict=True))


def speech_key(text: str, name: str, still: bool = True, **settings: Any) -> str:
    """The name of a sentence: a hash of its text, its voice and its settings. Raises for an unknown speaker."""
    voice, chosen = settings_of(name, still, **settings)
    content = json.dumps([VERSION, voice, sorted(chosen.items()), text], ensure_ascii=False)
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()
