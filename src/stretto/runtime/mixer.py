"""The agent's mouth: queued speech becomes sound in real time, and it is known what of it was heard.

Everything carries a session time. `advance(to)` renders the sound up to `to`; a hush fades the running sentence out in
10 ms and drops the queue. A word counts as heard when its end has been played.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.signals import Event, Kind, Playback, Speech
from stretto.core.sound import resample

FADE_S = 0.01


class Mixer(Configurable):
    """Plays one sentence after another, can be hushed, and keeps account of what was heard."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`rate`: samples per second of the output. `queue_s`: speech queued beyond this is refused with a fault."""

        rate: int = 22_050
        queue_s: float = 60.0

    def __init__(self, config: Config) -> None:
        self.config = config
        self._posted: list[tuple[float, int, Speech | None]] = []
        self._count = 0
        self._position = 0
        self._queue: list[Speech] = []
        self._current: Speech | None = None
        self._samples = np.zeros(0, np.float32)
        self._played = 0
        self._heard: list[str] = []

    def post(self, speech: Speech, at: float) -> None:
        """Queue a sentence that is there from session time `at`."""
        self._push(at, speech)

    def hush(self, at: float) -> None:
        """Stop speaking at session time `at` and forget what is queued."""
        self._push(at, None)

    def _push(self, at: float, item: Speech | None) -> None:
        heapq.heappush(self._posted, (at, self._count, item))
        self._count += 1

    def advance(self, to: float) -> tuple[Float32[np.ndarray, " samples"], list[Event]]:
        """The sound from where it stood up to session time `to`, and what happened on the way."""
        events: list[Event] = []
        pieces: list[np.ndarray] = []
        end = max(self._position, round(to * self.config.rate))
        while self._posted and round(self._posted[0][0] * self.config.rate) <= end:
            at, _, item = heapq.heappop(self._posted)
            pieces.append(self._render(max(self._position, round(at * self.config.rate)), events))
            if item is None:
                pieces.append(self._cut(events))
            elif self.queued_s + item.sound.seconds > self.config.queue_s:
                events.append(self._event(Kind.FAULT, f"speech queue is full: '{item.text[:60]}' was dropped"))
            else:
                self._queue.append(item)
        pieces.append(self._render(end, events))
        return np.concatenate(pieces), events

    @property
    def queued_s(self) -> float:
        """Seconds of speech not yet played."""
        running = (len(self._samples) - self._played) / self.config.rate
        return running + sum(speech.sound.seconds for speech in self._queue)

    @property
    def playback(self) -> Playback:
        """What was heard so far, whether there is sound now, and how much is queued."""
        heard = " ".join([*self._heard, *self._heard_now()])
        return Playback(heard=heard, speaking=self._current is not None, queued_s=self.queued_s)

    def _heard_now(self) -> list[str]:
        if self._current is None:
            return []
        played = self._played / self.config.rate
        return [word.text for word in self._current.words if word.end <= played]

    def _event(self, kind: Kind, text: str = "") -> Event:
        return Event(kind=kind, t=self._position / self.config.rate, source="session", text=text)

    def _render(self, end: int, events: list[Event]) -> np.ndarray:
        """Sound from the present position to sample `end`."""
        out = np.zeros(max(0, end - self._position), np.float32)
        start = self._position
        while self._position < end:
            if self._current is None and not self._queue:
                self._position = end
                break
            if self._current is None:
                self._current = self._queue.pop(0)
                sound = self._current.sound
                self._samples = resample(sound.samples, sound.rate, self.config.rate)
                self._played = 0
                events.append(self._event(Kind.SPEECH_STARTED, self._current.text))
            n = min(end - self._position, len(self._samples) - self._played)
            out[self._position - start : self._position - start + n] = self._samples[self._played : self._played + n]
            self._played += n
            self._position += n
            if self._played >= len(self._samples):
                events.append(self._event(Kind.SPEECH_STOPPED, self._current.text))
                self._forget([word.text for word in self._current.words])
        return out

    def _cut(self, events: list[Event]) -> np.ndarray:
        """End the running sentence with a short fade; the queue is dropped."""
        self._queue.clear()
        if self._current is None:
            return np.zeros(0, np.float32)
        n = min(round(FADE_S * self.config.rate), len(self._samples) - self._played)
        tail = self._samples[self._played : self._played + n] * np.linspace(1, 0, n, dtype=np.float32)
        self._played += n
        self._position += n
        heard = self._heard_now()
        events.append(self._event(Kind.SPEECH_CUT, " ".join(heard)))
        self._forget(heard)
        return tail

    def _forget(self, heard: list[str]) -> None:
        self._heard.extend(heard)
        self._current, self._samples, self._played = None, np.zeros(0, np.float32), 0
