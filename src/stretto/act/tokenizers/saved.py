"""What action tokenizers have in common: the shape they were fitted to, and one JSON file each."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stretto.act.tokenizers.normalise import QuantileNormaliser
from stretto.core.errors import StrettoError

FORMAT = "stretto action tokenizer, version 1"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What every tokenizer learns from data: chunks are `horizon` actions, in the normaliser's range."""

    horizon: int
    normaliser: QuantileNormaliser

    @classmethod
    def to(cls, chunks: Float[np.ndarray, "chunks horizon actions"], quantile: float) -> "Fitted":
        """Fitted to `chunks` (N, K, A) in robot units. Raises StrettoError for another rank, no chunk, or NaN."""
        if chunks.ndim != 3:
            raise StrettoError(f"Expected chunks of shape (chunks, horizon, actions), got {chunks.shape}.")
        return cls(horizon=chunks.shape[1], normaliser=QuantileNormaliser.fit(chunks, quantile))

    @property
    def actions(self) -> int:
        """Numbers per action."""
        return len(self.normaliser.low)

    @property
    def numbers(self) -> int:
        """Numbers per chunk."""
        return self.horizon * self.actions

    def normalised(self, chunk: Float[np.ndarray, "horizon actions"]) -> Float[np.ndarray, "horizon actions"]:
        """A chunk in normalised units, float64. Raises StrettoError for another shape and for NaN."""
        if chunk.shape != (self.horizon, self.actions):
            raise StrettoError(f"Expected a chunk of shape {(self.horizon, self.actions)}, got {chunk.shape}.")
        if not np.isfinite(chunk).all():
            raise StrettoError("Expected a finite chunk, got NaN or inf in it.")
        return self.normaliser.normalise(chunk.astype(np.float64))

    def restored(self, normalised: Float[np.ndarray, "horizon actions"]) -> Float[np.ndarray, "horizon actions"]:
        """A chunk in robot units, float32."""
        return self.normaliser.denormalise(normalised).astype(np.float32)


def require(fitted: Fitted | None) -> Fitted:
    """`fitted`, or the error of a tokenizer that has seen no data."""
    if fitted is None:
        raise StrettoError("This action tokenizer is not fitted yet: call fit(chunks) or load(path) first.")
    return fitted


def write(path: str | Path, kind: str, config: Any, fitted: Fitted, more: Mapping[str, Any]) -> None:
    """One JSON file with everything of a tokenizer; an older file is replaced as a whole or not at all.

    Raises StrettoError when the disk refuses.
    """
    data = {"kind": kind, "config": asdict(config), "fitted": asdict(fitted), "more": dict(more)}
    part = Path(f"{path}.part")
    try:
        part.write_text(json.dumps({"format": FORMAT, "digest": _digest(data), **data}, indent=1))
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write the action tokenizer to '{path}': {error}.") from error


def read(path: str | Path, kind: str, config: type[Any]) -> tuple[Any, Fitted, dict[str, Any]]:
    """What `write` wrote: a `config`, what was fitted, and the rest.

    Raises StrettoError for a file that is missing, foreign, damaged, or holds another kind of tokenizer.
    """
    try:
        data = json.loads(Path(path).read_text())
    except OSError as error:
        raise StrettoError(f"Cannot read an action tokenizer from '{path}': {error}.") from error
    except ValueError as error:
        raise StrettoError(f"'{path}' is not a saved action tokenizer: {error}.") from error
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise StrettoError(f"'{path}' is not a saved action tokenizer: expected the format '{FORMAT}'.")
    if data.pop("digest", None) != _digest(data):
        raise StrettoError(
            f"'{path}' was changed or cut since it was saved. Save the tokenizer again with fit(chunks)."
        )
    if data["kind"] != kind:
        raise StrettoError(f"'{path}' holds a '{data['kind']}' tokenizer, not '{kind}': load it with that class.")
    low, high = (tuple(data["fitted"]["normaliser"][side]) for side in ("low", "high"))
    fitted = Fitted(horizon=data["fitted"]["horizon"], normaliser=QuantileNormaliser(low=low, high=high))
    return config(**data["config"]), fitted, data["more"]


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(data, sort_keys=True).encode(), digest_size=16).hexdigest()
