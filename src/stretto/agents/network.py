"""The whole network of the duplex agent: ears, eyes, backbone, vocabularies and the action head under one layout.

What goes into a tick: speech features through an adapter, pictures through a tokenizer, proprioception, what is being
played, tokens of text. Streams on time get a learned embedding of their place in the tick and one of the tick's number
modulo 16; text gets nothing, so that the language model reads what it was trained on. What comes out: a score per token
for every slot, and the states from which the flow head draws a chunk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stretto.act.heads.flow import FlowHead
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.listen.encoders.adapter import SpeechAdapter
from stretto.listen.encoders.grains import GrainAdapter
from stretto.listen.encoders.settled import Settled
from stretto.listen.encoders.whisper import WhisperEncoder
from stretto.look.encoders.conv import ConvTokens
from stretto.look.encoders.efficientnet import EfficientNetTokens
from stretto.nn.lora import adapt
from stretto.nn.numbers import NumberEmbedding
from stretto.nn.quantise import go_live
from stretto.think.backbone import Backbone
from stretto.think.expert import ExpertConfig
from stretto.think.language import config_of, load_expert, load_table, table_of
from stretto.think.layout import PERIOD, TIME, Layout, TextTable
from stretto.think.layouts.tick200 import Tick200
from stretto.think.llama import LlamaShape
from stretto.think.pretrained import load_llama
from stretto.think.sounds import SOUNDS
from stretto.think.table import BorrowedTable, TokenTable, scores
from stretto.think.text import Text, load_text
from stretto.think.tokens import Tokens
from stretto.think.unwritten import Unwritten

PLAYBACK = 3
"""Numbers that say what is being played: speaking or not, seconds queued, words heard of it (in tens)."""


class Network(nn.Module, Configurable):
    """Everything that has weights. `text` is the tokenizer, None where no pretrained language model is loaded."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`language`: a pretrained model by name (think/pretrained.py), whose geometry then replaces the language
        expert's; empty is random weights, with the tokenizer's size from `table`. `tied`: the head of a random language
        expert is its embedding. `lora`: rank of the adapters on the language expert, whose own weights then rest; 0 is
        none. `grain`: width in which each grain of the ear is read beside its neighbours before they are joined; 0: not
        at all. `spelled`: a narrow expert that borrows a vocabulary scores its tokens by their letters and sounds too.
        `proprio`: numbers of the robot. `whole`: numbers of an action that the robot takes as -1, 0 or 1 (a
        gripper that closes, holds or opens). `seed` draws all that is not loaded.
        """

        layout: BaseConfig = field(default_factory=Tick200.Config)
        table: TextTable | None = None
        backbone: Backbone.Config = field(default_factory=Backbone.Config)
        language: str = ""
        tied: bool = True
        lora: int = 0
        grain: int = 0
        spelled: bool = False
        ear: WhisperEncoder.Config = field(default_factory=WhisperEncoder.Config.tiny)
        eye: ConvTokens.Config | EfficientNetTokens.Config = field(default_factory=ConvTokens.Config.tiny)
        head: FlowHead.Config = field(default_factory=FlowHead.Config.tiny)
        proprio: int = 19
        whole: tuple[int, ...] = (6,)
        seed: int = 0

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.is_live = False
        weights: Mapping[str, Tensor] | None = None
        self.text: Text | None = None
        backbone = config.backbone
        if config.language:
            shape, weights = load_llama(config.language)
            self.text = load_text(config.language)
            backbone = _with_language(backbone, shape)
        self.layout: Layout = config.layout.build(table_of(self.text) if self.text else config.table)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self._make(config, backbone)
            if weights is not None and self.text is not None:
                load_expert(self.backbone.experts["language"], weights)  # type: ignore[arg-type]
                load_table(self.tables["text"], weights, self.text)  # type: ignore[arg-type]
            if config.lora:
                adapt(self.backbone.experts["language"], config.lora)

    def _make(self, config: Config, backbone: Backbone.Config) -> None:
        self.backbone: Backbone = backbone.build(self.layout)
        width = {name: expert.width for name, expert in backbone.experts.items()}
        for expert in self.backbone.experts.values():
            expert.initialise()
        self.tables = nn.ModuleDict(
            {
                name: TokenTable(vocabulary, width[vocabulary.expert], config.tied)
                for name, vocabulary in self.layout.vocabularies.items()
                if not vocabulary.borrows
            }
        )
        for name, vocabulary in self.layout.vocabularies.items():
            if vocabulary.borrows:
                lender = self.tables[vocabulary.borrows]
                lent = width[self.layout.vocabularies[vocabulary.borrows].expert]
                narrow = width[vocabulary.expert]
                self.tables[name] = BorrowedTable(vocabulary, narrow, lender, lent, config.spelled)  # type: ignore[arg-type]
        self.ear: WhisperEncoder = config.ear.build()
        self.adapter: SpeechAdapter | GrainAdapter = _adapter(config, width[self.layout["speech"].expert]).build()
        self.unwritten = self._unwritten(width)
        self.eye: ConvTokens | EfficientNetTokens = config.eye.build()
        self.head: FlowHead = config.head.build()
        self.proprio = NumberEmbedding(config.proprio, width["action"])
        self.playback = nn.Linear(PLAYBACK, width["action"])
        self.query = nn.Parameter(0.02 * torch.randn(width["action"]))
        on_time = [stream for stream in self.layout.streams if stream.counter == TIME]
        self.place = nn.ParameterDict(
            {s.name: nn.Parameter(0.02 * torch.randn(s.tokens, width[s.expert])) for s in on_time}
        )
        self.when = nn.ParameterDict(
            {name: nn.Parameter(0.02 * torch.randn(PERIOD, width[name])) for name in self.layout.experts}
        )
        self._never = {slot.name: self._never_said(slot.name) for slot in self.layout.slots}

    def embed(self, tokens: Mapping[str, Tokens], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs of the backbone. `given`: stream -> (batch, tokens of the call, width) for streams without numbers.

        A stream named `chunk` is asked by a learned query and need not be given.
        """
        return {expert: self._embed_expert(some, given) for expert, some in tokens.items()}

    def _embed_expert(self, some: Tokens, given: Mapping[str, Tensor]) -> Float[Tensor, "batch tokens width"]:
        parts = []
        places = some.stream.tolist()
        for place in dict.fromkeys(places):
            stream = self.layout.streams[place]
            here = some.take(slice(places.index(place), places.index(place) + places.count(place)))
            if stream.is_slot:
                part = self.tables[stream.predicts].embed(here.id)  # type: ignore[operator]
                part = part + given[stream.name] if stream.name in given else part
            elif stream.has_ids:
                part = self.tables["text"].embed(here.id)  # type: ignore[operator]
            elif stream.name == "chunk":
                part = self.query.expand(*here.index.shape, -1)
            else:
                part = given[stream.name]
            if stream.counter == TIME:
                part = part + self.place[stream.name][here.index] + self.when[stream.expert][here.tick % PERIOD]
            parts.append(part.to(self.query.dtype))
        return torch.cat(parts, dim=1)

    def answers(self, states: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """For every slot asked in this call: scores (batch, tokens, vocabulary); what the slot may not say is -inf.

        Slots are scored together, so that each table is read once.
        """
        asked: dict[str, list[tuple[str, Tensor]]] = {}
        for expert, some in tokens.items():
            places = some.stream.tolist()
            for place in dict.fromkeys(places):
                stream, first = self.layout.streams[place], places.index(place)
                if stream.is_slot:
                    here = states[expert][:, first : first + places.count(place)]
                    asked.setdefault(stream.predicts, []).append((stream.name, here))
        found = {}
        states_of = [torch.cat([state for _, state in slots], dim=1) for slots in asked.values()]
        every = scores([self.tables[vocabulary] for vocabulary in asked], states_of)  # type: ignore[misc]
        for slots, joint in zip(asked.values(), every, strict=True):
            for (name, _), part in zip(slots, joint.split([state.shape[1] for _, state in slots], dim=1), strict=True):
                found[name] = part.index_fill(-1, self._never[name], float("-inf"))
        return found

    def shown(self, sounds: Tensor | None, ticks: Sequence[int], ended: Sequence[int]) -> dict[str, Tensor]:
        """What is given to `embed` for the heard slots of sessions: the sounds that they have not written, where sounds
        are read. `sounds` of the last ticks, `ticks`: the last one of each, `ended`: the frame behind the last word."""
        if self.unwritten is None or sounds is None:
            return {}
        return {"heard": self.unwritten.now(sounds, torch.tensor(ticks), torch.tensor(ended))}

    def _unwritten(self, width: Mapping[str, int]) -> Unwritten | None:
        """What shows the heard slot sounds, where they are read; of the ticks carried on one less, so that it is known
        what was before the first frame."""
        if not isinstance(self.adapter, GrainAdapter):
            return None
        c, frames = self.adapter.sounds.config, self.config.ear.tick_frames
        wide = width[self.layout["heard"].expert]
        unwritten: Unwritten = Unwritten.Config(kinds=c.kinds, ticks=c.ticks - 1, frames=frames, width=wide).build()
        return unwritten

    @torch.no_grad()
    def begin_silent(self, name: str, score: float) -> None:
        """Give saying nothing that first score in a slot."""
        predicts = self.layout[name].predicts
        own = self.layout.token(name, "nothing") - self.layout.vocabularies[predicts].table.size
        self.tables[predicts].bias[own] = score  # type: ignore[operator]

    def _never_said(self, name: str) -> Tensor:
        """Tokens of its vocabulary that a slot never says: markers, and what other slots say when there is nothing."""
        vocabulary = self.layout.vocabularies[self.layout[name].predicts]
        slots = [slot.name for slot in self.layout.slots if slot.predicts == self.layout[name].predicts]
        said = {self.layout.token(name, "nothing"), self.layout.token(name, "close")}
        ours = {self.layout.token(slot, kind) for slot in slots for kind in ("marker", "nothing")}
        return torch.tensor(sorted(token for token in ours - said if 0 <= token < vocabulary.size))

    def context(self, states: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """What the flow head reads: the action expert's states of pictures, proprioception and the chunk's query."""
        some = tokens["action"]
        wanted = [self.layout.index[name] for name in ("image", "proprio", "chunk") if name in self.layout.index]
        here = torch.isin(some.stream, torch.tensor(wanted))
        return states["action"][:, here], some.valid[:, here]

    def live(self) -> "Network":
        """For real time on CPU, in place and for good: no gradients, 4- or 8-bit weights in the backbone, fast ears.

        Adapters are merged, or stay beside weights of 4 bits. A network that is live already stays as it is.
        """
        if self.is_live:
            return self.eval()
        self.is_live = True
        self.requires_grad_(False)
        self.ear.live()
        self.eye.live()
        self.head.live()
        go_live(self.backbone)
        for table in self.tables.values():
            table.go_live()  # type: ignore[operator]
        return self.eval()


def _adapter(config: Network.Config, width: int) -> SpeechAdapter.Config | GrainAdapter.Config:
    """Between the ear and an expert of that width."""
    ear = config.ear
    if not config.grain:
        return SpeechAdapter.Config(width_in=ear.features, width_out=width, hidden=width)
    settled = Settled.of(ear, ear.grains)
    return GrainAdapter.Config(
        width_in=ear.width,
        grains=ear.grains,
        embeddings=ear.embeddings_per_tick,
        width=config.grain,
        width_out=width,
        settled=settled.settled,
        each=settled.each,
        kinds=len(SOUNDS),
    )


def _with_language(backbone: Backbone.Config, shape: LlamaShape) -> Backbone.Config:
    """The other experts take over the language model's geometry of keys and values; all else is theirs."""
    wrong = [
        f"{name} {expert.kv_heads} x {expert.head}"
        for name, expert in backbone.experts.items()
        if name != "language" and (expert.kv_heads, expert.head) != (shape.kv_heads, shape.head)
    ]
    if wrong:
        raise StrettoError(
            f"The language model's keys and values are {shape.kv_heads} x {shape.head}; experts that cannot join it: "
            f"{', '.join(wrong)}. Set their kv_heads and head to the same."
        )
    language = config_of(shape)
    experts: dict[str, ExpertConfig] = {**backbone.experts, "language": language}
    experts |= {name: language.adapted("language", e.rank) for name, e in experts.items() if e.of == "language"}
    return Backbone.Config(experts=experts)
