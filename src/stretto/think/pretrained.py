"""Weights of pretrained language models by name, as float32 tensors under the names of our backbone.

`load_llama("smollm2-135m")` reads the packaged GGUF, offline; a directory with `config.json` and `*.safetensors`, a
`.gguf` file and a hub id `org/name` go the same way. Projections that are multiplied together are stored together
(rows of q, k, v; rows of gate, up). Rotary positions turn the pair (j, j + head / 2), as in transformers; a GGUF stores
the pairs next to each other, and that is undone here. The two quantisations of the packaged model are read block by
block into place, five times as fast as by the gguf package, which reads the others.

    embed.weight               (vocab, width)
    layers.{i}.norm1.weight    (width)
    layers.{i}.qkv.weight      ((heads + 2 kv_heads) head, width)
    layers.{i}.out.weight      (width, heads head)
    layers.{i}.norm2.weight    (width)
    layers.{i}.gate_up.weight  (2 ffn, width)
    layers.{i}.down.weight     (width, ffn)
    norm.weight                (width)
    head.weight                (vocab, width), unless tied

Source: the layouts of transformers' Llama and of llama.cpp. Needs: torch, safetensors, gguf.
"""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from safetensors import SafetensorError, safe_open

from stretto.core.errors import StrettoError
from stretto.think.llama import Gguf, LlamaShape, find, read_gguf, shape_of_config, shape_of_gguf

_FILES = ("config.json", "model*.safetensors", "tokenizer.json")
_FUSED = {
    "norm1": ("norm1",),
    "qkv": ("q", "k", "v"),
    "out": ("out",),
    "norm2": ("norm2",),
    "gate_up": ("gate", "up"),
    "down": ("down",),
}
_IN_SAFETENSORS = {
    "embed": "model.embed_tokens.weight",
    "norm1": "model.layers.{i}.input_layernorm.weight",
    "q": "model.layers.{i}.self_attn.q_proj.weight",
    "k": "model.layers.{i}.self_attn.k_proj.weight",
    "v": "model.layers.{i}.self_attn.v_proj.weight",
    "out": "model.layers.{i}.self_attn.o_proj.weight",
    "norm2": "model.layers.{i}.post_attention_layernorm.weight",
    "gate": "model.layers.{i}.mlp.gate_proj.weight",
    "up": "model.layers.{i}.mlp.up_proj.weight",
    "down": "model.layers.{i}.mlp.down_proj.weight",
    "norm": "model.norm.weight",
    "head": "lm_head.weight",
}
_IN_GGUF = {
    "embed": "token_embd.weight",
    "norm1": "blk.{i}.attn_norm.weight",
    "q": "blk.{i}.attn_q.weight",
    "k": "blk.{i}.attn_k.weight",
    "v": "blk.{i}.attn_v.weight",
    "out": "blk.{i}.attn_output.weight",
    "norm2": "blk.{i}.ffn_norm.weight",
    "gate": "blk.{i}.ffn_gate.weight",
    "up": "blk.{i}.ffn_up.weight",
    "down": "blk.{i}.ffn_down.weight",
    "norm": "output_norm.weight",
    "head": "output.weight",
}
_UNUSED = "rotary_emb.inv_freq"
_BLOCKS_AT_ONCE = 8192

Fill = Callable[[str, int, torch.Tensor], None]
"""Writes the stored part of one layer into a tensor of its size."""


def load_llama(name: str) -> tuple[LlamaShape, dict[str, torch.Tensor]]:
    """The shape and the weights (float32, CPU, each tensor with memory of its own) of a language model.

    Raises StrettoError for an unknown name, a missing file or network, a checkpoint that is not a plain Llama, and
    tensors that are missing, left over or of another size than the configuration says.
    """
    path = find(name, _FILES)
    return _from_gguf(read_gguf(path)) if path.suffix == ".gguf" else _from_directory(path)


def _from_directory(path: Path) -> tuple[LlamaShape, dict[str, torch.Tensor]]:
    shape = shape_of_config(_config(path / "config.json"), str(path / "config.json"))
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise StrettoError(f"Expected *.safetensors beside {path / 'config.json'}, found none.")
    with contextlib.ExitStack() as stack:
        places: dict[str, Any] = {}
        for file in files:
            try:
                opened = stack.enter_context(safe_open(file, framework="pt"))
            except SafetensorError as error:
                raise StrettoError(f"{file} is not a whole safetensors file ({error}). Download it again.") from error
            places.update(dict.fromkeys(opened.keys(), opened))

        def fill(part: str, layer: int, out: torch.Tensor) -> None:
            name = _IN_SAFETENSORS[part].format(i=layer)
            out.copy_(places[name].get_tensor(name))

        stored = {name: tuple(opened.get_slice(name).get_shape()) for name, opened in places.items()}
        return shape, _gather(shape, _IN_SAFETENSORS, stored, fill, str(path))


