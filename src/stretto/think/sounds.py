"""How words sound: the phonemes of American English, by a word's letters.

English is not written as it is spoken: "busy" and "bisy" sound alike, "plans" and "plants" nearly, "whoa" like nothing
that is spelled so. So whoever hears a word needs to know what it would sound like, or has to learn it for every word.
sounds.txt.gz says it of common words and of all that a language model's tokens spell (train/sounds.py made it).

    sounds_of("Plans")     "plænz"

Source: espeak-ng's rules and word list, as it prints them, without stress and length. Needs: nothing.
"""

import functools
import gzip
import unicodedata
from pathlib import Path

SOUNDS = "abdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒʔθᵻ"
"""All that are told apart: a diphthong is two of them, and so is an affricate."""

PIECE = "piece"
"""The mark of a token that is no word by itself."""

LEXICON = Path(__file__).with_name("sounds.txt.gz")

_ALIKE = {"r": "ɹ", "x": "k"}


def sounds_of(word: str) -> str:
    """The sounds of a word, a character each; "" where nobody knows.

    >>> sounds_of(" plans"), sounds_of("xqzt")
    ('plænz', '')
    """
    return lexicon().get(word.strip().lower(), "")


def numbered(sounds: str) -> tuple[int, ...]:
    """The numbers of sounds, from 1; 0 is none.

    >>> numbered("abb")
    (1, 2, 2)
    """
    return tuple(SOUNDS.index(sound) + 1 for sound in sounds)


def simple(ipa: str) -> str:
    """An IPA string by sounds alone.

    >>> simple("ɐbɹˌiːvɪˈeɪʃənz")
    'ɐbɹivɪeɪʃənz'
    """
    plain = (_ALIKE.get(each, each) for each in unicodedata.normalize("NFD", ipa))
    return "".join(each for each in plain if each in SOUNDS)


@functools.lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Sounds by word, and by piece of one."""
    return {word: sounds for word, sounds, *_ in _lines()}


@functools.lru_cache(maxsize=1)
def whole_words() -> tuple[str, ...]:
    """The words among them."""
    return tuple(word for word, _, *piece in _lines() if piece != [PIECE])


def _lines() -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(LEXICON.read_bytes()).decode().splitlines()]
