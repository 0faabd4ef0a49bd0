"""The backbone: modality experts joined by shared self-attention (SA-MoE) over one stream of tokens.

Each token goes through its own expert alone: norms, projections, feed-forward, head. In every layer all tokens attend
over one common causal set of keys, under the layout's visibility rule. A shallower expert stands in some of the layers
of the deepest one (`joins`); in the others its tokens rest and its keys are not there.

    layer of the deepest    0    1    2    3    4    5
    language                x    x    x    x    x    x
    action                            x              x

One class for training (`Whole`: the call's own tokens) and streaming (`Rings`: a session's past as well); state lives
in the memory that is handed in, so it is explicit. Keys are turned once, by their own position on their own counter and
their expert's rotary base (a *frame*); a query is turned once per frame.

Source: SA-MoE of ELLSA (technique End-to-end Listen, Look, Speak and Act). Its released code computes every expert on
every token and selects afterwards; here tokens are gathered by expert, and nothing is computed twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError, unknown
from stretto.nn.attention import attend, bias_of
from stretto.nn.rope import turns
from stretto.think.expert import AdaptedExpert, Expert, ExpertConfig, Layer
from stretto.think.layout import Layout
from stretto.think.memory import Exchange, Memory, Pair, Rings, Whole
from stretto.think.tokens import Tokens
from stretto.think.visibility import Rule

Frame = tuple[int, float]
"""A position counter and a rotary base."""

KNOWN = 64
"""Arrangements of columns that are remembered."""


@dataclass(frozen=True)
class Sight:
    """What one expert's queries see at one kind of layer: runs of columns of one frame, by its number; the bias."""

    runs: tuple[tuple[int, slice], ...]
    bias: Tensor


Sights = Mapping[tuple[str, ...], Mapping[str, Sight]]
"""Experts that stand in a layer -> expert -> what its queries see there."""


