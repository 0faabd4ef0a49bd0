"""A speech embedding: twenty small convolutions over mel bands, 96 numbers every 40 ms that tell sounds apart.

Google trained it on the words of thousands of real speakers; a spotter that begins with its weights knows sounds of
speech before it has heard a word of its own list, and learns the list from synthetic voices. Here it streams: what a
convolution needs of the past is in the caller's hands, so nothing is computed twice, and a whole sequence equals its
steps. Each number sees 0.78 s.

    OPS, in order      bands   a convolution over three neighbouring bands
                       time    one over three windows          (the first one sees 3 x 3)
                       pool    the larger of two bands, and of two windows where time is halved too
                       slide   the larger of two neighbouring steps; the packaged network gives every second step only

Source: "Training Keyword Spotters with Limited and Synthesized Speech Data" (Lin et al. 2020); the weights as the
package openwakeword brings them (Apache-2.0; its wake words are not used). Needs: torch; the package for `pretrained`.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.errors import StrettoError
from stretto.core.packages import packaged
from stretto.listen.spotter.features import BANDS, PER_STEP
from stretto.listen.spotter.onnx_file import constants

WIDTH = 96
SLOPE, LEAST = 0.2, -0.4
"""Of the activation: the slope below zero, and the least value."""

_PAIR = ("bands", "time")
OPS: tuple[tuple[str, int], ...] = (
    ("first", 24),
    *((op, 24) for op in _PAIR),
    ("pool", 2),
    *((op, 48) for op in _PAIR * 2),
    ("pool", 1),
    *((op, 72) for op in _PAIR * 2),
    ("pool", 2),
    *((op, 96) for op in _PAIR * 2),
    ("pool", 1),
    *((op, 96) for op in _PAIR * 2),
    ("slide", 1),
    ("last", WIDTH),
)
"""(what, channels); of a pool, by how much it shortens time."""

PAST = {"first": 2, "time": 2, "slide": 1, "last": 4}
"""How many earlier columns an operation needs; the last convolution looks at every second step."""

_KERNELS = {"first": (3, 3), "bands": (1, 3), "time": (3, 1), "last": (3, 1)}

State = tuple[Tensor, ...]
"""Of each operation that looks back: (batch, channels, columns, bands)."""


def shapes() -> list[tuple[int, int, int]]:
    """(channels, columns, bands) of what each operation that looks back needs of the past."""
    found, channels, bands = [], 1, BANDS
    for what, size in OPS:
        if what in PAST:
            found.append((channels, PAST[what], bands))
        bands = bands // 2 if what in ("pool", "slide") else bands
        channels = channels if what in ("pool", "slide") else size
    return found


class SpeechEmbedding(nn.Module):
    """Mel windows in, one embedding for every four of them out."""

    def __init__(self) -> None:
        super().__init__()
        channels = 1
        convolutions = []
        for what, size in OPS:
            if what in _KERNELS:
                convolutions.append(nn.Conv2d(channels, size, _KERNELS[what], bias=what != "last"))
                channels = size
        self.convolutions = nn.ModuleList(convolutions)
        self.scale, self.shift = nn.Parameter(torch.ones(24)), nn.Parameter(torch.zeros(24))
        """Of the first convolution, between its two activations."""

    def start(self, batch: int = 1) -> State:
        """No past at all; `network.py` begins after a second of silence instead."""
        return tuple(self.scale.new_zeros(batch, *shape) for shape in shapes())

    def forward(
        self, features: Float[Tensor, "batch windows 32"], state: State
    ) -> tuple[Float[Tensor, "batch steps 96"], State]:
        """The embeddings of each four windows, and the state after them."""
        x, after, layers, past = features[:, None], [], iter(self.convolutions), iter(state)
        for what, size in OPS:
            if what in PAST:
                x = torch.cat([next(past), x], 2)
                after.append(x[:, :, x.shape[2] - PAST[what] :])
            if what == "pool":
                x = F.max_pool2d(x, (size, 2))
            elif what == "slide":
                x = F.max_pool2d(x, 2, (1, 2))
            else:
                layer = next(layers)
                assert isinstance(layer, nn.Conv2d)
                apart = 2 if what == "last" else 1
                x = F.conv2d(x, layer.weight, layer.bias, padding=(0, layer.kernel_size[1] // 2), dilation=(apart, 1))
                if what == "first":
                    x = torch.relu(x) * self.scale[:, None, None] + self.shift[:, None, None]
                if what != "last":
                    x = F.threshold(F.leaky_relu(x, SLOPE), LEAST, LEAST)
        return x[..., 0].transpose(1, 2), tuple(after)


def pretrained(path: str = "") -> SpeechEmbedding:
    """Google's weights, from the package openwakeword (or a file like its). Raises StrettoError when it is missing."""
    path = path or _packaged()
    named = {name: torch.from_numpy(value) for name, value in constants(Path(path)).items()}
    network = SpeechEmbedding()
    try:
        with torch.no_grad():
            for number, layer in enumerate(network.convolutions):
                assert isinstance(layer, nn.Conv2d)
                layer.weight.copy_(named[_name(number)])
                if number and layer.bias is not None:
                    layer.bias.copy_(named[f"model/conv2d_{number}/Conv2D_bias_fused_bn"])
            gain, offset, mean, variance = (named[f"model/batch_normalization/{name}:0"] for name in _NORM)
            network.convolutions[0].bias.zero_()  # type: ignore[operator]
            network.scale.copy_(gain / torch.sqrt(variance + 1e-3))
            network.shift.copy_(offset - mean * network.scale)
    except (KeyError, RuntimeError) as error:
        raise StrettoError(f"'{path}' does not hold the speech embedding of openwakeword 0.4.0: {error}.") from error
    return network


_NORM = ("ReadVariableOp", "ReadVariableOp_1", "FusedBatchNormV3/ReadVariableOp", "FusedBatchNormV3/ReadVariableOp_1")


def _name(number: int) -> str:
    """What the package calls the weights of a convolution."""
    if not number:
        return "model/conv2d/StatefulPartitionedCall/StatefulPartitionedCall/Conv2D/ReadVariableOp:0"
    return f"model/conv2d_{number}/" + ("Conv2D/ReadVariableOp:0" if number == 19 else "Conv2D_weights_fused_bn")


def _packaged() -> str:
    missing = "The speech embedding is not installed: pip install --no-deps openwakeword==0.4.0"
    return str(packaged("openwakeword", "resources", "models", "embedding_model.onnx", missing=missing))


assert PER_STEP == 4
