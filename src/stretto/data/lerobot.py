"""Episodes on disk as a LeRobotDataset v3.0, with sound and events: a writer and a reader.

    with LeRobotWriter(Path("out/goal")) as writer:
        writer.write(episode)
    for episode in LeRobotReader(Path("out/goal")).episodes(): ...

LeRobot's own reader opens the folder as it is (the layout and what our additions mean: lerobot_layout.py). Recording
survives a kill at any moment, and several processes may write into one folder, each with a writer of its own
(lerobot_store.py). Needs pyarrow and av.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from stretto.core.errors import StrettoError
from stretto.core.signals import Image, Sound
from stretto.data import lerobot_rows as rows
from stretto.data import lerobot_store as store
from stretto.data import video
from stretto.data.episodes import Episode
from stretto.data.lerobot_layout import AUDIO, DATA, IMAGE_KEY, META, SOUNDS, VIDEO, Shape, new_info, numbered, shape_in


class LeRobotReader:
    """The finished episodes of a dataset, those that were there when it was opened.

    Opening cleans up after a killed writer, if the folder may be written. Raises StrettoError when it is not a dataset.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise StrettoError(f"No dataset in {self.root}: there is no such folder. `stretto record` makes one.")
        store.repair(self.root)
        self.info = store.read_info(self.root)
        if not self.info and not (self.root / store.WRITING).exists():
            raise StrettoError(f"{self.root} is not a dataset: it has no meta/info.json. Give another folder.")
        self._count = store.count(self.root) if self.info else 0
        self._shape = shape_in(self.info, self.root) if self.info else None

    def __len__(self) -> int:
        return self._count

    @property
    def tasks(self) -> list[str]:
        """The tasks of the dataset, in words."""
        return store.read_tasks(self.root)

    def row(self, index: int) -> dict[str, Any]:
        """What meta/episodes says of an episode, without loading it: tasks, length, stretto/seed, stretto/split …"""
        if not 0 <= index < self._count:
            raise StrettoError(f"No episode {index} in {self.root}: it has {self._count}, counted from 0.")
        return store.meta_row(self.root, index)

    def read(self, index: int) -> Episode:
        """One whole episode, pictures and sound included. Raises StrettoError when there is none of this number."""
        row = self.row(index)
        shape, features = self._shape, self.info["features"]
        assert shape is not None
        data = pq.read_table(self.root / numbered(DATA, index, ".parquet"), partitioning=None)
        return Episode(
            task=row["tasks"][0],
            seed=row["stretto/seed"],
            split=row["stretto/split"],
            versions=json.loads(row["stretto/versions"]),
            fps=float(shape.fps),
            control_hz=shape.control_hz,
            steps=rows.steps_from(data, features, shape),
            images={name: self._images(index, name, data) for name, _, _ in shape.cameras},
            heard_sound=self._sound(index, "heard", row),
            spoken_sound=self._sound(index, "spoken", row),
            events=rows.events_from(data),
        )

    def episodes(self) -> Iterator[Episode]:
        """All episodes, one after the other."""
        return (self.read(index) for index in range(self._count))

    def _images(self, index: int, camera: str, data: Any) -> tuple[Image, ...]:
        path = self.root / numbered(f"{VIDEO}/{IMAGE_KEY}{camera}", index, ".mp4")
        return rows.images_from(data, camera, video.read_video(path))

    def _sound(self, index: int, name: str, row: Mapping[str, Any]) -> Sound | None:
        rate, length = row[f"stretto/{name}_rate"], row[f"stretto/{name}_samples"]
        if not rate:
            return None
        if not length:
            return Sound(samples=np.zeros(0, np.float32), rate=rate)
        return video.read_sound(self.root / numbered(f"{AUDIO}/{name}", index, ".flac"))


