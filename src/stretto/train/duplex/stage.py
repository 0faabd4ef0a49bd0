"""The stage `duplex`: when to speak and what to say, when to move and when to stand, beside all that is there already.

What hears, reads, looks and draws chunks rests; what is trained are the adapters of the experts `speaking` and
`deciding` (ExpertConfig.of), their own tokens, and what tells them what is being played. So nothing that was learned
before is lost, chunks and words that are heard stay what they were to the bit, and a session costs little more than the
rows that speak and decide.

Losses: cross-entropy of the act slot, and of the say slot, whose silent asks weigh `silence` (nearly all asks are), and
those in which it is decided whether a sentence begins, in the tick in which a reaction is due, `decisive`, whichever
way (there is one among a dozen tokens of a sentence, and what follows it is easily said).
Logs `act` and `say`; `act_right`; `starts` and `false_starts`: of the asks where a sentence should begin the share in
which one does, and of those where none should the share in which one does all the same; `words`: of the tokens inside
sentences those that are right. None of them is a session's success: judge by the exam.

Source: stage 2 of ELLSA trains adapters on all; adapters that belong to one kind of token: aLoRA (Greenewald et al.,
2025), where keys and values of what is read stay usable too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stretto.agents.evidence import Evidence, Since
from stretto.agents.hearing import Hearing
from stretto.agents.network import Network
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.listen.encoders.grains import GrainAdapter
from stretto.think.memory import Whole
from stretto.think.tokens import Tokens
from stretto.train.duplex.episodes import Batch, Episodes, Heard
from stretto.train.duplex.session import Session

DECIDING = ("backbone.experts.deciding.", "tables.act.", "place.act", "when.deciding")
"""What the names of tensors begin with that only the act slot has."""
TRAINED = (*DECIDING, "backbone.experts.speaking.", "tables.say.", "playback.", "place.playback")
"""What the names of trained tensors begin with."""
LEARNING = ("playback", "act", "say")
"""Streams whose rows follow from them."""


class DuplexStage(Configurable):
    """A `Stage` (train/stage.py)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`silence`: weight of an ask of say to which silence is the answer, `decisive`: of one in the tick in which a
        reaction is due, where nothing is being said; `act`: weight of the act slot's loss; `shift`: pictures are moved
        by up to so many px; `held`: sessions of a validation."""

        silence: float = 0.3
        decisive: float = 3.0
        act: float = 0.5
        shift: int = 1
        held: int = 24

        @classmethod
        def tiny(cls) -> "DuplexStage.Config":
            """Two sessions."""
            return cls(held=2)

    def __init__(self, config: Config, network: Network, episodes: Episodes, held: Episodes, device: str) -> None:
        self.config, self.network, self.episodes, self.held = config, network, episodes, held
        self.device = torch.device(device)
        for name, weight in network.named_parameters():
            weight.requires_grad_(name.startswith(TRAINED))
        network.to(self.device)
        layout = network.layout
        self._slots = {
            name: (layout[name].expert, layout.index[name], layout[name].predicts) for name in ("act", "say")
        }
        self._silence = layout.token("say", "nothing")
        self._learning = torch.tensor(layout.behind(LEARNING))

    def parameters(self) -> dict[str, nn.Parameter]:
        """The adapters and what belongs to them."""
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}

    def batch(self, step: int, part: int) -> Batch:
        """Drawn from (step, part)."""
        return self.episodes(step, part)

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and what was decided right."""
        scores = self.scores(batch, self._shifted(batch.pictures, generator))
        act, say, told = self._losses(scores, batch)
        told = {name: torch.nan_to_num(value, float(name != "false_starts")) for name, value in told.items()}
        return say + self.config.act * act, {"act": act.detach(), "say": say.detach(), **told}

    def scores(self, batch: Batch, pictures: Tensor) -> dict[str, Tensor]:
        """Scores of every ask of act and of say (1, asks, tokens)."""
        network, tokens = self.network, batch.tokens
        given = {"playback": network.playback(batch.playback)}
        if batch.features.shape[1]:
            given |= self._sound(batch)
        if len(pictures):
            with torch.no_grad():
                given["image"] = network.eye(pictures).flatten(0, 2)[None]
                given["proprio"] = network.proprio(batch.proprio)
        states = self._states(network.embed(tokens, given), tokens)
        found = {}
        for name, (expert, place, table) in self._slots.items():
            here = tokens[expert].stream[self._learning[tokens[expert].stream]] == place
            scores = network.tables[table].logits(states[expert][:, here])  # type: ignore[operator]
            found[name] = scores.index_fill(-1, network._never[name], float("-inf"))
        return found

    def _states(self, inputs: Mapping[str, Tensor], tokens: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Last states of the rows that learn. Those that rest go first, without gradients: they see none of them."""
        network, memory = self.network, Whole()
        learns = {name: self._learning[some.stream] for name, some in tokens.items()}
        with torch.no_grad():
            network.backbone(*_rows(inputs, tokens, {name: ~some for name, some in learns.items()}), memory)
        return network.backbone(*_rows(inputs, tokens, learns), memory)

    def _sound(self, batch: Batch) -> dict[str, Tensor]:
        """Embeddings of speech, and the sounds that each ask of heard has not written, as in life."""
        network, adapter = self.network, self.network.adapter
        if network.unwritten is None or not isinstance(adapter, GrainAdapter):
            return {"speech": adapter(batch.features)}
        tokens, found = batch.tokens[network.layout["heard"].expert], adapter.read(batch.features)
        ticks = tokens.tick[:, tokens.stream == network.layout.index["heard"]]
        shown = network.unwritten(adapter.sounds(found).flatten(1, 2), batch.written, ticks)
        return {"speech": adapter.join(found), "heard": shown}

    def _losses(self, scores: Mapping[str, Tensor], batch: Batch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        act_wanted, say_wanted = batch.targets["act"][0], batch.targets["say"][0]
        act, say = scores["act"][0], scores["say"][0]
        asked = act_wanted >= 0
        act_loss = F.cross_entropy(act[asked], act_wanted[asked]) if asked.any() else act[:, 1:].sum() * 0
        best, begins = say.detach().argmax(-1), batch.begins[0]
        spoken, speaks = say_wanted != self._silence, best != self._silence
        starts, inside = begins & spoken, ~begins & spoken
        due = torch.isin(self._ticks("say", batch), torch.tensor([first for _, first, _ in batch.windows]))
        weight = torch.where(spoken, 1.0, self.config.silence)
        weight[starts | (begins & due)] = self.config.decisive
        say_loss = (F.cross_entropy(say, say_wanted, reduction="none") * weight).sum() / weight.sum()
        return (
            act_loss,
            say_loss,
            {
                "act_right": (act.detach().argmax(-1) == act_wanted)[asked].float().mean(),
                "starts": _share(speaks, starts),
                "false_starts": _share(speaks, begins & ~spoken),
                "words": _share(best == say_wanted, inside),
            },
        )

    def _ticks(self, slot: str, batch: Batch) -> Tensor:
        """The tick of each ask of a slot."""
        expert, place, _ = self._slots[slot]
        tokens = batch.tokens[expert]
        return tokens.tick[0, tokens.stream == place]

    def _by_role(self, scores: Mapping[str, Tensor], batch: Batch) -> list[tuple[str, Tensor]]:
        """Which asks behind each line are right: whether to move, and whether to say something and what."""
        found = []
        for name in self._slots:
            ticks, wanted = self._ticks(name, batch), batch.targets[name][0]
            right = scores[name][0].argmax(-1) == wanted
            spans = [(role, (ticks >= first) & (ticks < last) & (wanted >= 0)) for role, first, last in batch.windows]
            found += [(role, right[here]) for role, here in spans]
        return found

    def _shifted(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """(pictures, 2, height, width, 3) uint8 -> (pictures, 2, 3, height, width), moved by some px, each as all."""
        c = self.config.shift
        down, right = torch.randint(-c, c + 1, (2,), generator=generator, device=generator.device).tolist()
        return torch.roll(_upright(pictures.to(self.device)), (down, right), (-2, -1)) if len(pictures) else pictures

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same numbers on held-out sessions, all asks drawn alike every time; and by the role of the line that they
        follow the share of asks that are right: `right stop` …"""
        total: dict[str, list[float]] = {}
        for number in range(min(self.config.held, len(self.held))):
            batch = self.held("held", number)
            scores = self.scores(batch, _upright(batch.pictures))
            act, say, told = self._losses(scores, batch)
            for name, value in {"act": act, "say": say, **told}.items():
                if not bool(torch.isnan(value)):
                    total.setdefault(name, []).append(float(value))
            for role, right in self._by_role(scores, batch):
                total.setdefault(f"right {role}", []).extend(right.float().tolist())
        return {name: sum(some) / len(some) for name, some in total.items()}

    def sample(self, step: int, folder: Path) -> Mapping[str, float]:
        """What is said in held-out sessions, word by word behind the right words."""
        if self.network.text is None:
            return {}
        lines = []
        for number in range(min(8, len(self.held))):
            batch = self.held.batch(number)
            scores = self.scores(batch, _upright(batch.pictures))
            best = scores["say"][0].argmax(-1)
            wanted = batch.targets["say"][0]
            spoken = wanted != self._silence
            size = self.network.text.size
            meant, said = ([token for token in some[spoken].tolist() if token < size] for some in (wanted, best))
            lines += [f"meant {self.network.text.decode(meant)}", f"said  {self.network.text.decode(said)}", ""]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{step:06}.txt").write_text("\n".join(lines))
        return {}


def _rows(
    inputs: Mapping[str, Tensor], tokens: Mapping[str, Tokens], kept: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tokens]]:
    """Inputs and tokens where `kept`, of the experts that have some."""
    names = [name for name, some in kept.items() if some.any()]
    return {name: inputs[name][:, kept[name]] for name in names}, {
        name: tokens[name].take_where(kept[name]) for name in names
    }


