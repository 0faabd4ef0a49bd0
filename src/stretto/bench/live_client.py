"""A client of the wire (docs/wire.md) that speaks as a person does: an open microphone, in real time.

A thread sends 20 ms of sound at a time, silence where nothing is said; another one reads. Everything that arrives is
kept with the time of its arrival. Session time is mapped to this client's clock by the pulse that came with the least
delay. Source: nothing but websockets and the wire's page. Does not know the server's code.
"""

import base64
import json
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import resample

PIECE = HEARING_RATE // 50
"""Samples sent at a time: 20 ms."""

Event = dict[str, Any]


class Talker:
    """One connection, used as a context manager. `lost`: numbers that were missing, or came out of order."""

    def __init__(self, url: str) -> None:
        self._connecting = connect(url, max_size=None)
        self._change = threading.Condition()
        self._pieces: list[np.ndarray] = []
        self._open, self._sent = True, 0
        self.events: list[tuple[float, Event]] = []
        self.lost = 0
        self.offset = float("inf")

    def __enter__(self) -> "Talker":
        self._socket = self._connecting.__enter__()
        for work in (self._read, self._speak):
            threading.Thread(target=work, daemon=True).start()
        rate = {"input_audio_rate": HEARING_RATE, "input_audio_ahead_s": 0.4}
        self.send("session.update", session=rate)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open = False
        self._connecting.__exit__(*error)

    def send(self, kind: str, **fields: Any) -> None:
        """Send one event."""
        self._socket.send(json.dumps({"type": kind, **fields}))

    def say(self, sound: Sound) -> float:
        """Speak from now on; returns the client's time at which the sound begins."""
        samples = resample(sound.samples, sound.rate, HEARING_RATE)
        whole = np.pad(samples, (0, -len(samples) % PIECE))
        with self._change:
            self._pieces = list(whole.reshape(-1, PIECE))
            return self._due

    def begin(self) -> None:
        """Forget what was kept: a new session begins, and its time with it."""
        with self._change:
            self.events.clear()
            self.offset = float("inf")

    def wait(
        self, kind: str, seconds: float, fits: Callable[[Event], bool] = lambda event: True
    ) -> tuple[float, Event]:
        """The first event that was kept and fits, with its arrival. Raises StrettoError when none comes in time."""
        until = time.perf_counter() + seconds
        with self._change:
            while True:
                for found in self.events:
                    if found[1]["type"] == kind and fits(found[1]):
                        return found
                left = until - time.perf_counter()
                if left <= 0 or not self._open:
                    raise StrettoError(f"No '{kind}' came within {seconds:g} s.")
                self._change.wait(left)

    def of(self, kind: str) -> list[tuple[float, Event]]:
        """All events of a type that were kept, with their arrivals."""
        with self._change:
            return [found for found in self.events if found[1]["type"] == kind]

    def session_time(self, at: float) -> float:
        """The session's time at a time of this client."""
        return at - self.offset

    _due = 0.0

    def _speak(self) -> None:
        """The microphone: a piece every 20 ms, whatever else happens."""
        start = time.perf_counter()
        count = 0
        while self._open:
            count += 1
            with self._change:
                piece = self._pieces.pop(0) if self._pieces else np.zeros(PIECE, np.float32)
                self._due = start + count * PIECE / HEARING_RATE
            pcm = np.round(np.clip(piece, -1, 1) * 32_767).astype("<i2").tobytes()
            time.sleep(max(0.0, start + count * PIECE / HEARING_RATE - time.perf_counter()))
            try:
                self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
            except (ConnectionClosed, OSError):
                return

    def _read(self) -> None:
        last, sample = 0, 0
        try:
            for data in self._socket:
                arrival = time.perf_counter()
                event = json.loads(data) if isinstance(data, str) else _head(data)
                with self._change:
                    self.lost += abs(event["seq"] - last - 1)
                    last = event["seq"]
                    if event["type"] == "response.created":
                        sample = 0
                    elif event["type"] == "response.audio.delta":
                        self.lost += event["sample"] != sample
                        sample += len(base64.b64decode(event["delta"])) // 2
                    elif event["type"] == "session.pulse":
                        self.offset = min(self.offset, arrival - event["t"])
                    elif event["type"] == "session.status" and event["state"] == "starting":
                        self.offset = float("inf")
                    self.events.append((arrival, event))
                    self._change.notify_all()
        except (ConnectionClosed, OSError):
            pass
        finally:
            with self._change:
                self._open = False
                self._change.notify_all()


def _head(data: bytes) -> Event:
    """The JSON head of a picture."""
    length = struct.unpack("<I", data[:4])[0]
    return json.loads(data[4 : 4 + length])