class LeRobotWriter:
    """Adds episodes to the dataset in `root`, which is made when it is missing. Implements `EpisodeWriter`.

    `crf` is the quality of the films (lower is better). Raises StrettoError when the folder cannot be written or holds
    something else. All episodes of a dataset have the same sizes, cameras and rates.
    """

    def __init__(self, root: Path, robot_type: str | None = None, crf: int = 18) -> None:
        self.root, self.robot_type, self.crf = Path(root), robot_type, crf
        store.check_root(self.root)
        store.repair(self.root)
        with store.told(self.root):
            self._desk = store.Desk(self.root)

    def write(self, episode: Episode) -> None:
        """Adds an episode. When this returns, it is there for good.

        Raises StrettoError, with the dataset as before, when there is no room or the episode does not fit the others.
        """
        shape = Shape.of(episode)
        self._check(shape)
        values = rows.columns(episode, shape)
        with store.told(self.root):
            try:
                desk = self._desk.fresh()
                frames = {name: _frames(episode, shape, name) for name, _, _ in shape.cameras}
                self._encode(desk, episode, shape, frames)
                info = new_info(shape, self.robot_type)
                stats = rows.statistics(values, info["features"], frames)
                store.start(self.root, info)
                self._check(shape)
                store.commit(self.root, desk, lambda info, tasks: _parts(episode, values, stats, info, tasks))
            finally:
                self._desk.clear()

    def episodes(self) -> Iterator[Episode]:
        """All episodes that are finished now, those of other writers included."""
        return LeRobotReader(self.root).episodes()

    def close(self) -> None:
        """Gives the working folder back."""
        self._desk.close()

    def __enter__(self) -> "LeRobotWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, shape: Shape) -> None:
        info = store.read_info(self.root)
        if info and (old := shape_in(info, self.root)) != shape:
            raise StrettoError(
                f"The episode does not fit the dataset in {self.root}: expected {old}, got {shape}. "
                "Give another folder."
            )

    def _encode(self, desk: Path, episode: Episode, shape: Shape, frames: Mapping[str, list[np.ndarray]]) -> None:
        (desk / VIDEO).mkdir()
        (desk / AUDIO).mkdir()
        for name, height, width in shape.cameras:
            path = desk / VIDEO / f"{IMAGE_KEY}{name}.mp4"
            video.write_video(path, frames[name], (height, width), shape.fps, self.crf)
        for name in SOUNDS:
            sound = _sounds(episode)[name]
            if sound is not None and len(sound.samples):
                video.write_sound(desk / AUDIO / f"{name}.flac", sound)


def _sounds(episode: Episode) -> dict[str, Sound | None]:
    return dict(zip(SOUNDS, (episode.heard_sound, episode.spoken_sound), strict=True))


def _frames(episode: Episode, shape: Shape, camera: str) -> list[np.ndarray]:
    """One picture for each row; rows before the first picture show the first."""
    shown = rows.shown_images(episode, shape, camera)
    first = next((image for image in shown if image is not None), episode.images[camera][0])
    return [(image or first).pixels for image in shown]


def _parts(
    episode: Episode,
    values: Mapping[str, Any],
    stats: rows.Stats,
    info: Mapping[str, Any],
    tasks: list[str],
) -> dict[str, Any]:
    """What becomes of an episode once its number is known: its rows, its entry in meta/episodes, tasks, statistics."""
    index, start, length = info["total_episodes"], info["total_frames"], len(values["frame_index"])
    tasks = tasks if episode.task in tasks else [*tasks, episode.task]
    numbers = {
        "episode_index": np.full(length, index),
        "index": start + np.arange(length),
        "task_index": np.full(length, tasks.index(episode.task)),
    }
    features = info["features"]
    plain = {name: feature for name, feature in features.items() if feature["dtype"] != "video"}
    stats = {**stats, **rows.statistics(numbers, plain, {})}
    place = {"chunk_index": index // info["chunks_size"], "file_index": index % info["chunks_size"]}
    meta: dict[str, Any] = {"episode_index": index, "tasks": [episode.task], "length": length}
    meta.update({"dataset_from_index": start, "dataset_to_index": start + length})
    for prefix in (DATA, META):
        meta.update({f"{prefix}/{key}": value for key, value in place.items()})
    for name in (name for name in features if name not in plain):
        key = f"{VIDEO}/{name}"
        meta.update({f"{key}/{part}": value for part, value in place.items()})
        meta.update({f"{key}/from_timestamp": 0.0, f"{key}/to_timestamp": length / info["fps"]})
    meta.update({f"stats/{name}/{key}": value for name, some in stats.items() for key, value in some.items()})
    meta.update({"stretto/seed": episode.seed, "stretto/split": episode.split})
    meta.update({"stretto/versions": json.dumps(dict(episode.versions)), "stretto/steps": len(episode.steps)})
    for name, sound in _sounds(episode).items():
        meta[f"stretto/{name}_rate"] = sound.rate if sound else 0
        meta[f"stretto/{name}_samples"] = len(sound.samples) if sound else 0
    return {"data": rows.table({**values, **numbers}, features), "meta": meta, "tasks": tasks, "stats": stats}
