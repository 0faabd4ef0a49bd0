"""Checkpoints: a network in a directory, `save_pretrained` and `from_pretrained`.

    NAME/config.json                        configuration, layout, checksums of the shards, facts
    NAME/model-00001-of-00003.safetensors   weights, at most 16 MiB a file

A checkpoint may stand beside others that it is made of (`shared`): what is theirs to the bit is read from them.

A shipped checkpoint holds what was trained. What a package brings, the language model and the ear, stays in its package
and is left out as long as it is bit for bit what the package has; an adapter beside it (nn/lora.py), or a weight of it
that was trained after all, is kept. What is still as the seed drew it, because another stage trains it, is named in
`drawn` and drawn again. A directory is written beside its place and renamed into it, so it is there whole
or not at all. Loading checks the version, the checksums, the layout field by field, and every tensor's name and shape.

Needs: torch, safetensors; huggingface_hub for hub ids. Does not hold optimizers or training state.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import stretto
from stretto.agents.checkpoint_layout import differences
from stretto.agents.network import Network
from stretto.core.config_file import from_json, to_json
from stretto.core.errors import StrettoError, nearest, unknown
from stretto.nn.lora import adapters
from stretto.think.llama import download

FORMAT = 1
SHARD = 16 << 20
"""Bytes of a shard, its header included, at most."""

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32, "int8": torch.bfloat16}
"""How weights are stored: of `int8`, what does not go into 8 bits."""

SCALE = "#scale"
"""What follows the name of a weight in 8 bits: float32, one number a row."""

EIGHT_BITS = re.compile(r"backbone\.experts\.\w+\.layers\.\d+\.(qkv|out|ffn\.gate_up|ffn\.down)\.(weight|down)")
"""Weights that go into 8 bits: those that life takes in 8 bits anyway (nn/quantise.py), so nothing is lost there; and
the first matrix of an adapter, whose few rows are long."""
CONFIG = "config.json"


def save_pretrained(
    network: Network,
    directory: Path | str,
    dtype: str = "bfloat16",
    only: str = "trained",
    facts: Mapping[str, Any] | None = None,
    shared: Sequence[Path | str] = (),
) -> Path:
    """Write a network to `directory`, which must not be there yet, and return it.

    `dtype`: bfloat16, float32, or int8: the experts' linear layers in 8 bits, all else in bfloat16. `only`: "trained"
    leaves out what is as it was built, "all" nothing. `facts`: anything that JSON can hold, for people. `shared`: other
    checkpoints, found by their place relative to this one: tensors that the first of them that has the name has to the
    bit are not written again. Raises StrettoError for a live or merged network and when the disk refuses.
    """
    for what, name, known in (("dtype", dtype, DTYPES), ("choice of tensors", only, ("trained", "all"))):
        if name not in known:
            raise unknown(what, name, known)
    _check_plain(network, "saved")
    directory = Path(directory)
    if directory.is_file() or (directory.is_dir() and any(directory.iterdir())):
        raise StrettoError(f"Expected a new directory for a checkpoint, but '{directory}' is there. Choose another.")
    others = {found: _head(found) for found in map(_find, shared)}
    theirs = _first([_read_shards(*other) for other in others.items()])
    left_out = (_untouched(network) if only == "trained" else set()) - theirs.keys()
    drawn = sorted(name for name in left_out if not _is_packaged(network, name))
    tensors = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name not in left_out and not _is_same(tensor, theirs.get(name))
    }
    head = {
        "format": FORMAT,
        "made_by": f"stretto {stretto.__version__}",
        "dtype": dtype,
        "only": only,
        "network": to_json(network.config),
        "layout": network.layout.signature(),
        "facts": dict(facts or {}),
        "drawn": drawn,
    }
    if others:
        head["shared"] = {os.path.relpath(other, directory): there["shards"] for other, there in others.items()}
    part = directory.with_name(f".{directory.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        tensors = dict(_in_eight_bits(tensors)) if dtype == "int8" else tensors
        head["shards"] = _write_shards(part, tensors, DTYPES[dtype])
        (part / CONFIG).write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")
        part.rename(directory)
    except OSError as error:
        raise StrettoError(f"Cannot write the checkpoint '{directory}': {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return directory


def from_pretrained(name: Path | str) -> Network:
    """The network of a checkpoint: a directory or a hub id. What was left out comes from its package.

    Raises StrettoError for what is no checkpoint, is of another version, damaged, or does not fit this Stretto.
    """
    directory = _find(name)
    config = from_json(_head(directory)["network"], str(directory / CONFIG))
    if not isinstance(config, Network.Config):
        raise StrettoError(f"Expected the configuration of a network in {directory / CONFIG}, got {config!r}.")
    return load(config.build(), directory)


def load(network: Network, name: Path | str) -> Network:
    """Fill a network with a checkpoint's weights, in place, and return it.

    Raises StrettoError when the checkpoint is of another layout or its tensors are not the network's.
    """
    _check_plain(network, "filled")
    directory = _find(name)
    head = _head(directory)
    _check_layout(network, head, directory)
    state = network.state_dict()
    own, *theirs = [_read_shards(*source) for source in _sources(directory, head)]
    found = own | {name: tensor for name, tensor in _first(theirs).items() if name in state and name not in own}
    packaged = {name for name in state if _is_packaged(network, name)} if head["only"] == "trained" else set()
    given = packaged | set(head.get("drawn", ()))
    _check_tensors(state, found, given, directory)
    with torch.no_grad():
        for key, tensor in found.items():
            state[key].copy_(tensor)
    return network


def find_weights(name: str, recipe: str) -> str:
    """The directory of a shipped checkpoint: in the folder one stands in, else in the checkout.

    Raises StrettoError with the command that trains one when it is not there.
    """
    checkout = Path(__file__).resolve().parents[3]
    for path in (Path(name).expanduser(), checkout / name):
        if (path / CONFIG).is_file():
            return str(path)
    raise StrettoError(
        f"There are no trained weights in '{name}': expected a directory that save_pretrained wrote. "
        f"Train them: stretto train {recipe}, which says where it writes them."
    )


def digest(name: Path | str) -> str:
    """The sha256 of a checkpoint's weights, configuration and layout, in hex; `facts` and the name do not count."""
    directory = _find(name)
    head = _head(directory)
    for folder, source in _sources(directory, head):
        for shard, expected in source["shards"].items():
            _check_sum(folder, shard, expected)
    weights = {key: head[key] for key in ("network", "layout", "shards", "shared") if key in head}
    return hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()


