"""What a client may send: parsed and judged before anybody acts on it.

Each event is one JSON object in a text message with a `type`. A refusal is a `WireError`, which the client gets as an
`error` event: what was expected, what came, and the `event_id` of the message if it had one. All of it: docs/wire.md.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from stretto.core.errors import StrettoError, unknown

LARGEST = 256 * 1024
"""Characters of one message; about four seconds of sound at 24 kHz."""
LONGEST_LINE = 500
"""Characters of one typed line."""
RATES = (8_000, 48_000)
AHEAD_S = (0.1, 30.0)

IGNORED = ("response.create", "input_audio_buffer.commit", "conversation.item.truncate", "conversation.item.delete")
"""Events of turn-based clients that mean nothing to one that listens and speaks at once: taken without a word."""

TYPES = (
    "session.update",
    "session.claim",
    "session.leave",
    "session.reset",
    "session.ping",
    "input_audio_buffer.append",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "response.cancel",
    "output_audio_buffer.clear",
    "output_audio_buffer.played",
    "action.stop",
    "action.release",
    *IGNORED,
)


class WireError(StrettoError):
    """A message that was refused: `code` for programs, the text for people."""

    def __init__(self, code: str, text: str, event_id: str | None = None) -> None:
        super().__init__(text)
        self.code, self.event_id = code, event_id

    def fields(self) -> dict[str, Any]:
        """What the `error` event holds."""
        error = {"type": "invalid_request_error", "code": self.code, "message": str(self)}
        return {"error": {**error, **({"event_id": self.event_id} if self.event_id else {})}}


@dataclass(frozen=True)
class Asked:
    """A client's event: its type, its fields, its own number if it counts."""

    kind: str
    fields: dict[str, Any]
    seq: int | None = None
    event_id: str | None = None


def parse(text: str) -> Asked:
    """The event of a text message. Raises WireError."""
    if len(text) > LARGEST:
        raise WireError("message_too_large", f"A message has at most {LARGEST} characters, got {len(text)}.")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("invalid_json", f"Expected one JSON object, got {text[:60]!r}: {error}.") from error
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise WireError("invalid_event", f"Expected a JSON object with a 'type', got {text[:60]!r}.")
    event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
    if event["type"] not in TYPES:
        raise WireError("unknown_event", str(unknown("event type", event["type"][:80], TYPES)), event_id)
    seq = event.get("seq")
    if seq is not None and (not isinstance(seq, int) or isinstance(seq, bool)):
        raise WireError("invalid_event", f"'seq' is a whole number, got {seq!r}.", event_id)
    return Asked(event["type"], event, seq, event_id)


def sound(asked: Asked) -> bytes:
    """The PCM16 of an append. Raises WireError for what is not base64 or not whole samples."""
    text = asked.fields.get("audio")
    if not isinstance(text, str):
        raise WireError("invalid_audio", f"'audio' is base64 of PCM16, got {type(text).__name__}.", asked.event_id)
    try:
        pcm = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_audio", f"'audio' is not base64: {error}.", asked.event_id) from error
    if len(pcm) % 2:
        what = f"PCM16 has two bytes a sample, got {len(pcm)} bytes: the last sample is half."
        raise WireError("invalid_audio", what, asked.event_id)
    return pcm


def line(asked: Asked) -> str:
    """The text of a typed item. Raises WireError."""
    item = asked.fields.get("item")
    content = item.get("content") if isinstance(item, dict) else None
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [part["text"] for part in parts if part.get("type") == "input_text" and isinstance(part.get("text"), str)]
    text = " ".join(" ".join(texts).split())
    if not text:
        what = "Expected item.content with one {'type': 'input_text', 'text': …} that is not empty."
        raise WireError("invalid_item", what, asked.event_id)
    if len(text) > LONGEST_LINE:
        raise WireError(
            "invalid_item", f"A line has at most {LONGEST_LINE} characters, got {len(text)}.", asked.event_id
        )
    return text


def number(asked: Asked, name: str, low: float, high: float, where: dict[str, Any] | None = None) -> float:
    """A number field within its range. Raises WireError."""
    value = (asked.fields if where is None else where).get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not low <= float(value) <= high:  # type: ignore[arg-type]
        what = f"'{name}' is a number from {low:g} to {high:g}, got {value!r}."
        raise WireError("invalid_value", what[:300], asked.event_id)
    return float(value)  # type: ignore[arg-type]
