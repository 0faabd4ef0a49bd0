"""The stage `see_act`: the action expert learns to look and act under an instruction's keys and values.

The same modules in the same geometry as in the live agent, joined to what the language side would hold (phrases.py);
what is frozen is not computed. Three losses: the flow head's on the chunk behind its committed prefix, the act slot's
(`<move>` or `<halt>`), and, only while training, where things are, read from the image tokens (readout.py).

Logs `flow` and its parts, `act`, `places`. None of them predicts success: judge by rollouts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stretto.agents.network import Network
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.nn.attention import bias_of
from stretto.think.backbone import Sight
from stretto.think.layout import TEXT
from stretto.think.tokens import Tokens
from stretto.train.acting.batches import Batch, Batches
from stretto.train.acting.phrases import Language, joined
from stretto.train.acting.readout import Readout

TRAINED = ("backbone.experts.action.", "eye.", "head.", "proprio.", "playback.", "query", "tables.act.", "when.action")
"""What the names of trained tensors begin with; and the places of the action expert's streams."""

POSE = (*range(6), *range(8, 15))
"""Numbers of the proprioception that say where the arm is: position, tilt, joints; not fingers, speed and command."""

Rollout = Callable[[Network, int, Path], Mapping[str, float]]
"""Rolls the network out somewhere: (network, step, folder) -> numbers."""


