"""How alike two words sound: spelling and a coarse phonetic key, for transcripts with recognition errors.

The key keeps what a small recogniser seldom gets wrong: the order of consonant classes and where a vowel stands.
"bowl", "ball" and "bull" share one key, so do "plate" and "played", "rack" and "wreck".

Source: the idea of Soundex and Metaphone, with voiced and unvoiced consonants in one class. Needs: rapidfuzz.
"""

import functools
import re

from rapidfuzz import fuzz

_SPELLINGS = (
    (r"^(wr)", "r"),
    (r"^(kn|gn)", "n"),
    (r"^(ps)", "s"),
    (r"(ph|gh$)", "f"),
    (r"(tch|ch|sh|dge)", "x"),
    (r"th", "t"),
    (r"ck|q|x", "k"),
    (r"c(?=[eiy])", "s"),
    (r"([^aeiou])le$", r"\1el"),
    (r"([^aeiou])e$", r"\1"),
    (r"([aeiou])[wyh]+", r"\1"),
)
_CLASSES = str.maketrans("bpdtgkcvfszmnaeiouy", "ppttkkkffssnnaaaaaa")


@functools.lru_cache(maxsize=16_384)
def key(word: str) -> str:
    """The phonetic key of one word.

    >>> key("bowl") == key("ball"), key("plate") == key("played"), key("rack") == key("wreck")
    (True, True, True)
    """
    for pattern, replacement in _SPELLINGS:
        word = re.sub(pattern, replacement, word)
    return re.sub(r"(.)\1+", r"\1", word.translate(_CLASSES))


@functools.lru_cache(maxsize=65_536)
def similarity(one: str, other: str) -> float:
    """0 (nothing in common) to 1 (the same letters). Equal keys give at least 0.8.

    >>> similarity("bowl", "bowl"), similarity("bowl", "ball") >= 0.8, similarity("bowl", "banana") < 0.6
    (1.0, True, True)
    """
    if one == other:
        return 1.0
    spelled = fuzz.ratio(one, other) / 100
    heard = fuzz.ratio(key(one), key(other)) / 100
    if heard == 1:
        return 0.8 + 0.15 * spelled
    return min(0.9, 0.5 * spelled + 0.5 * heard)
