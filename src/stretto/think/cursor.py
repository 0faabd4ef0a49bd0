"""Where a session stands in its layout: what a tick brings becomes passes, and what the slots say the next one.

The same cursor drives a live session (the model answers its slots) and writes the plan of an episode (the labels do),
so what is trained is what is run. State is explicit and immutable; a session is forked by keeping its cursor.

    cursor, rows = cursor.begin(ids of the system prompt)            # once, a pass without slots
    cursor, rows = cursor.tick({"speech": 2, "image": 32, ...})        # the first pass of a tick
    cursor, stored, rows = cursor.settle({"heard": [7], "say": ...})   # what its slots said; () when the tick is over
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stretto.core.errors import StrettoError
from stretto.think.layout import PINNED, TEXT, Layout, Stream


class Row(NamedTuple):
    """One token of a pass.

    `stream`: its place in the layout; `nth`: which token of its stream in this tick; `id`: in its vocabulary, or -1
    for an embedding from outside; `text`, `time`: both position counters; `number`: of the pass, within the session;
    `rank`: order within the pass; `open`: whether others may see it before it is stored; `counts`: per stream, how many
    of its tokens were stored before this one.
    """

    stream: int
    nth: int
    id: int
    text: int
    time: int
    tick: int
    number: int
    rank: int
    open: bool
    counts: tuple[int, ...]


Rows = tuple[Row, ...]
RANKS = 1 << 16
"""Most tokens of one stream in a pass."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What a slot holds: its last token (-1: its marker) and how many tokens it has said in this tick."""

    pending: int = -1
    said: int = 0


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A session's place: tick, passes so far, text positions so far, slots; `rows`: the pass that is under way."""

    layout: Layout
    now: int = -1
    passes: int = 0
    text: int = 0
    counts: tuple[int, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict)
    rows: Rows = ()
    waiting: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What streams that repeat a slot are fed in the next tick."""

    @classmethod
    def start(cls, layout: Layout, tick: int = 0, text: int = 0) -> "Cursor":
        """A session whose first tick is number `tick`, and whose first text position is `text`."""
        slots = {slot.name: Slot() for slot in layout.slots}
        return cls(layout=layout, now=tick - 1, text=text, counts=(0,) * len(layout.streams), slots=slots)

    def begin(self, system: Sequence[int]) -> tuple["Cursor", Rows]:
        """The pass that feeds the system prompt. Raises StrettoError when it is longer than the layout allows."""
        return self._feed({"system": list(system)}, tick=self.now + 1, asked=())

    def tick(self, content: Mapping[str, int | Sequence[int]]) -> tuple["Cursor", Rows]:
        """The first pass of the next tick. `content`: fed stream -> how many embeddings, or which ids; slots are asked
        by themselves. Raises StrettoError for a stream that the layout does not have or too many tokens.
        """
        if self.rows:
            raise StrettoError("The pass under way has not been settled: call settle() first.")
        slots = {
            slot.name: Slot(pending=-1 if slot.fresh else self.slots[slot.name].pending) for slot in self.layout.slots
        }
        for name in content:
            if self.layout[name].repeats:
                raise StrettoError(f"Stream '{name}' repeats '{self.layout[name].repeats}' by itself: feed nothing in.")
        later = replace(self, now=self.now + 1, slots=slots, waiting={})
        return later._feed({**content, **self.waiting}, tick=later.now, asked=self.layout.slots)

    def settle(self, said: Mapping[str, int]) -> tuple["Cursor", list[bool], Rows]:
        """What each asked slot said (its `nothing` token included): (cursor, which rows are stored, the next pass).

        The next pass asks the slots that said something and may say more; it is () when the tick is over. Raises
        StrettoError when an asked slot has no answer.
        """
        self._answered(said)
        slots, counts, waiting = dict(self.slots), list(self.counts), dict(self.waiting)
        going, stored, text = [], [], False
        for row in self.rows:
            stream = self.layout.streams[row.stream]
            if not stream.is_slot:
                stored.append(True)
                continue
            token = said[stream.name]
            spoke = token != self.layout.token(stream.name, "nothing")
            stored.append(spoke)
            if not spoke:
                continue
            counts[row.stream] += 1
            closed = token == self.layout.token(stream.name, "close")
            count = slots[stream.name].said + 1
            self._repeat(stream.name, token, waiting)
            slots[stream.name] = Slot(pending=-1 if closed else token, said=count)
            text = text or stream.counter == TEXT
            if count < stream.most(self.now) and not closed:
                going.append(stream)
        after = replace(self, slots=slots, counts=tuple(counts), text=self.text + text, rows=(), waiting=waiting)
        if not going:
            return after, stored, ()
        after, rows = after._feed({}, tick=self.now, asked=tuple(going))
        return after, stored, rows

    def _repeat(self, slot: str, token: int, waiting: dict[str, tuple[int, ...]]) -> None:
        """Put what a slot said where the streams wait that repeat it. `lead` comes with the first token."""
        for stream in self.layout.streams:
            if stream.repeats != slot:
                continue
            text = self.layout.vocabularies["text"]
            closed = token == self.layout.token(slot, "close")
            began = self.slots[slot].pending < 0
            if not (closed and began):
                lead = stream.lead if began else ()
                said = tuple(text.id(name) for name in stream.tail) if closed else (token,)
                waiting[stream.name] = (*waiting.get(stream.name, ()), *(text.id(name) for name in lead), *said)

    def _feed(
        self, content: Mapping[str, int | Sequence[int]], tick: int, asked: tuple[Stream, ...]
    ) -> tuple["Cursor", Rows]:
        rows: list[Row] = []
        text, counts = self.text, list(self.counts)
        steps = self.layout.steps
        for name in content:
            if self.layout[name].is_slot:
                raise StrettoError(f"Stream '{name}' is a slot: what it says goes to settle(), not into a tick.")
        for place, stream in enumerate(self.layout.streams):
            if stream.is_slot:
                if stream not in asked:
                    continue
                slot = self.slots[stream.name]
                ids = [self.layout.token(stream.name, "marker") if slot.pending < 0 else slot.pending]
                first, is_open = slot.said, slot.pending >= 0 or stream.counter != TEXT
            else:
                given = content.get(stream.name, 0)
                ids = [-1] * given if isinstance(given, int) else list(given)
                first, is_open = 0, True
                self._check(stream, ids, tick, counts[place])
            for index, token in enumerate(ids, start=first):
                time = tick * steps + (min(index, steps - 1) if stream.name == "speech" else steps - 1)
                rank = place * RANKS + (0 if stream.mutual else index)
                rows.append(Row(place, index, token, text, time, tick, self.passes, rank, is_open, tuple(counts)))
                if not stream.is_slot:
                    counts[place] += 1
                    text += stream.counter == TEXT
        after = replace(self, text=text, counts=tuple(counts), passes=self.passes + 1)
        return replace(after, rows=tuple(rows) if asked else ()), tuple(rows)

    def _answered(self, said: Mapping[str, int]) -> None:
        asked = [self.layout.streams[row.stream].name for row in self.rows if self.layout.streams[row.stream].is_slot]
        if not set(asked) <= set(said):
            raise StrettoError(
                f"Tick {self.now} asked {', '.join(asked)}, got answers for {', '.join(said) or 'none'}. A slot that "
                f"adds nothing says its `nothing` token."
            )

    def _check(self, stream: Stream, ids: list[int], tick: int, before: int) -> None:
        if len(ids) > stream.tokens:
            raise StrettoError(
                f"Stream '{stream.name}' of layout '{self.layout.name}' holds at most {stream.tokens} tokens a tick, "
                f"got {len(ids)} in tick {tick}."
            )
        if stream.keep >= PINNED and before + len(ids) > stream.tokens:
            raise StrettoError(
                f"Stream '{stream.name}' of layout '{self.layout.name}' is kept for ever and holds {stream.tokens} "
                f"tokens in all, got {len(ids)} more after {before}."
            )
        if ids and tick % stream.every:
            raise StrettoError(f"Stream '{stream.name}' comes every {stream.every} ticks, not in tick {tick}.")
        if ids and stream.counter == TEXT and min(ids) < 0:
            raise StrettoError(f"Stream '{stream.name}' is text: give token numbers, not a count (tick {tick}).")
