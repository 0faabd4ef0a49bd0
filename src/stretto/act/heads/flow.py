"""Flow matching over one action chunk: noise becomes K actions in a few steps, each action with a time of its own.

The path from noise to action is straight, x_t = (1 - t) · noise + t · action, and the network learns its velocity,
action - noise (Lipman et al., "Flow Matching for Generative Modeling", 2023; as an action head: Black et al., "π0",
2024). A chunk that is computed while the arm moves comes late, so its first actions are committed before it exists:
they are given clean, at time 1 and without a loss, and the rest learns to continue them (Black et al., "Training-time
action conditioning for efficient real-time chunking", 2025). Training and sampling take their times from
`action_times`, the one place where a schedule that finishes near actions first would enter.

One action is one token. A layer lets the actions see each other, then the context, then an MLP; each part is modulated
by that action's own time and enters through a gate that starts at zero (Peebles and Xie, "DiT", 2023; one modulation
shared by all layers plus a table per layer: Chen et al., "PixArt-α", 2023). Noised copies of a chunk are an axis of one
query (Hu et al., "Mini-Diffuser", 2025): the context's keys and values are computed once for all copies and all steps.

Needs: torch; actions normalised to about [-1, 1] (act/tokenizers/normalise.py). Logs `flow`, the mean squared error of
the velocity; `flow_noisy` and `flow_clean`, the same for times below and from 1/2: near the noise, what the context
leaves open cannot be learned away. None of them predicts success.
"""

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.nn.flow import time_embedding


