"""The LeRobotDataset v3.0 layout: where files lie, which columns they have, and what info.json says.

    meta/info.json, meta/stats.json, meta/tasks.parquet
    meta/episodes/chunk-000/file-000.parquet                     one row on an episode; it exists when the episode does
    data/chunk-000/file-000.parquet                              the rows of an episode
    videos/observation.images.front/chunk-000/file-000.mp4       its pictures, one frame a row
    audio/heard/chunk-000/file-000.flac, audio/spoken/…          its sound

Every episode has files of its own, numbered alike. One row stands for one frame, so `fps` is the rate of pictures (5
Hz) and a row holds the control steps from its time on, up to the next row: `observation.state` is the state at the
row's time, `action` all its actions one after the other. Columns `control.*` hold what a policy must not see as a
further state or action: every control step's time, state and flags. LeRobot takes whatever starts with `observation` or
`action` for input and output of a policy, hence the names. The last row of an episode may be part empty: it repeats its
last step, and `control.steps` says how many are real.

Source: the public documentation and files of LeRobot 0.4 to 0.6 (codebase version v3.0).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stretto.core.errors import StrettoError
from stretto.data import video
from stretto.data.episodes import Episode

VERSION = "v3.0"
CHUNK = 1000
INFO, STATS, TASKS = Path("meta/info.json"), Path("meta/stats.json"), Path("meta/tasks.parquet")
NUMBERED = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA, META, VIDEO, AUDIO = "data", "meta/episodes", "videos", "audio"
IMAGE_KEY = "observation.images."
SOUNDS = ("heard", "spoken")
TYPES = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
Features = dict[str, dict[str, Any]]


def numbered(folder: str, index: int, ending: str) -> Path:
    """The file of episode `index` under `folder`, relative to the root of the dataset."""
    return Path(folder) / (NUMBERED.format(chunk_index=index // CHUNK, file_index=index % CHUNK) + ending)


def number_of(path: Path) -> int | None:
    """The episode that a file belongs to, or None when it is not numbered: the inverse of `numbered`."""
    chunk, file = path.parent.name.removeprefix("chunk-"), path.stem.removeprefix("file-")
    return int(chunk) * CHUNK + int(file) if chunk.isdigit() and file.isdigit() else None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What all episodes of a dataset share: sizes, cameras, rates. `per_row` control steps stand in one row."""

    proprio: int
    actions: int
    cameras: tuple[tuple[str, int, int], ...]
    fps: int
    control_hz: float

    @property
    def per_row(self) -> int:
        """Control steps in one row."""
        return round(self.control_hz / self.fps)

    @classmethod
    def of(cls, episode: Episode) -> "Shape":
        """The shape of an episode. Raises StrettoError when the layout cannot hold it."""
        if episode.fps != round(episode.fps) or episode.control_hz % episode.fps:
            raise StrettoError(
                f"LeRobot needs a whole number of pictures a second and of control steps a picture; got fps "
                f"{episode.fps:g} and control_hz {episode.control_hz:g}. Record pictures at 5 Hz, for example."
            )
        cameras = []
        for name, images in sorted(episode.images.items()):
            sizes = sorted({image.pixels.shape[:2] for image in images})
            if len(sizes) != 1 or sizes[0][0] % 2 or sizes[0][1] % 2 or "/" in name:
                raise StrettoError(
                    f"Camera '{name}' needs pictures of one size, even in both directions, and no '/' in its name; "
                    f"got {len(images)} pictures of sizes {sizes}."
                )
            cameras.append((name, *sizes[0]))
        return cls(
            proprio=episode.steps.proprio.shape[1],
            actions=episode.steps.action.shape[1],
            cameras=tuple(cameras),
            fps=round(episode.fps),
            control_hz=float(episode.control_hz),
        )


