"""Work that the card "backbone" times and compares: sequences, streamed text, an hour of talk, transformers' arms."""

import pydoc_data.topics
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stretto.agents.duplex import SYSTEM
from stretto.agents.network import Network
from stretto.agents.sizes import tiny
from stretto.core.rng import generator
from stretto.nn.lora import adapt
from stretto.think.cursor import Cursor, Row, Rows
from stretto.think.expert import ExpertConfig
from stretto.think.language import config_of
from stretto.think.layout import TIME, Layout, Stream
from stretto.think.layouts.tick200 import Tick200
from stretto.think.llama import SMOLLM2_135M
from stretto.think.memory import Rings
from stretto.think.pretrained import load_llama
from stretto.think.text import Text
from stretto.think.tokens import gather


def pair_layout(ticks: int) -> Layout:
    """Two streams of eight tokens a tick on two experts, all visible: a balanced sequence."""
    streams = tuple(
        Stream(name=name, expert=name, counter=TIME, sees=("first", "second"), tokens=8, keep=ticks)
        for name in ("first", "second")
    )
    return Layout(name="pair", tick_s=0.2, steps=8, streams=streams, vocabularies={})


def pair_experts(depth: int = 4) -> dict[str, ExpertConfig]:
    """Two experts of SmolLM2's width."""
    return {name: replace(config_of(SMOLLM2_135M), depth=depth) for name in ("first", "second")}


def pair_rows(layout: Layout, ticks: int) -> Rows:
    """All rows of the balanced sequence."""
    cursor, rows = Cursor.start(layout), list[Row]()
    for _ in range(ticks):
        cursor, some = cursor.tick({"first": 8, "second": 8})
        rows += some
    return tuple(rows)


def network(**layout: Any) -> Network:
    """The tiny network, in float32, with some numbers of its layout changed."""
    return replace(tiny(), layout=Tick200.Config(**layout)).build().requires_grad_(False)


def adapted(net: Network, seed: int, size: float = 0.003) -> Network:
    """The same network with adapters of rank 16 on its language expert, as large as training makes them."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for adapter in adapt(net.backbone.experts["language"], 16):
            adapter.down.copy_(torch.randn(adapter.down.shape, generator=draw) * adapter.down.shape[1] ** -0.5)
            adapter.up.copy_(torch.randn(adapter.up.shape, generator=draw) * size)
    return net.requires_grad_(False)


def passages(text: Text, count: int, tokens: int) -> list[list[int]]:
    """`count` passages of English prose of `tokens` tokens each: Python's own documentation, sentences in order."""
    prose = "\n\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    paragraphs = [re.sub(r"\s+", " ", part).strip() for part in prose.split("\n\n")]
    paragraphs = [part for part in paragraphs if len(part) > 200 and part.count("|") + part.count("+") < 4]
    generator(0, "passages").shuffle(paragraphs)
    found, waiting = [], []
    for paragraph in paragraphs:
        waiting += text.encode(paragraph + " ")
        if len(waiting) >= tokens:
            found.append(waiting[:tokens])
            waiting = []
        if len(found) == count:
            return found
    raise AssertionError("not enough prose")


def plain_logits(net: Network, ids: Sequence[int]) -> Tensor:
    """Logits (tokens, vocabulary) of a text read in one go, as any language model reads it."""
    _, rows = Cursor.start(net.layout).begin(ids)
    tokens = gather(net.layout, [rows], [[True] * len(rows)])
    states = net.backbone(net.embed(tokens, {}), tokens)
    return net.tables["text"].logits(states["language"][0])[:, : net.layout.vocabularies["text"].table.size]  # type: ignore[operator]


def streamed_logits(net: Network, ids: Sequence[int], system: Sequence[int], live: bool, silences: int) -> Tensor:
    """Logits of the same text said by the say slot, one token a tick with `silences` silent ticks between, after the
    system prompt; stepped through the rings if `live`, else as one masked sequence.
    """
    silence = net.layout.token("say", "nothing")
    cursor, rows = Cursor.start(net.layout).begin(system)
    passes, spoken = [(rows, [True] * len(rows))], []
    for token in ids:
        for quiet in [True] * silences + [False]:
            cursor, rows = cursor.tick({})
            cursor, stored, _ = cursor.settle(_said(net.layout, silence if quiet else token))
            spoken.append(not quiet)
            passes.append((_only(net.layout, rows, "say"), [stored[_index(net.layout, rows, "say")]]))
            cursor = _without_further(cursor)
    states = _stepped(net, passes) if live else _whole(net, passes)
    return net.tables["text"].logits(states[torch.tensor(spoken)])[:, : net.layout.vocabularies["text"].table.size]  # type: ignore[operator]


def _stepped(net: Network, passes: list[tuple[Rows, list[bool]]]) -> Tensor:
    rings, states = net.backbone.rings(), []
    for rows, stored in passes:
        tokens = gather(net.layout, [rows])
        states.append(net.backbone(net.embed(tokens, {}), tokens, rings)["language"][0])
        rings.keep([stored])
    return torch.cat(states[1:])


