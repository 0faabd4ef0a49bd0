"""An episode as the rows of a LeRobot dataset, and back; and the statistics of its columns.

A picture goes to the first row whose time is not before its own, give or take a quarter of a row's period, so that a
row shows nothing of its future and jitter moves no picture. A row without a picture repeats the last one. Of two
pictures in one row the later is kept, and what comes after the last row is left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Image, Kind
from stretto.data.episodes import Episode, Steps
from stretto.data.lerobot_layout import IMAGE_KEY, Features, Shape, from_arrow, to_arrow

LATE = 0.25
NO_IMAGE = -1.0
"""`control.image_t` of a row before a camera's first picture (its frame shows the first)."""
SAMPLED = 20
MOMENTS = ("min", "max", "mean", "std")
Stats = dict[str, dict[str, Any]]


def row_count(episode: Episode, shape: Shape) -> int:
    """How many rows an episode takes."""
    return -(-len(episode.steps) // shape.per_row)


def columns(episode: Episode, shape: Shape) -> dict[str, Any]:
    """All columns that follow from the episode alone: name to values, one a row."""
    k, rows, steps = shape.per_row, row_count(episode, shape), episode.steps
    place = np.minimum(np.arange(rows * k), len(steps) - 1)
    out: dict[str, Any] = {
        "observation.state": steps.proprio[::k],
        "action": steps.action[place].reshape(rows, -1),
        "control.state": steps.proprio[place].reshape(rows, k, -1),
        "control.t": steps.t[place].reshape(rows, k),
        "control.success": steps.success[place].reshape(rows, k),
        "control.halted": steps.halted[place].reshape(rows, k),
        "control.steps": np.minimum(k, len(steps) - k * np.arange(rows)),
        "events": _events_by_row(episode.events, steps.t[::k]),
        "timestamp": (np.arange(rows) / shape.fps).astype(np.float32),
        "frame_index": np.arange(rows),
    }
    for name, _, _ in shape.cameras:
        shown = shown_images(episode, shape, name)
        times = [NO_IMAGE if image is None else image.t for image in shown]
        out[f"control.image_t.{name}"] = np.array(times, np.float64)
    return out


def shown_images(episode: Episode, shape: Shape, camera: str) -> list[Image | None]:
    """The picture of `camera` that each row shows; None before the first."""
    rows = row_count(episode, shape)
    starts = episode.steps.t[:: shape.per_row] + LATE / shape.fps
    shown: list[Image | None] = [None] * rows
    for image in episode.images[camera]:
        row = int(np.searchsorted(starts, image.t))
        if row < rows:
            shown[row] = image
    for k in range(1, rows):
        shown[k] = shown[k] or shown[k - 1]
    return shown


def table(values: Mapping[str, Any], features: Features) -> pa.Table:
    """The data file of an episode, in the order of `features`, pictures left out."""
    names = [name for name, feature in features.items() if feature["dtype"] != "video"]
    return pa.table({name: to_arrow(values[name], features[name]) for name in names})


def steps_from(data: pa.Table, features: Features, shape: Shape) -> Steps:
    """The steps of an episode from its data file."""
    counts = from_arrow(data["control.steps"], features["control.steps"])
    keep = (np.arange(shape.per_row)[None, :] < counts[:, None]).reshape(-1)

    def flat(name: str, *size: int) -> np.ndarray:
        return from_arrow(data[name], features[name]).reshape(-1, *size)[keep]

    return Steps(
        t=flat("control.t"),
        proprio=flat("control.state", shape.proprio),
        action=flat("action", shape.actions),
        success=flat("control.success"),
        halted=flat("control.halted"),
    )


def images_from(data: pa.Table, camera: str, frames: Sequence[np.ndarray]) -> tuple[Image, ...]:
    """The pictures of a camera from the times in the data file and the frames of its film."""
    times = data[f"control.image_t.{camera}"].to_pylist()
    new = [k for k, t in enumerate(times) if t != NO_IMAGE and (k == 0 or t != times[k - 1])]
    return tuple(Image(camera=camera, t=times[k], pixels=frames[k]) for k in new)


def _events_by_row(events: Sequence[Event], starts: np.ndarray) -> list[str]:
    out: list[list[dict[str, Any]]] = [[] for _ in starts]
    for event in sorted(events, key=lambda event: event.t):
        row = max(0, int(np.searchsorted(starts, event.t, side="right")) - 1)
        facts = {"kind": event.kind.value, "t": event.t, "source": event.source}
        out[row].append({**facts, "text": event.text, "data": dict(event.data)})
    return [json.dumps(some, default=_plain) for some in out]


def events_from(data: pa.Table) -> tuple[Event, ...]:
    """The events of an episode, in the order of their times."""
    found = [event for text in data["events"].to_pylist() for event in json.loads(text)]
    return tuple(Event(**{**event, "kind": Kind(event["kind"])}) for event in found)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise StrettoError(
        f"Data of an event must be numbers, text, lists or tables; got {type(value).__name__}: {value!r}."
    )


def statistics(values: Mapping[str, Any], features: Features, frames: Mapping[str, Sequence[np.ndarray]]) -> Stats:
    """min, max, mean, std and count of the columns that LeRobot normalises or counts, and of a sample of pictures.

    Columns that `values` lacks are left out, so that what needs the episode's number can be added later.
    """
    out: Stats = {}
    for name, feature in features.items():
        if feature["dtype"] == "video":
            some = frames[name.removeprefix(IMAGE_KEY)]
            sample = np.stack([some[k] for k in np.unique(np.linspace(0, len(some) - 1, SAMPLED).astype(int))])
            channels = np.ascontiguousarray(sample.reshape(-1, 3).T, dtype=np.float32) / 255
            out[name] = _moments(channels.T, len(sample), (3, 1, 1))
        elif name in values and name.split(".")[0] != "control" and feature["dtype"] != "string":
            array = np.asarray(values[name], np.float64)
            out[name] = _moments(array.reshape(len(array), -1), len(array), tuple(feature["shape"]))
    return out


def _moments(array: np.ndarray, count: int, shape: tuple[int, ...]) -> dict[str, Any]:
    out = {name: np.asarray(getattr(np, name)(array, axis=0)).reshape(shape).tolist() for name in MOMENTS}
    return {**out, "count": [count]}


def merged(some: Stats, more: Stats) -> Stats:
    """The statistics of two sets of rows taken together, weighted by their counts. An empty set changes nothing."""
    if not some:
        return more
    out: Stats = {}
    for name in more:
        a, b = ({key: np.asarray(value) for key, value in stats[name].items()} for stats in (some, more))
        n, m = int(a["count"][0]), int(b["count"][0])
        mean = (n * a["mean"] + m * b["mean"]) / (n + m)
        spread = n * (a["std"] ** 2 + (a["mean"] - mean) ** 2) + m * (b["std"] ** 2 + (b["mean"] - mean) ** 2)
        out[name] = {
            "min": np.minimum(a["min"], b["min"]).tolist(),
            "max": np.maximum(a["max"], b["max"]).tolist(),
            "mean": mean.tolist(),
            "std": np.sqrt(spread / (n + m)).tolist(),
            "count": [n + m],
        }
    return out
