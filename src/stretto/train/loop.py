"""The training loop of every stage: AdamW, a schedule, averaged weights, checkpoints, and progress with the time left.

    loop = Loop.Config(steps=20_000).build(stage, folder, device, say)
    finished = loop.run(minutes=150)          # again, and it goes on where it stood

Everything random follows from (seed, step), and all state is written with its bits: a training that was killed and
resumed has the loss curve of one that was not (a test holds it). The averaged weights (Polyak; decay ramped up in the
first steps) are those that are validated, sampled and shipped. Files in `folder`: `state.safetensors`, `metrics.jsonl`,
`training.html` with the curves, `samples/`.

Does not know what is trained (train/stage.py).
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stretto.core.clock import Stopwatch
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.rng import derive
from stretto.train.device import Device
from stretto.train.page import write_page
from stretto.train.schedule import Schedule
from stretto.train.stage import Stage
from stretto.train.state import read_state, write_state

AHEAD = 12
"""Batches that threads prepare beside a GPU."""

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of a weight."""


class Loop(Configurable):
    """Trains a stage up to a number of steps, in as many runs as it takes."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`accumulate`: parts of a step whose gradients are summed, `together` of them at once, each in a thread of its
        own: small networks gain little from threads inside their products. `ema`: decay of the averaged weights.
        `log`, `validate`, `sample`: every so many steps, 0 is never. `save_s`: seconds between checkpoints.
        """

        steps: int = 20_000
        lr: float = 4e-4
        decay: float = 0.02
        clip: float = 1.0
        accumulate: int = 1
        together: int = 1
        ema: float = 0.9995
        schedule: Schedule.Config = field(default_factory=Schedule.Config)
        seed: int = 0
        log: int = 20
        validate: int = 500
        sample: int = 0
        save_s: float = 180.0

    def __init__(
        self, config: Config, stage: Stage, folder: Path, device: Device, say: Callable[[str], None] = print
    ) -> None:
        self.config, self.stage, self.folder, self.device, self.say = config, stage, folder, device, say
        self.schedule: Schedule = config.schedule.build()
        self.weights = dict(stage.parameters())
        self.began = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.averaged = {name: weight.clone() for name, weight in self.began.items()}
        matrices = [weight for weight in self.weights.values() if weight.dim() > 1]
        others = [weight for weight in self.weights.values() if weight.dim() < 2]
        groups = [{"params": matrices, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), fused=True)
        self.step = 0
        self._pool = ThreadPoolExecutor(AHEAD) if device.name != "cpu" else None
        self._parts = ThreadPoolExecutor(config.together, initializer=lambda: torch.set_num_threads(1))
        self._coming: dict[tuple[int, int], Future] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self, minutes: float | None = None, until: int | None = None) -> bool:
        """Train until step `until` (default: the last) or for `minutes`; whether that step was reached."""
        end = min(self.config.steps, self.config.steps if until is None else until)
        watch, saved, first = Stopwatch(), Stopwatch(), self.step
        sums: dict[str, float] = {}
        told = self.step
        while self.step < end:
            if minutes is not None and watch.seconds() > 60 * minutes:
                break
            for name, value in self._one().items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            if self.config.log and self.step % self.config.log == 0:
                rate = (self.step - first) / watch.seconds()
                means = {name: value / (self.step - told) for name, value in sums.items()}
                self._log("train", means)
                self._tell(means, rate, end)
                sums, told = {}, self.step
            self._look()
            if saved.seconds() > self.config.save_s:
                self.save()
                saved = Stopwatch()
        self.save()
        return self.step >= end

    def _one(self) -> dict[str, float]:
        """One step of the optimizer."""
        c, terms = self.config, dict[str, float]()
        run = self._parts.map if c.together > 1 else map
        parts = list(run(self._part, range(c.accumulate)))
        for told, _ in parts:
            for name, value in told.items():
                terms[name] = terms.get(name, 0.0) + float(value) / c.accumulate
        for place, weight in enumerate(self.weights.values()):
            some = [grad for _, grads in parts if (grad := grads[place]) is not None]
            weight.grad = functools.reduce(torch.add, some) if some else None
        norm = torch.nn.utils.clip_grad_norm_(list(self.weights.values()), c.clip)
        if not torch.isfinite(norm):
            raise StrettoError(
                f"The gradient of step {self.step} is not finite (loss terms {terms}). The last checkpoint is kept; "
                f"lower the learning rate ({c.lr}) and go on."
            )
        lr = c.lr * self.schedule(self.step, c.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(c.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.averaged.values()), list(self.weights.values()), 1 - keep)
        return {**terms, "grad": float(norm), "lr": lr}

    def _part(self, part: int) -> tuple[dict[str, Tensor], tuple[Tensor | None, ...]]:
        """One part of a step: what its loss tells, and the gradients of all weights."""
        generator = torch.Generator(self.device.name).manual_seed(derive(self.config.seed, "step", self.step, part))
        batch = self._batch(part)
        with self.device.products():
            loss, told = self.stage.loss(batch, generator)
        grads = torch.autograd.grad(loss / self.config.accumulate, list(self.weights.values()), allow_unused=True)
        return {"loss": loss.detach(), **told}, grads

    def _batch(self, part: int) -> Any:
        """The batch of this step; beside a GPU, threads make those of the next steps meanwhile."""
        if self._pool is None:
            return self.stage.batch(self.step, part)
        parts = self.config.accumulate
        for number in range(self.step * parts + part, self.step * parts + part + AHEAD):
            index = divmod(number, parts)
            if index not in self._coming:
                self._coming[index] = self._pool.submit(self.stage.batch, *index)
        return self._coming.pop((self.step, part)).result()

    @contextmanager
    def average(self, blend: float = 0.0, of: tuple[str, ...] = ("",)) -> Iterator[None]:
        """Inside, the stage has the averaged weights, those whose names begin as in `of` with a share of `blend` of
        what training began with."""
        kept = {name: weight.detach().clone() for name, weight in self.weights.items()}
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self.averaged[name].lerp(self.began[name], blend * name.startswith(of)))
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in self.weights.items():
                    weight.copy_(kept[name])

    def save(self) -> Path:
        """Write the whole state, and the page."""
        tensors: dict[str, Tensor] = {}
        for name, weight in self.weights.items():
            state = self.optimizer.state.get(weight, {})
            tensors[f"weight/{name}"], tensors[f"averaged/{name}"] = weight.detach(), self.averaged[name]
            tensors |= {f"{key}/{name}": state[key] for key in MOMENTS if key in state}
        path = write_state(self.folder / "state.safetensors", tensors, {"step": self.step})
        write_page(self.folder)
        return path

    @torch.no_grad()
    def _resume(self) -> None:
        """Go on from the folder's state, if there is one. Raises StrettoError when it is of other weights."""
        found = read_state(self.folder / "state.safetensors")
        if found is None:
            return
        tensors, facts = found
        wrong = {f"weight/{n}" for n in self.weights} ^ {n for n in tensors if n.startswith("weight/")}
        if wrong or any(tensors[f"weight/{n}"].shape != w.shape for n, w in self.weights.items()):
            raise StrettoError(
                f"The training state in {self.folder} is of another network (for instance {sorted(wrong)[:2]}). "
                f"Choose another folder, or delete state.safetensors to begin anew."
            )
        self.step = int(facts["step"])
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"weight/{name}"])
            self.averaged[name].copy_(tensors[f"averaged/{name}"])
            if f"exp_avg/{name}" in tensors:
                self.optimizer.state[weight] = {
                    "step": torch.tensor(float(self.step), device=weight.device),
                    # laid out in memory like the weight: the fused optimizer walks through both side by side
                    **{key: torch.empty_like(weight).copy_(tensors[f"{key}/{name}"]) for key in MOMENTS},
                }
        self._forget_later()
        self.say(f"going on at step {self.step}")

    def _forget_later(self) -> None:
        """Take out of the metrics what a killed run had logged after its last checkpoint."""
        path = self.folder / "metrics.jsonl"
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= self.step]
            path.write_text("".join(f"{line}\n" for line in lines))

    def _look(self) -> None:
        """Validation and a sample when they are due, with the averaged weights."""
        c = self.config
        for name, every, look in (
            ("held", c.validate, lambda: self.stage.validate()),
            ("sample", c.sample, lambda: self.stage.sample(self.step, self.folder / "samples")),
        ):
            if every and self.step % every == 0:
                with self.average(), torch.no_grad():
                    found = look()
                if found:
                    self._log(name, found)
                    self.say(f"step {self.step} {name}: " + _listed(found))

    def _log(self, kind: str, numbers: Mapping[str, float]) -> None:
        row: dict[str, Any] = {"step": self.step, "kind": kind, **{k: round(float(v), 6) for k, v in numbers.items()}}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _tell(self, means: Mapping[str, float], rate: float, end: int) -> None:
        shown = {name: value for name, value in means.items() if name != "lr"}
        left = (end - self.step) / max(rate, 1e-9) / 60
        self.say(f"step {self.step} of {end}, {rate:.2f} steps/s, {left:.0f} min left: {_listed(shown)}")


def checked_blend(blend: float, begin: str) -> None:
    """Raises StrettoError when weights cannot be blended so with those of a checkpoint to begin with."""
    if not 0 <= blend < 1 or (blend and not begin):
        raise StrettoError(
            f"Expected blend of at least 0 and below 1, and above 0 only with a checkpoint to begin with, got {blend} "
            f"and begin '{begin}'."
        )


def _listed(numbers: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in numbers.items())
