"""The file of a flight: a .npz that holds the observations and outputs exactly, and a .json beside it for people.

The .npz has one entry for each array, numbered, and one entry `flight`: JSON in which `{"array": 3}` stands for an
array and `{"is": "Sound", ...}` for a dataclass of core/signals.py. It is read without pickle, and no class outside of
that file is ever made from it.

Needs: numpy. Does not know agents or sessions.
"""

import dataclasses
import enum
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stretto.core import signals
from stretto.core.errors import StrettoError, nearest
from stretto.core.signals import Observation, Output

FORMAT = 1
KINDS = {name: kind for name, kind in vars(signals).items() if getattr(kind, "__module__", "") == signals.__name__}
"""The classes that a file may hold, by name."""


@dataclass
class Frame:
    """One tick: what reached the agent, and what it put out; None where it did not come to that."""

    obs: Observation
    output: Output | None = None


@dataclass(frozen=True, kw_only=True)
class Flight:
    """The last ticks of a session. `context`: the agent's Context but for its jobs; `fault`: why it was written."""

    session: str
    agent: str
    context: dict[str, Any]
    frames: tuple[Frame, ...]
    fault: str = ""


def write_flight(flight: Flight, path: Path, notes: Mapping[str, str]) -> Path:
    """Write `path` and, with `notes`, the .json beside it; each appears whole or not at all. Returns `path`.

    Raises StrettoError when the disk refuses.
    """
    head = {"format": FORMAT, "session": flight.session, "agent": flight.agent, "fault": flight.fault}
    arrays: list[np.ndarray] = []
    frames = [[pack(frame.obs, arrays), pack(frame.output, arrays)] for frame in flight.frames]
    text = json.dumps({**head, "context": pack(flight.context, arrays), "frames": frames}, default=repr)
    ticks = {"first_tick": flight.frames[0].obs.tick, "last_tick": flight.frames[-1].obs.tick} if flight.frames else {}
    told = json.dumps({**head, **ticks, "context": flight.context, **notes}, indent=2, default=repr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path.with_suffix(".json"), lambda part: part.write_text(told + "\n"))
        entries = {"flight": np.frombuffer(text.encode(), np.uint8), **{str(i): a for i, a in enumerate(arrays)}}
        _put(path, lambda part: _save(part, entries))
    except OSError as error:
        raise StrettoError(f"Cannot write {path}: {error.strerror}.") from error
    return path


def _save(path: Path, entries: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **entries)


def _put(path: Path, write: Any) -> None:
    """Write beside `path`, then put it in its place."""
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_flight(path: Path) -> Flight:
    """A flight from its .npz. Raises StrettoError when there is none or it is not of this format."""
    if not path.is_file():
        close = nearest(path.name, [found.name for found in path.parent.glob("*.npz")])
        raise StrettoError(f"There is no flight '{path}'." + (f" Did you mean '{close}'?" if close else ""))
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            head = json.loads(file["flight"].tobytes())
            if head["format"] != FORMAT:
                raise StrettoError(f"Expected a flight of format {FORMAT}, got {head['format']} in '{path}'.")
            frames = [Frame(unpack(obs, file), unpack(output, file)) for obs, output in head["frames"]]
            context = unpack(head["context"], file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, StrettoError):
            raise
        raise StrettoError(
            f"Expected a flight (.npz, written by a session that broke or by `stretto run --flight`), got '{path}', "
            f"which is none or is damaged: {error}."
        ) from error
    return Flight(
        session=head["session"], agent=head["agent"], context=context, frames=tuple(frames), fault=head["fault"]
    )


def pack(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON; its arrays are appended to `arrays`."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if KINDS.get(type(value).__name__) is type(value):
        enumerated = isinstance(value, enum.Enum)
        names = ["value"] if enumerated else [field.name for field in dataclasses.fields(value)]
        return {"is": type(value).__name__, **{name: pack(getattr(value, name), arrays) for name in names}}
    if isinstance(value, Mapping):
        return {"map": {str(key): pack(item, arrays) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [pack(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def unpack(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The value that was packed; sequences become tuples."""
    if isinstance(value, list):
        return tuple(unpack(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[str(value["array"])]
    if "map" in value:
        return {key: unpack(item, arrays) for key, item in value["map"].items()}
    fields = {name: unpack(item, arrays) for name, item in value.items() if name != "is"}
    return KINDS[value["is"]](**fields)


def same(one: Output | None, other: Output | None) -> bool:
    """Whether two outputs are equal to the last bit."""
    mine: list[np.ndarray] = []
    yours: list[np.ndarray] = []
    if json.dumps(pack(one, mine), default=repr) != json.dumps(pack(other, yours), default=repr):
        return False
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in zip(mine, yours, strict=True))