def _whole(net: Network, passes: list[tuple[Rows, list[bool]]]) -> Tensor:
    rows = tuple(row for some, _ in passes for row in some)
    tokens = gather(net.layout, [rows], [[flag for _, some in passes for flag in some]])
    states = net.backbone(net.embed(tokens, {}), tokens)["language"][0]
    say = tokens["language"].stream == net.layout.index["say"]
    return states[say]


def _said(layout: Layout, say: int) -> dict[str, int]:
    return {"say": say, "heard": layout.token("heard", "nothing"), "act": layout.vocabularies["act"].id("<halt>")}


def _index(layout: Layout, rows: Rows, name: str) -> int:
    return next(index for index, row in enumerate(rows) if row.stream == layout.index[name])


def _only(layout: Layout, rows: Rows, name: str) -> Rows:
    return tuple(row for row in rows if row.stream == layout.index[name])


def _without_further(cursor: Cursor) -> Cursor:
    """A cursor that does not ask the slot again in this tick."""
    return replace(cursor, rows=())


class Talk:
    """A session of talk at forced words: speech in every tick (rows of the text table, the size of what adapters give),
    heard in one third of them and say in another.
    """

    def __init__(self, net: Network, seed: int = 0, tick: int = 0, text: int = 0) -> None:
        self.net, self.rng = net, generator(seed, "talk")
        self.draw = torch.Generator().manual_seed(seed)
        self.rings: Rings = net.backbone.rings()
        self.cursor = Cursor.start(net.layout, tick=tick, text=text)
        self.ids = passages(net.text, 1, 400)[0] if net.text else list(range(3, 50))
        self.count = 0
        self.record: list[tuple[Rows, list[bool], Tensor]] = []
        self.cursor, rows = self.cursor.begin(net.text.encode(SYSTEM, special=True) if net.text else self.ids[:4])
        self._run(rows, torch.zeros(1, 0, 1))
        self.rings.keep([[True] * len(rows)])
        self.record.append((rows, [True] * len(rows), torch.zeros(1, 0, 1)))

    def step(self, record: bool = False) -> Tensor:
        """One tick; the last states of its first pass's language tokens."""
        layout = self.net.layout
        self.cursor, rows = self.cursor.tick({"speech": 2})
        table = self.net.tables["text"].base
        assert isinstance(table, Tensor)
        speech = table[torch.randint(len(table), (1, 2), generator=self.draw)].to(self.net.query.dtype)
        first = None
        while rows:
            states = self._run(rows, speech)
            first = states if first is None else first
            said = {
                layout.streams[row.stream].name: self._word(row.stream)
                for row in rows
                if layout.streams[row.stream].is_slot
            }
            last = rows
            self.cursor, stored, rows = self.cursor.settle(said)
            self.rings.keep([stored])
            if record:
                self.record.append((last, stored, speech))
        assert first is not None
        return first["language"][0]

    def _run(self, rows: Rows, speech: Tensor) -> dict[str, Tensor]:
        tokens = gather(self.net.layout, [rows])
        return self.net.backbone(self.net.embed(tokens, {"speech": speech}), tokens, self.rings)

    def _word(self, place: int) -> int:
        layout = self.net.layout
        name = layout.streams[place].name
        if name == "act":
            return layout.vocabularies["act"].id("<move>")
        if self.cursor.now % 3 != (0 if name == "say" else 1):
            return layout.token(name, "nothing")
        self.count += 1
        return int(self.ids[self.count % len(self.ids)])


def transformers_model() -> Any:
    """SmolLM2 in transformers, bfloat16, with the same weights (its own GGUF loader would keep them packed)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape, weights = load_llama("smollm2-135m")
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.ffn,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        rms_norm_eps=shape.eps,
        rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
        tie_word_embeddings=True,
        max_position_embeddings=8_192,
    )
    state = {"model.embed_tokens.weight": weights["embed.weight"], "model.norm.weight": weights["norm.weight"]}
    sizes = [shape.heads * shape.head, shape.kv_heads * shape.head, shape.kv_heads * shape.head]
    for layer in range(shape.depth):
        ours, theirs = f"layers.{layer}.", f"model.layers.{layer}."
        query, key, value = weights[f"{ours}qkv.weight"].split(sizes)
        gate, up = weights[f"{ours}gate_up.weight"].chunk(2)
        parts = {"q": query, "k": key, "v": value, "o": weights[f"{ours}out.weight"]}
        state |= {f"{theirs}self_attn.{name}_proj.weight": part for name, part in parts.items()}
        parts = {"gate": gate, "up": up, "down": weights[f"{ours}down.weight"]}
        state |= {f"{theirs}mlp.{name}_proj.weight": part for name, part in parts.items()}
        state[f"{theirs}input_layernorm.weight"] = weights[f"{ours}norm1.weight"]
        state[f"{theirs}post_attention_layernorm.weight"] = weights[f"{ours}norm2.weight"]
    model = LlamaForCausalLM(config)
    left = model.load_state_dict(state, strict=False)
    assert set(left.missing_keys) <= {"lm_head.weight"}, left
    assert not left.unexpected_keys, left
    return model.bfloat16().eval()
