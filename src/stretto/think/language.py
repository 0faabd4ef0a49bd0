"""A pretrained language model as an expert of the backbone: `language_expert("smollm2-135m")`.

Rows of queries and keys are reordered for our way of turning them (nn/rope.py); nothing else changes, so the language
path computes what transformers' Llama does. Our own tokens begin as tokens of the model that mean something close, or
as zero.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from stretto.nn.rope import interleaved
from stretto.think.expert import Expert, ExpertConfig
from stretto.think.layout import TextTable
from stretto.think.llama import LlamaShape
from stretto.think.table import TokenTable
from stretto.think.text import Text

NEAR = {"<heard>": "user", "<say>": "assistant"}
"""Our own tokens that begin as a word of the language model."""

QUIET = {"<blank>": 60.0, "<silence>": 22.0}
"""First scores of having nothing to add, beside the 20 to 37 of SmolLM2's best token: before any training it hears
nothing, and says a word now and then.
"""

NAMED = ("<|im_start|>", "<|im_end|>")


def config_of(shape: LlamaShape) -> ExpertConfig:
    """The expert that has a language model's geometry."""
    return ExpertConfig(
        depth=shape.depth,
        width=shape.width,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head=shape.head,
        ffn=shape.ffn,
        theta=shape.theta,
        eps=shape.eps,
    )


def table_of(text: Text) -> TextTable:
    """What must be known of a tokenizer: special tokens, those with which a turn of a person begins, all spellings."""
    ids = {name: text.id(name) for name in NAMED}
    ids |= {"user": text.encode("user")[0], "<line>": text.encode("\n")[0]}
    return TextTable(size=text.size, ids=ids, spelled=tuple(text.bytes_of(token) for token in range(text.size)))


def load_expert(expert: Expert, weights: Mapping[str, Tensor]) -> None:
    """Fill an expert from weights named as think/pretrained.py names them."""
    expert.load_state_dict(expert_weights(expert.config, weights))


def expert_weights(c: ExpertConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A language model's weights under the names of an expert, and turned our way."""
    turned = (c.heads + c.kv_heads) * c.head
    state = {"norm.weight": weights["norm.weight"]}
    for layer in range(c.depth):
        part = {name: weights[f"layers.{layer}.{name}.weight"] for name in _PARTS}
        part["qkv"] = torch.cat([interleaved(part["qkv"][:turned], c.head), part["qkv"][turned:]])
        state |= {f"layers.{layer}.{_PARTS[name]}.weight": weight for name, weight in part.items()}
    return state


@torch.no_grad()
def load_table(table: TokenTable, weights: Mapping[str, Tensor], text: Text) -> None:
    """Fill a vocabulary from a language model's table; our own tokens from what is near them."""
    assert table.base is not None
    table.base.copy_(weights["embed.weight"])
    if table.head is not None:
        table.head.weight.copy_(weights["head.weight"])  # type: ignore[operator]
    table.own.zero_()
    for row, name in enumerate(table.vocabulary.names):
        table.bias[row] = QUIET.get(name, 0.0)
        if name in NEAR:
            table.own[row] = weights["embed.weight"][text.encode(NEAR[name])].mean(0)


_PARTS = {
    "norm1": "norm1",
    "qkv": "qkv",
    "out": "out",
    "norm2": "norm2",
    "gate_up": "ffn.gate_up",
    "down": "ffn.down",
}
