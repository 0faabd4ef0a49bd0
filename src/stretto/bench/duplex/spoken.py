"""What the agent said, from its sound alone: transcribed with silence around it, then compared.

A sentence counts as said when its word error is at most 20 %, or when all key words of one wording of the answer are
in it and none of a rival answer. Whisper-tiny hears "bull" for "bowl", so words first pass a list of confusions, which
never maps one answer to another (a test proves it). Only the first stretch of sound that answers at all is judged: who
says every answer in turn is wrong.

Needs: a recogniser. Does not know the agent's text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stretto.bench.duplex.facts import Episode
from stretto.bench.duplex.scorers import NO_AUDIO_S, Verdict, segments
from stretto.core.protocols import Recogniser
from stretto.core.signals import Sound
from stretto.core.sound import pad

WORD_ERROR = 0.2
EDGE_S = 0.06
"""Sound kept on either side of a stretch, so that soft consonants stay."""

CONFUSED = {
    "bull": "bowl",
    "bole": "bowl",
    "boll": "bowl",
    "bowls": "bowl",
    "ball": "bowl",
    "bolt": "bowl",
    "bold": "bowl",
    "metal": "middle",
    "medal": "middle",
    "mettle": "middle",
    "played": "plate",
    "plates": "plate",
    "late": "plate",
    "stoves": "stove",
    "stow": "stove",
    "stowe": "stove",
    "cabinets": "cabinet",
    "rec": "rack",
    "wreck": "rack",
    "bottles": "bottle",
    "battle": "bottle",
    "cheeses": "cheese",
    "draw": "drawer",
    "drawers": "drawer",
    "drawn": "drawer",
    "nothin": "nothing",
    "can't": "cannot",
    "cant": "cannot",
    "tape": "table",
}
"""What a small recogniser writes for words of this scene."""

REFUSALS = (
    ("cannot",),
    ("can", "not"),
    ("there", "is", "no"),
    ("do", "not", "see"),
    ("dont", "see"),
    ("not", "possible"),
    ("impossible",),
    ("unable",),
    ("not", "able"),
    ("have", "not", "learned"),
    ("do", "not", "know"),
    ("dont", "know"),
    ("sorry",),
)
"""Wordings of a refusal: all words of one of them."""

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()

Alternatives = Sequence[Sequence[str]]
"""Wordings of one answer, each a few words that must all be there."""


@dataclass(frozen=True)
class Stretch:
    """One stretch of the agent's voice and what was heard in it."""

    start: float
    end: float
    words: tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words after the list of confusions.

    >>> words_of("The bull is on the played.")
    ('the', 'bowl', 'is', 'on', 'the', 'plate')
    """
    spelled = re.sub(r"\d+", lambda found: _spelled(found[0]), text.lower().replace("’", "'"))
    plain = re.sub(r"[^a-z' ]", " ", spelled)
    listed = (word.strip("'") for word in plain.split())
    return tuple(CONFUSED.get(word, CONFUSED.get(word.replace("'", ""), word.replace("'", ""))) for word in listed)


def _spelled(digits: str) -> str:
    """A number as a word, up to twelve: recognisers write digits."""
    return f" {_NUMBERS[int(digits)]} " if int(digits) < len(_NUMBERS) else " "


def word_error(said: Sequence[str], meant: Sequence[str]) -> float:
    """Edits (insert, drop, replace) a word of what was meant.

    >>> word_error(["a", "b"], ["a", "c"])
    0.5
    """
    row = list(range(len(said) + 1))
    for i, want in enumerate(meant, 1):
        before, row[0] = row[0], i
        for j, got in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (want != got))
    return row[-1] / max(1, len(meant))


def has(words: Sequence[str], alternatives: Alternatives) -> bool:
    """All words of one wording are there.

    >>> has(("no", "drawer"), (("none",), ("no", "drawer")))
    True
    """
    return any(all(word in words for word in wording) for wording in alternatives)


def listen(episode: Episode, ear: Recogniser, since: float, until: float | None = None, most: int = 4) -> list[Stretch]:
    """What was heard of each stretch of voice that begins at or after `since`, at most `most` of them."""
    voice, last = episode.voice, episode.seconds if until is None else until
    found: list[Stretch] = []
    for start, end in segments(voice):
        if start < since - 0.05 or start > last or len(found) >= most:
            continue
        first, stop = (round(t * voice.rate) for t in (max(0.0, start - EDGE_S), end + EDGE_S))
        piece = Sound(samples=np.ascontiguousarray(voice.samples[first:stop]), rate=voice.rate)
        found.append(Stretch(start, end, words_of(ear.recognise(pad(piece, 0.5, 0.5)))))
    return found


def answered(
    heard: Sequence[Stretch], right: Alternatives, rivals: Mapping[str, Alternatives], since: float, meant: str = ""
) -> Verdict:
    """The first stretch that answers is right and only right; value: seconds from `since` to it, 10 when none does.

    `meant`: a sentence whose words, up to 20 % of errors, are the answer too.
    """
    for stretch in heard:
        close = bool(meant) and word_error(stretch.words, words_of(meant)) <= WORD_ERROR
        good = close or has(stretch.words, right)
        bad = any(has(stretch.words, other) for other in rivals.values())
        if good or bad:
            return Verdict(good and not bad, max(0.0, min(NO_AUDIO_S, stretch.start - since)))
    return Verdict(False, NO_AUDIO_S)


def refused(heard: Sequence[Stretch], since: float) -> Verdict:
    """A refusal was heard; value: seconds from `since` to its stretch, 10 when there is none."""
    for stretch in heard:
        if has(stretch.words, REFUSALS):
            return Verdict(True, max(0.0, min(NO_AUDIO_S, stretch.start - since)))
    return Verdict(False, NO_AUDIO_S)
