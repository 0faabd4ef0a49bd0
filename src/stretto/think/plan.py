"""An episode as a token plan: which tokens stand where, what is stored, and what every slot should say.

The plan is written by the cursor (think/cursor.py) that also drives a live session, with the labels in place of the
model's answers, so what is trained is what is run. `gather` (think/tokens.py) makes tensors of it:

    plan = write(layout, [TickPlan(content={"speech": 2}, said={"act": [move], "say": [ok]}), ...], system=ids)
    tokens = gather(layout, [plan.rows], [plan.stored])
    wanted = targets_of(layout, tokens, [plan.targets])

`printed` shows a plan to a person, a line a pass. No torch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from stretto.core.errors import StrettoError
from stretto.think.cursor import Cursor, Row, Rows
from stretto.think.layout import PINNED, TEXT, Layout, Stream

WORDS = ("open", "the", "drawer", "Okay")
"""What is heard and said in the sample, numbered from FIRST on."""

FIRST = 10


@dataclass(frozen=True, kw_only=True)
class TickPlan:
    """One tick of an episode. `content`: fed stream -> how many embeddings, or which ids; `said`: slot -> the tokens
    it adds in this tick, its `close` among them, its `nothing` left out.
    """

    content: Mapping[str, int | Sequence[int]] = field(default_factory=dict)
    said: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass: its rows, which of them later passes see, and per row what its slot should say (-1: nothing asked)."""

    rows: Rows
    stored: tuple[bool, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A session's passes."""

    passes: tuple[Pass, ...]

    @property
    def rows(self) -> Rows:
        """All rows, pass after pass."""
        return tuple(row for some in self.passes for row in some.rows)

    @property
    def stored(self) -> tuple[bool, ...]:
        """Per row: whether later passes see it."""
        return tuple(flag for some in self.passes for flag in some.stored)

    @property
    def targets(self) -> tuple[int, ...]:
        """Per row: the token that its slot should say, in the slot's vocabulary; -1 where no slot is asked."""
        return tuple(target for some in self.passes for target in some.targets)


def write(
    layout: Layout, ticks: Iterable[TickPlan], system: Sequence[int] = (), first_tick: int = 0, first_text: int = 0
) -> Plan:
    """The plan of a session that reads `system` and then goes through `ticks`.

    Raises StrettoError for streams that the layout does not have, too many tokens, tokens after the end of an
    utterance, and a slot that must answer in every pass but has no answer.
    """
    cursor = Cursor.start(layout, tick=first_tick, text=first_text)
    passes: list[Pass] = []
    if system:
        cursor, rows = cursor.begin(system)
        passes.append(Pass(rows=rows, stored=(True,) * len(rows), targets=(-1,) * len(rows)))
    for tick in ticks:
        cursor = _write_tick(layout, cursor, tick, passes)
    return Plan(passes=tuple(passes))


def _write_tick(layout: Layout, cursor: Cursor, tick: TickPlan, passes: list[Pass]) -> Cursor:
    left = {}
    for name, tokens in tick.said.items():
        if not layout[name].is_slot:
            raise StrettoError(f"Stream '{name}' of layout '{layout.name}' says nothing: give it as content.")
        left[name] = list(tokens)
    cursor, rows = cursor.tick(tick.content)
    while rows:
        answers: dict[str, int] = {}
        targets = []
        for row in rows:
            stream = layout.streams[row.stream]
            if stream.is_slot:
                answers[stream.name] = _answer(layout, stream, left.get(stream.name, []), cursor.now)
            targets.append(answers.get(stream.name, -1))
        asked = rows
        cursor, stored, rows = cursor.settle(answers)
        passes.append(Pass(rows=asked, stored=tuple(stored), targets=tuple(targets)))
    for name, tokens in left.items():
        if tokens:
            raise StrettoError(
                f"Slot '{name}' of layout '{layout.name}' was not asked for {len(tokens)} of the "
                f"{len(tick.said[name])} tokens it says in tick {cursor.now}: it says at most "
                f"{layout[name].most(cursor.now)} there, and none after the end of an utterance. Say the rest later."
            )
    return cursor


def _answer(layout: Layout, stream: Stream, left: list[int], tick: int) -> int:
    nothing = layout.token(stream.name, "nothing")
    if left:
        token = left.pop(0)
        if not 0 <= token < layout.vocabularies[stream.predicts].size or token == nothing:
            raise StrettoError(
                f"Slot '{stream.name}' cannot say token {token} in tick {tick}: its vocabulary '{stream.predicts}' has "
                f"{layout.vocabularies[stream.predicts].size} tokens, and silence is left out."
            )
        return token
    if nothing < 0:
        raise StrettoError(
            f"Slot '{stream.name}' of layout '{layout.name}' has no token for nothing: tick {tick} must say what it "
            f"says, up to its close token or {stream.tokens} tokens."
        )
    return nothing


# For a person


def printed(layout: Layout, plan: Plan, word: Callable[[int], str] = "#{}".format) -> str:
    """The plan as text, one line a pass. `word` names tokens of a language model that the layout has no name for.

    `+` marks what later passes see; a slot shows what stands in it and, behind the arrow, what it says.
    """
    lines = ["tick  pass    text    time  tokens"]
    for some in plan.passes:
        first = some.rows[0] if some.rows else None
        if first is None:
            continue
        text, time = (_span([row.text for row in some.rows]), _span([row.time for row in some.rows]))
        lines.append(f"{first.tick:4}  {first.number:4} {text:>7} {time:>7}  {' | '.join(_groups(layout, some, word))}")
    return "\n".join(lines)


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}-{high}"


