"""How words sound, asked of espeak-ng once: think/sounds.txt.gz, from which the product reads.

    python -c "from stretto.train.sounds import write_sounds; write_sounds()"        a minute

Words are those among a language model's tokens, the common ones that are said in no order, and those of lines and facts
of training. A word that is weak within a sentence stands as it is there.

Needs: espeak-ng, the language model's package, the package of common words.
"""

import re
from pathlib import Path

from stretto.data import talk_facts
from stretto.data.talk_lines import lines
from stretto.data.talk_style import plain
from stretto.data.talk_words import words
from stretto.speak.phonemes import word_phonemes
from stretto.think.sounds import LEXICON, simple
from stretto.think.text import load_text
from stretto.train.lines import write_text

MODEL = "smollm2-135m"
AT_ONCE = 500

WEAK = {"a": "ɐ", "to": "tə"}
"""Words that espeak says otherwise by themselves than among others."""

_WORD = re.compile(r"[a-z]+('[a-z]+)*")


def write_sounds(path: Path = LEXICON) -> Path:
    """Write the lexicon: a word, a tab and its sounds a line. Raises StrettoError when espeak-ng is missing."""
    text = load_text(MODEL)
    some = {text.bytes_of(token).decode("utf-8", "ignore").strip().lower() for token in range(text.size)}
    some |= set(words()) | {word for line in lines("train") for word in plain(line).split()}
    names = {name for fact in talk_facts.facts("train") for name in (fact.a, fact.b)}
    some |= {word for name in names for word in plain(name).split()}
    wanted = sorted(word for word in some if _WORD.fullmatch(word))
    found: dict[str, str] = {}
    for first in range(0, len(wanted), AT_ONCE):
        part = tuple(wanted[first : first + AT_ONCE])
        found |= {word: simple(ipa) for word, ipa in zip(part, word_phonemes(part), strict=True)}
    found |= WEAK
    return write_text(path, [f"{word}\t{sounds}" for word, sounds in found.items() if sounds])
