"""Phonemes of English text from espeak-ng, which runs as a program of its own (it is under the GPL).

Piper was trained on espeak's IPA, so its input has to come from there. One call speaks nothing and prints one line per
paragraph; clauses and single words are sent as paragraphs.

Source: espeak-ng. Needs: the Debian package espeak-ng.
"""

import functools
import re
import unicodedata

from stretto.speak.base import run_engine

_CLAUSE = re.compile(r"([.?!,;:]+)(?=\s|$)")


@functools.lru_cache(maxsize=4_096)
def word_phonemes(words: tuple[str, ...], voice: str = "en-us") -> tuple[str, ...]:
    """The phonemes of each word spoken on its own: one string of IPA a word."""
    return tuple(_paragraphs(list(words), voice))


@functools.lru_cache(maxsize=1_024)
def clauses(text: str, voice: str = "en-us") -> tuple[tuple[str, str, str], ...]:
    """The clauses of a cleaned text: (their words, their IPA, the punctuation mark after them or "").

    >>> clauses("Stop, please.")  # doctest: +SKIP
    (('Stop', 'stˈɑːp', ','), ('please', 'plˈiːz', '.'))
    """
    parts = _CLAUSE.split(text)
    texts = [part.strip() for part in parts[::2]]
    marks = [mark[-1] for mark in parts[1::2]] + [""]
    kept = [(words, mark) for words, mark in zip(texts, marks, strict=True) if re.search(r"\w", words)]
    spoken = _paragraphs([words for words, _ in kept], voice)
    return tuple((words, ipa, mark) for (words, mark), ipa in zip(kept, spoken, strict=True))


def units(ipa: str) -> list[str]:
    """The single symbols of an IPA string, decomposed as Piper's table has them; no spaces."""
    return [char for char in unicodedata.normalize("NFD", ipa) if not char.isspace()]


def _paragraphs(texts: list[str], voice: str) -> list[str]:
    """One IPA string per text: in one call when espeak keeps them apart, else with one call each."""
    lines = _call("\n\n".join(texts), voice)
    if len(lines) == len(texts):
        return lines
    return [" ".join(_call(text, voice)) for text in texts]


def _call(text: str, voice: str) -> list[str]:
    out = run_engine(["espeak-ng", "-q", "--ipa", "-v", voice, "--stdin"], "espeak-ng", text + "\n")
    plain = re.sub(r"\([a-z-]+\)", "", out).replace("\u200d", "").replace("\u0361", "")
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
