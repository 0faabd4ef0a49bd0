"""The state of a training on disk: tensors with their bits, and a few facts; written beside and renamed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stretto.core.errors import StrettoError


def write_state(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write tensors and facts to `path`. Raises StrettoError when the disk refuses."""
    part = path.with_name(f".{path.name}.part")
    try:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, part, {"facts": json.dumps(facts)}
        )
        return part.replace(path)
    except (OSError, SafetensorError) as error:
        raise StrettoError(f"Cannot write the training state {path}: {error}. Is the disk full?") from error


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `write_state` wrote, or None where nothing is. Raises StrettoError for a damaged file."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StrettoError(f"The training state {path} is damaged ({error}). Delete it to begin anew.") from error