class Backbone(nn.Module, Configurable):
    """Experts under one attention. Raises StrettoError when they cannot be joined."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """One ExpertConfig per expert of the layout."""

        experts: Mapping[str, ExpertConfig] = field(
            default_factory=lambda: {"language": ExpertConfig(depth=4), "action": ExpertConfig(theta=1_000.0)}
        )

    def __init__(self, config: Config, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout, self.rule = config, layout, Rule(layout)
        self._known: dict[tuple[object, ...], tuple[Tensor, Tensor, tuple[tuple[int, slice], ...]]] = {}
        self.depth = max(expert.depth for expert in config.experts.values())
        _check(config, layout, self.depth)
        self.experts = nn.ModuleDict()
        for name in sorted(layout.experts, key=lambda name: bool(config.experts[name].of)):
            expert = config.experts[name]
            base = cast(Expert, self.experts[expert.of]) if expert.of else None
            self.experts[name] = Expert(expert) if base is None else AdaptedExpert(expert, base)
        stands = {name: config.experts[name].places(self.depth) for name in layout.experts}
        self.stands: list[dict[str, int]] = [
            {name: places.index(layer) for name, places in stands.items() if layer in places}
            for layer in range(self.depth)
        ]
        frame = [(stream.counter, config.experts[stream.expert].theta) for stream in layout.streams]
        self.frames: list[Frame] = list(dict.fromkeys(frame))
        self.frame_of = [self.frames.index(some) for some in frame]

    @property
    def geometry(self) -> tuple[int, int]:
        """(kv heads, head size), the same for all experts."""
        first = next(iter(self.config.experts.values()))
        return first.kv_heads, first.head

    def rings(self, batch: int = 1, dtype: torch.dtype | None = None) -> Rings:
        """The memory of fresh live sessions."""
        weights = dtype or next(self.parameters()).dtype
        return Rings(self.layout, [tuple(layer) for layer in self.stands], self.geometry, batch, weights)

    def forward(
        self, inputs: Mapping[str, Tensor], tokens: Mapping[str, Tokens], memory: Memory | None = None
    ) -> dict[str, Tensor]:
        """Last states, normed, by expert: (batch, tokens, width) like `inputs`.

        `tokens`: see think/tokens.py; `memory`: Whole() unless given.
        """
        if not tokens:
            return {}
        memory = Whole() if memory is None else memory
        columns = memory.place(tokens)
        sights, turns = self._look(tokens, columns, memory, next(iter(inputs.values())).dtype)
        return self.through({name: inputs[name] for name in tokens}, sights, turns, memory)

    def through(
        self, states: dict[str, Tensor], sights: Sights, turns: Mapping[str, list[Tensor]], memory: Exchange
    ) -> dict[str, Tensor]:
        """All layers and the last norm. For whoever knows already what is seen (`sights`) and where all stands.

        Without gradients an expert with adapters goes through the layers behind the one that it adapts, whose weights
        are then read once for both: at a few rows reading them is what a layer costs.
        """
        rows = {name: state.shape[1] for name, state in states.items()}
        lanes = self._lanes(tuple(states))
        joint = {lane: _joined([states[name] for name in names], 1) for lane, names in lanes.items()}
        turned = {
            lane: [_joined(some, 1) for some in zip(*(turns[name] for name in names), strict=True)]
            for lane, names in lanes.items()
        }
        shown = {stands: _lanes_of(kind, lanes) for stands, kind in sights.items()}
        plain = {lane: [rows[name] for name in names[:-1]] for lane, names in lanes.items()}
        for layer, stands in enumerate(self.stands):
            kind = shown[tuple(stands)]
            queries: dict[str, list[Tensor]] = {}
            pairs: dict[str, Pair] = {}
            met = 1 + max((frame for sight in kind.values() for frame, _ in sight.runs), default=0)
            for lane in kind:
                read = self._layer(lane, layer).read(joint[lane], turned[lane][:met], *plain[lane])
                queries[lane], keys, values = read
                parts = [rows[name] for name in lanes[lane]]
                pairs |= zip(lanes[lane], zip(keys.split(parts, 1), values.split(parts, 1), strict=True), strict=True)
            if not kind:
                continue
            keys, values = memory.exchange(layer, {name: pairs[name] for name in sights[tuple(stands)]})
            for lane, sight in kind.items():
                asked = [(queries[lane][frame], run) for frame, run in sight.runs]
                found = attend(asked, keys, values, sight.bias)
                joint[lane] = self._layer(lane, layer).write(joint[lane], found, *plain[lane])
        last: dict[str, Tensor] = {}
        for lane, names in lanes.items():
            normed = cast(Expert, self.experts[lane]).norm(joint[lane])
            last |= zip(names, normed.split([rows[name] for name in names], 1), strict=True)
        return last

    def _lanes(self, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Who goes through the layers together, by the name of the last: experts, or one with adapters behind the one
        that it adapts."""
        lanes: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
        for name in () if torch.is_grad_enabled() else names:
            base = self.config.experts[name].of
            if base in lanes and name in lanes:
                lanes[name] = (*lanes.pop(base), name)
        return lanes

    def _layer(self, name: str, layer: int) -> Layer:
        return cast(Layer, cast(Expert, self.experts[name]).layers[self.stands[layer][name]])

    def _look(
        self, tokens: Mapping[str, Tokens], columns: Tokens, memory: Memory, dtype: torch.dtype
    ) -> tuple[Sights, dict[str, list[Tensor]]]:
        """Per kind of layer and expert what is seen; per expert the turns that `Layer.read` takes."""
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        seen = {name: self.rule(some, columns) for name, some in tokens.items()}
        sights: dict[tuple[str, ...], dict[str, Sight]] = {}
        for kind in dict.fromkeys(tuple(stands) for stands in self.stands):
            here = [name for name in tokens if name in kind]
            if not here:
                sights[kind] = {}
                continue
            shown, present, runs = self._columns(kind, columns.stream, memory)
            sights[kind] = {name: Sight(runs, bias_of(seen[name][..., shown] & present, wide)) for name in here}
        return sights, {name: self.turns(name, some, wide) for name, some in tokens.items()}

    def turns(self, name: str, some: Tokens, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        """Complex turns (batch, tokens, heads or 1, size // 2) for `Layer.read`."""
        c = self.config.experts[name]
        scale = c.head**-0.5
        asked = [
            turns(some.at[..., counter], c.head, theta, scale, dtype)[:, :, None] for counter, theta in self.frames
        ]
        counter = torch.tensor(
            [self.layout.streams[place].counter for place in some.stream.tolist()], device=some.at.device
        )
        at = some.at.gather(2, counter.expand(len(some.at), -1)[..., None])[..., 0]
        own = turns(at, c.head, c.theta, 1.0, dtype)[:, :, None]
        first = torch.cat([asked[0].expand(-1, -1, c.heads, -1), own.expand(-1, -1, c.kv_heads, -1)], dim=2)
        return [first, *asked[1:]]

    def _columns(
        self, kind: tuple[str, ...], stream: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, tuple[tuple[int, slice], ...]]:
        """For one kind of layer: the columns shown, whether their expert is there, runs of neighbours of one frame."""
        key = (kind, stream.numpy().tobytes(), type(memory))
        if key not in self._known:
            shown = memory.shown(kind)
            places = stream[shown].tolist()
            present = torch.tensor([self.layout.streams[place].expert in kind for place in places], dtype=torch.bool)
            runs: list[tuple[int, slice]] = []
            for column, place in enumerate(places):
                frame = self.frame_of[place]
                start = runs.pop()[1].start if runs and runs[-1][0] == frame else column
                runs.append((frame, slice(start, column + 1)))
            if len(self._known) > KNOWN:
                self._known.clear()
            self._known[key] = (shown, present, tuple(runs))
        return self._known[key]


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Tensors side by side; one alone as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)