def _check_plain(network: Network, what: str) -> None:
    """Raises StrettoError for a network whose modules or weights were changed for running."""
    if network.is_live:
        raise StrettoError(
            f"A live network holds quantised weights and cannot be {what}. Do it before live(), or build another one."
        )
    if any(adapter.merged for adapter in adapters(network)):
        raise StrettoError(f"A network with merged adapters cannot be {what}. Call unmerge() on each of them first.")


def _is_packaged(network: Network, name: str) -> bool:
    """Whether a tensor of that name comes with a pretrained part when the network is built."""
    language = bool(network.config.language)
    if name.startswith("backbone.experts.language."):
        return language and not name.endswith((".up", ".down"))
    if name.startswith(("tables.text.base", "tables.text.head.")):
        return language
    return name.startswith("ear.") and network.config.ear.pretrained


def _untouched(network: Network) -> set[str]:
    """Names of the tensors that are still what a package brings or what the configuration's seed draws."""
    fresh: Network = network.config.build()
    state = network.state_dict()
    return {name for name, tensor in fresh.state_dict().items() if torch.equal(state[name], tensor.to(state[name]))}


def _in_eight_bits(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Linear layers of the experts as integers and scales."""
    for name, tensor in tensors.items():
        if not EIGHT_BITS.fullmatch(name):
            yield name, tensor
            continue
        scale = (tensor.detach().float().abs().amax(1) / 127).clamp(min=1e-12)
        yield name, (tensor.detach().float() / scale[:, None]).round().to(torch.int8)
        yield name + SCALE, scale


def _pieces(name: str, tensor: Tensor, dtype: torch.dtype) -> Iterator[tuple[str, Tensor, int]]:
    """A tensor as entries of a shard, with their bytes; one that is too large for a shard goes by rows, `name@row`."""
    size = dtype.itemsize if tensor.is_floating_point() else tensor.itemsize
    overhead = len(name) + 160
    room = SHARD - 1_024 - overhead
    if tensor.numel() * size <= room:
        yield name, tensor, tensor.numel() * size + overhead
        return
    rows = room // (tensor[0].numel() * size)
    for first in range(0, len(tensor), rows):
        some = tensor[first : first + rows]
        yield f"{name}@{first}", some, some.numel() * size + overhead


def _write_shards(folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, str]:
    """Write the shards, filled one after the other in the order of names; their file names and checksums."""
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name in sorted(tensors):
        for key, piece, size in _pieces(name, tensors[name], dtype):
            if filled + size > SHARD - 1_024 and shards[-1]:
                shards.append({})
                filled = 0
            shards[-1][key] = piece
            filled += size
    sums = {}
    for number, shard in enumerate(shards, start=1):
        path = folder / f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        exact = {key: torch.float32 if key.partition("@")[0].endswith(SCALE) else dtype for key in shard}
        save_file({key: _stored(piece, exact[key]) for key, piece in shard.items()}, path)
        sums[path.name] = _sum(path)
    return sums


def _stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of its own, on the CPU, contiguous."""
    kind = dtype if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", kind, copy=True).contiguous()


def _read_shards(directory: Path, head: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors by name, whole again."""
    found: dict[str, dict[int, Tensor]] = {}
    for shard, expected in head["shards"].items():
        _check_sum(directory, shard, expected)
        try:
            entries = load_file(directory / shard)
        except SafetensorError as error:
            raise _damaged(directory / shard, f"is not a safetensors file ({error})") from error
        for key, tensor in entries.items():
            name, _, first = key.partition("@")
            found.setdefault(name, {})[int(first or 0)] = tensor
    whole = {
        name: torch.cat([some[first] for first in sorted(some)]) if len(some) > 1 else some[0]
        for name, some in found.items()
    }
    scales = {name.removesuffix(SCALE): whole.pop(name) for name in list(whole) if name.endswith(SCALE)}
    return whole | {name: whole[name].float() * scale[:, None] for name, scale in scales.items()}


def _sources(directory: Path, head: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Folders with their shards: a checkpoint's own, and those that it shares."""
    shared = head.get("shared", {}).items()
    return [(directory, head), *((directory / other, {"shards": shards}) for other, shards in shared)]


def _first(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of every name the tensor of the first that has it."""
    return {name: tensor for some in reversed(several) for name, tensor in some.items()}


def _is_same(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and tensor.shape == other.shape and torch.equal(tensor.cpu(), other.to(tensor.dtype))


def _check_sum(directory: Path, shard: str, expected: str) -> None:
    path = directory / shard
    if not path.is_file():
        raise _damaged(path, "is missing")
    if _sum(path) != expected:
        raise _damaged(path, f"is not what {CONFIG} says was written (another sha256, {path.stat().st_size} bytes)")


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, how: str) -> StrettoError:
    return StrettoError(f"The checkpoint is damaged: {path} {how}. Copy or download the whole directory again.")


def _find(name: Path | str) -> Path:
    """The directory of a checkpoint. Raises StrettoError when there is none."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if isinstance(name, str) and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        instead = "give the directory of a checkpoint that is here"
        return download(name, (CONFIG, "model-*.safetensors"), "checkpoint", instead)
    beside = [found.name for found in path.parent.glob("*") if (found / CONFIG).is_file()]
    close = nearest(path.name, beside)
    raise StrettoError(
        f"There is no checkpoint '{name}'." + (f" Did you mean '{path.parent / close}'?" if close else "")
        + " Expected a directory that save_pretrained wrote, or a hub id org/name."
    )  # fmt: skip


def _head(directory: Path) -> dict[str, Any]:
    """What `config.json` says. Raises StrettoError when it is no checkpoint's or of another version."""
    path = directory / CONFIG
    wanted = "Expected the directory of a checkpoint (written by save_pretrained)"
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StrettoError(f"{wanted}, but there is no {path}.") from error
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read as JSON ({error})") from error
    if not isinstance(head, dict) or "format" not in head:
        raise StrettoError(f"{wanted}, but {path} is the configuration of something else.")
    if head["format"] != FORMAT:
        raise StrettoError(
            f"Expected a checkpoint of format {FORMAT}, got format {head['format']} in {path}, written by "
            f"{head.get('made_by', 'an unknown version')}; this is stretto {stretto.__version__}. Use that version."
        )
    missing = [key for key in ("network", "layout", "shards", "only") if key not in head]
    if missing:
        raise _damaged(path, f"lacks {', '.join(missing)}")
    return head


def _check_layout(network: Network, head: Mapping[str, Any], directory: Path) -> None:
    differ = differences(network.layout.signature(), head["layout"])
    if differ:
        more = f"; and {len(differ) - 4} more" if len(differ) > 4 else ""
        raise StrettoError(
            f"The checkpoint '{directory}' is of another layout. {'; '.join(differ[:4])}{more}. Weights learned under "
            f"one layout do not fit another: build the network from the checkpoint (from_pretrained) or train one for "
            f"this layout; if from_pretrained itself says this, use {head.get('made_by', 'the version that wrote it')}."
        )


def _check_tensors(state: Mapping[str, Tensor], found: Mapping[str, Tensor], given: set[str], directory: Path) -> None:
    """Raises StrettoError for tensors that are missing (but for those `given`), left over or of another shape."""
    missing = sorted(state.keys() - found.keys() - given)
    extra = sorted(found.keys() - state.keys())
    for what, names in (("lacks", missing), ("has what the network does not have:", extra)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise StrettoError(
                f"The checkpoint '{directory}' {what} {', '.join(names[:3])}{more}. Build the network from the "
                f"checkpoint's own configuration (from_pretrained)."
            )
    for name, tensor in found.items():
        if tensor.shape != state[name].shape:
            raise StrettoError(
                f"The checkpoint '{directory}': expected {name} of shape {tuple(state[name].shape)}, got "
                f"{tuple(tensor.shape)}. Build the network from the checkpoint's own configuration (from_pretrained)."
            )
