"""What a session gives, as the events of the wire: sentences with their sound, what the arm did, ticks, pictures.

Names are those of the OpenAI Realtime protocol where it has one; `docs/wire.md` lists them all. Every message is the
JSON of one event without its sequence number, which each connection counts for itself; a picture is such a head and a
JPEG. Sentences keep account of their own samples, so the sound of each is sent once and whole, or up to where it was
cut.
"""

import base64
import io
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Picture

from stretto.core.signals import HEARING_RATE, Event, Kind
from stretto.runtime.reflex import WORD
from stretto.runtime.world import Step
from stretto.sessions.door import Flow

LEVEL_S = 0.05
"""One level of the microphone or the voice for each of these."""
JPEG_QUALITY = 82

ACTIONS = {
    Kind.ACTION_STARTED: "action.started",
    Kind.ACTION_SWITCHED: "action.switched",
    Kind.ACTION_HALTED: "action.halted",
    Kind.ACTION_RESUMED: "action.resumed",
    Kind.ACTION_COMPLETED: "action.completed",
    Kind.ACTION_REJECTED: "action.rejected",
    Kind.CLARIFICATION_ASKED: "action.clarification",
}


@dataclass(frozen=True)
class Message:
    """One event of the wire: `head` is its JSON, `body` the bytes of a picture; `loses`: it may be dropped for one who
    reads too slowly."""

    head: str
    body: bytes = b""
    loses: bool = False


def message(kind: str, t: float, loses: bool = False, **fields: Any) -> Message:
    """An event of type `kind` at session time `t`."""
    return Message(json.dumps({"type": kind, "t": round(t, 4), **fields}), loses=loses)


def pcm16(samples: Float[np.ndarray, " samples"]) -> str:
    """Sound as base64 of 16-bit little-endian samples."""
    whole = np.round(np.clip(samples, -1, 1) * 32_767).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def levels(samples: Float[np.ndarray, " samples"], rate: int) -> list[float]:
    """Loudness (root mean square) of each `LEVEL_S`, rounded; none of an empty sound."""
    n = round(LEVEL_S * rate)
    pieces = np.array_split(samples, max(1, round(len(samples) / n))) if len(samples) else []
    return [round(float(np.sqrt(np.mean(piece.astype(np.float64) ** 2))), 4) for piece in pieces]