def _lanes_of(kind: Mapping[str, Sight], lanes: Mapping[str, tuple[str, ...]]) -> dict[str, Sight]:
    """What lanes see in one kind of layer, where those of a lane see the same columns."""
    found = {}
    for lane, names in lanes.items():
        some = [kind[name] for name in names if name in kind]
        if some:
            found[lane] = Sight(some[0].runs, _joined([sight.bias for sight in some], 2))
    return found


def _check(config: Backbone.Config, layout: Layout, deepest: int) -> None:
    given, wanted = set(config.experts), set(layout.experts)
    if given != wanted:
        raise StrettoError(
            f"Layout '{layout.name}' wants the experts {', '.join(sorted(wanted))}, got {', '.join(sorted(given))}."
        )
    shapes = {name: (expert.kv_heads, expert.head) for name, expert in config.experts.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {kv} x {head}" for name, (kv, head) in shapes.items())
        raise StrettoError(
            f"Experts share their keys and values, so all need the same kv heads x head size; got {told}. "
            f"Change `kv_heads` and `head` of all but one."
        )
    for name, expert in config.experts.items():
        _check_adapted(name, expert, config.experts)
        places = expert.places(deepest)
        if (
            len(places) != expert.depth
            or list(places) != sorted(set(places))
            or not 0 <= places[0] <= places[-1] < deepest
        ):
            raise StrettoError(
                f"Expert '{name}' has {expert.depth} layers, which must stand in as many rising layers of 0 … "
                f"{deepest - 1}; got joins {places}."
            )
        if expert.heads % expert.kv_heads:
            raise StrettoError(
                f"Expert '{name}': {expert.heads} query heads do not divide by {expert.kv_heads} kv heads."
            )


def _check_adapted(name: str, expert: ExpertConfig, experts: Mapping[str, ExpertConfig]) -> None:
    if not expert.of:
        return
    base = experts.get(expert.of)
    if base is None or base.of:
        others = [other for other, some in experts.items() if not some.of]
        raise unknown(f"expert that '{name}' adapts", expert.of, others)
    if expert.rank < 1 or replace(expert, of="", rank=0) != base:
        raise StrettoError(
            f"Expert '{name}' is '{expert.of}' with adapters: expected a rank of at least 1 and all else as there, got "
            f"{expert}. Make it with experts['{expert.of}'].adapted('{expert.of}', rank)."
        )
