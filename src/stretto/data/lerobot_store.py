"""How episodes get onto the disk whole: written aside, moved in place, made to count by one last rename.

A writer fills a folder of its own under `.writing/` (films and sound take time, nobody waits), then takes the lock of
the dataset for the few milliseconds in which the episode gets its number: files are renamed into place, and the episode
exists from the rename of its row in meta/episodes on. stats.json and info.json are replaced right after. So a kill
leaves at most files that no row speaks of, and counts that are one behind; `repair` removes the former and mends the
latter. Locks are the kernel's (flock): a dead process holds none. Needs a file system with flock and atomic renames.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stretto.core.errors import StrettoError
from stretto.data.lerobot_layout import (
    AUDIO,
    DATA,
    INFO,
    META,
    STATS,
    TASKS,
    VIDEO,
    number_of,
    numbered,
    shape_in,
    tasks_table,
)
from stretto.data.lerobot_rows import Stats, merged

LOCK, WRITING, OWNER = ".lock", ".writing", "owner"


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds the lock of a dataset."""
    fd = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def told(root: Path) -> Iterator[None]:
    """Turns the operating system's errors into one that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StrettoError(
            f"Cannot write the dataset in {root}: {reason}. No unfinished episode was left in it. Make room or choose "
            "another folder, then record again."
        ) from error


class Desk:
    """A writer's own folder under `.writing/`; a lock on it says that the writer lives."""

    def __init__(self, root: Path) -> None:
        self.folder = root / WRITING / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        with locked(root):
            self.folder.mkdir(parents=True)
            self._fd = os.open(self.folder / OWNER, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX)

    def fresh(self) -> Path:
        """An empty folder for one episode."""
        folder = self.folder / "episode"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def clear(self) -> None:
        """Throws away what an episode left."""
        shutil.rmtree(self.folder / "episode", ignore_errors=True)

    def close(self) -> None:
        """Gives the folder back."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._fd)


def read_info(root: Path) -> dict[str, Any]:
    """info.json, or {} when the dataset has none yet. Raises StrettoError when it is not JSON."""
    try:
        return json.loads((root / INFO).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StrettoError(f"{root / INFO} is not JSON ({error}). Is {root} a dataset?") from error


def meta_row(root: Path, index: int) -> dict[str, Any]:
    """The row of an episode in meta/episodes."""
    return pq.read_table(root / numbered(META, index, ".parquet"), partitioning=None).to_pylist()[0]


def count(root: Path) -> int:
    """How many episodes are finished. Raises StrettoError when one in the middle is missing."""
    found = sorted(n for path in (root / META).glob("*/*.parquet") if (n := number_of(path)) is not None)
    if found != list(range(len(found))):
        missing = next(k for k, n in enumerate(found) if n != k)
        raise StrettoError(
            f"{root} lacks {numbered(META, missing, '.parquet')}, though later episodes are there. Files were deleted "
            "by hand: bring this one back, or copy the episodes that are left into a new dataset."
        )
    return len(found)


def read_tasks(root: Path) -> list[str]:
    """The tasks of a dataset, in the order of their numbers."""
    path = root / TASKS
    return pq.read_table(path)["task"].to_pylist() if path.exists() else []


def commit(root: Path, desk: Path, finish: Callable[[dict[str, Any], list[str]], Mapping[str, Any]]) -> int:
    """Moves what lies on `desk` into the dataset as its next episode and returns its number.

    `desk` holds the files of the episode under `videos/KEY.mp4` and `audio/NAME.flac`. `finish(info, tasks)` is called
    with the lock held and gives `data` (the table of rows), `meta` (its row), `tasks`, `stats` (of this episode).
    Raises OSError, with nothing of the episode left in the dataset, when there is no room.
    """
    with locked(root):
        _mend(root)
        info, tasks = read_info(root), read_tasks(root)
        index = info["total_episodes"]
        parts = finish(info, tasks)
        stats = merged(_read_stats(root), parts["stats"])
        pq.write_table(parts["data"], desk / "data.parquet")
        pq.write_table(pa.Table.from_pylist([parts["meta"]]), desk / "meta.parquet")
        length = parts["meta"]["length"]
        _write_json(desk / "stats.json", stats)
        _write_json(desk / "info.json", counted(info, index + 1, info["total_frames"] + length, len(parts["tasks"])))
        moves = [(desk / "data.parquet", numbered(DATA, index, ".parquet"))]
        moves += [(p, numbered(f"{VIDEO}/{p.stem}", index, ".mp4")) for p in sorted((desk / VIDEO).glob("*.mp4"))]
        moves += [(p, numbered(f"{AUDIO}/{p.stem}", index, ".flac")) for p in sorted((desk / AUDIO).glob("*.flac"))]
        if parts["tasks"] != tasks:
            pq.write_table(tasks_table(parts["tasks"]), desk / "tasks.parquet")
            moves.append((desk / "tasks.parquet", TASKS))
        moves.append((desk / "meta.parquet", numbered(META, index, ".parquet")))
        for path, _ in moves:
            _sync(path)
        _move(root, moves)
        os.replace(desk / "stats.json", root / STATS)
        os.replace(desk / "info.json", root / INFO)
    return index


def _move(root: Path, moves: Sequence[tuple[Path, Path]]) -> None:
    """All renames, in order; when one fails, the earlier ones are undone."""
    done: list[Path] = []
    try:
        for source, target in moves:
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, root / target)
            done.append(root / target)
    except OSError:
        for target in done:
            if target != root / TASKS:
                target.unlink(missing_ok=True)
        raise


def start(root: Path, info: Mapping[str, Any]) -> None:
    """Makes the dataset when there is none: writes the first info.json."""
    with locked(root):
        if not (root / INFO).exists():
            _rewrite(root / INFO, info)


def repair(root: Path) -> None:
    """Removes what dead writers left and mends the counts.

    Does nothing in a folder that may not be written, and where no writer of Stretto has been.
    """
    info = read_info(root)
    if not os.access(root, os.W_OK) or not ("stretto" in info or (not info and (root / WRITING).exists())):
        return
    with told(root), locked(root):
        _sweep(root)
        if read_info(root):
            _mend(root, sure=True)


def _mend(root: Path, sure: bool = False) -> None:
    """Brings info.json and stats.json up to the episodes that exist. Unless `sure`, only looks for one more of them.

    Raises StrettoError when another program has added episodes: then nothing is touched.
    """
    info = read_info(root)
    known = info["total_episodes"]
    if not sure and not any((root / numbered(folder, known, ".parquet")).exists() for folder in (META, DATA)):
        return
    episodes = count(root)
    if episodes and meta_row(root, episodes - 1)["episode_index"] != episodes - 1:
        raise StrettoError(f"Another program has added episodes to {root}. Copy them out, or record elsewhere.")
    _remove_unclaimed(root, episodes)
    if known == episodes and (root / STATS).exists() == bool(episodes):
        return
    rows, stats = [meta_row(root, k) for k in range(episodes)], Stats()
    for row in rows:
        stats = merged(stats, stats_in(row))
    if stats:
        _rewrite(root / STATS, stats)
    frames = sum(row["length"] for row in rows)
    _rewrite(root / INFO, counted(info, episodes, frames, len(read_tasks(root))))


def _remove_unclaimed(root: Path, episodes: int) -> None:
    """Removes files of episodes that have no row in meta/episodes."""
    for folder in (DATA, VIDEO, AUDIO):
        for path in (root / folder).rglob("file-*"):
            number = number_of(path)
            if number is not None and number >= episodes:
                path.unlink(missing_ok=True)


def _sweep(root: Path) -> None:
    """Removes the folders of writers that are dead."""
    for folder in (root / WRITING).glob("*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            fd = os.open(folder / OWNER, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)


def counted(info: Mapping[str, Any], episodes: int, frames: int, tasks: int) -> dict[str, Any]:
    """info.json with other counts."""
    totals = {"total_episodes": episodes, "total_frames": frames, "total_tasks": tasks}
    return {**info, **totals, "splits": {"train": f"0:{episodes}"}}


def stats_in(row: Mapping[str, Any]) -> Stats:
    """The statistics that a row of meta/episodes carries in its columns stats/COLUMN/NAME."""
    out: Stats = {}
    for key, value in row.items():
        if key.startswith("stats/"):
            _, column, name = key.split("/")
            out.setdefault(column, {})[name] = value
    return out


def check_root(root: Path) -> None:
    """Makes `root` when it is missing. Raises StrettoError when something else lies there, or it may not be written."""
    with told(root):
        root.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in root.iterdir()}
    info = read_info(root)
    if info:
        shape_in(info, root)
    elif names - {LOCK, WRITING, "meta"}:
        raise StrettoError(f"{root} holds other files ({', '.join(sorted(names)[:3])} …). Give an empty or new folder.")
    if not os.access(root, os.W_OK):
        raise StrettoError(f"{root} may not be written. Give another folder, or change its permissions.")


def _read_stats(root: Path) -> Stats:
    return json.loads((root / STATS).read_text()) if (root / STATS).exists() else {}


def _rewrite(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    _write_json(temporary, content)
    os.replace(temporary, path)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with path.open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
