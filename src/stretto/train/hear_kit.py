"""Hearing alone: a network without what hearing does not compute, and a kit to train it where no package is.

With a listening expert neither the language model's layers nor eyes nor arm take part, so the network that is trained
has them in the smallest form; the tensors that are trained have the names and shapes of the whole one. What is needed
of the language model, its table of embeddings and the spelling of its tokens, fits into a kit of 29 MB (8 bits, a scale
a row).

    network = alone(size("tiny-listener"), kit)
    put(trained tensors, whole network)

Needs: safetensors; the language model's package to make a kit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stretto.act.heads.flow import FlowHead
from stretto.agents.network import Network
from stretto.core.errors import StrettoError
from stretto.look.encoders.conv import ConvTokens
from stretto.think.backbone import Backbone
from stretto.think.expert import ExpertConfig
from stretto.think.language import table_of
from stretto.think.layout import TextTable
from stretto.think.pretrained import load_llama
from stretto.think.text import load_text


@dataclass(frozen=True, kw_only=True)
class Kit:
    """`table` (tokens, width): embeddings."""

    table: Tensor
    text: TextTable

    def words(self, tokens: Sequence[int]) -> str:
        """Tokens as text."""
        spelled = self.text.spelled
        return b"".join(spelled[token] for token in tokens if token < len(spelled)).decode("utf-8", "replace")


def kit_of(language: str) -> Kit:
    """The kit of an installed language model. Raises StrettoError when it is not there."""
    text, (_, weights) = load_text(language), load_llama(language)
    return Kit(table=weights["embed.weight"], text=table_of(text))


def save_kit(kit: Kit, path: Path) -> Path:
    """Write a kit, its table rounded to 8 bits."""
    scale = (kit.table.abs().amax(1) / 127).clamp(min=1e-12)
    tensors = {"table": (kit.table / scale[:, None]).round().to(torch.int8), "scale": scale.half()}
    facts = {"size": kit.text.size, "ids": dict(kit.text.ids), "spelled": [each.hex() for each in kit.text.spelled]}
    part = path.with_name(f".{path.name}.part")
    save_file(tensors, part, {"facts": json.dumps(facts)})
    return part.replace(path)


def load_kit(path: Path) -> Kit:
    """What `save_kit` wrote. Raises StrettoError when it is no kit."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            table = file.get_tensor("table").float() * file.get_tensor("scale").float()[:, None]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StrettoError(f"'{path}' is no kit of a language model ({error}). Delete it to have it made.") from error
    spelled = tuple(bytes.fromhex(each) for each in facts["spelled"])
    return Kit(table=table, text=TextTable(size=int(facts["size"]), ids=facts["ids"], spelled=spelled))


def alone(config: Network.Config, kit: Kit | None) -> Network:
    """The hearing half of a network with a listening expert, all else as small as it can be."""
    experts = dict(config.backbone.experts)
    geometry: dict[str, Any] = {name: getattr(experts["listening"], name) for name in ("kv_heads", "head")}
    small = ExpertConfig(depth=1, width=16, heads=geometry["kv_heads"], ffn=16, **geometry)
    width = experts["language"].width if kit is None else kit.table.shape[1]
    experts |= {"action": small, "language": replace(small, width=width)}
    network: Network = replace(
        config,
        language="",
        table=kit.text if kit else config.table,
        backbone=Backbone.Config(experts=experts),
        ear=replace(config.ear, pretrained=False, layers=1) if config.ear.pretrained else config.ear,
        eye=ConvTokens.Config.tiny(),
        head=FlowHead.Config.tiny(),
    ).build()
    if kit is not None:
        with torch.no_grad():
            network.tables["text"].base.copy_(kit.table)  # type: ignore[operator]
    return network


@torch.no_grad()
def put(tensors: Mapping[str, Tensor], network: Network) -> Network:
    """Fill the tensors of these names, in place. Raises StrettoError for one that the network has not."""
    state = network.state_dict()
    for name, tensor in tensors.items():
        if name not in state or state[name].shape != tensor.shape:
            raise StrettoError(
                f"Trained weights of another network: it has no '{name}' of shape {tuple(tensor.shape)}."
            )
        state[name].copy_(tensor)
    return network
