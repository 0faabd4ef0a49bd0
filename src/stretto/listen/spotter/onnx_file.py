"""An ONNX file written by hand: nodes, constants and metadata as the few protocol-buffer messages they are.

    graph = Graph()
    graph.input("x", (1, "steps", 80))
    graph.node("Relu", ["x"], out=["y"])
    graph.output("y", (1, "steps", 80))
    graph.write(Path("relu.onnx"), {"words": "stop"})

The exporters of torch need two more packages; a network of five layers needs a page. Numbers are float32 or int64.
`constants` reads what is constant in any such file.

Source: the messages of onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto). Needs: numpy.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stretto.core.errors import StrettoError

_OPSET, _IR = 14, 8
_FLOAT, _INT64 = 1, 7

Shape = Sequence[int | str]


class Graph:
    """Collects what a model is made of; `write` puts it on disk."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, shape: Shape) -> None:
        """A float32 input; a text in its shape names a free size."""
        self._inputs.append(_value(name, shape))

    def output(self, name: str, shape: Shape) -> None:
        """A float32 output."""
        self._outputs.append(_value(name, shape))

    def constant(self, name: str, value: np.ndarray) -> str:
        """A constant (float32 or int64); gives its name back."""
        kind = _INT64 if value.dtype == np.int64 else _FLOAT
        data = np.ascontiguousarray(value, np.int64 if kind == _INT64 else np.float32).tobytes()
        dims = b"".join(_number(1, size) for size in value.shape)
        self._constants[name] = dims + _number(2, kind) + _text(8, name) + _bytes(9, data)
        return name

    def node(self, kind: str, inputs: Iterable[str], out: Sequence[str] = (), **attributes: int | list[int]) -> str:
        """An operation; gives the name of its first output. An empty input is one left out."""
        out = list(out) or [f"{kind.lower()}_{len(self._nodes)}"]
        parts = [_text(1, name) for name in inputs] + [_text(2, name) for name in out]
        parts += [_text(3, out[0]), _text(4, kind)]
        self._nodes.append(b"".join(parts + [_bytes(5, _attribute(*each)) for each in attributes.items()]))
        return out[0]

    def write(self, path: Path, told: dict[str, str]) -> Path:
        """Writes the file in one step and returns its path; `told` is its metadata."""
        graph = b"".join(
            [_bytes(1, node) for node in self._nodes]
            + [_text(2, "spotter")]
            + [_bytes(5, constant) for constant in self._constants.values()]
            + [_bytes(11, value) for value in self._inputs]
            + [_bytes(12, value) for value in self._outputs]
        )
        model = _number(1, _IR) + _text(2, "stretto") + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, _OPSET))
        model += b"".join(_bytes(14, _text(1, key) + _text(2, value)) for key, value in sorted(told.items()))
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        beside.write_bytes(model)
        os.replace(beside, path)
        return path


def constants(path: Path) -> dict[str, np.ndarray]:
    """The float32 and int64 constants of an ONNX file by name. Raises StrettoError when it cannot be read."""
    found: dict[str, np.ndarray] = {}
    try:
        graphs = [value for field, value in _fields(path.read_bytes()) if field == 7]
        for field, tensor in _fields(graphs[0]):
            if field != 5:
                continue
            parts = list(_fields(tensor))
            sizes = [value for name, value in parts if name == 1]
            named = {name: value for name, value in parts if name in (2, 8, 9)}
            kind = {_FLOAT: np.float32, _INT64: np.int64}.get(named[2])
            if kind is not None and 9 in named:
                found[named[8].decode()] = np.frombuffer(named[9], kind).reshape(sizes).copy()
    except (OSError, IndexError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise StrettoError(f"'{path}' is no ONNX file that can be read ({error!r}).") from error
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a message: an integer, or bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        if key & 7 not in (1, 2, 5) or at + size > len(data):
            raise ValueError(f"field {key >> 3} at byte {at}")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _attribute(name: str, value: int | list[int]) -> bytes:
    """An attribute: one integer (kind 2) or several (kind 7)."""
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _value(name: str, shape: Shape) -> bytes:
    sizes = (_text(2, each) if isinstance(each, str) else _number(1, each) for each in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _text(1, name) + _bytes(2, _bytes(1, tensor))
