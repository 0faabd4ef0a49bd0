"""The spotter's network: five causal convolutions over steps of 32 ms, one logit a word and step.

Each layer adds to what it was given (but the first), looks at three steps, and at ever wider distances: the last one
sees 1.1 s. What a layer needs of the past is in the caller's hands, and a whole sequence equals its steps, so training
runs on sequences and life on steps. Nothing is remembered beyond: after an hour it hears as in the first minute.
`to_onnx` writes the same computation as a file that listen/spotter/runner.py runs without torch.

Source: temporal convolutions for keywords (Choi et al. 2019, TC-ResNet). Needs: torch, listen/spotter/onnx_file.py for
the file. Does not know sound (listen/spotter/features.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.listen.spotter.features import INPUTS
from stretto.listen.spotter.onnx_file import Graph

TAPS = 3
"""Steps that a convolution sees, a dilation apart."""
DILATIONS = (1, 1, 2, 4, 8)

State = tuple[Tensor, ...]
"""Of each layer the inputs (batch, past, channels) that later steps need; how many are past differs."""


class SpotterNetwork(nn.Module, Configurable):
    """Features in, logits of the words out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`words`: how many; `width` of every layer."""

        words: int = 7
        width: int = 96

        @classmethod
        def tiny(cls) -> "SpotterNetwork.Config":
            """A few thousand weights."""
            return cls(width=16)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        sizes = [INPUTS, *[config.width] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            nn.Linear(TAPS * before, config.width, bias=False) for before in sizes[: len(DILATIONS)]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(config.width, momentum=0.02) for _ in DILATIONS)
        self.head = nn.Linear(config.width, config.words)
        nn.init.constant_(self.head.bias, -4.0)

    def start(self, batch: int = 1) -> State:
        """The state before any sound."""
        return tuple(self.head.bias.new_zeros(batch, *shape) for shape in shapes(self.config.width))

    def forward(
        self, features: Float[Tensor, "batch steps 80"], state: State
    ) -> tuple[Float[Tensor, "batch steps words"], State]:
        """Logits of each step, and the state after the last."""
        hidden, after, (batch, steps, _) = features, [], features.shape
        for index, (layer, norm, apart) in enumerate(zip(self.layers, self.norms, DILATIONS, strict=True)):
            whole = torch.cat([state[index], hidden], 1)
            after.append(whole[:, steps:])
            seen = torch.cat([whole[:, tap * apart : tap * apart + steps] for tap in range(TAPS)], 2)
            new = torch.relu(norm(layer(seen).flatten(0, 1))).view(batch, steps, -1)
            hidden = hidden + new if index else new
        return self.head(hidden), tuple(after)


def shapes(width: int) -> list[tuple[int, int]]:
    """(steps, channels) of each layer's state."""
    sizes = [INPUTS, *[width] * len(DILATIONS)]
    return [((TAPS - 1) * dilation, size) for size, dilation in zip(sizes, DILATIONS, strict=False)]


def to_onnx(network: SpotterNetwork, path: Path, told: dict[str, str]) -> Path:
    """Writes the network for one stream as ONNX, norms folded into the weights; `told` goes into its metadata."""
    words = network.config.words
    graph = Graph()
    graph.input("features", (1, "steps", INPUTS))
    hidden = "features"
    for index, (shape, dilation) in enumerate(zip(shapes(network.config.width), DILATIONS, strict=True)):
        graph.input(f"past{index}", (1, *shape))
        whole = graph.node("Concat", [f"past{index}", hidden], axis=1)
        edges = {"from": -shape[0], "to": 2**40, "axis": 1}
        cut = [graph.constant(f"{name}{index}", np.array([value], np.int64)) for name, value in edges.items()]
        graph.node("Slice", [whole, *cut], out=[f"next{index}"])
        weight, bias = _folded(network, index)
        parts = [graph.constant(f"weight{index}", weight), graph.constant(f"bias{index}", bias)]
        turned = graph.node("Transpose", [whole], perm=[0, 2, 1])
        new = graph.node("Relu", [graph.node("Conv", [turned, *parts], kernel_shape=[TAPS], dilations=[dilation])])
        back = graph.node("Transpose", [new], perm=[0, 2, 1])
        hidden = graph.node("Add", [hidden, back]) if index else back
    hidden = graph.node("Transpose", [hidden], perm=[1, 0, 2])
    head = network.head.weight.detach().numpy().T
    product = graph.node("MatMul", [hidden, graph.constant("head", np.ascontiguousarray(head))])
    logits = graph.node("Add", [product, graph.constant("head_bias", network.head.bias.detach().numpy())])
    graph.node("Sigmoid", [logits], out=["probabilities"])
    graph.output("probabilities", ("steps", 1, words))
    for index, shape in enumerate(shapes(network.config.width)):
        graph.output(f"next{index}", (1, *shape))
    return graph.write(path, told)


def _folded(network: SpotterNetwork, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (channels out, channels in, taps) and bias of a layer with its norm in them."""
    norm, layer = network.norms[index], network.layers[index]
    assert isinstance(layer, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (layer.weight * scale[:, None]).unflatten(1, (TAPS, -1)).transpose(1, 2).contiguous()
        return weight.numpy(), (norm.bias - norm.running_mean * scale).numpy()
