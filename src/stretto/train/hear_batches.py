"""Sessions as token batches for hearing: what is fed back is not always what should have been heard.

A model that runs freely makes mistakes that no transcript has: it is late, early, wrong, leaves words out, adds some.
So each visit to a session draws such a history, and the target of every ask is what is right *given that history*: the
next token that is due and has not been heard yet, else nothing (a dynamic oracle: Goldberg & Nivre 2012). A token that
was heard early is not due again; one that is late stays due for some ticks, then the next one is. Now and then the
session is another one, which nobody spoke.

    tick     4      5          6       7
    due             The        cat             sat
    history         (late)     The     cat     cat?→dog
    target          The        The     cat     sat

The tensors are those that think/plan.py and `gather` would make of the streams of hearing (a test compares), written in
one loop because they are drawn anew at every visit.

Needs: shards (data/hearing_shards.py). Does not know the network.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable, check_shares
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.data.hearing_shards import Label, Shard
from stretto.listen.encoders.settled import Settled
from stretto.think.cursor import RANKS
from stretto.think.layout import TEXT, Layout
from stretto.think.tokens import Tokens
from stretto.train.unspoken import Timed, Unspoken


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`features` (batch, ticks * embeddings, width); `targets` (batch, asks), -1 for padding; `words`: per session of
    the features [word, start, end]; `written` (batch, asks): the frame behind the last word that is written.
    `unspoken` (batch,): where tokens are those of other words, told by `chances` (batch, frames, sounds) alone.
    """

    features: Tensor
    tokens: Tokens
    targets: Tensor
    words: Sequence[Sequence[Any]]
    written: Tensor
    unspoken: Tensor
    chances: Tensor | None


class Sessions:
    """All sessions of some shards, in memory as levels; a shard that is named twice is visited twice in an epoch.

    Raises StrettoError for shards that do not belong together.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        once = list(dict.fromkeys(paths))
        shards = [Shard.load(path) for path in once]
        if not shards:
            raise StrettoError("Expected at least one shard of heard sessions, got none.")
        kinds = [{k: fact for k, fact in shard.facts.items() if k not in ("corpora", "clear")} for shard in shards]
        if any(kind != kinds[0] for kind in kinds):
            raise StrettoError(f"Shards of different kinds: {', '.join(path.name for path in paths)}. Make them anew.")
        self.facts = kinds[0]
        self.scales = [shard.scale for shard in shards for _ in shard.labels]
        self.codes = np.concatenate([shard.codes for shard in shards])
        self.labels: list[list[Label]] = [list(some) for shard in shards for some in shard.labels]
        self.words = [some for shard in shards for some in shard.words]
        self.voiced = [number for number, said in enumerate(self.words) if said]
        """Sessions in which somebody speaks."""
        of_shard = np.repeat(np.arange(len(once)), [len(shard.labels) for shard in shards])
        often = np.array([paths.count(path) for path in once])
        self.visits = np.repeat(np.arange(len(of_shard)), often[of_shard])
        """The sessions of an epoch."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ticks(self) -> int:
        """Ticks of a session."""
        return int(self.codes.shape[1])

    @property
    def width(self) -> int:
        """Numbers of a feature."""
        return len(self.scales[0].scale)

    def tokens(self) -> np.ndarray:
        """All tokens that are heard in them, as often as they are."""
        return np.array([token for some in self.labels for _, token in some], np.int64)

    def features(self, rows: Sequence[int]) -> Tensor:
        """(sessions, ticks, embeddings, width)."""
        return torch.from_numpy(np.stack([self.scales[row].unpack(self.codes[row]) for row in rows]))


@dataclass(frozen=True)
class Asks:
    """One session as it is asked: a row an ask (tick, nth, id, text, number, open, ordinal, stored, target, written);
    per tick the number of its first pass, the text position and how many tokens were heard before it."""

    rows: np.ndarray
    ticks: np.ndarray


PATIENCE = 4
"""Ticks after which a word that has not been heard is not due any more."""


