"""Files inside installed packages, whose own code is not imported."""

import importlib.util
from pathlib import Path

from stretto.core.errors import StrettoError


def packaged(module: str, *parts: str, missing: str) -> Path:
    """The path of a file or folder in the package of `module`. Raises StrettoError(`missing`) where there is none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise StrettoError(missing)
    return Path(spec.origin).parent.joinpath(*parts)
