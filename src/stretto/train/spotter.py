"""Recipe "spotter": makes the reflex's keyword spotter anew, for its own list of words or another, in 40 minutes.

    stretto train spotter                                      as the one of the package
    stretto train spotter --set words=stop,wait,halt           another list
    stretto train spotter --size debug --out out/try           seconds, to see that it runs

Training speakers speak utterances (train/spotter_text.py), which are heard several times in ever other surroundings
(train/spotter_data.py); the network learns them by cross-entropy a step and by the best step of each word. It begins
with a speech embedding that knows real speech (listen/spotter/embedding.py), which rests for the first tenth, while
what stands over it learns, and then learns with it. The threshold is the lowest at which the development voice's clean
speech gives at most two false alarms an hour. Every part goes on where it was cut. Writes weights.onnx, spotter.json
(what was measured) and spotter.html.

Needs: torch, the embedding's package, the training and development voices. Hardware: two cores.
"""

import copy
import functools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.begun import same_settings
from stretto.core.clock import CpuWatch, Stopwatch
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.rng import derive, generator
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_wide import COMMANDS
from stretto.listen.spotter.embedding import pretrained
from stretto.listen.spotter.features import BANDS, PER_STEP, SILENCE, STEP_S
from stretto.listen.spotter.network import SpotterNetwork, to_onnx
from stretto.train import spotter_score
from stretto.train.spotter_data import Heard, heard, load, save, speak
from stretto.train.workers import done

Say = Callable[[str], None]
SHARD = 100
"""Utterances of a file."""
RESTS = 0.1
"""Share of the training in which the embedding stays as it came."""
WARM = 24
"""Steps at the beginning of a crop from inside an utterance that are not judged: they lack a past."""
ENGINES = 2
"""Speech engines that run at once."""


