"""The tick as data: which tokens of which stream stand where, how often, on which expert, seen by whom, kept how long.

A session is a row of ticks, a tick is one or more *passes* through the backbone. A stream is **fed** (sound, pictures,
typed text: its tokens come from outside) or it is a **slot** (heard, say, act: one query a pass, which predicts the
stream's next token or that there is nothing). A slot's input is the stream's own last token, asked again in every tick
until something follows it, and only then stored. So silence costs no position and leaves no trace, and text streamed
through the layout is to the language model the very text it was trained on:

    tick   1        2          3          4           5
    in     <say>    <say>      The        cat         cat
    out    <silence> The       cat        <silence>   sat        stored so far: <say> The cat

Positions run on two counters. Text counts its own tokens, step 1; everything else counts time, `steps` a tick. A
query meets text at distances in text and the rest at distances in time, so neither disturbs the other.

Retention: a key is visible iff its age is at most `keep`: in ticks for streams on time, in later tokens of its own
stream for streams on text (so an instruction stays, however long nothing is said); `PINNED` is for ever. Masks in
training and rings in life follow the same rule (think/visibility.py).

Source: ELLSA's time blocks (techniques: End-to-end Listen, Look, Speak and Act), made finer than a second. No torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown

PINNED = 1 << 40
"""`keep` of what is never forgotten."""

TEXT, TIME = 0, 1
"""The two position counters."""

PERIOD = 16
"""Ticks after which the embedding of the tick's number repeats."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One modality in the layout.

    `counter`: TEXT or TIME. `sees`: names of streams whose keys its tokens may read. `tokens`: at most so many a tick.
    `every`: at most every so many ticks. `keep`: retention. `mutual`: tokens of one pass see each other both ways.

    Slots only: `predicts` a vocabulary; `marker` stands in the slot while nothing is open; `nothing` is predicted when
    there is nothing to add; `close` ends an utterance; `fresh`: the slot begins at its marker in every tick. `once`: in
    every so many-th tick at most one token (0: never), so that a tick that carries pictures does not also carry a
    second pass.
    `head`: an action head that reads the states of this stream.

    `repeats`: a slot on another expert. What it says in a tick is fed into this stream in the next one by itself, so
    that this stream's expert reads it as plain text; `lead` and `tail` are tokens before and after each utterance.
    """

    name: str
    expert: str
    counter: int
    sees: tuple[str, ...]
    tokens: int
    keep: int = 0
    every: int = 1
    mutual: bool = False
    predicts: str = ""
    marker: str = ""
    nothing: str = ""
    close: str = ""
    fresh: bool = False
    once: int = 0
    head: str = ""
    repeats: str = ""
    lead: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()

    @property
    def is_slot(self) -> bool:
        """Whether the stream's tokens are the agent's own."""
        return bool(self.predicts)

    def most(self, tick: int) -> int:
        """Tokens that it holds in that tick, at most."""
        return 1 if self.once and tick % self.once == 0 else self.tokens

    def spread(self, tokens: Sequence[int], tick: int) -> list[Sequence[int]]:
        """The tokens as ticks hold them, from that one on: as many in each as it may."""
        parts: list[Sequence[int]] = []
        while tokens:
            most = self.most(tick + len(parts))
            parts.append(tokens[:most])
            tokens = tokens[most:]
        return parts

    @property
    def has_ids(self) -> bool:
        """Whether its tokens come as numbers of a vocabulary (otherwise as embeddings)."""
        return self.is_slot or self.counter == TEXT

    @property
    def capacity(self) -> int:
        """Tokens a ring must hold in the worst case: what may be visible at once, and what a pass writes."""
        if self.keep >= PINNED:
            return self.tokens
        if self.counter == TEXT:
            return self.keep + (1 if self.is_slot else self.tokens)
        return -(-(self.keep + 1) // self.every) * self.tokens


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """What must be known of a language model's tokenizer: its size, the numbers of some tokens by name, and the bytes
    of every token (none of a special one; nothing is spelled where none are given).

    The default stands in where no tokenizer is at hand: for `debug` sizes and for printing.
    """

    size: int = 61
    ids: Mapping[str, int] = field(default_factory=lambda: {"<|im_start|>": 1, "<|im_end|>": 2, "user": 3, "<line>": 4})
    spelled: tuple[bytes, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A table of tokens of one expert: those of `table` (a tokenizer's), if any, then our own `names`.

    `borrows`: the vocabulary of another expert whose embeddings it uses for the tokenizer's part.
    """

    expert: str
    names: tuple[str, ...]
    table: TextTable = field(default_factory=lambda: TextTable(size=0, ids={}))
    borrows: str = ""

    @property
    def size(self) -> int:
        """Tokens in all."""
        return self.table.size + len(self.names)

    def id(self, name: str) -> int:
        """The number of a token by name. Raises StrettoError with the nearest name."""
        if name in self.table.ids:
            return self.table.ids[name]
        if name not in self.names:
            raise unknown("special token", name, (*self.names, *self.table.ids))
        return self.table.size + self.names.index(name)