class SeeAct(Configurable):
    """A `Stage` (train/stage.py)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`copies` of noise a context; weights of the act slot's and the readout's losses; pictures are shifted by up
        to `shift` px and their contrast and brightness changed by up to `light`. `felt`: how wrong the arm's pose is
        told, in standard deviations of each number: where a scene hardly changes, a policy that knows its pose well
        acts from memory and hardly looks. `held`: contexts of a validation.
        """

        copies: int = 4
        act: float = 0.1
        places: float = 0.5
        shift: int = 1
        light: float = 0.1
        felt: float = 0.2
        held: int = 192

    def __init__(
        self, config: Config, network: Network, batches: Batches, held: Batches, device: str, rollout: Rollout | None
    ) -> None:
        self.config, self.network, self.batches, self.held, self.rollout = config, network, batches, held, rollout
        self.device = torch.device(device)
        image = network.layout["image"]
        with torch.random.fork_rng():
            torch.manual_seed(network.config.seed)
            self.readout = Readout(image.tokens, network.query.shape[0])
        self._places = [f"place.{s.name}" for s in network.layout.streams if s.expert == image.expert]
        for name, weight in network.named_parameters():
            weight.requires_grad_(self._is_trained(name))
        for name in ("backbone.experts.action", "eye", "head", "proprio", "playback", "place", "when", "tables.act"):
            network.get_submodule(name).to(self.device)
        network.query.data = network.query.data.to(self.device)
        self.readout.to(self.device)
        self._layers = joined(network)
        self._acts = [network.layout.vocabularies["act"].id(name) for name in ("<act>", "<halt>", "<move>")]

    def _is_trained(self, name: str) -> bool:
        resting = name.startswith("eye.trunk.") and getattr(self.network.config.eye, "frozen", False)
        return not resting and (name.startswith(TRAINED) or name in self._places)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The acting half, and the readout."""
        ours = {name: weight for name, weight in self.network.named_parameters() if self._is_trained(name)}
        return ours | {f"readout.{name}": weight for name, weight in self.readout.named_parameters()}

    def batch(self, step: int, part: int) -> Batch:
        """Drawn from (step, part)."""
        return self.batches(step, part)

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum and its terms."""
        batch = self._here(batch)
        pictures = self._varied(batch.pictures, generator)
        felt = replace(batch, proprio=self._felt(batch.proprio, generator))
        states, seen = self.states(felt, pictures)
        context, mask = self.network.context(states, {"action": batch.tokens})
        flow, terms = self.network.head.loss(
            context, mask.to(self.device), batch.target, batch.prefix, generator, self.config.copies
        )
        act = F.cross_entropy(self.scores(states, batch.tokens).flatten(0, 1), batch.move.flatten())
        places = self.readout.loss(seen, batch.places, batch.proprio)
        total = flow + self.config.act * act + self.config.places * places
        return total, {**terms, "act": act.detach(), "places": places.detach()}

    def states(self, batch: Batch, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The action expert's last states of a batch, and the image tokens that went into it."""
        network, tokens = self.network, batch.tokens
        size = len(batch.proprio)
        seen = network.eye(pictures).flatten(1, 2)
        playing = torch.zeros(size, 2, network.playback.in_features, device=self.device)
        given = {
            "image": seen,
            "proprio": network.proprio(batch.proprio)[:, None],
            "playback": network.playback(playing),
        }
        said = self._said(tokens, batch.said)
        inputs = network.embed({"action": said}, given)
        backbone, columns = network.backbone, batch.keys.shape[-1]
        text = (TEXT, backbone.config.experts["language"].theta)
        runs = (
            (backbone.frames.index(text), slice(0, columns)),
            (backbone.frame_of[int(tokens.stream[0])], slice(columns, columns + len(tokens.stream))),
        )
        sight = {"action": Sight(runs, bias_of(batch.visible))}
        sights: dict[tuple[str, ...], dict[str, Sight]] = {
            kind: sight if "action" in kind else {} for kind in (tuple(stands) for stands in backbone.stands)
        }
        turns = {"action": backbone.turns("action", tokens)}
        language = Language(keys=batch.keys.float(), values=batch.values.float(), layers=self._layers)
        return backbone.through(inputs, sights, turns, language), seen

    def scores(self, states: Mapping[str, Tensor], tokens: Tokens) -> Tensor:
        """Scores of `<halt>` and `<move>` (batch, 2 ticks, 2)."""
        here = tokens.stream == self.network.layout.index["act"]
        return self.network.tables["act"].logits(states["action"][:, here])[..., self._acts[1:]]  # type: ignore[operator]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses on contexts of held-out episodes, and the share of acts that are right; always the same draws."""
        total: dict[str, float] = {}
        size = self.held.config.size
        parts = max(1, self.config.held // size)
        for part in range(parts):
            batch = self._here(self.held("held", part))
            generator = torch.Generator(self.device).manual_seed(part)
            states, seen = self.states(batch, batch.pictures.permute(0, 1, 4, 2, 3))
            context, mask = self.network.context(states, {"action": batch.tokens})
            flow, _ = self.network.head.loss(context, mask.to(self.device), batch.target, batch.prefix, generator)
            right = (self.scores(states, batch.tokens).argmax(-1) == batch.move).float().mean()
            error = self.readout.loss(seen, batch.places, batch.proprio)
            for name, value in (("flow", flow), ("act_right", right), ("places", error)):
                total[name] = total.get(name, 0.0) + float(value) / parts
        return total

    def sample(self, step: int, folder: Path) -> Mapping[str, float]:
        """A rollout, where there is a world to roll out in. An agent freezes its network: that is undone."""
        if self.rollout is None:
            return {}
        threads, trained = torch.get_num_threads(), list(self.parameters().values())
        try:
            return self.rollout(self.network, step, folder)
        finally:
            torch.set_num_threads(threads)
            for weight in trained:
                weight.requires_grad_(True)

    def _said(self, tokens: Tokens, said: Tensor) -> Tokens:
        """The tokens with what stands in the act slot."""
        here = tokens.stream == self.network.layout.index["act"]
        ids = tokens.id.clone()
        ids[:, here] = torch.tensor(self._acts, device=ids.device)[said]
        return replace(tokens, id=ids)

    def _here(self, batch: Batch) -> Batch:
        """On the stage's device; the list of streams stays where it is."""
        if self.device.type == "cpu":
            return batch
        moved: dict[str, Any] = {
            f.name: getattr(batch, f.name).to(self.device, non_blocking=True)
            for f in fields(Batch)
            if f.name != "tokens"
        }
        tokens = {f.name: getattr(batch.tokens, f.name).to(self.device) for f in fields(Tokens) if f.name != "stream"}
        return Batch(**moved, tokens=Tokens(stream=batch.tokens.stream, **tokens))

    def _felt(self, proprio: Tensor, generator: torch.Generator) -> Tensor:
        """Where the arm is, told a little wrong: (batch, proprio)."""
        if not self.config.felt:
            return proprio
        wrong = torch.zeros_like(proprio)
        wrong[:, POSE] = torch.randn((len(proprio), len(POSE)), generator=generator, device=self.device)
        return proprio + self.config.felt * wrong * self.network.proprio.scale

    def _varied(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Shifted, lighter or darker: (batch, 2, height, width, 3) uint8 -> (batch, 2, 3, height, width) in [0, 1]."""
        c, (batch, cameras, size) = self.config, pictures.shape[:3]
        many, x = batch * cameras, pictures.flatten(0, 1)

        def draw(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=self.device)

        offset = (draw(2, many, 1) * (2 * c.shift + 1)).long() + torch.arange(size, device=self.device) - c.shift
        down, right = offset.clamp(0, size - 1)
        x = x[torch.arange(many, device=self.device)[:, None, None], down[:, :, None], right[:, None, :]]
        light, contrast = (2 * draw(2, many, 1, 1, 1) - 1) * c.light
        x = x.permute(0, 3, 1, 2).float().mul_((1 + contrast) / 255).add_(light - contrast / 2).clamp_(0, 1)
        return x.unflatten(0, (batch, cameras))