@dataclass(frozen=True, kw_only=True)
class ContextMemory:
    """What all layers read of the context; `heads` counts the heads of all samples, keys are scaled by 1/√head."""

    keys: Float[torch.Tensor, "layers heads head tokens"]
    values: Float[torch.Tensor, "layers heads tokens head"]
    bias: Float[torch.Tensor, "heads 1 tokens"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Flow times of all actions, and how they modulate every layer: nine rows per distinct time (`which` one)."""

    time: Float[torch.Tensor, "*steps batch copies horizon"]
    which: Int[torch.Tensor, "*steps batch copies horizon"]
    rows: Float[torch.Tensor, "layers 9 distinct width"]


@dataclass(frozen=True, kw_only=True)
class FlowState:
    """A chunk that is being drawn, after `step` Euler steps. Never changed in place, so it can be kept and forked.

    The timing holds the times before every step and after the last.
    """

    values: Float[torch.Tensor, "batch horizon actions"]
    memory: ContextMemory
    timing: Timing
    step: int = 0

    @property
    def steps(self) -> int:
        """The number of steps after which the chunk is finished."""
        return len(self.timing.time) - 1


def action_times(
    progress: Float[torch.Tensor, "batch copies"], prefix: Int[torch.Tensor, " batch"], horizon: int
) -> Float[torch.Tensor, "batch copies horizon"]:
    """The flow time of every action when the whole chunk has come to `progress` in [0, 1].

    Committed actions are at 1 throughout, all others go together: progress 0.25, prefix 2 → 1 1 0.25 0.25 …
    """
    committed = torch.arange(horizon, device=prefix.device) < prefix[:, None]
    return progress[:, :, None].expand(-1, -1, horizon).masked_fill(committed[:, None], 1.0)


class FlowHead(nn.Module, Configurable):
    """A small transformer over the actions of a chunk that reads a context and predicts velocities."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`horizon` actions of `actions` numbers; a context of `context_width`; `steps` Euler steps when sampling.

        `longest_prefix` bounds the committed actions. `noise_bias` above 1 draws more training times near the noise,
        t = 1 - u^(1 / noise_bias) for uniform u (1.5 is π0's choice).
        """

        horizon: int = 16
        actions: int = 7
        width: int = 256
        layers: int = 3
        heads: int = 4
        mlp: int = 2
        context_width: int = 256
        steps: int = 5
        longest_prefix: int = 8
        noise_bias: float = 1.5

        @classmethod
        def tiny(cls) -> "FlowHead.Config":
            """16 wide, for tests."""
            return cls(width=16, layers=2, heads=2, context_width=16)

    def __init__(self, config: Config):
        super().__init__()
        _check_config(config)
        self.config = config
        width = config.width
        self.action_in = nn.Linear(config.actions, width)
        self.place = nn.Parameter(0.02 * torch.randn(config.horizon, width))
        self.time_width = max(16, width // 4)
        self.time_in = nn.Sequential(nn.Linear(self.time_width, self.time_width), nn.SiLU())
        self.modulate = nn.Linear(self.time_width, 9 * width, bias=False)
        nn.init.zeros_(self.modulate.weight)
        self.context_norm = nn.LayerNorm(config.context_width)
        self.context_kv = nn.Linear(config.context_width, config.layers * 2 * width)
        self.table = nn.Parameter(torch.zeros(config.layers, 9, width))
        """Shift, scale - 1 and gate of self-attention, cross-attention and MLP, to which the times add."""
        self.layers = nn.ModuleList(FlowLayer(width, config.heads, config.mlp) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.velocity_out = nn.Linear(width, config.actions)

    def loss(
        self,
        context: torch.Tensor,
        mask: torch.Tensor,
        target: torch.Tensor,
        prefix: torch.Tensor,
        generator: torch.Generator,
        repeats: int = 4,
    ) -> tuple[Float[torch.Tensor, ""], dict[str, Float[torch.Tensor, ""]]]:
        """Mean squared error of the velocity over the actions behind the prefix, and its terms to log.

        context (B, T, context_width), mask (B, T) bool, target (B, K, A), prefix (B,) int. `repeats` noised copies of
        each chunk, their times spread evenly over [0, 1]. Raises StrettoError when a shape or a prefix does not fit.
        """
        self._check(context, mask, target, prefix)
        if repeats < 1:
            raise StrettoError(f"Expected at least 1 repeat, got {repeats}.")
        batch, horizon, actions = target.shape
        target = target.to(self._dtype)[:, None]
        noise = self._noise((batch, repeats, horizon, actions), generator, target)
        time = action_times(self._progress(batch, repeats, generator, target), prefix, horizon)
        noised = torch.lerp(noise, target, time[..., None])
        velocity = self.velocity(noised, self.timing(time), self.remember(context, mask))
        error = (velocity.to(self._dtype) - (target - noise)).square().mean(-1)
        loss = _mean(error, time < 1)
        terms = {"flow_noisy": _mean(error, time < 0.5), "flow_clean": _mean(error, (time >= 0.5) & (time < 1))}
        return loss, {"flow": loss.detach()} | {name: term.detach() for name, term in terms.items()}

    def sample(
        self,
        context: torch.Tensor,
        mask: torch.Tensor,
        prefix_actions: torch.Tensor,
        prefix: torch.Tensor,
        generator: torch.Generator,
        steps: int | None = None,
        noise: float = 1.0,
    ) -> Float[torch.Tensor, "batch horizon actions"]:
        """One chunk per sample in one go: `begin`, all steps, `chunk`. Arguments and errors as `begin`."""
        state = self.begin(context, mask, prefix_actions, prefix, generator, steps, noise)
        return self.chunk(self.advance(state, state.steps))

    @torch.no_grad()
    def begin(
        self,
        context: torch.Tensor,
        mask: torch.Tensor,
        prefix_actions: torch.Tensor,
        prefix: torch.Tensor,
        generator: torch.Generator,
        steps: int | None = None,
        noise: float = 1.0,
    ) -> FlowState:
        """The state before the first step: noise behind the committed actions, and the context's keys and values.

        context (B, T, context_width), mask (B, T) bool, prefix_actions (B, K, A) of which the first `prefix` (B,) of
        each sample count. `steps` replaces the configured number. `noise` scales what the chunk is drawn from: 1 draws
        as the data are spread, 0 gives the chunk in their middle. Raises StrettoError when something does not fit.
        """
        self._check(context, mask, prefix_actions, prefix)
        steps = self.config.steps if steps is None else steps
        if steps < 1:
            raise StrettoError(f"Expected at least 1 Euler step, got {steps}.")
        progress = torch.linspace(0, 1, steps + 1, dtype=self._dtype, device=prefix.device).expand(len(prefix), -1)
        time = action_times(progress, prefix, self.config.horizon).transpose(0, 1)[:, :, None]
        drawn = noise * self._noise(prefix_actions.shape, generator, context)
        values = torch.where(time[0, :, 0, :, None] < 1, drawn, prefix_actions.to(self._dtype))
        return FlowState(values=values, memory=self.remember(context, mask), timing=self.timing(time))

    @torch.no_grad()
    def advance(self, state: FlowState, n: int = 1) -> FlowState:
        """The state `n` Euler steps later, or at the end when fewer are left. However they are split, the same bits."""
        timing, values = state.timing, state.values
        end = min(state.step + max(n, 0), state.steps)
        for step in range(state.step, end):
            now = Timing(time=timing.time[step], which=timing.which[step], rows=timing.rows)
            velocity = self.velocity(values[:, None], now, state.memory).to(values.dtype)[:, 0]
            values = values + (timing.time[step + 1] - now.time)[:, 0, :, None] * velocity
        return dataclasses.replace(state, values=values, step=end)

    def chunk(self, state: FlowState) -> Float[torch.Tensor, "batch horizon actions"]:
        """The finished chunk (B, K, A). Raises StrettoError while steps are left."""
        if state.step < state.steps:
            raise StrettoError(
                f"The chunk is not finished: step {state.step} of {state.steps}. Call advance(state, "
                f"{state.steps - state.step}) first."
            )
        return state.values

    def remember(self, context: torch.Tensor, mask: torch.Tensor) -> ContextMemory:
        """Keys and values of the context (B, T, context_width) for all layers, where mask (B, T) is true."""
        config = self.config
        head = config.width // config.heads
        both = self.context_kv(self.context_norm(context.to(self.context_kv.weight.dtype)))
        both = both.unflatten(-1, (config.layers, 2, config.heads, head)).permute(2, 3, 0, 4, 1, 5).flatten(2, 3)
        both = both.to(self._dtype)
        bias = torch.zeros(mask.shape, dtype=both.dtype, device=both.device).masked_fill(~mask, -torch.inf)
        return ContextMemory(
            keys=(both[:, 0] * head**-0.5).transpose(-1, -2).contiguous(),
            values=both[:, 1].contiguous(),
            bias=bias.repeat_interleave(config.heads, 0)[:, None],
        )

    def timing(self, time: Float[torch.Tensor, "*steps batch copies horizon"]) -> Timing:
        """What `velocity` needs of flow times in [0, 1]; few are distinct, so they are embedded once each."""
        distinct, which = time.unique(return_inverse=True)
        rows = self.modulate(self.time_in(time_embedding(distinct, self.time_width, self.modulate.weight.dtype)))
        rows = rows.unflatten(-1, (9, self.config.width)).transpose(0, 1)
        rows = rows + self.table[:, :, None]
        rows[:, 1::3] += 1
        return Timing(time=time, which=which, rows=rows)

    def velocity(
        self, noised: Float[torch.Tensor, "batch copies horizon actions"], timing: Timing, memory: ContextMemory
    ) -> Float[torch.Tensor, "batch copies horizon actions"]:
        """Predicted velocity of every action: one evaluation. Copies of a sample do not see each other."""
        x = self.action_in(noised.to(self.action_in.weight.dtype)) + self.place
        which = timing.which.flatten()
        for i, layer in enumerate(self.layers):
            modulation = timing.rows[i].index_select(1, which).view(9, *x.shape)
            x = layer(x, modulation, memory.keys[i], memory.values[i], memory.bias)
        return self.velocity_out(self.norm(x))

    def live(self) -> "FlowHead":
        """For real time on a CPU, in place: no gradients, at least float32, weights laid out input by output.

        With 16 rows that layout is read up to 1.7 times faster, and bfloat16 pays only in large products.
        """
        self.requires_grad_(False).to(self._dtype)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.weight.data = module.weight.data.t().contiguous().t()
        return self.eval()

    @property
    def _dtype(self) -> torch.dtype:
        """The type of noise, times and sampled values: at least float32, whatever the weights are."""
        return _exact(self.action_in.weight.dtype)

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
        drawn = torch.randn(shape, generator=generator, device=generator.device)
        return drawn.to(like.device, self._dtype)

    def _progress(self, batch: int, repeats: int, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
        """Training times (B, R): uniform, one in each of R equal strata per sample, then bent towards the noise."""
        drawn = torch.rand((batch, repeats), generator=generator, device=generator.device)
        even = (torch.arange(repeats, device=drawn.device) + drawn) / repeats
        return (1 - even ** (1 / self.config.noise_bias)).to(like.device, self._dtype)

    def _check(self, context: torch.Tensor, mask: torch.Tensor, actions: torch.Tensor, prefix: torch.Tensor) -> None:
        config = self.config
        if context.ndim != 3 or context.shape[-1] != config.context_width:
            raise _misfit("context", f"(batch, tokens, {config.context_width})", context)
        if mask.shape != context.shape[:2] or mask.dtype != torch.bool:
            raise _misfit("mask", f"{tuple(context.shape[:2])} of torch.bool", mask)
        if actions.shape != (len(context), config.horizon, config.actions):
            raise _misfit("actions", f"({len(context)}, {config.horizon}, {config.actions})", actions)
        if prefix.shape != (len(context),) or prefix.is_floating_point() or prefix.dtype == torch.bool:
            raise _misfit("prefix", f"({len(context)},) of integers", prefix)
        if bool(((prefix < 0) | (prefix > config.longest_prefix)).any()):
            raise StrettoError(
                f"Expected prefixes of 0 to {config.longest_prefix} committed actions, got {prefix.tolist()}. "
                "Later chunks need a head that was trained with a larger `longest_prefix`."
            )
        if not bool(mask.any(-1).all()):
            raise StrettoError("Expected at least one context token per sample, got a mask that hides all of one.")


class FlowLayer(nn.Module):
    """One layer over action tokens: each other, the context, an MLP, each modulated by the action's own time."""

    def __init__(self, width: int, heads: int, mlp: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.read = nn.Linear(width, width)
        self.up = nn.Linear(width, mlp * width)
        self.down = nn.Linear(mlp * width, width)

    def forward(
        self,
        x: Float[torch.Tensor, "batch copies horizon width"],
        modulation: Float[torch.Tensor, "9 batch copies horizon width"],
        keys: Float[torch.Tensor, "heads head tokens"],
        values: Float[torch.Tensor, "heads tokens head"],
        bias: Float[torch.Tensor, "heads 1 tokens"],
    ) -> Float[torch.Tensor, "batch copies horizon width"]:
        """The tokens after this layer. Copies share the context's keys, values and bias (0 or -inf)."""
        shift_a, scale_a, gate_a, shift_b, scale_b, gate_b, shift_c, scale_c, gate_c = modulation.unbind()
        x = torch.addcmul(x, gate_a, self._among(_normed(x, shift_a, scale_a)))
        x = torch.addcmul(x, gate_b, self._across(_normed(x, shift_b, scale_b), keys, values, bias))
        hidden = F.gelu(self.up(_normed(x, shift_c, scale_c)))
        return torch.addcmul(x, gate_c, self.down(hidden))

    def _among(self, x: torch.Tensor) -> torch.Tensor:
        """Every action of a copy sees every action of it."""
        batch, copies, horizon, width = x.shape
        qkv = self.qkv(x).view(batch * copies, horizon, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).to(_exact(x.dtype))
        weights = (torch.bmm(query, key.transpose(1, 2)) * key.shape[-1] ** -0.5).softmax(-1)
        seen = torch.bmm(weights, value).view(batch * copies, self.heads, horizon, -1)
        return self.mix(seen.transpose(1, 2).reshape(x.shape).to(x.dtype))

    def _across(self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Every action sees the context; all copies of a sample in one product."""
        batch, copies, horizon, _ = x.shape
        query = self.query(x).view(batch, copies * horizon, self.heads, -1).transpose(1, 2).flatten(0, 1)
        seen = torch.bmm(torch.baddbmm(bias, query.to(keys.dtype), keys).softmax(-1), values)
        seen = seen.view(batch, self.heads, copies * horizon, -1).transpose(1, 2).reshape(x.shape)
        return self.read(seen.to(x.dtype))


def _exact(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _normed(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), scale)


def _mean(error: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The mean of `error` where true, 0 where nowhere is."""
    return (error * where).sum() / where.sum().clamp(min=1)


def _misfit(name: str, expected: str, got: torch.Tensor) -> StrettoError:
    return StrettoError(f"Flow head: expected {name} {expected}, got {tuple(got.shape)} of {got.dtype}.")


def _check_config(config: FlowHead.Config) -> None:
    if config.width % config.heads or config.width % 2:
        raise StrettoError(f"Expected an even width that {config.heads} heads divide, got {config.width}.")
    if min(config.layers, config.actions, config.steps) < 1 or config.noise_bias <= 0:
        raise StrettoError(f"Expected layers, actions and steps of at least 1 and a noise_bias above 0, got {config}.")
    if not 0 <= config.longest_prefix < config.horizon:
        raise StrettoError(
            f"Expected a longest_prefix of 0 to {config.horizon - 1} (below the horizon), got {config.longest_prefix}."
        )
