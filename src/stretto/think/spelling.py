"""How a token is spelled and how it sounds, as a row of zeros and ones.

A language model's table knows what tokens mean. What sounds alike does not mean the same, so a small expert that hears
scores tokens by this, too (table.py): their letters and their sounds (sounds.py), each from the front and from the end,
which there are, and how many. So what it learned of one word serves all, and a word that training never said can be
written.

Source: spelling beside whole words in direct acoustics-to-word models (Audhkhasi et al. 2018). Needs: torch.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from stretto.think.sounds import SOUNDS, sounds_of

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FRONT, _BACK, _LONGEST = 5, 3, 12
"""Signs told apart by their place from the front and from the end, and lengths."""

_WRITTEN = (_FRONT + _BACK + 1) * (len(_LETTERS) + 1) - 1 + _LONGEST
FEATURES = _WRITTEN + 2 + (_FRONT + _BACK + 1) * (len(SOUNDS) + 1) - 1 + _LONGEST

PLACES = tuple(
    slice(first + at * count, first + (at + 1) * count)
    for first, count in ((0, len(_LETTERS) + 1), (_WRITTEN + 2, len(SOUNDS) + 1))
    for at in range(_FRONT + _BACK)
)
"""Which features say what stands in one place: exactly one of each of these, or none where a token is too short."""


def codes(spelled: Sequence[bytes]) -> Float32[Tensor, "tokens features"]:
    """A row a token; that of one without bytes (a special token) is zero."""
    found = [number * FEATURES + place for number, raw in enumerate(spelled) if raw for place in _places(raw)]
    table = torch.zeros(len(spelled), FEATURES)
    table.view(-1)[torch.tensor(found, dtype=torch.int64)] = 1.0
    return table


def _places(raw: bytes) -> list[int]:
    """Which of the features a token has: those of its letters, a leading space, a capital, those of its sounds."""
    text = raw.decode("utf-8", "replace")
    word, sounds = text.strip(), sounds_of(text)
    places = _signs(word.lower(), _LETTERS) + [_WRITTEN] * text[:1].isspace() + [_WRITTEN + 1] * word[:1].isupper()
    return places + [_WRITTEN + 2 + place for place in _signs(sounds, SOUNDS)] if sounds else places


def _signs(word: str, alphabet: str) -> list[int]:
    """Features of a string over an alphabet; all that is not in it counts as one more sign."""
    count = len(alphabet) + 1
    kinds = [alphabet.find(sign) % count for sign in word]
    places = [at * count + kind for at, kind in enumerate(kinds[:_FRONT])]
    places += [(_FRONT + at) * count + kind for at, kind in enumerate(kinds[: -_BACK - 1 : -1])]
    at = (_FRONT + _BACK) * count
    places += [at + kind for kind in kinds if kind < len(alphabet)]
    return [*places, at + len(alphabet) + min(len(word), _LONGEST - 1)]


def twins(spelled: Sequence[bytes]) -> Int64[Tensor, " tokens"]:
    """For every token the one that differs by a space before it alone and sounds the same, or itself."""
    number = {raw: token for token, raw in enumerate(spelled)}
    others = (raw[1:] if raw[:1] == b" " else b" " + raw for raw in spelled)
    return torch.tensor([number.get(other, token) for token, other in enumerate(others)], dtype=torch.int64)
