"""The rows of a card on disk: one JSON line a row, added a whole trial at a time, safe against a kill at any moment.

The rows of a trial are one block, written at once; the last line of a block says `"trial_end": true`. Whatever stands
behind the last such line (a half-written line, a half-written trial) is cut off when the file is opened again, so a
trial is either there as a whole or not at all. A lock on the file keeps a second run of the same card out.
"""

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stretto.core.errors import StrettoError

Row = dict[str, Any]
NEEDED = ("row", "unit", "seed", "value")
"""Fields that every row must have, besides `arm` where a benchmark has arms."""


class RowFile:
    """`NAME.rows.jsonl`, open for adding. Raises StrettoError when another run holds it or it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StrettoError(f"Cannot write {path}: {error.strerror}. Give another folder with --out.") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise StrettoError(f"Another run is writing {path}. Wait for it, or stop it first.") from error
        self._cut()

    def trials(self) -> set[str]:
        """Keys of the trials that are in the file."""
        return {row["trial"] for row in read_rows(self.path) if "trial" in row}

    def add(self, key: str, rows: Sequence[Row]) -> None:
        """Adds the rows of one trial. Raises StrettoError, with the file as before, when there is no room."""
        block = [{**row, "trial": key} for row in rows]
        block[-1]["trial_end"] = True
        data = "".join(json.dumps(row, allow_nan=False) + "\n" for row in block).encode()
        end = os.lseek(self._fd, 0, os.SEEK_END)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            os.ftruncate(self._fd, end)
            raise StrettoError(f"Cannot write {self.path}: {error.strerror}. Make room; then run it again.") from error

    def start_anew(self) -> bool:
        """Empties the file; what it held goes to NAME.rows.old.jsonl. True when it held something."""
        data = self.path.read_bytes()
        if not data:
            return False
        old = self.path.with_name(self.path.name.replace(".rows.", ".rows.old."))
        temporary = old.with_suffix(".tmp")
        temporary.write_bytes(data)
        os.replace(temporary, old)
        os.ftruncate(self._fd, 0)
        return True

    def close(self) -> None:
        """Gives the file and its lock back."""
        os.close(self._fd)

    def _cut(self) -> None:
        """Cuts off what stands behind the last whole trial."""
        data, end, place = self.path.read_bytes(), 0, 0
        while (stop := data.find(b"\n", place)) >= 0:
            if data.find(b'"trial_end": true', place, stop) >= 0:
                end = stop + 1
            place = stop + 1
        if end < len(data):
            os.ftruncate(self._fd, end)


def read_rows(path: Path) -> list[Row]:
    """All rows of a card. Raises StrettoError naming the line that is not a row."""
    return list(_parse(path))


def _parse(path: Path) -> Iterator[Row]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StrettoError(f"{path}:{number} is not JSON ({error}). Delete the line, then run it again.") from error
        yield row


def checked(rows: Any, defaults: Mapping[str, Any]) -> list[Row]:
    """The rows of a trial as they are stored: `defaults` filled in, numpy scalars made plain, every field checked.

    Raises StrettoError when there is no row, a needed field is missing or `value` is not a finite number or true/false.
    """
    if not isinstance(rows, list | tuple) or not rows:
        raise StrettoError(f"expected a list of at least one row, got {rows!r}")
    return [_checked({**defaults, **row}) for row in rows]


def _checked(row: Row) -> Row:
    row = {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
    missing = [key for key in NEEDED if row.get(key) is None]
    if missing:
        raise StrettoError(f"row {row!r} lacks {', '.join(missing)}; every row needs {', '.join(NEEDED)}")
    if not isinstance(row["value"], bool | int | float) or not math.isfinite(row["value"]):
        raise StrettoError(f"row {row['row']!r}: expected a finite number or true/false as value, got {row['value']!r}")
    return row


def write_atomically(path: Path, text: str) -> None:
    """Replaces `path` by `text` in one step: a reader sees the old file or the new one. Raises StrettoError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write {path}: {error.strerror}. Make room, or give another folder.") from error
