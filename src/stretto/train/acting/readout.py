"""Where things are, read from the image tokens: an auxiliary loss that teaches the eye, only while training.

The front camera stands still and tells where things are in the world; the wrist's moves with the hand and tells where
they are from there, and so are the drawers and the stove. Both are asked for, to the half centimetre that decides
whether a grasp holds. The labels are simulator state (places.py); the readout is no part of the network that is saved.

Needs: torch. Does not know the simulator.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CENTRE = (0.0, 0.0, 0.9)
"""About the middle of the table's top, in metres: where places are counted from."""

KNOWN, THINGS = 22, 4
"""Numbers of a context's places; they begin with x y z of so many things."""

STOVE, CABINET, DRAWERS = slice(12, 14), slice(14, 16), slice(18, 21)
"""Where x y of two things that stand, and how far the three drawers are out, are found in them."""

FROM_THE_HAND = THINGS + 4
"""Places that are told from the hand, too: the things, the drawers, the stove."""

SHARP = 0.05
"""Decimetres from which an error counts by its size and no longer by its square."""


class Readout(nn.Module):
    """Image tokens to places, from the world's middle and from the hand."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, 24)
        self.hidden = nn.Linear(24 * tokens, 128)
        self.out = nn.Linear(128, KNOWN + 3 * FROM_THE_HAND)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch 46"]:
        """Decimetres and rad, as `from_the_hand` gives them."""
        return self.out(F.gelu(self.hidden(F.gelu(self.narrow(tokens)).flatten(1))))

    def loss(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        known: Float[Tensor, "batch 22"],
        proprio: Float[Tensor, "batch proprio"],
    ) -> Float[Tensor, ""]:
        """How far off the places are that are read from the tokens."""
        return F.smooth_l1_loss(self(tokens).float(), from_the_hand(known, proprio), beta=SHARP)


def from_the_hand(
    known: Float[Tensor, "batch 22"], proprio: Float[Tensor, "batch proprio"]
) -> Float[Tensor, "batch 46"]:
    """Places as they are, then as seen from the hand, x y z each, in the world's axes: four things, three drawers, the
    stove. What stands has no height of its own here, and a drawer's origin is its cabinet's, as far as it is shut.
    """
    hand = 10 * (proprio[:, :3] - torch.tensor(CENTRE, device=proprio.device))
    flat = torch.zeros_like(known[:, :1])
    x, y = known[:, CABINET].split(1, -1)
    drawers = [torch.cat([x, y - out, flat], -1) for out in known[:, DRAWERS].split(1, -1)]
    there = torch.cat([known[:, : 3 * THINGS], *drawers, known[:, STOVE], flat], -1)
    return torch.cat([known, there - hand.repeat(1, FROM_THE_HAND)], -1)
