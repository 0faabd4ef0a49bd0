"""Natural English sentences of a few words, for width: lines that a small language model wrote (train/lines.py).

Each belongs to one split. None names a thing or place of the robot's table or a capital, and none is a sentence of the
grammar; a test compares them with what the exam says.

Source: SmolLM2-135M-Instruct (Apache-2.0) wrote lines.txt.gz.
"""

import functools
import gzip
import re
from pathlib import Path

from stretto.data.talk_facts import share
from stretto.data.talk_style import plain
from stretto.data.talk_words import CRUDE

LINES = Path(__file__).with_name("lines.txt.gz")
LENGTHS = (4, 14)
"""Words of a line, at least and at most."""

_LINE = re.compile(r"[A-Z][a-z']*([,]? [A-Za-z][a-z']*)*[.?!]")
_UNKIND = re.compile(
    r"\b(colou?red people|(black|white) (people|man|woman)|jews?|muslims?|nazis?|slaves?|race|gay|kill\w*|murder\w*"
    r"|suicide|naked|sex\w*|virgins?|fat|ugly|stupid|idiots?|guns?|terrorists?|drugs?|cancer)\b"
)
"""What a small model may say something unkind about."""

_OURS = re.compile(r"\b(bowl|plate|stove|drawer|cabinet|cupboard|rack|cream cheese|wine bottle|capital|robot)s?\b")
"""What the robot's own grammar speaks of, and facts are asked for: left to it and its splits."""


def fits(line: str) -> bool:
    """Whether a line may be spoken in training."""
    words = plain(line).split()
    if not _LINE.fullmatch(line) or not LENGTHS[0] <= len(words) <= LENGTHS[1]:
        return False
    repeats = any(one == two for one, two in zip(words, words[1:], strict=False))
    crude = any(CRUDE.match(word) for word in words) or bool(_UNKIND.search(line.lower()))
    return not repeats and not crude and not _OURS.search(line.lower())


@functools.lru_cache(maxsize=3)
def lines(split: str) -> tuple[str, ...]:
    """Those of one split."""
    return tuple(line for line in _lines() if share("line", plain(line)) == split)


@functools.lru_cache(maxsize=1)
def _lines() -> tuple[str, ...]:
    return tuple(gzip.decompress(LINES.read_bytes()).decode().splitlines())
