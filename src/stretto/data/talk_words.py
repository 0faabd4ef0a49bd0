"""Common English words in no order, so that what is heard must be heard and cannot be guessed.

Sentences of a grammar teach few words, each in few places: of the words of test sentences 6.5 % are in no training
sentence (9 h of talk and general English), and a word that was never heard is not written down. Strings of the 6 000
most frequent words of film subtitles leave 0.6 %, and nothing of a string can be known from what was said before.

Source: the frequency list of pyspellchecker (OpenSubtitles, MIT). Needs: that package's file; its code is not imported.
"""

import functools
import gzip
import json
import re

import numpy as np

from stretto.core.packages import packaged
from stretto.data.talk_style import sentence

MOST = 6_000
"""Words that may come, the most frequent ones."""

FLAT = 0.4
"""A word comes as often as its frequency to this power: the commonest some forty times as often as the last."""

LENGTHS = (3, 9)
"""Words of a string, at least and at most."""

RARE, RARE_FLAT = 12_000, 0.3
"""Words that come into sentences, and the power of the frequency with which they come."""

CHANGED, CHANGED_SHORT, SHORT = 0.45, 0.1, 3
"""Share of the words of a sentence that give way; of those of so many letters at most."""

MARKS = ",.?!;:"

CRUDE = re.compile(
    r"(mother)?fuck|shit|bitch|ass(es|hole)?s?$|bastard|dick|puss|whore|slut|cock|cunt|nigg|porn|rap(e|ist)"
)
"""Beginnings of words that films say and a person who looks at samples need not read."""

_WORD = re.compile(r"[a-z]+('[a-z]+)?")
_I = re.compile(r"\bi\b")


def string(source: np.random.Generator, flat: float = FLAT) -> str:
    """A few words in no order, written as a sentence is; with `flat` at 0 each comes as often as any other.

    Raises StrettoError when the list's package is missing.
    """
    known, shares = common(flat)
    count = int(source.integers(LENGTHS[0], LENGTHS[1] + 1))
    drawn = source.choice(len(known), size=count, p=shares)
    return sentence(_I.sub("I", " ".join(known[place] for place in drawn.tolist())))


def changed(text: str, source: np.random.Generator) -> str:
    """A sentence some of whose words gave way to any others, most of them longer ones: what is left holds it together.

    Raises StrettoError when the list's package is missing.
    """
    known, shares = common(RARE_FLAT, RARE)
    parts = text.split()
    for place, part in enumerate(parts):
        word = part.strip(MARKS)
        if source.random() < (CHANGED if len(word) > SHORT else CHANGED_SHORT) and word:
            parts[place] = part.replace(word, known[int(source.choice(len(known), p=shares))])
    return sentence(_I.sub("I", " ".join(parts)))


def words() -> tuple[str, ...]:
    """All words that may come."""
    return common(FLAT)[0]


@functools.lru_cache(maxsize=4)
def common(flat: float, most: int = MOST) -> tuple[tuple[str, ...], np.ndarray]:
    """The `most` frequent words, and the share of each: its frequency to the power of `flat`.

    Raises StrettoError when the list's package is missing.
    """
    missing = (
        "Common words are read from 'pyspellchecker', which is missing: pip install --no-deps -r requirements.lock"
    )
    path = packaged("spellchecker", "resources", "en.json.gz", missing=missing)
    counts: dict[str, int] = json.loads(gzip.decompress(path.read_bytes()))
    kept = (word for word in counts if _WORD.fullmatch(word) and not CRUDE.match(word))
    found = sorted(kept, key=lambda word: (-counts[word], word))[:most]
    shares = np.array([counts[word] for word in found], float) ** flat
    return tuple(found), shares / shares.sum()