def _upright(pictures: Tensor) -> Tensor:
    """Channels before height and width."""
    return pictures.permute(0, 1, 4, 2, 3) if len(pictures) else pictures


@torch.no_grad()
def behind(network: Network, sessions: Sequence[Session], heard: Sequence[Heard]) -> list[list[list[int]]]:
    """For every token that was heard in some sessions the first frame behind its sounds; 0 where none are read."""
    sound = any(session.features.shape[1] for session in sessions)
    evidence = Evidence.of(network) if sound else None
    return [_behind(network, evidence, session, some) for session, some in zip(sessions, heard, strict=True)]


def _behind(network: Network, evidence: Evidence | None, session: Session, heard: Heard) -> list[list[int]]:
    adapter = network.adapter
    if evidence is None or not session.features.shape[1] or not isinstance(adapter, GrainAdapter):
        return [[0] * len(said) for said in heard]
    found: list[list[int]] = []
    since, sounds = Since(), None
    for features, said in zip(session.features, heard, strict=True):
        _, sounds = adapter.step(torch.from_numpy(features.astype("float32"))[None], sounds)
        found.append([])
        for token in said:
            since = evidence.follow(token, sounds[0], len(found) - 1, since)
            found[-1].append(since.ended)
    return found


def _share(what: Tensor, among: Tensor) -> Tensor:
    """The share of `among` in which `what`; not a number where there is none."""
    return what[among].float().mean()


@torch.no_grad()
def heard_by(
    network: Network, sessions: Sequence[Session], system: Sequence[int], together: int = 16
) -> list[list[list[int]]]:
    """What a network hears of some sessions when it hears its own words: tokens per tick."""
    hearing, found = Hearing(network), dict[int, list[list[int]]]()
    by_length = sorted(range(len(sessions)), key=lambda number: sessions[number].ticks)
    for first in range(0, len(sessions), together):
        numbers = by_length[first : first + together]
        some = [sessions[number] for number in numbers]
        ticks = max(session.ticks for session in some)
        features = torch.zeros(len(some), ticks, *some[0].features.shape[1:])
        for place, session in enumerate(some):
            features[place, : session.ticks] = torch.from_numpy(session.features.astype("float32"))
        state = hearing.start(len(some), system)
        heard: list[list[list[int]]] = [[] for _ in some]
        for tick in range(ticks):
            said, state = hearing.step(features[:, tick], state)
            for one, tokens in zip(heard, said, strict=True):
                one.append(tokens)
        found |= {number: one[: sessions[number].ticks] for number, one in zip(numbers, heard, strict=True)}
    return [found[number] for number in range(len(sessions))]
