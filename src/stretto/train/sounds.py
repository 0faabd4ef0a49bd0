"""How words sound, asked of espeak-ng once: think/sounds.txt.gz, from which the product reads.

    python -c "from stretto.train.sounds import write_sounds; write_sounds()"        a minute

Words are the common ones, and those of lines and facts of training. A word that is weak within a sentence stands as it
is there. Beside them stand a language model's other tokens: most of these are pieces of words, and marked so.

Needs: espeak-ng, the language model's package, the package of common words.
"""

import re
from pathlib import Path

from stretto.data import talk_facts
from stretto.data.talk_lines import lines
from stretto.data.talk_style import plain
from stretto.data.talk_words import FLAT, common
from stretto.speak.phonemes import word_phonemes
from stretto.think.sounds import LEXICON, PIECE, simple
from stretto.think.text import load_text
from stretto.train.lines import write_text

MODEL = "smollm2-135m"
AT_ONCE = 500

COMMON = 40_000
"""So many of the words of films are words."""

WEAK = {"a": "ɐ", "to": "tə"}
"""Words that espeak says otherwise by themselves than among others."""

_WORD = re.compile(r"[a-z]+('[a-z]+)*")


def write_sounds(path: Path = LEXICON) -> Path:
    """Write the lexicon: a line a word, with its sounds and whether it is a piece, tabs between.

    Raises StrettoError when espeak-ng is missing.
    """
    text = load_text(MODEL)
    whole = set(common(FLAT, COMMON)[0]) | {word for line in lines("train") for word in plain(line).split()}
    names = {name for fact in talk_facts.facts("train") for name in (fact.a, fact.b)}
    whole |= {word for name in names for word in plain(name).split()} | set(WEAK)
    tokens = {text.bytes_of(token).decode("utf-8", "ignore").strip().lower() for token in range(text.size)}
    wanted = sorted(word for word in whole | tokens if _WORD.fullmatch(word))
    found: dict[str, str] = {}
    for first in range(0, len(wanted), AT_ONCE):
        part = tuple(wanted[first : first + AT_ONCE])
        found |= {word: simple(ipa) for word, ipa in zip(part, word_phonemes(part), strict=True)}
    found |= WEAK
    told = [(word, sounds) if word in whole else (word, sounds, PIECE) for word, sounds in found.items() if sounds]
    return write_text(path, ["\t".join(line) for line in told])
