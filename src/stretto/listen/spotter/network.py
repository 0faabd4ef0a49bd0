"""The spotter's network: two causal convolutions and two GRUs, 0.3 million weights, one logit a word and step.

A step is 32 ms. The convolutions see the last five steps, the GRUs remember the sentence. What the network carries from
step to step is in the caller's hands, and a whole sequence equals its steps, so training runs on sequences and life on
steps. `to_onnx` writes the same computation as a file that listen/spotter/runner.py runs without torch.

Needs: torch, listen/spotter/onnx_file.py for the file. Does not know sound (listen/spotter/features.py).
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
"""Steps that a convolution sees."""


@dataclass(frozen=True)
class NetworkState:
    """Inputs of both convolutions that later steps need, and the state of both GRUs."""

    first: Float[Tensor, "batch 80 2"]
    second: Float[Tensor, "batch width 2"]
    memory: Float[Tensor, "2 batch width"]


class SpotterNetwork(nn.Module, Configurable):
    """Features in, logits of the words out."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`words`: how many; `width` of every layer."""

        words: int = 7
        width: int = 128

        @classmethod
        def tiny(cls) -> "SpotterNetwork.Config":
            """A few thousand weights."""
            return cls(width=16)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.scale = nn.Parameter(2 * torch.ones(INPUTS))
        self.first = nn.Conv1d(INPUTS, width, TAPS)
        self.second = nn.Conv1d(width, width, TAPS)
        self.memory = nn.GRU(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, config.words)
        nn.init.constant_(self.head.bias, -4.0)

    def start(self, batch: int = 1) -> NetworkState:
        """The state before any sound."""
        width = self.config.width
        zeros = self.scale.new_zeros
        return NetworkState(zeros(batch, INPUTS, TAPS - 1), zeros(batch, width, TAPS - 1), zeros(2, batch, width))

    def forward(
        self, features: Float[Tensor, "batch steps 80"], state: NetworkState
    ) -> tuple[Float[Tensor, "batch steps words"], NetworkState]:
        """Logits of each step, and the state after the last."""
        one = torch.cat([state.first, (features * self.scale).transpose(1, 2)], 2)
        hidden = torch.relu(self.first(one))
        two = torch.cat([state.second, hidden], 2)
        hidden = torch.relu(self.second(two)).transpose(1, 2)
        out, memory = self.memory(hidden, state.memory)
        return self.head(out), NetworkState(one[:, :, 1 - TAPS :], two[:, :, 1 - TAPS :], memory)


def to_onnx(network: SpotterNetwork, path: Path, told: dict[str, str]) -> Path:
    """Writes the network for one stream as ONNX; `told` goes into the file's metadata."""
    width, words = network.config.width, network.config.words
    values = {name: value.detach().cpu().numpy().astype(np.float32) for name, value in network.state_dict().items()}
    graph = Graph()
    graph.input("features", (1, "steps", INPUTS))
    graph.input("first", (1, INPUTS, TAPS - 1))
    graph.input("second", (1, width, TAPS - 1))
    graph.input("memory", (2, 1, width))
    scaled = graph.node("Mul", ["features", graph.constant("scale", values["scale"])])
    hidden = graph.node("Transpose", [scaled], perm=[0, 2, 1])
    for name in ("first", "second"):
        whole = graph.node("Concat", [name, hidden], axis=2)
        edges = [graph.constant(f"{name}_{at}", np.array([end], np.int64)) for at, end in enumerate((-2, 2**40, 2))]
        graph.node("Slice", [whole, *edges], out=[f"{name}_next"])
        weights = [graph.constant(f"{name}.{part}", values[f"{name}.{part}"]) for part in ("weight", "bias")]
        hidden = graph.node("Relu", [graph.node("Conv", [whole, *weights], kernel_shape=[TAPS])])
    hidden = graph.node("Transpose", [hidden], perm=[2, 0, 1])
    ends = []
    for layer in range(2):
        start = graph.node("Slice", ["memory", *_slice(graph, layer)])
        hidden, end = _gru(graph, values, layer, hidden, start, width)
        ends.append(end)
    graph.node("Concat", ends, out=["memory_next"], axis=0)
    product = graph.node("MatMul", [hidden, graph.constant("head", np.ascontiguousarray(values["head.weight"].T))])
    logits = graph.node("Add", [product, graph.constant("head_bias", values["head.bias"])])
    graph.node("Sigmoid", [logits], out=["probabilities"])
    graph.output("probabilities", ("steps", 1, words))
    graph.output("first_next", (1, INPUTS, TAPS - 1))
    graph.output("second_next", (1, width, TAPS - 1))
    graph.output("memory_next", (2, 1, width))
    return graph.write(path, told)


def _slice(graph: Graph, layer: int) -> list[str]:
    edges = {"from": layer, "to": layer + 1, "axis": 0}
    return [graph.constant(f"layer{layer}_{name}", np.array([value], np.int64)) for name, value in edges.items()]


def _gru(graph: Graph, values: dict, layer: int, hidden: str, start: str, width: int) -> tuple[str, str]:
    """One GRU layer; torch keeps its gates as (reset, update, new), ONNX as (update, reset, new)."""

    def gates(value: np.ndarray) -> np.ndarray:
        reset, update, new = np.split(value, 3)
        return np.concatenate([update, reset, new])

    kernel = graph.constant(f"gru{layer}_w", gates(values[f"memory.weight_ih_l{layer}"])[None])
    recurrent = graph.constant(f"gru{layer}_r", gates(values[f"memory.weight_hh_l{layer}"])[None])
    biases = [gates(values[f"memory.bias_{side}_l{layer}"]) for side in ("ih", "hh")]
    bias = graph.constant(f"gru{layer}_b", np.concatenate(biases)[None])
    names = [f"gru{layer}_all", f"gru{layer}_end"]
    graph.node("GRU", [hidden, kernel, recurrent, bias, "", start], out=names, hidden_size=width, linear_before_reset=1)
    return graph.node("Squeeze", [names[0], graph.constant(f"gru{layer}_axis", np.array([1], np.int64))]), names[1]