def jpeg(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A picture as JPEG."""
    out = io.BytesIO()
    Picture.fromarray(pixels).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


@dataclass
class _Sentence:
    """One that sounds: samples [start, end) of the session's voice."""

    name: str
    text: str
    start: int
    end: int


class Teller:
    """Turns flows into messages. One per session."""

    def __init__(self, session: int, rate: int, control_hz: float) -> None:
        self.session, self.rate, self.control_hz = session, rate, control_hz
        self.asked: tuple[float, str] | None = None
        self._sentences: deque[_Sentence] = deque()
        self._open: deque[_Sentence] = deque()
        self._count = 0
        self._place: np.ndarray | None = None
        self._halted = False

    def tell(self, flow: Flow, latched: bool = False) -> list[Message]:
        """All messages of a flow but its pictures, in order. `latched`: the stop button is down, so an arm that is told
        to move does not, and nothing is said of that."""
        out: list[Message] = []
        ends: list[Message] = []
        for event in flow.events:
            if event.kind is Kind.SPEECH_STARTED:
                out += self._begin(event)
            elif event.kind in (Kind.SPEECH_STOPPED, Kind.SPEECH_CUT):
                ends += self._end(event)
            elif not (latched and self._still(event)):
                out += self._event(event)
        out += self._sound(flow) + ends
        out.append(self._pulse(flow))
        if flow.tick is not None:
            out.append(self._tick(flow))
        return out

    def _still(self, event: Event) -> bool:
        """Whether an event is about an arm that was told to move and stands all the same."""
        was, self._halted = self._halted, event.kind is Kind.ACTION_HALTED or self._halted
        return event.kind is Kind.ACTION_RESUMED or (event.kind is Kind.ACTION_HALTED and was)

    def _begin(self, event: Event) -> list[Message]:
        self._count += 1
        start = round(event.t * self.rate)
        length = round(float(event.data.get("seconds", 0.0)) * self.rate)
        sentence = _Sentence(f"resp_{self.session}_{self._count}", event.text, start, start + length)
        self._sentences.append(sentence)
        self._open.append(sentence)
        about: dict[str, Any] = {"response_id": sentence.name, "item_id": sentence.name.replace("resp", "item")}
        response = {"id": sentence.name, "object": "realtime.response", "status": "in_progress"}
        words = event.data.get("words", [])
        return [
            message("response.created", event.t, response=response),
            message("response.audio_transcript.delta", event.t, **about, delta=event.text, words=words),
        ]

    def _sound(self, flow: Flow) -> list[Message]:
        """The part of each sounding sentence that this flow holds."""
        out, first = [], round(flow.voice_t * self.rate)
        for sentence in self._sentences:
            a, b = max(sentence.start, first), min(sentence.end, first + len(flow.voice))
            if a < b:
                delta = pcm16(flow.voice[a - first : b - first])
                about: dict[str, Any] = {"response_id": sentence.name, "sample": a - sentence.start}
                out.append(message("response.audio.delta", a / self.rate, **about, delta=delta))
        while self._sentences and self._sentences[0].end <= first + len(flow.voice):
            done = self._sentences.popleft()
            out.append(message("response.audio.done", done.end / self.rate, response_id=done.name))
        return out

    def _end(self, event: Event) -> list[Message]:
        """A sentence was heard to its end, or cut: then the sound that was to come is not sent."""
        if not self._open:
            return []
        sentence, cut = self._open.popleft(), event.kind is Kind.SPEECH_CUT
        if cut:
            self._open.clear()
            self._sentences.clear()
        heard = event.text if cut else sentence.text
        response = {"id": sentence.name, "object": "realtime.response", "status": "cancelled" if cut else "completed"}
        about: dict[str, Any] = {"response_id": sentence.name, "transcript": sentence.text, "heard": heard}
        return [
            *([message("output_audio_buffer.cleared", event.t, response_id=sentence.name)] if cut else []),
            message("response.audio_transcript.done", event.t, **about),
            message("response.done", event.t, response={**response, "heard": heard}),
        ]

    def _event(self, event: Event) -> list[Message]:
        if event.kind is Kind.HEARD:
            name, item = "conversation.item.input_audio_transcription.completed", f"heard_{self.session}_{event.t:.3f}"
            return [message(name, event.t, item_id=item, content_index=0, transcript=event.text)]
        if event.kind is Kind.USER_TYPED:
            content = [{"type": "input_text", "text": event.text}]
            return [message("conversation.item.created", event.t, item={"role": "user", "content": content})]
        if event.kind is Kind.DEADLINE_MISSED:
            return [message("session.late", event.t, source=event.source, text=event.text)]
        if event.kind is Kind.FAULT:
            return [message("error", event.t, error={"type": "session", "code": "fault", "message": event.text})]
        if event.kind in (Kind.ACTION_HALTED, Kind.ACTION_RESUMED):
            self._halted = event.kind is Kind.ACTION_HALTED
        if event.kind in ACTIONS:
            fields = {"goal": event.text, "source": event.source, **self._why(event)}
            return [message(ACTIONS[event.kind], event.t, **fields)]
        return []

    def _why(self, event: Event) -> dict[str, Any]:
        """Who asked for a halt, and how long it took from there."""
        if event.kind is not Kind.ACTION_HALTED:
            return {}
        if event.text.startswith(WORD):
            return {"by": "reflex", "goal": "", "word": event.text.removeprefix(WORD)}
        if self.asked is None:
            return {"by": "agent"}
        (asked, by), self.asked = self.asked, None
        return {"by": by, "asked_t": round(asked, 4), "after_s": round(max(0.0, event.t - asked), 4)}

    def _pulse(self, flow: Flow) -> Message:
        """What the arm did since the last one, and how loud the voice is."""
        steps = [self._step(step) for step in flow.steps]
        voice = levels(flow.voice, self.rate)[:1]
        said = {"speaking": flow.playback.speaking, "queued_s": round(flow.playback.queued_s, 3)}
        return message("session.pulse", flow.t, loses=True, steps=steps, voice=voice, **said)

    def _step(self, step: Step) -> list[Any]:
        """[t, speed of the hand in m/s, 1 where the command was zero, 1 where it was halted]."""
        place = step.proprio[:3].astype(np.float64)
        speed = 0.0 if self._place is None else float(np.linalg.norm(place - self._place)) * self.control_hz
        self._place = place
        return [round(step.t, 3), round(speed, 4), int(not step.action[:6].any()), int(step.halted)]

    def _tick(self, flow: Flow) -> Message:
        assert flow.tick is not None
        assert flow.heard is not None
        tick = flow.tick
        late = round(max(0.0, tick.begun - tick.t), 4)
        took = round(tick.delivered - tick.begun, 4)
        return message("session.tick", tick.t, late_s=late, step_s=took, mic=levels(flow.heard, HEARING_RATE))
