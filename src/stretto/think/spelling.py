"""How a token is spelled, as a row of zeros and ones: its letters from the front and from the end, and which it has.

What sounds alike is spelled alike, and what means the same is not. A language model's table knows what tokens mean; a
small expert that hears scores them by their letters too (table.py), so that what it learned of one word serves all, and
a word that training never said can be written.

Source: spelling beside whole words in direct acoustics-to-word models (Audhkhasi et al. 2018). Needs: torch.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

FRONT, BACK, LONGEST = 5, 3, 12
"""Letters told apart by their place from the front and from the end, and lengths."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KINDS = len(_LETTERS) + 1  # and whatever is no letter
FEATURES = (FRONT + BACK) * _KINDS + len(_LETTERS) + LONGEST + 2


def codes(spelled: Sequence[bytes]) -> Float32[Tensor, "tokens features"]:
    """A row a token; that of one without bytes (a special token) is zero."""
    found = [(number, place) for number, raw in enumerate(spelled) if raw for place in _places(raw)]
    table = torch.zeros(len(spelled), FEATURES)
    table[tuple(torch.tensor(found).T)] = 1.0
    return table


def _places(raw: bytes) -> list[int]:
    """Which of the features a token has."""
    text = raw.decode("utf-8", "replace")
    word = text.strip()
    kinds = [_LETTERS.find(letter) % _KINDS for letter in word.lower()]
    places = [at * _KINDS + kind for at, kind in enumerate(kinds[:FRONT])]
    places += [(FRONT + at) * _KINDS + kind for at, kind in enumerate(kinds[: -BACK - 1 : -1])]
    at = (FRONT + BACK) * _KINDS
    places += [at + kind for kind in kinds if kind < len(_LETTERS)]
    at += len(_LETTERS)
    places.append(at + min(len(word), LONGEST - 1))
    at += LONGEST
    return places + [at] * text[:1].isspace() + [at + 1] * word[:1].isupper()