def _groups(layout: Layout, some: Pass, word: Callable[[int], str]) -> list[str]:
    every = zip(some.rows, some.stored, some.targets, strict=True)
    groups = []
    for place, rows in groupby(every, key=lambda one: one[0].stream):
        stream, here = layout.streams[place], list(rows)
        name = stream.name + ("+" if here[0][1] else "")
        if stream.is_slot:
            row, _, target = here[0]
            groups.append(f"{name} {_token(layout, stream, row, word)} -> {_word(layout, stream, target, word)}")
        elif stream.has_ids:
            groups.append(" ".join([name, *(_token(layout, stream, row, word) for row, _, _ in here)]))
        else:
            groups.append(name + (f" ×{len(here)}" if len(here) > 1 else ""))
    return groups


def _token(layout: Layout, stream: Stream, row: Row, word: Callable[[int], str]) -> str:
    return _word(layout, stream, row.id, word)


def _word(layout: Layout, stream: Stream, token: int, word: Callable[[int], str]) -> str:
    """A token by name: of the layout's own, of those it knows of the language model, else by `word`."""
    vocabulary = layout.vocabularies[stream.predicts or "text"]
    if token >= vocabulary.table.size:
        return vocabulary.names[token - vocabulary.table.size]
    named = {number: name for name, number in vocabulary.table.ids.items()}
    return named.get(token) or word(token)


def table(layout: Layout) -> str:
    """The streams of a layout as a table."""
    rows = [("stream", "expert", "counter", "tokens", "every", "keep", "predicts", "sees")]
    for s in layout.streams:
        kept = "for ever" if s.keep >= PINNED else f"{s.keep} {'tokens' if s.counter == TEXT else 'ticks'}"
        sees = "all" if set(s.sees) == set(layout.index) else " ".join(s.sees)
        held = f"1-{s.tokens}" if s.once else str(s.tokens)
        counter = "text" if s.counter == TEXT else "time"
        rows.append((s.name, s.expert, counter, held, str(s.every), kept, s.predicts or "-", sees))
    width = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, width, strict=True)).rstrip() for row in rows)


def sample(layout: Layout) -> Plan:
    """Three ticks: an instruction is heard, where the layout has a transcript; a word is said; the arm acts."""
    open_, the, drawer, okay = range(FIRST, FIRST + len(WORDS))
    spoken = {"heard": ([open_], [the, drawer], []), "say": ([], [], [okay])}
    ticks = []
    for number in range(3):
        fed = [s for s in layout.streams if not s.is_slot and s.counter != TEXT and number % s.every == 0]
        said = {slot.name: spoken.get(slot.name, ((), (), ()))[number] for slot in layout.slots if slot.nothing}
        said |= {slot.name: _act(layout, slot) for slot in layout.slots if not slot.nothing}
        ticks.append(TickPlan(content={s.name: s.tokens for s in fed}, said=said))
    system = [layout.vocabularies["text"].id("<|im_start|>")] if "system" in layout.index else []
    return write(layout, ticks, system)


def _act(layout: Layout, slot: Stream) -> list[int]:
    """What a slot that is never silent says in the sample: the last token of its vocabulary, then its close."""
    last = layout.vocabularies[slot.predicts].size - 1
    return [last, layout.token(slot.name, "close")] if slot.close else [last] * slot.tokens


def page(layout: Layout) -> str:
    """What `stretto show layout NAME` adds to the settings: the streams, and the sample as it is trained and run."""
    named = dict(enumerate(WORDS, start=FIRST))
    plan = printed(layout, sample(layout), lambda token: named.get(token, f"#{token}"))
    return (
        f"Streams of a tick of {layout.tick_s} s, in their order:\n\n{table(layout)}\n\n"
        f"Three ticks, a line a pass (+ stays; a slot: what stands in it -> what it says):\n\n{plan}"
    )
