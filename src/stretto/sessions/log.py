"""The event log: every event as a line of JSON, written as it happens, so that a kill keeps what there was.

When the session has ended, `report.write_events` replaces the file by one that is sorted by time and has a head.
"""

import json
from pathlib import Path

from stretto.core.errors import StrettoError
from stretto.core.signals import Event


def line(event: Event) -> str:
    """One event as a line of JSON: t, kind, source, text, data."""
    fields = {"t": round(event.t, 3), "kind": str(event.kind), "source": event.source, "text": event.text}
    return json.dumps({**fields, **event.data}) + "\n"


class EventLog:
    """An observer that appends each event to `path`. Raises StrettoError when the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._append("", "w")

    def see(self, event: Event) -> None:
        """Write one event."""
        self._append(line(event), "a")

    def _append(self, text: str, mode: str) -> None:
        try:
            with self.path.open(mode) as file:
                file.write(text)
        except OSError as error:
            raise StrettoError(f"Cannot write {self.path}: {error.strerror}.") from error
