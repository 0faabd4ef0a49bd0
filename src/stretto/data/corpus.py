"""A corpus of clips on disk: an index of one line a clip beside a folder of spoken sentences.

    make(Corpus.Config(split="train"), Path("out/talk"), hours=1.0, workers=2)
    corpus = Corpus(Path("out/talk"), "train")
    clip = corpus.clip(7)              sound (16 kHz), words with times
    clip = corpus.clip(7, again=3)     the same sentence in other surroundings, for another epoch

    out/talk/train.jsonl       one row a clip: what is said and meant, by whom, word times, surroundings
                               (`commands`: command words of the reflex as [command, first word, last word])
    out/talk/train.json        how it was drawn
    out/talk/speech/ab/….flac  what the engines spoke, shared by all corpora of the folder

Rooms and noise are computed when a clip is read, a few milliseconds from the row's seed, so ten hours take half a
gigabyte and every epoch may hear them differently. Making can be cut at any moment and goes on where it stood; clip k
is the same whatever the length and the number of workers.

Needs: what a voice needs, and soundfile. Does not know what a model makes of it.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stretto.core.begun import same_settings
from stretto.core.clock import Stopwatch
from stretto.core.errors import StrettoError, nearest
from stretto.core.rng import derive, generator
from stretto.core.signals import HEARING_RATE, Sound, Speech, Word
from stretto.data.clip_plan import ROBOT_VOICE, Plan, Plans, row_of
from stretto.data.clips import Clip, Scene, in_scene, moved_words, paused, pauses_that_fit
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_style import Pause, spoken_words
from stretto.data.talk_wide import commands_in
from stretto.data.voices import SPEAKERS

SPEECH = "speech"
BLOCK = 32
"""Clips between two writes of the index."""

MOST_HOURS = 1_000

Row = dict[str, Any]


class Corpus:
    """The clips of one index, read one by one. Raises StrettoError when there is no such index."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = Path(root), name
        index = self.root / f"{name}.jsonl"
        if not index.exists():
            raise StrettoError(_missing(self.root, name))
        self.config: dict[str, Any] = json.loads(index.with_suffix(".json").read_text(encoding="utf-8"))
        self.rows = _rows(index)
        self._cache = SpeechCache(self.root / SPEECH)

    def __len__(self) -> int:
        return len(self.rows)

    def clip(self, at: int, again: int = 0, clear: bool = False) -> Clip:
        """Clip `at`. `again` 0 is the one of the row; another number draws other surroundings (the row's times do not
        hold then: take those of the clip). `clear`: without room and noise. Raises StrettoError when its speech was
        deleted.
        """
        row = around = self.rows[at]
        if again:
            around = self._surroundings(at, again)
        if clear:
            around = {**around, "noise": None, "snr_db": None, "rt60_s": None, "others": []}
        scene = Scene(**{key: around[key] for key in Scene.__dataclass_fields__})
        seed = derive(row["seed"], "again", again) % 2**31 if again else int(row["seed"])
        return in_scene(self.dry(at), scene, seed, [self._cache.read(key).sound for key in around["others"]])

    def dry(self, at: int) -> Speech:
        """The sentence of clip `at` with its pauses, without room and noise."""
        row = self.rows[at]
        if not row["key"]:
            return _quiet(row["seconds"])
        return paused(self._cache.read(row["key"]), [Pause(*each) for each in row["pauses"]])

    def _surroundings(self, at: int, again: int) -> Row:
        """Another row whose surroundings suit clip `at`; its own where none is found."""
        own = self.rows[at]
        for number in generator(again, "again", at).integers(len(self.rows), size=8):
            row = self.rows[int(number)]
            same_voice = row["noise"] == "robot" and own["speaker"] == ROBOT_VOICE
            if bool(row["key"]) == bool(own["key"]) and not same_voice:
                return row
        return own

    def clips(self) -> Iterator[tuple[Row, Clip]]:
        """All clips with their rows, in order."""
        return ((row, self.clip(at)) for at, row in enumerate(self.rows))