def _config(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StrettoError(f"Expected {path}: a model's directory has config.json and *.safetensors.") from error
    except json.JSONDecodeError as error:
        raise StrettoError(f"{path} is not valid JSON ({error}).") from error


def _from_gguf(file: Gguf) -> tuple[LlamaShape, dict[str, torch.Tensor]]:
    shape = shape_of_gguf(file)
    data = np.memmap(file.path, mode="r")
    heads = {"q": shape.heads, "k": shape.kv_heads}

    def fill(part: str, layer: int, out: torch.Tensor) -> None:
        raw, kind = _raw(file, _IN_GGUF[part].format(i=layer), data)
        if part in heads:
            raw = _halves(raw, heads[part])
        _dequantise(raw, kind, out.numpy())

    stored = {name: tensor.shape for name, tensor in file.tensors.items()}
    return shape, _gather(shape, _IN_GGUF, stored, fill, str(file.path))


def _raw(file: Gguf, name: str, data: np.ndarray) -> tuple[np.ndarray, GGMLQuantizationType]:
    """The bytes of a tensor, one row of bytes for each of its rows, and how they are quantised."""
    tensor = file.tensors[name]
    kind = GGMLQuantizationType(tensor.kind)
    block, size = GGML_QUANT_SIZES[kind]
    *rows, columns = tensor.shape
    raw = data[tensor.offset : tensor.offset + math.prod(rows) * columns // block * size]
    if len(raw) * block != math.prod(tensor.shape) * size:
        raise StrettoError(f"{file.path} ends inside {name}. Install or download it again.")
    return np.asarray(raw).reshape(*rows, columns // block * size), kind


def _halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k from pairs side by side (0, 1), (2, 3) … to the two halves of each head: 0, 2, 4 … 1, 3, 5 …"""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def _dequantise(raw: np.ndarray, kind: GGMLQuantizationType, out: np.ndarray) -> None:
    """Writes the float32 values of `raw` into `out`, which is contiguous."""
    if kind not in _BLOCKWISE:
        try:
            out[...] = dequantize(raw, kind)
        except NotImplementedError as error:
            raise StrettoError(f"Weights stored as {kind.name} cannot be read: {error}.") from error
        return
    block, size = GGML_QUANT_SIZES[kind]
    blocks, values = raw.reshape(-1, size), out.reshape(-1, block)
    for i in range(0, len(blocks), _BLOCKS_AT_ONCE):
        _BLOCKWISE[kind](blocks[i : i + _BLOCKS_AT_ONCE], values[i : i + _BLOCKS_AT_ONCE])


def _q4_1(blocks: np.ndarray, out: np.ndarray) -> None:
    """32 values a block: a scale, an offset, 16 bytes; their low halves are the first 16 values, the high the rest."""
    scale, offset = np.ascontiguousarray(blocks[:, :4]).view(np.float16).astype(np.float32).T
    out[:, :16] = blocks[:, 4:] & 15
    out[:, 16:] = blocks[:, 4:] >> 4
    out *= scale[:, None]
    out += offset[:, None]


def _q8_0(blocks: np.ndarray, out: np.ndarray) -> None:
    """32 values a block: a scale and 32 signed bytes."""
    scale = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
    np.multiply(blocks[:, 2:].view(np.int8), scale, out=out)


_BLOCKWISE = {GGMLQuantizationType.Q4_1: _q4_1, GGMLQuantizationType.Q8_0: _q8_0}


def _sizes(shape: LlamaShape) -> dict[str, tuple[int, ...]]:
    """What each stored part must measure."""
    wide, queries, keys = shape.width, shape.heads * shape.head, shape.kv_heads * shape.head
    return {
        "embed": (shape.vocab, wide),
        "norm1": (wide,),
        "q": (queries, wide),
        "k": (keys, wide),
        "v": (keys, wide),
        "out": (wide, queries),
        "norm2": (wide,),
        "gate": (shape.ffn, wide),
        "up": (shape.ffn, wide),
        "down": (wide, shape.ffn),
        "norm": (wide,),
        "head": (shape.vocab, wide),
    }


def _gather(
    shape: LlamaShape, names: Mapping[str, str], stored: Mapping[str, tuple[int, ...]], fill: Fill, where: str
) -> dict[str, torch.Tensor]:
    """All weights under our names. `names`: how the file calls the parts; `stored`: the shape of all that is in it."""
    ends = ("embed", "norm") if shape.tied else ("embed", "norm", "head")
    sizes = _sizes(shape)
    expected = {names[part]: sizes[part] for part in ends}
    for part in itertools.chain.from_iterable(_FUSED.values()):
        expected |= {names[part].format(i=i): sizes[part] for i in range(shape.depth)}
    _compare(expected, stored, names["head"] if shape.tied else _UNUSED, where)

    def fused(parts: tuple[str, ...], layer: int = 0) -> torch.Tensor:
        rows = [sizes[part][0] for part in parts]
        out = torch.empty(sum(rows), *sizes[parts[0]][1:])
        for part, into in zip(parts, out.split(rows), strict=True):
            fill(part, layer, into)
        return out

    weights = {f"{part}.weight": fused((part,)) for part in ends}
    for i in range(shape.depth):
        weights |= {f"layers.{i}.{name}.weight": fused(parts, i) for name, parts in _FUSED.items()}
    return weights


def _compare(
    expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, tuple[int, ...]], ignored: str, where: str
) -> None:
    """Refuses a file that lacks tensors, has others (biases, experts), or has them in other sizes."""
    missing = sorted(expected.keys() - stored.keys())
    extra = sorted(n for n in stored.keys() - expected.keys() if n != ignored and not n.endswith(_UNUSED))
    for what, names in (("lacks", missing), ("has what a plain Llama does not have:", extra)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise StrettoError(
                f"{where} {what} {', '.join(names[:3])}{more}. Expected the tensors of a plain Llama without biases."
            )
    for name, size in expected.items():
        if stored[name] != size:
            raise StrettoError(f"{where}: expected {name} of shape {size} by its configuration, got {stored[name]}.")
