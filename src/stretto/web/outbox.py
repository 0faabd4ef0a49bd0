"""What waits to be sent to one client: bounded, numbered, in order.

Every message gets its number when it is put in. When a client reads too slowly the oldest picture or pulse is dropped,
which he sees as a gap in the numbers; nothing else is ever dropped, and one who does not read is shut out (`full`).
"""

import asyncio
import struct
from collections import deque

from stretto.web.speech import Message

PICTURES = 4
"""Pictures that may wait for one client."""
PULSES = 50
MOST_BYTES = 4 * 2**20


class Outbox:
    """Messages for one client, numbered from 1. Used from the event loop only."""

    def __init__(self) -> None:
        self.seq = self.dropped = self.bytes = 0
        self.full = asyncio.Event()
        self._waiting: deque[tuple[int, Message]] = deque()
        self._change = asyncio.Event()

    def put(self, message: Message) -> None:
        """Number a message and queue it."""
        if self.full.is_set():
            return
        self.seq += 1
        self._waiting.append((self.seq, message))
        self.bytes += _size(message)
        if message.loses:
            self._thin(bool(message.body))
        if self.bytes > MOST_BYTES:
            self.full.set()
        self._change.set()

    def _thin(self, pictures: bool) -> None:
        same = [place for place, (_, m) in enumerate(self._waiting) if m.loses and bool(m.body) == pictures]
        if len(same) > (PICTURES if pictures else PULSES):
            self.bytes -= _size(self._waiting[same[0]][1])
            del self._waiting[same[0]]
            self.dropped += 1

    async def next(self) -> str | bytes:
        """The next message as it is sent; waits for one."""
        while not self._waiting:
            self._change.clear()
            await self._change.wait()
        seq, message = self._waiting.popleft()
        self.bytes -= _size(message)
        head = f'{{"seq": {seq}, {message.head[1:]}'
        if not message.body:
            return head
        encoded = head.encode()
        return struct.pack("<I", len(encoded)) + encoded + message.body


def _size(message: Message) -> int:
    return len(message.head) + len(message.body)
