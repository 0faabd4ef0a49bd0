"""The agent's mouth: queued speech becomes sound in real time, and it is known what of it was heard.

Everything carries a session time. `advance(to)` renders the sound up to `to`; a hush fades the running sentence out in
10 ms and drops the queue. A word counts as heard when its end has been played. A listener behind a wire hears it
`lag_s` later and says so; a sentence is over for him when he has heard its end, and a hush takes from him what he has
not heard yet.
"""

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.signals import Event, Kind, Playback, Speech
from stretto.core.sound import resample

FADE_S = 0.01


@dataclass
class _Sentence:
    """One that sounds, or whose end is still on its way to the listener: from sample `start` on."""

    speech: Speech
    start: int
    length: int

    def words_by(self, seconds: float, rate: int) -> list[str]:
        """Its words that have been played `seconds` after its start."""
        whole = self.length / rate
        return [word.text for word in self.speech.words if min(word.end, whole) <= seconds]


class Mixer(Configurable):
    """Plays one sentence after another, can be hushed, and keeps account of what was heard."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`rate`: samples per second of the output. `queue_s`: while more than this is queued, speech is refused with a
        fault.
        """

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
        self._sounding: deque[_Sentence] = deque()
        self._heard: list[str] = []
        self.lag_s = 0.0

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
            elif self.queued_s > self.config.queue_s:
                events.append(self._event(Kind.FAULT, f"speech queue is full: '{item.text[:60]}' was dropped"))
            else:
                self._queue.append(item)
        pieces.append(self._render(end, events))
        self._settle(events)
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
        return Playback(heard=heard, speaking=bool(self._sounding), queued_s=self.queued_s)

    def _heard_now(self) -> list[str]:
        """Words heard of the sentence that the listener hears now."""
        if not self._sounding:
            return []
        now = self._sounding[0]
        return now.words_by((self._position - now.start) / self.config.rate - self.lag_s, self.config.rate)

    def _settle(self, events: list[Event]) -> None:
        """Sentences whose end the listener has heard are over."""
        lag = round(self.lag_s * self.config.rate)
        while self._sounding and self._position - lag >= self._sounding[0].start + self._sounding[0].length:
            over = self._sounding.popleft()
            self._heard.extend(word.text for word in over.speech.words)
            t = (over.start + over.length) / self.config.rate + self.lag_s
            events.append(Event(kind=Kind.SPEECH_STOPPED, t=t, source="session", text=over.speech.text))

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
                self._sounding.append(_Sentence(self._current, self._position, len(self._samples)))
                events.append(self._started(self._current))
            n = min(end - self._position, len(self._samples) - self._played)
            out[self._position - start : self._position - start + n] = self._samples[self._played : self._played + n]
            self._played += n
            self._position += n
            if self._played >= len(self._samples):
                self._current, self._samples, self._played = None, np.zeros(0, np.float32), 0
                self._settle(events)
        return out

    def _started(self, speech: Speech) -> Event:
        """The event of a sentence that begins; its data have the end of each word, in seconds from now."""
        words = [(word.text, round(word.end, 3)) for word in speech.words]
        data = {"words": words, "seconds": round(speech.sound.seconds, 3)}
        t = self._position / self.config.rate
        return Event(kind=Kind.SPEECH_STARTED, t=t, source="session", text=speech.text, data=data)

    def _cut(self, events: list[Event]) -> np.ndarray:
        """End what sounds with a short fade; the queue is dropped, and what is on its way to the listener too."""
        self._queue.clear()
        if not self._sounding:
            return np.zeros(0, np.float32)
        n = min(round(FADE_S * self.config.rate), len(self._samples) - self._played)
        tail = self._samples[self._played : self._played + n] * np.linspace(1, 0, n, dtype=np.float32)
        self._played += n
        self._position += n
        heard = self._heard_now()
        events.append(self._event(Kind.SPEECH_CUT, " ".join(heard)))
        self._heard.extend(heard)
        self._sounding.clear()
        self._current, self._samples, self._played = None, np.zeros(0, np.float32), 0
        return tail
