"""The spotter's network: a speech embedding every 40 ms, four causal convolutions over it, a logit a word and step.

The embedding (embedding.py) comes with weights that know sounds of speech; the layers over it look at three steps each,
at ever wider distances, so that an answer sees 1.4 s. What a layer needs of the past is in the caller's hands, and a
whole sequence equals its steps, so training runs on sequences and life on steps. Nothing is remembered beyond: after an
hour it hears as in the first minute. `to_onnx` writes the same computation as a file that listen/spotter/runner.py runs
without torch.

Source: an embedding and a small head are Lin et al. 2020; temporal convolutions for keywords Choi et al. 2019
(TC-ResNet). Needs: torch, listen/spotter/onnx_file.py for the file. Does not know sound (listen/spotter/features.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.listen.spotter import embedding
from stretto.listen.spotter.embedding import LEAST, OPS, PAST, SLOPE, WIDTH, SpeechEmbedding
from stretto.listen.spotter.features import BANDS, BEFORE, PER_STEP, SILENCE
from stretto.listen.spotter.onnx_file import Graph

TAPS = 3
"""Steps that a convolution over embeddings sees, a dilation apart."""
DILATIONS = (1, 1, 2, 4)

State = tuple[Tensor, ...]
"""Of each layer what later steps need: first those of the embedding, then (batch, past, channels) of the others."""


class SpotterNetwork(nn.Module, Configurable):
    """Mel windows in, logits of the words out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`words`: how many; `width` of every layer over the embedding."""

        words: int = 7
        width: int = 96

        @classmethod
        def tiny(cls) -> "SpotterNetwork.Config":
            """A narrow head; the embedding has one size."""
            return cls(width=16)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = SpeechEmbedding()
        self.norm = nn.BatchNorm1d(WIDTH, momentum=0.02, affine=False)
        sizes = [WIDTH, *[config.width] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            nn.Linear(TAPS * before, config.width, bias=False) for before in sizes[: len(DILATIONS)]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(config.width, momentum=0.02) for _ in DILATIONS)
        self.head = nn.Linear(config.width, config.words)
        nn.init.constant_(self.head.bias, -4.0)

    def start(self, batch: int = 1) -> State:
        """The state after nothing but silence."""
        training = self.training
        with torch.no_grad():
            quiet = torch.full((1, BEFORE * PER_STEP, BANDS), SILENCE, dtype=self.head.bias.dtype)
            _, state = self.eval()(quiet, self.blank())
        self.train(training)
        return tuple(each.expand(batch, *each.shape[1:]) for each in state)

    def blank(self, batch: int = 1) -> State:
        """The state before anything."""
        after = tuple(self.head.bias.new_zeros(batch, *shape) for shape in shapes(self.config.width))
        return self.embedding.start(batch) + after

    def forward(
        self, features: Float[Tensor, "batch windows 32"], state: State
    ) -> tuple[Float[Tensor, "batch steps words"], State]:
        """Logits of each step (four windows), and the state after the last."""
        split = len(PAST_SHAPES)
        embedded, after = self.embedding(features, state[:split])
        past, (batch, steps, _) = list(after), embedded.shape
        hidden = self.norm(embedded.flatten(0, 1)).view(batch, steps, -1)
        for index, (layer, norm, apart) in enumerate(zip(self.layers, self.norms, DILATIONS, strict=True)):
            whole = torch.cat([state[split + index], hidden], 1)
            past.append(whole[:, steps:])
            seen = torch.cat([whole[:, tap * apart : tap * apart + steps] for tap in range(TAPS)], 2)
            new = torch.relu(norm(layer(seen).flatten(0, 1))).view(batch, steps, -1)
            hidden = hidden + new if index else new
        return self.head(hidden), tuple(past)


PAST_SHAPES = embedding.shapes()


def shapes(width: int) -> list[tuple[int, int]]:
    """(steps, channels) of the state of each layer over the embedding."""
    sizes = [WIDTH, *[width] * len(DILATIONS)]
    return [((TAPS - 1) * dilation, size) for size, dilation in zip(sizes, DILATIONS, strict=False)]


def to_onnx(network: SpotterNetwork, path: Path, told: dict[str, str]) -> Path:
    """Writes the network for one stream as ONNX, norms folded into the weights; `told` goes into its metadata."""
    graph = Graph()
    graph.input("features", (1, "windows", BANDS))
    hidden = _embedding(network, graph)
    scale = 1 / torch.sqrt(_of(network.norm.running_var) + network.norm.eps)
    moved = graph.node("Sub", [hidden, _kept(graph, "mean", _of(network.norm.running_mean))])
    hidden = graph.node("Mul", [moved, _kept(graph, "scale", scale)])
    split = len(PAST_SHAPES)
    for index, (shape, dilation) in enumerate(zip(shapes(network.config.width), DILATIONS, strict=True)):
        whole = _joined(graph, split + index, (1, *shape), hidden, 1)
        weight, bias = _folded(network, index)
        parts = [graph.constant(f"weight{index}", weight), graph.constant(f"bias{index}", bias)]
        turned = graph.node("Transpose", [whole], perm=[0, 2, 1])
        new = graph.node("Relu", [graph.node("Conv", [turned, *parts], kernel_shape=[TAPS], dilations=[dilation])])
        back = graph.node("Transpose", [new], perm=[0, 2, 1])
        hidden = graph.node("Add", [hidden, back]) if index else back
    hidden = graph.node("Transpose", [hidden], perm=[1, 0, 2])
    product = graph.node("MatMul", [hidden, _kept(graph, "head", network.head.weight.T)])
    logits = graph.node("Add", [product, _kept(graph, "head_bias", network.head.bias)])
    graph.node("Sigmoid", [logits], out=["probabilities"])
    graph.output("probabilities", ("steps", 1, network.config.words))
    for index, full in enumerate([*PAST_SHAPES, *shapes(network.config.width)]):
        graph.output(f"next{index}", (1, *full))
    return graph.write(path, told)


def _embedding(network: SpotterNetwork, graph: Graph) -> str:
    """The operations of the embedding; the name of what they give, (1, steps, 96)."""
    x = graph.node("Unsqueeze", ["features", graph.constant("channel", np.array([1], np.int64))])
    layers, count = iter(network.embedding.convolutions), 0
    slope, least = (_kept(graph, name, torch.tensor(value)) for name, value in (("slope", SLOPE), ("least", LEAST)))
    scale = _kept(graph, "first_scale", network.embedding.scale[:, None, None])
    shift = _kept(graph, "first_shift", network.embedding.shift[:, None, None])
    for number, (what, size) in enumerate(OPS):
        if what in PAST:
            x = _joined(graph, count, (1, *PAST_SHAPES[count]), x, 2)
            count += 1
        if what in ("pool", "slide"):
            window = [size, 2] if what == "pool" else [2, 2]
            strides = [size, 2] if what == "pool" else [1, 2]
            x = graph.node("MaxPool", [x], kernel_shape=window, strides=strides)
            continue
        layer = next(layers)
        assert isinstance(layer, nn.Conv2d)
        parts = [_kept(graph, f"conv{number}", layer.weight)]
        parts += [] if layer.bias is None else [_kept(graph, f"conv{number}_bias", layer.bias)]
        wide = layer.kernel_size[1] // 2
        apart = [2 if what == "last" else 1, 1]
        x = graph.node("Conv", [x, *parts], kernel_shape=list(layer.kernel_size), pads=[0, wide] * 2, dilations=apart)
        if what == "first":
            x = graph.node("Add", [graph.node("Mul", [graph.node("Relu", [x]), scale]), shift])
        if what != "last":
            # the larger of a number and a fifth of it is the one below zero that the slope makes
            x = graph.node("Max", [x, graph.node("Mul", [x, slope]), least])
    flat = graph.node("Squeeze", [x, graph.constant("bands", np.array([3], np.int64))])
    return graph.node("Transpose", [flat], perm=[0, 2, 1])


def _joined(graph: Graph, index: int, shape: tuple[int, ...], new: str, axis: int) -> str:
    """What was kept before what is new, along `axis`; the last of it is kept for the next call."""
    graph.input(f"past{index}", shape)
    whole = graph.node("Concat", [f"past{index}", new], axis=axis)
    edges = {"from": -shape[axis], "to": 2**40, "axis": axis}
    cut = [graph.constant(f"{name}{index}", np.array([value], np.int64)) for name, value in edges.items()]
    graph.node("Slice", [whole, *cut], out=[f"next{index}"])
    return whole


def _kept(graph: Graph, name: str, value: Tensor) -> str:
    return graph.constant(name, np.ascontiguousarray(value.detach().numpy()))


def _of(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer


def _folded(network: SpotterNetwork, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (channels out, channels in, taps) and bias of a layer with its norm in them."""
    norm, layer = network.norms[index], network.layers[index]
    assert isinstance(layer, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(_of(norm.running_var) + norm.eps)
        weight = (layer.weight * scale[:, None]).unflatten(1, (TAPS, -1)).transpose(1, 2).contiguous()
        return weight.numpy(), (norm.bias - _of(norm.running_mean) * scale).numpy()
