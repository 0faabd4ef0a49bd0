"""Episodes on disk: written whole or not at all, read back as they were, opened after a kill at any moment."""

import json
import multiprocessing
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Image, Kind, Sound
from stretto.data import lerobot_rows, lerobot_store, video
from stretto.data.episodes import Episode, Steps
from stretto.data.lerobot import LeRobotReader, LeRobotWriter
from stretto.data.lerobot_layout import Shape


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def episode(seed=0, steps=22, size=32, task="open the drawer", cameras=("front", "wrist")):
    rng = np.random.default_rng(seed)
    images = {
        name: tuple(
            Image(camera=name, t=0.2 * k + 0.01 * (k % 3), pixels=smooth(rng, size)) for k in range(-(-steps // 4))
        )
        for name in cameras
    }
    return Episode(
        task=task,
        seed=seed,
        split="train",
        versions={"stretto": "0.1.0"},
        steps=Steps(
            t=np.arange(steps) / 20 + 1e-9 * rng.random(steps),
            proprio=rng.normal(size=(steps, 5)).astype(np.float32),
            action=rng.normal(size=(steps, 7)).astype(np.float32),
            success=np.arange(steps) > steps - 4,
            halted=rng.random(steps) < 0.3,
        ),
        images=images,
        heard_sound=Sound(samples=rng.uniform(-0.9, 0.9, 800 * steps).astype(np.float32), rate=16_000),
        spoken_sound=Sound(samples=np.zeros(0, np.float32), rate=22_050),
        events=(
            Event(kind=Kind.USER_STARTED, t=0.31, source="user", text="stop", data={"words": [1, 2.5, "x"]}),
            Event(kind=Kind.ACTION_HALTED, t=0.4, source="session", data={"by": np.float32(0.5)}),
        ),
    )


def smooth(rng, size):
    """One colour, brighter to one side: what H.264 keeps well, and what tells pictures apart."""
    colour, ramp = rng.integers(40, 180, 3), np.linspace(0, 60, size)[None, :, None]
    return (colour + np.broadcast_to(ramp, (size, size, 1))).astype(np.uint8)


def same(a, b, pixels=3.0):
    assert (a.task, a.seed, a.split, a.fps, a.control_hz) == (b.task, b.seed, b.split, b.fps, b.control_hz)
    assert dict(a.versions) == dict(b.versions)
    for name in ("t", "proprio", "action", "success", "halted"):
        one, other = getattr(a.steps, name), getattr(b.steps, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert [(e.kind, e.t, e.source, e.text) for e in a.events] == [(e.kind, e.t, e.source, e.text) for e in b.events]
    assert a.images.keys() == b.images.keys()
    for name, images in a.images.items():
        assert [image.t for image in images] == [image.t for image in b.images[name]]
        for one, other in zip(images, b.images[name], strict=True):
            assert np.abs(one.pixels.astype(int) - other.pixels).mean() < pixels
    for one, other in ((a.heard_sound, b.heard_sound), (a.spoken_sound, b.spoken_sound)):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.rate == other.rate
            np.testing.assert_allclose(one.samples, other.samples, atol=1.01 / 32768)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "set"


@pytest.mark.parametrize("steps", [1, 4, 22, 24])
def test_an_episode_comes_back_as_it_was_written(root, steps):
    made = episode(steps=steps)
    with LeRobotWriter(root) as writer:
        writer.write(made)
        (read,) = writer.episodes()
    same(made, read)
    assert read.events[0].data == {"words": [1, 2.5, "x"]}
    assert read.events[1].data == {"by": 0.5}


def test_episodes_without_cameras_and_sound_are_kept_too(root):
    made = episode(cameras=())
    bare = Episode(task="", seed=1, split="dev", steps=made.steps, control_hz=5.0)
    with LeRobotWriter(root) as writer:
        writer.write(bare)
    same(bare, LeRobotReader(root).read(0))


def test_the_layout_is_the_one_of_lerobot(root):
    with LeRobotWriter(root, robot_type="panda") as writer:
        for k, task in enumerate(("open", "close", "open")):
            writer.write(episode(seed=k, steps=20 + 4 * k, task=task))
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"]) == ("v3.0", 5, 3)
    assert (info["total_frames"], info["total_tasks"], info["splits"]) == (18, 2, {"train": "0:3"})
    assert (root / "videos/observation.images.front/chunk-000/file-002.mp4").is_file()
    data = [pq.read_table(root / f"data/chunk-000/file-00{k}.parquet", partitioning=None) for k in range(3)]
    assert [i for table in data for i in table["index"].to_pylist()] == list(range(18))
    assert [table["task_index"][0].as_py() for table in data] == [0, 1, 0]
    assert np.allclose(data[0]["timestamp"].to_pylist(), np.arange(5) / 5)
    row = LeRobotReader(root).row(2)
    assert (row["dataset_from_index"], row["dataset_to_index"], row["length"]) == (11, 18, 7)
    assert row["videos/observation.images.front/file_index"] == 2
    names = {name for name, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(data[0].column_names) == names


def test_statistics_of_the_dataset_are_those_of_all_rows(root):
    some = [episode(seed=k, steps=20 + 8 * k) for k in range(3)]
    with LeRobotWriter(root) as writer:
        for one in some:
            writer.write(one)
    stats = json.loads((root / "meta/stats.json").read_text())
    states = np.concatenate([one.steps.proprio[::4] for one in some])
    assert stats["observation.state"]["count"] == [len(states)]
    for name in ("mean", "std", "min", "max"):
        np.testing.assert_allclose(stats["observation.state"][name], getattr(np, name)(states, axis=0), rtol=1e-5)
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1)


def test_a_row_shows_the_newest_picture_that_is_not_from_its_future():
    made = episode(steps=12, cameras=())
    times = (0.01, 0.09, 0.21, 0.62)
    images = tuple(Image(camera="front", t=t, pixels=np.zeros((2, 2, 3), np.uint8)) for t in times)
    moved = Episode(task="x", seed=0, split="train", steps=made.steps, images={"front": images})
    shown = lerobot_rows.shown_images(moved, Shape.of(moved), "front")
    assert [image.t for image in shown] == [0.01, 0.21, 0.21]


def test_every_stage_of_a_kill_leaves_the_finished_episodes_and_nothing_else(root, monkeypatch):
    real, finished, stage = os.replace, [], 0
    while True:
        writer, calls = LeRobotWriter(root), []

        def dying(source, target, stage=stage, calls=calls):
            calls.append(target)
            if len(calls) > stage:
                raise Killed
            real(source, target)

        new = episode(seed=stage, steps=8 + stage, task=f"task {stage}", size=16)
        monkeypatch.setattr(os, "replace", dying)
        try:
            writer.write(new)
            killed = False
        except Killed:
            killed = True
        monkeypatch.setattr(os, "replace", real)
        committed = any("meta/episodes" in str(target) for target in calls[:stage])
        finished += [new] if committed or not killed else []
        os.close(writer._desk._fd)
        check_whole(root, finished)
        if not killed:
            break
        stage += 1
    assert stage >= 8
    with LeRobotWriter(root) as writer:
        writer.write(episode(seed=99, size=16))
    check_whole(root, [*finished, episode(seed=99, size=16)])


def check_whole(root, finished):
    """The reader lists exactly these, counts and statistics agree, and no other file is there."""
    reader = LeRobotReader(root)
    assert [reader.row(k)["stretto/seed"] for k in range(len(reader))] == [one.seed for one in finished]
    assert not list((root / ".writing").iterdir())
    info, rows = reader.info, [reader.row(k) for k in range(len(reader))]
    assert len(list((root / "data").rglob("*.parquet"))) == len(rows)
    assert len(list((root / "videos").rglob("*.mp4"))) == 2 * len(rows)
    assert len(list((root / "audio").rglob("*.flac"))) == len(rows)
    if not finished:
        return
    same(finished[-1], reader.read(len(reader) - 1))
    assert info["total_episodes"] == len(rows)
    assert info["total_frames"] == sum(row["length"] for row in rows) == rows[-1]["dataset_to_index"]
    stats = json.loads((root / "meta/stats.json").read_text())
    assert stats["timestamp"]["count"] == [info["total_frames"]]


@pytest.mark.parametrize("where", ["write_video", "write_sound"])
def test_a_kill_while_films_and_sound_are_written_leaves_nothing(root, monkeypatch, where):
    with LeRobotWriter(root) as first:
        first.write(episode())
    writer = LeRobotWriter(root)

    def dying(path, *rest):
        path.write_bytes(b"half")
        raise Killed

    monkeypatch.setattr(video, where, dying)
    monkeypatch.setattr(writer._desk, "clear", lambda: None)
    with pytest.raises(Killed):
        writer.write(episode(seed=1))
    monkeypatch.undo()
    assert len(LeRobotReader(root)) == 1
    assert list((root / ".writing").iterdir()) == [writer._desk.folder]
    os.close(writer._desk._fd)
    check_whole(root, [episode()])


@pytest.mark.parametrize("stage", range(1, 8))
def test_a_full_disk_is_said_and_leaves_the_dataset_as_before(root, monkeypatch, stage):
    with LeRobotWriter(root) as writer:
        writer.write(episode(size=16))
        before = sorted(path.relative_to(root) for path in root.rglob("*"))
        real, calls = lerobot_store._sync, []

        def full(path):
            calls.append(path)
            if len(calls) == stage:
                raise OSError(28, "No space left on device")
            real(path)

        monkeypatch.setattr(lerobot_store, "_sync", full)
        if stage > 5:
            monkeypatch.setattr(video, "write_video" if stage == 6 else "write_sound", lambda *_: full_disk())
        with pytest.raises(StrettoError, match=r"No space left on device.*Make room"):
            writer.write(episode(seed=1, size=16))
        monkeypatch.undo()
        assert sorted(path.relative_to(root) for path in root.rglob("*")) == before
        writer.write(episode(seed=2, size=16))
    check_whole(root, [episode(size=16), episode(seed=2, size=16)])


def full_disk():
    raise OSError(28, "No space left on device")


def test_a_rename_that_fails_is_undone(root, monkeypatch):
    with LeRobotWriter(root) as writer:
        writer.write(episode(size=16))
        real = os.replace

        def failing(source, target):
            if "audio" in str(target):
                full_disk()
            real(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(StrettoError, match="No space left"):
            writer.write(episode(seed=1, size=16))
        monkeypatch.undo()
        assert len(list((root / "videos").rglob("*.mp4"))) == 2
        assert len(list((root / "data").rglob("*.parquet"))) == 1


def test_a_folder_that_may_not_be_written_is_said_at_once(root, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StrettoError, match="may not be written"):
        LeRobotWriter(root)


def test_folders_that_are_not_ours_are_refused_and_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StrettoError, match="other files"):
        LeRobotWriter(tmp_path)
    with pytest.raises(StrettoError, match="not a dataset"):
        LeRobotReader(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text('{"codebase_version": "v3.0", "total_episodes": 0}')
    (tmp_path / "data/chunk-000").mkdir(parents=True)
    (tmp_path / "data/chunk-000/file-000.parquet").write_bytes(b"theirs")
    with pytest.raises(StrettoError, match="did not write"):
        LeRobotReader(tmp_path)
    assert (tmp_path / "data/chunk-000/file-000.parquet").exists()
    assert not (tmp_path / ".lock").exists()
    with pytest.raises(StrettoError, match="no such folder"):
        LeRobotReader(tmp_path / "nowhere")


def test_an_episode_of_another_shape_is_refused(root):
    with LeRobotWriter(root) as writer:
        writer.write(episode())
        with pytest.raises(StrettoError, match="does not fit"):
            writer.write(episode(size=16))
        with pytest.raises(StrettoError, match="even in both directions"):
            writer.write(episode(size=15))
        odd = Episode(task="x", seed=0, split="train", steps=episode().steps, control_hz=12.0)
        with pytest.raises(StrettoError, match="whole number"):
            writer.write(odd)
    assert len(LeRobotReader(root)) == 1


def test_a_missing_episode_in_the_middle_is_said_and_nothing_is_removed(root):
    with LeRobotWriter(root) as writer:
        for k in range(3):
            writer.write(episode(seed=k, size=16))
    (root / "meta/episodes/chunk-000/file-001.parquet").unlink()
    with pytest.raises(StrettoError, match=r"lacks meta/episodes/chunk-000/file-001\.parquet"):
        LeRobotReader(root)
    assert (root / "data/chunk-000/file-002.parquet").exists()


def write_some(root, first):
    with LeRobotWriter(root) as writer:
        for k in range(first, first + 4):
            writer.write(episode(seed=k, size=16, task=f"task {k % 3}", steps=8 + k))


@pytest.mark.slow
def test_processes_write_into_one_folder_at_once(root):
    context = multiprocessing.get_context("spawn")
    crew = [context.Process(target=write_some, args=(root, 10 * k)) for k in range(3)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    reader = LeRobotReader(root)
    seeds = [one.seed for one in reader.episodes()]
    assert sorted(seeds) == [10 * k + j for k in range(3) for j in range(4)]
    for k, seed in enumerate(seeds):
        same(episode(seed=seed, size=16, task=f"task {seed % 3}", steps=8 + seed), reader.read(k))
    rows = [reader.row(k) for k in range(len(reader))]
    assert [row["dataset_from_index"] for row in rows[1:]] == [row["dataset_to_index"] for row in rows[:-1]]
    assert sorted(reader.tasks) == ["task 0", "task 1", "task 2"]