def make(
    config: Plans.Config,
    root: Path,
    hours: float,
    name: str = "",
    workers: int = 2,
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Makes a corpus, or goes on with one, until its clips last `hours`. `name` is the split by default.

    `workers` engines speak at once. Raises StrettoError when the index there was drawn otherwise, when an engine is
    missing, or the disk is full; what was finished is kept.
    """
    if not 0 < hours <= MOST_HOURS or workers < 1:
        raise StrettoError(
            f"Expected more than 0 and at most {MOST_HOURS} hours and at least one worker, got {hours} and {workers}."
        )
    cache = SpeechCache(Path(root) / SPEECH)
    index = Path(root) / f"{name or config.split}.jsonl"
    with _alone(index):
        _fill(index, config.build(), cache, hours, workers, say)
    return Corpus(root, index.stem)


def _fill(
    index: Path, plans: Plans, cache: SpeechCache, hours: float, workers: int, say: Callable[[str], None]
) -> None:
    """Adds clips to an index, a block at a time, until it lasts `hours`."""
    rows = _begun(index, plans.config)
    seconds, watch, before = sum(row["seconds"] for row in rows), Stopwatch(), len(rows)
    had = seconds
    with ThreadPoolExecutor(workers) as pool:
        while seconds < hours * 3_600:
            numbers = range(len(rows), len(rows) + BLOCK)
            made = list(pool.map(lambda number: _spoken(plans.plan(number), plans, cache), numbers))
            rows += made
            seconds += sum(row["seconds"] for row in made)
            _append(index, made)
            pace = (seconds - had) / max(watch.seconds(), 1e-6)
            left = max(0.0, hours * 3_600 - seconds) / max(pace, 1e-6)
            per = (len(rows) - before) / max(watch.seconds(), 1e-6) * 60
            say(f"{len(rows)} clips, {seconds / 3_600:.2f} h; {per:.0f} clips a minute, {left / 60:.0f} min left")


@contextlib.contextmanager
def _alone(index: Path) -> Iterator[None]:
    """Holds the index for this process; the lock goes with the process. Raises StrettoError when another has it."""
    with open(index.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StrettoError(f"Another process is making '{index}'. Wait for it, or give another name.") from error
        yield


def _spoken(plan: Plan, plans: Plans, cache: SpeechCache) -> Row:
    """Speaks what a plan needs and gives its row."""
    still = plans.config.still
    keys: list[str] = []
    pauses: tuple[Pause, ...] = ()
    for text, name, settings in plan.others:
        cache.speak(text, name, still, **settings)
        keys.append(plans.key(text, name, settings))
    robot = plan.others[0][0] if plan.scene.noise == "robot" else ""
    if plan.silent:
        speech, key = _quiet(plan.seconds), ""
    else:
        dry = cache.speak(plan.saying.text, plan.speaker, still, **plan.settings)
        pauses = pauses_that_fit(dry, plan.saying.pauses, len(spoken_words(plan.saying.text)))
        speech, key = paused(dry, pauses), plans.key(plan.saying.text, plan.speaker, plan.settings)
    speaker = SPEAKERS.get(plan.speaker)
    return row_of(
        plan,
        split=plans.config.split,
        engine=speaker.voice if speaker else "",
        exact=speaker.exact if speaker else True,
        key=key,
        pauses=[[pause.after, pause.seconds] for pause in pauses],
        others=keys,
        robot=robot,
        seconds=round(_length(speech, plan.scene), 4),
        words=[[word.text, word.start, word.end] for word in moved_words(speech.words, plan.scene)],
        commands=[list(found) for found in commands_in([word.text for word in speech.words])],
    )


def words_of(row: Row) -> tuple[Word, ...]:
    """The words of a row with their times in the clip."""
    return tuple(Word(str(text), float(start), float(end)) for text, start, end in row["words"])


def _length(speech: Speech, scene: Scene) -> float:
    """Seconds of the finished clip, to within a few samples (resampling rounds)."""
    return speech.sound.seconds / scene.speed + scene.lead_s + scene.tail_s


def _quiet(seconds: float) -> Speech:
    zeros = np.zeros(round(seconds * HEARING_RATE), np.float32)
    return Speech(text="", sound=Sound(samples=zeros, rate=HEARING_RATE), words=())


def _begun(index: Path, config: Plans.Config) -> list[Row]:
    """The rows that are there, a broken last line cut off. Raises StrettoError when they were drawn otherwise."""
    if not same_settings(index.with_suffix(".json"), dataclasses.asdict(config), f"The corpus '{index}'"):
        index.unlink(missing_ok=True)
    if not index.exists():
        return []
    content = index.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(index, whole)
    return _rows(index)


def _rows(index: Path) -> list[Row]:
    """The rows of an index; a last line that was cut is left out."""
    lines = index.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def _append(index: Path, rows: list[Row]) -> None:
    try:
        with open(index, "a", encoding="utf-8") as out:
            out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    except OSError as error:
        raise StrettoError(f"Cannot write '{index}': {error.strerror}. The same command goes on.") from error


def _missing(root: Path, name: str) -> str:
    there = sorted(file.stem for file in root.glob("*.jsonl")) if root.is_dir() else []
    close = nearest(name, there)
    hint = f" Did you mean '{close}'?" if close else f" There: {', '.join(there)}." if there else ""
    return f"There is no corpus '{name}' in '{root}'.{hint} `stretto data talk` makes one."