class Batches(Configurable):
    """Draws batches: which sessions, with which history."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`size` sessions a batch, `parts` batches a step. Shares of what is fed back: `late`, `wrong` (another token),
        `missed` (a word that is never heard), `early` (of ticks before a token is due), `extra` (a token that is
        nowhere, of silent asks), `dropped` (the slot shows its marker instead). `clean`: share of sessions with none of
        it. `unspoken`: share of sessions that nobody spoke, where sounds are read (train/unspoken.py).
        """

        size: int = 4
        parts: int = 1
        late: float = 0.2
        wrong: float = 0.08
        missed: float = 0.04
        early: float = 0.08
        extra: float = 0.004
        dropped: float = 0.1
        clean: float = 0.2
        unspoken: float = 0.5
        seed: int = 0

        def __post_init__(self) -> None:
            check_shares(self, "late", "wrong", "missed", "early", "extra", "dropped", "clean", "unspoken")

    def __init__(
        self,
        config: Config,
        layout: Layout,
        sessions: Sessions,
        system: Sequence[int] = (),
        frames: Settled | None = None,
        unspoken: Unspoken | None = None,
    ) -> None:
        """`frames`: where the sounds of a word are read, if any. `unspoken` draws sessions that nobody spoke."""
        self.config, self.layout, self.sessions = config, layout, sessions
        heard = layout["heard"]
        self.expert = heard.expert
        self.system = list(system)
        sees = layout["heard"].sees
        self.names = tuple(s.name for s in layout.streams if s.expert == self.expert and s.name in sees)
        self.shown = "system" in sees and layout["system"].expert == self.expert and bool(self.system)
        self.marker, self.nothing, self.close = (layout.token("heard", k) for k in ("marker", "nothing", "close"))
        self.on_text = heard.counter == TEXT
        pool = sessions.tokens()
        self.pool = pool[pool != self.close]
        self.spelled = layout.vocabularies[heard.predicts].table.spelled
        self.frames, self.unspoken = frames, unspoken

    def __call__(self, *index: int | str) -> Batch:
        """The batch of that index. An epoch makes all visits once."""
        c = self.config
        step, part = (int(each) if isinstance(each, int) else 0 for each in (*index, 0)[:2])
        rng = generator(c.seed, "hear", *index)
        first = (step * c.parts + part) * c.size
        return self.of([self._drawn(first + place) for place in range(c.size)], rng)

    def _drawn(self, visit: int) -> int:
        """Sessions in a drawn order, epoch after epoch."""
        epoch, place = divmod(visit, len(self.sessions.visits))
        return int(self.sessions.visits[_order(self.config.seed, epoch, len(self.sessions.visits))[place]])

    def of(self, numbers: Sequence[int], rng: np.random.Generator | None) -> Batch:
        """These sessions; without a generator as they should be heard."""
        told = [self._told(rng) for _ in numbers]
        words = [self.sessions.words[number] for number in numbers]
        labels = [some[0] if some else self.sessions.labels[at] for at, some in zip(numbers, told, strict=True)]
        ends = [self._ends(now, some[1] if some else said) for now, some, said in zip(labels, told, words, strict=True)]
        asks = [self.asks(now, self.sessions.ticks, rng, some) for now, some in zip(labels, ends, strict=True)]
        chances = [some[2] for some in told if some]
        return Batch(
            features=self.sessions.features(numbers).flatten(1, 2),
            tokens=self._tokens(asks),
            targets=_padded([some.rows[:, 8] for some in asks], -1),
            words=words,
            written=_padded([some.rows[:, 9] for some in asks], 0),
            unspoken=torch.tensor([some is not None for some in told]),
            chances=torch.stack([some[2] if some else 0 * chances[0] for some in told]) if chances else None,
        )

    def _told(self, rng: np.random.Generator | None) -> tuple[list[Label], list[Timed], Tensor] | None:
        """A session that nobody spoke, now and then."""
        if rng is None or self.unspoken is None or rng.random() >= self.config.unspoken:
            return None
        return self.unspoken(rng)

    def _ends(self, labels: Sequence[Label], words: Sequence[Any]) -> list[int]:
        """For every label of a session the frame behind its sounds; -1 for what has none."""
        return ends_of(labels, words, self.spelled, self.frames) if self.frames else []

    def asks(
        self, labels: Sequence[Label], ticks: int, rng: np.random.Generator | None, ends: Sequence[int] = ()
    ) -> Asks:
        """One session under one history. `ends`: the frame behind the sounds of each label."""
        c = self.config
        written = 0
        noisy = rng is not None and rng.random() >= c.clean
        luck = rng.random((2 * ticks, 3)) if rng is not None and noisy else np.ones((2 * ticks, 3))
        left = self._left_out(labels, rng) if rng is not None and noisy else [False] * len(labels)
        rows: list[tuple[int, ...]] = []
        begins: list[tuple[int, int, int]] = []
        number, text, heard, pending, at = int(bool(self.system)), len(self.system), 0, -1, 0
        for tick in range(ticks):
            begins.append((number, text, heard))
            while at < len(labels) and labels[at][0] + PATIENCE <= tick and labels[at][1] != self.close:
                at += 1
            for nth in range(self.layout["heard"].most(tick)):
                due = at < len(labels) and labels[at][0] <= tick
                target = labels[at][1] if due else self.nothing
                u, v, w = luck[2 * tick + nth] if nth < 2 else (1.0, 1.0, 1.0)
                before = at
                if due and left[at]:
                    said = self.nothing
                else:
                    said, at = self._history(labels, at, tick, target, u, w, rng)
                shown = self.marker if pending < 0 or v < c.dropped else pending
                opened = int(pending >= 0 or not self.on_text)
                spoke = said != self.nothing
                rows.append((tick, nth, shown, text, number, opened, heard, int(spoke), target, written))
                if spoke and at > before and ends:
                    written = max(written, ends[before])
                number += 1
                if not spoke:
                    break
                heard, text = heard + 1, text + int(self.on_text)
                pending = -1 if said == self.close else said
                if said == self.close:
                    break
        return Asks(rows=np.array(rows, np.int64), ticks=np.array(begins, np.int64))

    def _left_out(self, labels: Sequence[Label], rng: np.random.Generator) -> list[bool]:
        """Which labels nothing is said for, whole words."""
        found: list[bool] = []
        for _, token in labels:
            begins = not found or token >= len(self.spelled) or not self.spelled[token][:1].isalnum()
            found.append(bool(rng.random() < self.config.missed) if begins else found[-1])
        return [one and token != self.close for one, (_, token) in zip(found, labels, strict=True)]

    def _history(
        self, labels: Sequence[Label], at: int, tick: int, target: int, u: float, w: float,
        rng: np.random.Generator | None,
    ) -> tuple[int, int]:  # fmt: skip
        """What is fed back at an ask, and the next label after it."""
        c = self.config
        if target == self.nothing:
            if at < len(labels) and labels[at][0] == tick + 1 and u < c.early:
                return labels[at][1], at + 1
            if u > 1 - c.extra and u < 1 and rng is not None:
                return int(self.pool[int(w * len(self.pool))]), at
            return target, at
        if u < c.late:
            return self.nothing, at
        if u < c.late + c.wrong and target != self.close:
            return int(self.pool[int(w * len(self.pool))]), at + 1
        return target, at + 1

    def _tokens(self, asks: Sequence[Asks]) -> Tokens:
        """Tensors of the streams of hearing, in the layout's order."""
        parts = []
        for place in self.layout.order(self.expert):
            name = self.layout.streams[place].name
            if name == "heard":
                parts.append(self._heard(place, asks))
            elif name == "speech":
                parts.append(self._speech(place, asks))
            elif name == "system" and self.shown:
                parts.append(self._system(place, len(asks)))
        return Tokens.cat(parts)

    def _heard(self, place: int, asks: Sequence[Asks]) -> Tokens:
        tick, nth, token, text, number, opened, ordinal, stored, _ = (
            _padded([some.rows[:, column] for some in asks], 0) for column in range(9)
        )
        valid = _padded([some.rows[:, 8] for some in asks], -1) >= 0
        speech = (tick + 1) * self.layout["speech"].tokens * valid
        steps = self.layout.steps
        return self._made(
            place, nth, token, text, (tick * steps + steps - 1) * valid, tick, number, opened, stored, valid,
            heard=ordinal, speech=speech,
        )  # fmt: skip

    def _speech(self, place: int, asks: Sequence[Asks]) -> Tokens:
        each, steps = self.layout["speech"].tokens, self.layout.steps
        number, text, heard = (
            torch.from_numpy(np.stack([some.ticks[:, column] for some in asks])).repeat_interleave(each, 1)
            for column in range(3)
        )
        tick = torch.arange(self.sessions.ticks if not asks else len(asks[0].ticks)).repeat_interleave(each)
        nth = torch.arange(each).repeat(len(tick) // each)
        yes = torch.ones_like(number)
        return self._made(
            place, nth * yes, -yes, text, tick * steps + nth.clamp(max=steps - 1) * yes, tick * yes, number, yes, yes,
            yes > 0, heard=heard, speech=torch.arange(len(tick)) * yes,
        )  # fmt: skip

    def _system(self, place: int, batch: int) -> Tokens:
        count = len(self.system)
        row, yes = torch.arange(count).expand(batch, -1), torch.ones(batch, count, dtype=torch.int64)
        ids = torch.tensor(self.system).expand(batch, -1)
        steps = self.layout.steps
        return self._made(
            place, row, ids, row, yes * (steps - 1), 0 * yes, 0 * yes, yes, yes, yes > 0, heard=0 * yes, speech=0 * yes,
            system=row,
        )  # fmt: skip

    def _made(
        self, place: int, nth: Tensor, token: Tensor, text: Tensor, time: Tensor, tick: Tensor, number: Tensor,
        opened: Tensor, stored: Tensor, valid: Tensor, heard: Tensor, speech: Tensor, system: Tensor | None = None,
    ) -> Tokens:  # fmt: skip
        """One stream's tensors; `heard`, `speech`, `system`: how many of each stood before."""
        index = self.layout.index
        counts = torch.zeros(*nth.shape, len(self.layout.streams), dtype=torch.int64)
        counts[..., index["heard"]], counts[..., index["speech"]] = heard, speech
        if "system" in index:
            counts[..., index["system"]] = len(self.system) * valid if system is None else system
        return Tokens(
            stream=torch.full((nth.shape[1],), place),
            index=nth.contiguous(),
            id=token,
            at=torch.stack([text.expand_as(nth), time], dim=-1),
            tick=tick,
            number=number,
            rank=(place * RANKS + nth) * valid,
            counts=counts,
            ordinal=counts[..., place],
            open=opened > 0,
            stored=stored > 0,
            valid=valid,
            source=torch.where(valid, torch.arange(nth.shape[1]).expand_as(nth), -1),
        )


def ends_of(labels: Sequence[Label], words: Sequence[Any], spelled: Sequence[bytes], frames: Settled) -> list[int]:
    """For every label the frame behind its sounds, a share of its word where a word has several; -1 for what has none,
    and for all where the labels are not these words'.
    """
    groups: list[list[int]] = []
    for place, (_, token) in enumerate(labels):
        raw = spelled[token] if token < len(spelled) else b""
        if raw[:1] == b" ":
            groups.append([place])
        elif groups and raw[:1].isalnum() | (raw[:1] == b"'"):
            groups[-1].append(place)
    ends = [-1] * len(labels)
    if len(groups) != len(words):
        return ends
    for places, (_, start, end) in zip(groups, words, strict=True):
        first, count = frames.span(start, end)
        letters = np.cumsum([len(spelled[labels[place][1]].strip()) for place in places])
        for place, share in zip(places, letters / letters[-1], strict=True):
            ends[place] = first + round(count * share)
    return ends


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(seed, "epoch", epoch).permutation(count)


def _padded(rows: Sequence[np.ndarray], fill: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.from_numpy(np.stack([np.pad(row, (0, longest - len(row)), constant_values=fill) for row in rows]))
