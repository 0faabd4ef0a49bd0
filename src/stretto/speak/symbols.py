"""What voices that are fed phonemes share: the symbols of a sentence, whose they are, and a text spoken by sentences.

    symbols, owners, words = symbols_of("Stop, please.")      espeak's IPA; for each symbol the number of its word
    speech = by_sentences(text, rate, level, name, sentence)  `sentence` speaks one: samples and word times

Needs: espeak-ng. Does not know any network.
"""

import re
from collections.abc import Callable

import numpy as np

from stretto.core.signals import Speech, Word
from stretto.speak import align, phonemes
from stretto.speak.base import clean, finish, tokens

GAP_S = 0.15
"""Silence between two sentences."""

Sentence = Callable[[str], tuple[np.ndarray, list[Word]]]


def by_sentences(text: str, rate: int, level: float, name: str, sentence: Sentence) -> Speech:
    """The spoken text. Raises StrettoError when espeak-ng is missing or nothing can be spoken."""
    parts: list[np.ndarray] = []
    words: list[Word] = []
    length = 0
    for each in re.split(r"(?<=[.?!])\s+", clean(text)):
        if not re.search(r"\w", each):
            continue
        samples, spoken = sentence(each)
        gap = round(GAP_S * rate) if parts else 0
        parts += [np.zeros(gap, np.float32), samples]
        shift = (length + gap) / rate
        words += [Word(word.text, word.start + shift, word.end + shift) for word in spoken]
        length += gap + len(samples)
    return finish(text, np.concatenate(parts), rate, words, level, name)


def symbols_of(sentence: str) -> tuple[list[str], list[int], list[str]]:
    """The symbols of a sentence, for each the number of its word (-1: space or punctuation), and the words."""
    symbols: list[str] = []
    owners: list[int] = []
    texts: list[str] = []
    for words, ipa, mark in phonemes.clauses(sentence):
        mine = tokens(words)
        alone = [phonemes.units(each) for each in phonemes.word_phonemes(tuple(mine))]
        ranges = align.spans(alone, phonemes.units(ipa))
        owner = [len(texts) + word for word, (start, end) in enumerate(ranges) for _ in range(start, end)]
        place = 0
        for symbol in [*([" "] if symbols else []), *_spaced(ipa), *mark]:
            spoken = symbol not in (" ", mark)
            symbols.append(symbol)
            owners.append(owner[place] if spoken else -1)
            place += spoken
        texts += mine
    return symbols, owners, texts


def _spaced(ipa: str) -> list[str]:
    """The symbols of an IPA string with one space between its phoneme words."""
    out: list[str] = []
    for word in ipa.split():
        out += [*([" "] if out else []), *phonemes.units(word)]
    return out
