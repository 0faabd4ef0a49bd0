"""The contracts of acting: what turns chunks into tokens, and what turns context into chunks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int


@runtime_checkable
class ActionTokenizer(Protocol):
    """Action chunks as tokens. What was learned from data (ranges, merges) is saved with it."""

    def fit(self, chunks: Float[np.ndarray, "chunks horizon actions"]) -> "ActionTokenizer":
        """A new tokenizer, fitted to `chunks` (in the robot's own units); the same chunks give the same tokenizer."""
        ...

    def encode(self, chunk: Float[np.ndarray, "horizon actions"]) -> list[int]:
        """Token ids of one chunk. Raises StrettoError before `fit` and for another shape than it was fitted to."""
        ...

    def decode(self, ids: Sequence[int], strict: bool = True) -> Float[np.ndarray, "horizon actions"]:
        """The chunk that `ids` stand for.

        Ids that do not make a whole chunk raise StrettoError; without `strict` they are cut, or filled up with zeros.
        """
        ...


@runtime_checkable
class ActionHead(Protocol):
    """From what the backbone has seen (`context`, true `mask` = there is a token) to action chunks.

    Actions are in normalised units. `prefix` tells per sample how many of the first actions are already committed.
    """

    def loss(
        self,
        context: Float[torch.Tensor, "batch tokens width"],
        mask: Bool[torch.Tensor, "batch tokens"],
        target: Float[torch.Tensor, "batch horizon actions"],
        prefix: Int[torch.Tensor, " batch"],
        generator: torch.Generator,
    ) -> tuple[Float[torch.Tensor, ""], Mapping[str, Any]]:
        """The loss to descend, and named terms of it to log."""
        ...

    def sample(
        self,
        context: Float[torch.Tensor, "batch tokens width"],
        mask: Bool[torch.Tensor, "batch tokens"],
        prefix_actions: Float[torch.Tensor, "batch horizon actions"],
        prefix: Int[torch.Tensor, " batch"],
        generator: torch.Generator,
        *,
        noise: float = 1.0,
    ) -> Float[torch.Tensor, "batch horizon actions"]:
        """One chunk per sample; the committed actions come back unchanged. `noise` scales what is random, 0 is none."""
        ...
