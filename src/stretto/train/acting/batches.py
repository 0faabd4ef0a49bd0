"""Batches of contexts under phrases: which contexts, in whose words, with how much of the chunk already committed.

A batch follows from (seed, step) alone, so a training that was cut goes on with the very batches it would have had.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.rng import generator
from stretto.think.layout import PERIOD
from stretto.think.tokens import Tokens
from stretto.train.acting.contexts import COMMITTED, KINDS, NO_TASK, Contexts
from stretto.train.acting.phrases import PhraseBook

ROUNDS = KINDS.index("policy")
GRIPPER = 6
"""Its number in an action."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`move` (batch, 2): the act slot's labels; `said` (batch, 2): what stands in the slot when it is asked (0 its
    marker, 1 halt, 2 move)."""

    pictures: Tensor
    proprio: Tensor
    target: Tensor
    prefix: Tensor
    move: Tensor
    said: Tensor
    places: Tensor
    keys: Tensor
    values: Tensor
    visible: Tensor
    tokens: Tokens


class Batches(Configurable):
    """Draws batches from contexts and a book of phrases."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`usual`: the prefix of a live session, drawn in half of the contexts, the others' evenly from 0 on.

        `earlier`: share of contexts in which an earlier instruction stands before the one that holds, when there was
        one; a third of that when there was none. `halves`: share in which the instruction is still being said.
        `corrected`: weight of contexts in which a policy drove, `rested` of those in which the arm stood until now, as
        every session begins. `gripped`: share of contexts whose committed actions say anything of the gripper, so that
        the fingers are looked at. `need`: weights of the ten tasks, none is even.
        """

        size: int = 32
        seed: int = 0
        usual: int = 4
        earlier: float = 0.5
        halves: float = 0.03
        corrected: float = 2.0
        rested: float = 5.0
        gripped: float = 0.3
        need: tuple[float, ...] = ()

    def __init__(self, config: Config, contexts: Contexts, book: PhraseBook, rows: np.ndarray) -> None:
        self.config, self.contexts, self.book, self.rows = config, contexts, book, rows
        self.shares = np.cumsum(self._weights())

    def _weights(self) -> np.ndarray:
        """Every task the same weight, times its need; contexts of a policy more, those without a task a twentieth."""
        rows, c = self.contexts.rows, self.config
        task, kind = rows["task"][self.rows], rows["kind"][self.rows]
        weight = np.where(kind == ROUNDS, c.corrected, 1.0)
        stood = ~rows["done"][self.rows, 0].any(-1) & (rows["move"][self.rows, 0] == 1)
        weight = np.where(stood, np.maximum(weight, c.rested), weight)
        for name in np.unique(task):
            here = task == name
            share = 0.5 if name == NO_TASK else c.need[name] if c.need else 1.0
            weight[here] *= share / weight[here].sum()
        return weight / weight.sum()

    def __call__(self, *index: int | str, size: int = 0) -> Batch:
        """The batch of that index, on the CPU."""
        rng = generator(self.config.seed, "batch", *index)
        drawn = np.searchsorted(self.shares, rng.random(size or self.config.size)).clip(max=len(self.rows) - 1)
        return self.of(self.rows[drawn], rng)

    def of(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        """These contexts, the rest drawn."""
        c, some = self.config, {name: values[rows] for name, values in self.contexts.rows.items()}
        phrases, silent = self._phrases(some, rng)
        label = some["label"].astype(np.float32)
        move = some["move"].astype(np.int64)
        label[silent], move[silent] = 0.0, 0
        prefix = self._prefixes(some["least"], rng)
        committed = np.arange(label.shape[1])[None] < prefix[:, None]
        done = np.pad(some["done"].astype(np.float32), ((0, 0), (0, label.shape[1] - COMMITTED), (0, 0)))
        anything = rng.random(len(rows)) < c.gripped
        done[anything, :, GRIPPER] = rng.integers(-1, 2, (int(anything.sum()), 1))
        target = np.where(committed[..., None], done, label)
        keys, values, visible, tokens = self.book.pick(phrases)
        return Batch(
            pictures=torch.from_numpy(np.stack([self.contexts.pictures(int(row)) for row in rows])),
            proprio=torch.from_numpy(some["proprio"]),
            target=torch.from_numpy(target),
            prefix=torch.from_numpy(prefix),
            move=torch.from_numpy(move),
            said=torch.from_numpy(rng.choice(3, (len(rows), 2), p=(0.1, 0.45, 0.45))),
            places=torch.from_numpy(some["places"].astype(np.float32)),
            keys=keys,
            values=values,
            visible=visible,
            tokens=_later(tokens, rng),
        )

    def _phrases(self, some: Mapping[str, np.ndarray], rng: np.random.Generator) -> tuple[list[int], np.ndarray]:
        """A phrase for each context, and where nothing is to be done yet because it is only half said."""
        c, chosen, silent = self.config, [], np.zeros(len(some["task"]), bool)
        for number, (task, before) in enumerate(zip(some["task"].tolist(), some["before"].tolist(), strict=True)):
            half = rng.random() < (0.3 if task == NO_TASK else c.halves)
            if half and self.book.halves:
                chosen.append(int(rng.choice(self.book.halves)))
                silent[number] = True
                continue
            if before == NO_TASK and rng.random() < c.earlier / 3:
                before = int(rng.integers(10))
            elif before != NO_TASK and rng.random() > c.earlier:
                before = NO_TASK
            chosen.append(int(rng.choice(self.book.group(task, before))))
        return chosen, silent

    def _prefixes(self, least: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        usual = rng.random(len(least)) < 0.5
        drawn = np.where(usual, self.config.usual, rng.integers(0, COMMITTED + 1, len(least)))
        return np.maximum(drawn, least).astype(np.int64)


def _later(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """The same tokens at a random time of a session: the number of the tick counts modulo PERIOD. Odd times too, so
    that a chunk may come in every tick."""
    shift = torch.from_numpy(rng.integers(0, PERIOD, len(tokens.tick)))
    tokens.tick.add_(shift[:, None])
    return tokens
