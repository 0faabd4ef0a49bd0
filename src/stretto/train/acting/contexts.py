"""Contexts: what the arm saw at a moment of decision, what it was doing, and what the expert would do next.

One context is a row of plain arrays and two JPEG pictures, about 9 kB; a few thousand of them are a shard, one `.npz`
file that needs numpy and Pillow to be read and nothing else, so that training runs where there is no simulator. The
instruction is stored as the number of its task: in which words it is said is drawn while training. Pictures are as old
as in a live session, whose cameras take turns before the tick (`FRONT_AGE`, `WRIST_AGE` control periods).

Does not know who drove the arm: an expert, an expert with noise, or a policy that an expert corrected.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from stretto.core.errors import StrettoError

HORIZON, COMMITTED = 16, 8
"""Actions of a label, and of them the executed ones that may be handed to the head as its prefix."""

FRONT_AGE, WRIST_AGE = 3, 2
"""Control periods between a picture and the decision it serves."""

NO_TASK = 255
"""In `task`: nothing was asked for; in `before`: nothing had been."""

QUALITY = 85

FIELDS: dict[str, tuple[tuple[int, ...], type]] = {
    "proprio": ((19,), np.float32),
    "done": ((COMMITTED, 7), np.float16),
    "label": ((HORIZON, 7), np.float16),
    "least": ((), np.uint8),
    "task": ((), np.uint8),
    "before": ((), np.uint8),
    "move": ((2,), np.uint8),
    "places": ((22,), np.float16),
    "kind": ((), np.uint8),
    "episode": ((), np.int64),
}
"""Name -> shape and type of one context's value.

`done`: what was executed from here on; `label`: what the expert would do from here on. `least`: shortest prefix with
which the label is right (a label that begins after a shove holds only behind it). `move`: whether the arm should move
in this tick and in the next. `places`: where things are (simulator state: for an auxiliary loss in training only).
"""

KINDS = ("expert", "noisy", "chained", "waiting", "policy")


def encode(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A picture as JPEG."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()


def decode(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """The picture of `encode`, nearly."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class Shard:
    """Contexts that are being collected; `write` puts them on disk."""

    def __init__(self) -> None:
        self._rows: dict[str, list[np.ndarray]] = {name: [] for name in FIELDS}
        self._pictures: list[bytes] = []

    def __len__(self) -> int:
        return len(self._rows["task"])

    def add(self, front: bytes, wrist: bytes, values: Mapping[str, object]) -> None:
        """One context: two JPEGs and a value for each of FIELDS. Raises StrettoError for what does not fit."""
        if set(values) != set(FIELDS):
            raise StrettoError(f"A context has the fields {', '.join(FIELDS)}; got {', '.join(sorted(values))}.")
        for name, (shape, kind) in FIELDS.items():
            value = np.asarray(values[name])
            if value.shape != shape:
                raise StrettoError(f"Expected '{name}' of shape {shape} in a context, got {value.shape}.")
            self._rows[name].append(value.astype(kind))
        self._pictures += [front, wrist]

    def write(self, path: Path) -> Path:
        """Write to `path` (.npz); it is there whole or not at all."""
        sizes = np.array([0, *(len(picture) for picture in self._pictures)], np.int64)
        arrays: dict[str, np.ndarray] = {
            name: np.array(self._rows[name], kind).reshape(-1, *shape) for name, (shape, kind) in FIELDS.items()
        }
        arrays["pictures"] = np.frombuffer(b"".join(self._pictures), np.uint8)
        arrays["ends"] = np.cumsum(sizes)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return part.replace(path)


class Contexts:
    """All contexts of some shards, in memory; pictures are decoded when asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise StrettoError("There are no shards to train on. Record some: stretto train policy_goal.")
        shards = [_read(path) for path in paths]
        self.rows = {name: np.concatenate([shard[name] for shard in shards]) for name in FIELDS}
        self._pictures = [shard["pictures"] for shard in shards]
        self._ends = [shard["ends"] for shard in shards]
        self._starts = np.cumsum([0, *(len(shard["task"]) for shard in shards)])

    def __len__(self) -> int:
        return len(self.rows["task"])

    def pictures(self, index: int) -> UInt8[np.ndarray, "2 height width 3"]:
        """Front and wrist of one context."""
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        first, ends = 2 * (index - int(self._starts[shard])), self._ends[shard]
        data = self._pictures[shard]
        return np.stack([decode(data[ends[i] : ends[i + 1]].tobytes()) for i in (first, first + 1)])


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            shard = {name: arrays[name] for name in (*FIELDS, "pictures", "ends")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StrettoError(f"'{path}' is no shard of contexts ({error}). Delete it to have it made again.") from error
    for name, (shape, _) in FIELDS.items():
        if shard[name].shape[1:] != shape:
            raise StrettoError(
                f"'{path}' was recorded with '{name}' of shape {shard[name].shape[1:]}, expected {shape}. Delete it to "
                f"have it made again."
            )
    if len(shard["ends"]) != 2 * len(shard["task"]) + 1:
        raise StrettoError(f"'{path}' is damaged: pictures and contexts differ. Delete it to have it made again.")
    return shard
