"""What there is to hear: clips of corpora laid end to end as sessions, and what should be written when.

A session is some seconds of sound as a microphone brings it: sentences with pauses between them, a bed of noise now
and then, and sometimes no word at all. Beside it stands what should be written: every word, a space before it, when it
has been spoken to its end; a mark within a saying before the next word, because only that shows that a sentence was
over; the last mark, and the end of the turn, some silence after the last word. Commas are left out: nobody hears them
before it is too late.

    sessions = Sessions.Config().build([Corpus(root, "train")])
    heard = sessions.session(3)
    heard.pieces          ((" Open", 1.0), (" the", 1.2), (" drawer", 1.7), (".", 2.1), ("", 2.1))     "" ends the turn

Needs: a corpus (data/corpus.py). Does not know tokens, ticks or ears.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import generator
from stretto.core.signals import HEARING_RATE, Word
from stretto.core.sound import level_dbfs
from stretto.data import rooms
from stretto.data.corpus import Corpus
from stretto.data.talk_style import spoken_words

MARKS = ".?!"
BEDS = ("white", "pink", "hum", "music")
"""Noise without a voice in it."""

CLOSING_S = 0.4
"""Silence after the last word at which a turn is over."""

Piece = tuple[str, float]
"""What is written, and the second at which it is due; "" is the end of a turn."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A session: sound at 16 kHz, what should be written, and the words as they were spoken."""

    samples: Float32[np.ndarray, " samples"]
    pieces: tuple[Piece, ...]
    words: tuple[Word, ...]


def written(text: str, words: Sequence[Word], closing_s: float = CLOSING_S) -> tuple[Piece, ...]:
    """What should be written of a saying whose words were spoken at these times.

    >>> written("Stop, please. Why?", [Word("Stop", 0, 1), Word("please", 1, 2), Word("Why", 2, 3)])
    ((' Stop', 1.0), (' please', 2.0), ('.', 3.0), (' Why', 3.0), ('?', 3.4), ('', 3.4))
    """
    if not words:
        return ()
    marks = _marks(text, len(words))
    pieces: list[Piece] = []
    for number, word in enumerate(words):
        if number and marks[number - 1]:
            pieces.append((marks[number - 1], float(word.end)))
        pieces.append((f" {word.text}", float(word.end)))
    over = round(words[-1].end + closing_s, 4)
    return (*pieces, (marks[-1] or ".", over), ("", over))


def _marks(text: str, count: int) -> list[str]:
    """The mark that ends a sentence after each spoken word, "" where none does; the last one counts in any case."""
    found = [part for part in text.split() if spoken_words(part)]
    marks = [part[-1] if part[-1] in MARKS else "" for part in found]
    return marks if len(marks) == count else [""] * (count - 1) + (marks[-1:] or [""])


@dataclass(frozen=True)
class Item:
    """A clip of a session: which corpus, which clip, in which surroundings (0: its own)."""

    corpus: int
    at: int
    again: int


class Sessions(Configurable):
    """Packs the clips of corpora into sessions of one length. The same for the same corpora and settings."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`seconds` of a session, whole ticks of 200 ms. `passes`: how often each clip comes, in other surroundings
        each time. `gap_s`: most silence between clips. `quiet`: share of sessions in which nobody speaks. `bedded`:
        share of the others with noise from end to end. `clear`: a speaker whose clips alone are taken, each without
        room and noise; "" takes all as they are.
        """

        seconds: float = 20.0
        passes: int = 1
        gap_s: float = 1.5
        quiet: float = 0.08
        bedded: float = 0.15
        clear: str = ""
        seed: int = 0

        @classmethod
        def tiny(cls) -> "Sessions.Config":
            """Four seconds."""
            return cls(seconds=4.0, quiet=0.2)

    def __init__(self, config: Config, corpora: Sequence[Corpus]) -> None:
        if not corpora or not sum(map(len, corpora)):
            raise StrettoError("Expected at least one corpus with clips in it. `stretto data talk` makes one.")
        spoken = {row["speaker"] for corpus in corpora for row in corpus.rows if row["speaker"]}
        if config.clear and config.clear not in spoken:
            raise unknown("speaker of these corpora", config.clear, sorted(spoken))
        self.config, self.corpora = config, corpora
        self.packed = self._pack()

    def __len__(self) -> int:
        return len(self.packed)

    def _pack(self) -> list[tuple[Item, ...]]:
        """The clips in a drawn order, as many a session as there is room for."""
        c = self.config
        items = [
            Item(number, at, again)
            for again in range(c.passes)
            for number, corpus in enumerate(self.corpora)
            for at in range(len(corpus))
            if c.clear in ("", corpus.rows[at]["speaker"])
        ]
        rng = generator(c.seed, "hearing", "order")
        packed: list[tuple[Item, ...]] = []
        some: list[Item] = []
        filled = 0.0
        for place in rng.permutation(len(items)):
            item = items[int(place)]
            long = float(self.corpora[item.corpus].rows[item.at]["seconds"])
            if some and filled + long > c.seconds:
                packed += [tuple(some)] + ([()] if rng.random() < c.quiet / (1 - c.quiet) else [])
                some, filled = [], 0.0
            some.append(item)
            filled += long + c.gap_s / 2
        return [*packed, tuple(some)]

    def session(self, number: int) -> Heard:
        """Session `number`. A clip that does not fit is cut, with what would be written after the cut."""
        c, rng = self.config, generator(self.config.seed, "hearing", number)
        count = round(c.seconds * HEARING_RATE)
        samples = rng.standard_normal(count) * 10 ** (rng.uniform(-85, -62) / 20)
        pieces: list[Piece] = []
        words: list[Word] = []
        at = 0
        for item in self.packed[number]:
            at += round(float(rng.uniform(0, c.gap_s)) * HEARING_RATE)
            if at >= count:
                break
            corpus = self.corpora[item.corpus]
            clip = corpus.clip(item.at, item.again, clear=bool(c.clear))
            here = clip.sound.samples[: count - at]
            samples[at : at + len(here)] += here
            start = at / HEARING_RATE
            text = str(corpus.rows[item.at]["text"])
            pieces += [(what, when + start) for what, when in written(text, clip.words)]
            words += [Word(word.text, word.start + start, word.end + start) for word in clip.words]
            at += len(here)
        if not self.packed[number] or rng.random() < c.bedded:
            samples = samples + _bed(count, int(rng.integers(2**31)), bool(words), rng)
        peak = max(1.0, float(np.abs(samples).max()))
        return Heard(
            samples=(samples / peak).astype(np.float32),
            pieces=tuple(_before(pieces, c.seconds)),
            words=tuple(word for word in words if word.end < c.seconds),
        )


def _bed(count: int, seed: int, spoken: bool, rng: np.random.Generator) -> np.ndarray:
    """Noise from end to end: low under speech, of any level alone, and now and then none at all."""
    if not spoken and rng.random() < 0.15:
        return np.zeros(count)
    bed = rooms.bed(BEDS[int(rng.integers(len(BEDS)))], count, HEARING_RATE, seed)
    wanted = float(rng.uniform(-65, -45) if spoken else rng.uniform(-70, -25))
    return bed * 10 ** ((wanted - level_dbfs(bed.astype(np.float32))) / 20)


def _before(pieces: Iterable[Piece], seconds: float) -> list[Piece]:
    return [piece for piece in pieces if piece[1] < seconds]
