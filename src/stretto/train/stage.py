"""What the training loop asks of a stage: batches from step numbers, a loss with named terms, signs of progress."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Stage(Protocol):
    """One kind of training. The loop (train/loop.py) owns steps, weights' averages and files; the stage all else."""

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is trained, by name; all of it on the stage's device."""
        ...

    def batch(self, step: int, part: int) -> Any:
        """Part number `part` (gradient accumulation) of step `step`: the same on every call, with any thread."""
        ...

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss to descend, and its terms to log."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Numbers on what was held out, with the weights as they are now."""
        ...

    def sample(self, step: int, folder: Path) -> Mapping[str, float]:
        """Something to look at, written to `folder`, and numbers of it; with the weights as they are now."""
        ...
