"""Shards from worker processes: each shard follows from its number, is written whole, and is not made twice.

A run may end at any moment; the next one makes what is missing. With one worker everything happens in this process.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stretto.core.clock import Stopwatch
from stretto.core.rng import derive, generator
from stretto.train.acting.contexts import Shard
from stretto.train.workers import done


@dataclass(frozen=True, kw_only=True)
class Order:
    """One shard to be made: episodes `first` to `first + count` into `path`; `driver` is the checkpoint that drives,
    "" for the expert; `shares`: how often each task comes."""

    path: Path
    first: int
    count: int
    seed: int = 0
    driver: str = ""
    shares: tuple[float, ...] = field(default=(0.1,) * 10)

    @property
    def told(self) -> Path:
        """Where the outcome of the episodes is told."""
        return self.path.with_suffix(".json")


def make(orders: Sequence[Order], workers: int, say: Callable[[str], None], minutes: float | None = None) -> bool:
    """Make the shards that are missing; False when `minutes` were over before all were there."""
    left = [order for order in orders if not order.told.is_file()]
    watch, made = Stopwatch(), 0
    for order in done(fulfil, left, workers, lambda: minutes is None or watch.seconds() < 60 * minutes):
        made += 1
        rest = watch.seconds() / made * (len(left) - made) / 60
        outcome = json.loads(order.told.read_text())
        good = sum(outcome["reached"]) / max(1, len(outcome["reached"]))
        say(
            f"{order.path.name}: {outcome['contexts']} contexts of {order.count} episodes, {100 * good:.0f} % reached "
            f"their goal; {len(left) - made} shards and {rest:.0f} min left"
        )
    return made == len(left)


_kept: dict[str, Any] = {}
"""What this process keeps from shard to shard: a recorder, or the driver of one checkpoint."""


def fulfil(order: Order) -> Order:
    """Make one shard."""
    shard = Shard()
    outcome: dict[str, list[int]] = {"task": [], "reached": [], "helped": []}
    for number in range(order.first, order.first + order.count):
        rng = generator(order.seed, "order", order.driver and "drive", number)
        task = int(rng.choice(10, p=order.shares))
        reached, helped = _episode(order, shard, number, task)
        for name, value in (("task", task), ("reached", bool(reached)), ("helped", bool(helped))):
            outcome[name].append(value)
    shard.write(order.path)
    order.told.write_text(json.dumps({"contexts": len(shard), **outcome}))
    return order


def _episode(order: Order, shard: Shard, number: int, task: int) -> tuple[bool, bool]:
    if not order.driver:
        if "recorder" not in _kept:
            from stretto.train.acting.record import Recorder

            _kept["recorder"] = Recorder.Config().build()
        return _kept["recorder"].record(shard, order.seed, number, task), True
    if _kept.get("name") != order.driver:
        from stretto.agents.checkpoint import from_pretrained
        from stretto.train.acting.drive import Driving

        if "driving" in _kept:
            _kept.pop("driving").close()
        _kept["driving"] = Driving.Config(seed=derive(order.seed, "driver") % 2**31).build(
            from_pretrained(order.driver)
        )
        _kept["name"] = order.driver
    return _kept["driving"].drive(shard, number, task)


def successes(orders: Sequence[Order]) -> tuple[list[int], list[int]]:
    """Per task: sessions that the policy drove alone, and how many of them reached their goal."""
    runs, reached = [0] * 10, [0] * 10
    for order in orders:
        outcome = json.loads(order.told.read_text())
        for task, good, helped in zip(outcome["task"], outcome["reached"], outcome["helped"], strict=True):
            if not helped:
                runs[task] += 1
                reached[task] += good
    return runs, reached