class SpotterTraining(Configurable):
    """`SpotterTraining.Config(minutes=10).build().run(Path("out/spotter"), print)`."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`words`: the list, with commas. `minutes` of the optimiser alone, of each of `threads` cores; `utterances`
        are spoken, each is heard `passes` times. `steps` (40 ms) in a crop, `batch` crops at once. `rate` of the
        learning, `deep` of the embedding's. `dev_hours` of clean development speech.
        """

        words: str = ",".join(COMMANDS)
        minutes: float = 28.0
        threads: int = 2
        utterances: int = 1_600
        passes: int = 3
        width: int = 96
        batch: int = 24
        steps: int = 80
        rate: float = 1.5e-3
        deep: float = 5e-4
        dev_hours: float = 0.5
        seed: int = 0

        def __post_init__(self) -> None:
            listed = [word.strip() for word in self.words.split(",")]
            if not all(listed) or len(set(listed)) < len(listed) or listed != self.words.lower().split(","):
                raise StrettoError(
                    f"Expected words in lower case, with commas between them and no spaces, each once: '{self.words}'."
                )
            if min(self.minutes, self.utterances, self.passes, self.width, self.batch, self.dev_hours) <= 0:
                raise StrettoError("Expected minutes, utterances, passes, width, batch and dev_hours above 0.")
            if self.threads < 1 or self.batch % self.threads:
                raise StrettoError(f"Expected threads that divide a batch of {self.batch}, got {self.threads}.")

        @classmethod
        def tiny(cls) -> "SpotterTraining.Config":
            """Seconds: one word, a handful of utterances."""
            return cls(
                words="stop", minutes=0.02, threads=1, utterances=4, passes=1, width=16, batch=4, steps=60,
                dev_hours=0.002,
            )  # fmt: skip

    def __init__(self, config: Config) -> None:
        self.config = config
        self.words = tuple(config.words.split(","))

    def run(self, out: Path, say: Say = lambda text: None) -> Path:
        """Everything; returns the path of the weights. Raises StrettoError when `out` was begun with other settings."""
        out.mkdir(parents=True, exist_ok=True)
        settings = {name: value for name, value in vars(self.config).items() if name != "minutes"}
        same_settings(out / "settings.json", settings, f"'{out}'")
        cache = self.speech(out, say)
        shards = self.render(out, cache, say)
        network = self.train(out, shards, say)
        say("measuring on the development voice ...")
        used = CpuWatch()
        weights = to_onnx(network, out / "weights.onnx", {"words": self.config.words, "threshold": "0.5"})
        report = spotter_score.measure(weights, self.words, out, self.config.dev_hours, self.config.seed)
        told = {"words": self.config.words, "threshold": f"{report['threshold']:.4f}"}
        to_onnx(network, weights, told)
        _spend(out, used.seconds())
        report["minutes"] = round(_spent(out) / 60, 2)
        spotter_score.write(report, out)
        say(f"wrote {weights}, {out / 'spotter.json'} and {out / 'spotter.html'} after {report['minutes']} minutes")
        return weights

    def speech(self, out: Path, say: Say) -> SpeechCache:
        """All utterances, spoken once."""
        cache = SpeechCache(out / "speech")
        if (out / "shards" / "0-0.npz").exists() and len(list((out / "shards").glob("*.npz"))) == self._shards():
            return cache
        watch = CpuWatch()
        with ThreadPoolExecutor(ENGINES) as pool:
            jobs = pool.map(lambda number: speak(number, cache, self.words, self.config.seed), range(self._count()))
            for _ in _shown(range(self._count()), "spoken", say):
                next(jobs)
                _spend(out, watch.seconds() / min(ENGINES, self.config.threads))
                watch = CpuWatch()
        return cache

    def _count(self) -> int:
        return self.config.utterances

    def _shards(self) -> int:
        return -(-self.config.utterances // SHARD) * self.config.passes

    def render(self, out: Path, cache: SpeechCache, say: Say) -> list[Path]:
        """Features of all utterances in all their surroundings, in files of `SHARD`."""
        folder, config = out / "shards", self.config
        folder.mkdir(exist_ok=True)
        jobs = [(again, begin) for again in range(config.passes) for begin in range(0, config.utterances, SHARD)]
        files = [folder / f"{again}-{begin}.npz" for again, begin in jobs]
        left = [(job, file) for job, file in zip(jobs, files, strict=True) if not file.exists()]
        made = done(_render, [(job, file, cache.root, self.words, config) for job, file in left], config.threads)
        for _ in _shown(left, "heard", say):
            _spend(out, next(made) / config.threads)
        return files

    def train(self, out: Path, shards: list[Path], say: Say) -> SpotterNetwork:
        """The network after `minutes`, its weights averaged over the last steps. Saves itself every half minute."""
        torch.set_num_threads(1)
        torch.manual_seed(derive(self.config.seed, "spotter weights") % 2**31)
        data = [each for shard in shards for each in load(shard)]
        network = SpotterNetwork.Config(words=len(self.words), width=self.config.width).build()
        network.embedding = pretrained()
        learner = _Learner(network, self.config)
        learner.resume(out / "training.pt")
        say(f"training on {sum(len(each.labels.steps) for each in data) * STEP_S / 3600:.1f} h of sound")
        watch, used = Stopwatch(), CpuWatch()
        while learner.left() > 0:
            loss = learner.step(data)
            if watch.seconds() > 30 or learner.left() <= 0:
                learner.save(out / "training.pt")
                _spend(out, used.seconds() / self.config.threads)
                say(f"{learner.steps} steps, loss {loss:.4f}, {learner.left() / 60:.1f} min left")
                watch, used = Stopwatch(), CpuWatch()
        return learner.average.eval()


def _render(job: tuple[tuple[int, int], Path, Path, tuple[str, ...], SpotterTraining.Config]) -> float:
    """Make one file; the seconds of processor time that it took."""
    (again, begin), file, root, words, config = job
    watch, cache = CpuWatch(), SpeechCache(root)
    numbers = range(begin, min(begin + SHARD, config.utterances))
    save([heard(each, again, cache, words, config.utterances, config.seed) for each in numbers], file)
    return watch.seconds()


def _twin(network: SpotterNetwork) -> SpotterNetwork:
    """A network with the same weights, the very tensors, and statistics of its own."""
    twin = copy.deepcopy(network)
    for ours, theirs in zip(twin.modules(), network.modules(), strict=True):
        ours._parameters.update(theirs._parameters)
    return twin


class _Learner:
    """The network, its average, the optimiser and the seconds it has had. Each thread has a part of the batch."""

    def __init__(self, network: SpotterNetwork, config: SpotterTraining.Config) -> None:
        self.network, self.config = network, config
        self.average = SpotterNetwork.Config(words=network.config.words, width=config.width).build()
        self.average.load_state_dict(network.state_dict())
        self.deep = list(network.embedding.parameters())
        shallow = [weight for name, weight in network.named_parameters() if not name.startswith("embedding.")]
        groups = [{"params": shallow, "base": config.rate}, {"params": self.deep, "base": config.deep}]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=1e-3, fused=True)
        self.twins = [network, *(_twin(network) for _ in range(config.threads - 1))]
        self.pool = ThreadPoolExecutor(config.threads, initializer=lambda: torch.set_num_threads(1))
        self.spent, self.steps = 0.0, 0
        self.losses: list[float] = []

    def left(self) -> float:
        """Seconds of training that are left."""
        return self.config.minutes * 60 - self.spent

    def step(self, data: list[Heard]) -> float:
        """One batch; returns the mean loss of the last fifty."""
        watch = CpuWatch()
        share = min(1.0, self.spent / (self.config.minutes * 60))
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * min(1.0, (self.steps + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * share))
        for weight in self.deep:
            weight.requires_grad_(share >= RESTS)
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        parts = list(self.pool.map(lambda part: self._part(data, part, weights), range(self.config.threads)))
        self.optimiser.zero_grad()
        for weight, *grads in zip(weights, *(grads for _, grads in parts), strict=True):
            weight.grad = functools.reduce(torch.add, grads)
        loss = sum(float(each) for each, _ in parts)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1
        keep = min(0.995, 1 - 1 / self.steps)
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.data.lerp_(now.data, 1 - keep)
            for kept, fresh in zip(self.average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(fresh)
        self.losses = [*self.losses[-49:], loss]
        self.spent += watch.seconds() / self.config.threads
        return float(np.mean(self.losses))

    def _part(self, data: list[Heard], part: int, weights: list[nn.Parameter]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss of a part of the batch, and its gradients."""
        config, network = self.config, self.twins[part]
        size = config.batch // config.threads
        source = generator(config.seed, "spotter batch", self.steps, part)
        batch = crops(data, replace(config, batch=size, threads=1), source, len(self._words()))
        logits, _ = network(batch.features, network.start(size))
        loss = objective(logits, batch) / config.threads
        return loss.detach(), torch.autograd.grad(loss, weights)

    def _words(self) -> list[str]:
        return self.config.words.split(",")

    def save(self, path: Path) -> None:
        """Writes all of it, in one step."""
        state = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        more = {"optimiser": self.optimiser.state_dict(), "spent": self.spent, "steps": self.steps}
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        torch.save({**state, **more}, beside)
        os.replace(beside, path)

    def resume(self, path: Path) -> None:
        """Goes on from what was saved, if something was."""
        if not path.exists():
            return
        saved = torch.load(path, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.spent, self.steps = float(saved["spent"]), int(saved["steps"])


@dataclass(frozen=True)
class Batch:
    """Crops: features, labels (1, 0, -1), and of each word in them (crop, word, first step, last step)."""

    features: Float[Tensor, "batch windows 32"]
    labels: Float[Tensor, "batch steps words"]
    goals: list[tuple[int, int, int, int]]


def crops(data: list[Heard], config: SpotterTraining.Config, source: np.random.Generator, words: int) -> Batch:
    """A batch of crops from random places; what is too short is filled up with silence that is not judged."""
    features = np.full((config.batch, config.steps * PER_STEP, BANDS), SILENCE, np.float32)
    labels = np.full((config.batch, config.steps, words), -1, np.int8)
    goals = []
    for row, index in enumerate(source.integers(len(data), size=config.batch)):
        one = data[int(index)]
        size = len(one.labels.steps)
        start = int(source.integers(max(1, size - config.steps + 1)))
        end = min(size, start + config.steps)
        some = one.features[start * PER_STEP : end * PER_STEP].astype(np.float32)
        features[row, : len(some)] = _varied(some, source)
        labels[row, : end - start] = one.labels.steps[start:end]
        warm = WARM if start else 0
        inside = [goal for goal in one.labels.ends if start + warm <= goal[1] and goal[2] < end]
        goals += [(row, word, first - start, last - start) for word, first, last in inside]
        labels[row, :warm] = -1
    return Batch(torch.from_numpy(features), torch.from_numpy(labels.astype(np.float32)), goals)


def _varied(features: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Louder or softer; a band higher or lower, as of a smaller or taller speaker; half of the time some bands flat."""
    shift = int(source.integers(-1, 2))
    if shift:
        features = np.roll(features, shift, axis=1)
        features[:, 0 if shift > 0 else -1] = features[:, 1 if shift > 0 else -2]
    features = features + float(source.uniform(-0.5, 0.5))
    if source.random() < 0.5:
        band, width = int(source.integers(BANDS)), int(source.integers(1, 6))
        features[:, band : band + width] = features.mean()
    return features


def objective(logits: Float[Tensor, "batch steps words"], batch: Batch) -> Float[Tensor, ""]:
    """Cross-entropy of the judged steps, and of the best step of each word of the list."""
    judged = (batch.labels >= 0).float()
    target = batch.labels.clamp(min=0)
    each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss = 4 * (each * judged).sum() / max(1.0, float(judged.sum()) / logits.shape[2])
    if batch.goals:
        best = torch.stack([logits[row, first : last + 1, word].max() for row, word, first, last in batch.goals])
        loss = loss + nn.functional.softplus(-best).mean()
    return loss


def _shown(items: list | range, what: str, say: Say) -> Iterator:
    """The items; every half minute what is done and how long the rest takes."""
    watch, last = Stopwatch(), 0.0
    for index, item in enumerate(items):
        yield item
        now = watch.seconds()
        if now - last > 30 or index == len(items) - 1:
            last = now
            left = now / (index + 1) * (len(items) - index - 1)
            say(f"{what}: {index + 1} of {len(items)}, {left / 60:.1f} min left")


def _spent(out: Path) -> float:
    """Seconds that all runs into this folder have used, as processor time of each core that worked at once."""
    file = out / "spent_s"
    return float(file.read_text()) if file.exists() else 0.0


def _spend(out: Path, seconds: float) -> None:
    (out / "spent_s").write_text(f"{_spent(out) + seconds:.1f}")
