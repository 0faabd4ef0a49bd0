"""Seeds derived from (run seed, role, index), so that adding a draw in one place moves nothing elsewhere."""

import hashlib

import numpy as np


def derive(seed: int, *role: str | int) -> int:
    """A 63-bit seed for one role of a run: `derive(0, "user", 3)` is the same on every machine and day."""
    text = "/".join(str(part) for part in (seed, *role))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *role: str | int) -> np.random.Generator:
    """A numpy generator for one role of a run."""
    return np.random.default_rng(derive(seed, *role))