class Layout(Configurable):
    """A checked set of streams. Presets (think/layouts/) derive from it and hand their streams to the constructor.

    Raises StrettoError for a layout that cannot work: two streams of one name, a stream that sees an unknown one, a
    slot that predicts what it never shows, a vocabulary of another expert.
    """

    def __init__(
        self,
        *,
        name: str,
        tick_s: float,
        steps: int,
        streams: tuple[Stream, ...],
        vocabularies: Mapping[str, Vocabulary],
    ) -> None:
        self.name, self.tick_s, self.steps = name, tick_s, steps
        self.streams, self.vocabularies = streams, dict(vocabularies)
        self._check()

    @cached_property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, in the order of their first stream."""
        return tuple(dict.fromkeys(stream.expert for stream in self.streams))

    @cached_property
    def slots(self) -> tuple[Stream, ...]:
        """The streams that the agent writes."""
        return tuple(stream for stream in self.streams if stream.is_slot)

    def order(self, expert: str) -> list[int]:
        """Places of an expert's streams as its tokens lie side by side: those on text first, then those on time."""
        places = [place for place, stream in enumerate(self.streams) if stream.expert == expert]
        return sorted(places, key=lambda place: self.streams[place].counter)

    def __getitem__(self, name: str) -> Stream:
        """The stream of that name. Raises StrettoError with the nearest name."""
        if name not in self.index:
            raise unknown(f"stream of layout '{self.name}'", name, self.index)
        return self.streams[self.index[name]]

    @cached_property
    def index(self) -> dict[str, int]:
        """Name -> place in the pass."""
        return {stream.name: place for place, stream in enumerate(self.streams)}

    def behind(self, names: Iterable[str]) -> list[bool]:
        """Of each stream whether its rows follow from those of `names`: it is one, or sees one that does."""
        found: set[str] = set()
        more = set(names)
        while more - found:
            found |= more
            more = {stream.name for stream in self.streams if found & {*stream.sees}}
        return [stream.name in found for stream in self.streams]

    def token(self, stream: str, kind: str) -> int:
        """The number of a stream's `marker`, `nothing` or `close` token in its vocabulary, or -1 where it has none."""
        name = getattr(self[stream], kind)
        return self.vocabularies[self[stream].predicts].id(name) if name else -1

    def signature(self) -> dict[str, object]:
        """What a checkpoint must agree with, as plain data."""
        return {
            "name": self.name,
            "tick_s": self.tick_s,
            "steps": self.steps,
            "streams": [_plain(stream) for stream in self.streams],
            "vocabularies": {k: [v.expert, v.table.size, list(v.names)] for k, v in self.vocabularies.items()},
        }

    def _check(self) -> None:
        names = [stream.name for stream in self.streams]
        if len(set(names)) < len(names):
            raise StrettoError(f"Layout '{self.name}' names a stream twice: {', '.join(names)}.")
        for stream in self.streams:
            for seen in stream.sees:
                if seen not in names:
                    raise unknown(f"stream that '{stream.name}' sees in layout '{self.name}'", seen, names)
            self._check_stream(stream)

    def _check_stream(self, stream: Stream) -> None:
        where = f"stream '{stream.name}' of layout '{self.name}'"
        if stream.counter not in (TEXT, TIME) or stream.every < 1 or stream.keep < 0:
            raise StrettoError(f"Expected counter TEXT or TIME, every >= 1 and keep >= 0 in {where}, got {stream}.")
        if stream.once < 0 or (stream.once and not stream.is_slot):
            raise StrettoError(f"Expected once >= 0, and 0 for what is no slot, in {where}, got {stream.once}.")
        if stream.tokens < 1:
            what = f"predicts '{stream.predicts}' but never shows it: " if stream.is_slot else "has no place: "
            raise StrettoError(f"The {where} {what}tokens is {stream.tokens}. Give it at least one token a tick.")
        if stream.name not in stream.sees:
            raise StrettoError(f"The {where} does not see itself. Add '{stream.name}' to its `sees`.")
        if stream.repeats:
            self._check_repeating(stream, where)
        if not stream.is_slot:
            return
        if stream.predicts not in self.vocabularies:
            raise unknown(f"vocabulary that {where} predicts", stream.predicts, self.vocabularies)
        vocabulary = self.vocabularies[stream.predicts]
        if vocabulary.expert != stream.expert:
            raise StrettoError(
                f"The {where} stands on expert '{stream.expert}' but predicts '{stream.predicts}', "
                f"a vocabulary of expert '{vocabulary.expert}'."
            )
        if not stream.marker:
            raise StrettoError(f"The {where} predicts '{stream.predicts}' but has no marker to ask with.")
        for kind in ("marker", "nothing", "close"):
            self.token(stream.name, kind)

    def _check_repeating(self, stream: Stream, where: str) -> None:
        repeated = self[stream.repeats]
        most = repeated.tokens + len(stream.lead) + len(stream.tail)
        if not repeated.is_slot or stream.is_slot or stream.counter != TEXT or stream.tokens < most:
            raise StrettoError(
                f"The {where} repeats '{stream.repeats}': expected a fed stream on TEXT of at least {most} tokens that "
                f"repeats a slot, got counter {stream.counter} and {stream.tokens} tokens."
            )
        for name in (*stream.lead, *stream.tail):
            self.vocabularies["text"].id(name)


def _plain(stream: Stream) -> dict[str, object]:
    """A stream as plain data; what only some streams have is left out of the others."""
    fields = {name: getattr(stream, name) for name in stream.__dataclass_fields__}
    if not stream.repeats:
        fields = {name: value for name, value in fields.items() if name not in ("repeats", "lead", "tail")}
    if not stream.once:
        fields.pop("once")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