def features(shape: Shape) -> Features:
    """The table of columns that info.json holds: dtype, shape and names of each."""
    k, out = shape.per_row, dict[str, dict[str, Any]]()
    out["observation.state"] = _column("float32", (shape.proprio,), [f"p{i}" for i in range(shape.proprio)])
    out["action"] = _column(
        "float32", (k * shape.actions,), [f"a{i}@{j}" for j in range(k) for i in range(shape.actions)]
    )
    out["control.state"] = _column("float32", (k, shape.proprio))
    out["control.t"] = _column("float64", (k,))
    out["control.success"] = _column("bool", (k,))
    out["control.halted"] = _column("bool", (k,))
    out["control.steps"] = _column("int64", (1,))
    out["events"] = _column("string", (1,))
    for name, height, width in shape.cameras:
        out[f"control.image_t.{name}"] = _column("float64", (1,))
        facts = {"height": height, "width": width, "codec": video.CODEC, "pix_fmt": video.PIXELS, "channels": 3}
        info = {f"video.{key}": value for key, value in facts.items()}
        info.update({"video.is_depth_map": False, "video.fps": shape.fps, "has_audio": False})
        frame = _column("video", (height, width, 3), ["height", "width", "channels"])
        out[IMAGE_KEY + name] = {**frame, "info": info}
    out["timestamp"] = _column("float32", (1,))
    out.update({name: _column("int64", (1,)) for name in ("frame_index", "episode_index", "index", "task_index")})
    return out


def _column(dtype: str, shape: tuple[int, ...], names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "names": names}


def new_info(shape: Shape, robot_type: str | None) -> dict[str, Any]:
    """info.json of a dataset without an episode."""
    return {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": shape.fps,
        "splits": {"train": "0:0"},
        "data_path": f"{DATA}/{NUMBERED}.parquet",
        "video_path": f"{VIDEO}/{{video_key}}/{NUMBERED}.mp4" if shape.cameras else None,
        "features": features(shape),
        "stretto": {
            "about": "What LeRobot does not know of. Splits, seeds and versions stand in the columns stretto/* of "
            "meta/episodes; control.* are steps at control_hz, control_hz / fps to a row, control.steps of them real; "
            "events are JSON lists in the rows of their times; sound runs from session time 0 on.",
            "control_hz": shape.control_hz,
            "proprio": shape.proprio,
            "actions": shape.actions,
            "cameras": [list(camera) for camera in shape.cameras],
            "audio_path": f"{AUDIO}/{{heard or spoken}}/{NUMBERED}.flac",
        },
    }


def shape_in(info: Mapping[str, Any], root: Path) -> Shape:
    """The shape that info.json tells of. Raises StrettoError when Stretto did not write this dataset."""
    if info.get("codebase_version") != VERSION or "stretto" not in info:
        raise StrettoError(
            f"{root} is a dataset that Stretto did not write (codebase_version {info.get('codebase_version')!r}): it "
            "lacks state at the control rate and sound. Read it with LeRobot, or give another folder."
        )
    own = info["stretto"]
    cameras = tuple((str(name), int(height), int(width)) for name, height, width in own["cameras"])
    fps, control_hz = int(info["fps"]), float(own["control_hz"])
    return Shape(proprio=own["proprio"], actions=own["actions"], cameras=cameras, fps=fps, control_hz=control_hz)


def to_arrow(values: Sequence[Any] | np.ndarray, feature: Mapping[str, Any]) -> pa.Array:
    """One column: `values[row]` has the feature's shape; scalars for (1,), lists of fixed size, lists of lists."""
    kind, shape = TYPES[feature["dtype"]], tuple(feature["shape"])
    if feature["dtype"] == "string":
        return pa.array(list(values), type=kind)
    array = np.asarray(values)
    if shape == (1,):
        return pa.array(array.reshape(-1), type=kind)
    if len(shape) == 1:
        return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1), type=kind), shape[0])
    return pa.array(array.reshape(-1, *shape).tolist(), type=pa.list_(pa.list_(kind)))


def from_arrow(column: Any, feature: Mapping[str, Any]) -> np.ndarray:
    """The values of one column as an array (rows, *shape); for shape (1,) just (rows,)."""
    shape = tuple(feature["shape"])
    array = np.array(column.to_pylist(), dtype=None if feature["dtype"] == "string" else feature["dtype"])
    return array.reshape(-1, *shape) if shape != (1,) else array.reshape(-1)


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """tasks.parquet: a data frame with the column `task_index`, indexed by the task's words, in order."""
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    about = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number},
            {"name": "task", "field_name": "task", **text},
        ],
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(about).encode()})
