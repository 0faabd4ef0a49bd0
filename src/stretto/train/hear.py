"""The stage `hear`: speech goes in as two embeddings a tick, and the heard slot writes the words as they are spoken.

Two ways, one setting apart. With a listening expert (layout `listener200`) that expert, the adapter and the slot's two
matrices are trained and nothing of the language model is computed. Without (layout `tick200`), adapters on the language
expert learn to read. Either way the loss is the cross-entropy of every ask against what is right given what was fed
back (train/hear_batches.py), nothing weighted by `silence`; in some of the steps a part of what is fed back is the
model's own best guess of a pass without gradient. Where sounds are read, each ask is shown those that are not written
(think/unwritten.py); some sessions are told by nothing else, and some of these nobody spoke (train/unspoken.py).

Beside it, weighted by `sounds`, the sounds of each word are read from what speech becomes (train/hear_sounds.py), and,
weighted by `quiet`, none where nobody speaks. And, weighted by `signs`, each letter and sound of a token that is due is
told apart from others in its place by the weights that score tokens (think/spelling.py): many small answers a word.

Scores are over all tokens that the corpora have, those that are due, each also with or without the space before it, and
`negatives` others drawn anew each step, because the whole table of 49 152 rows would cost more than the expert; 0 takes
the whole table.

Logs `loss`; `sounds_grains` and `sounds_states`, the loss of a sound by where it is read; `quiet`, that of no sound;
`recall` and `precision` of hearing a token at an ask, whichever it is (begin-of-word decisions, from step 1 on);
`right`: of the tokens, those that are the right ones. Validation: word error of free running on development sessions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stretto.agents.hearing import Hearing
from stretto.agents.network import Network
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable, check_shares
from stretto.data.hearing_score import errors_of
from stretto.data.talk_style import plain
from stretto.listen.encoders.grains import GrainAdapter
from stretto.listen.encoders.settled import Settled
from stretto.nn.attention import bias_of
from stretto.think.backbone import Sight, Sights
from stretto.think.spelling import PLACES, twins
from stretto.think.table import BorrowedTable
from stretto.think.tokens import Tokens
from stretto.think.visibility import Rule
from stretto.train.hear_batches import Batch, Batches, Sessions
from stretto.train.hear_sounds import loss_of_quiet, loss_of_sounds, readout_of, spoken
from stretto.train.hear_style import restyled

Given = Mapping[str, Tensor]

LISTENING = (
    "backbone.experts.listening.",
    "adapter.",
    "unwritten.",
    "tables.heard.",
    "place.speech",
    "place.heard",
    "when.listening",
)
"""What is trained with a listening expert."""

READING = ("adapter.", "unwritten.", "tables.text.own", "tables.text.bias", "place.speech", "when.language")
"""What is trained without one, beside the adapters on the language expert."""

SOUNDS = "sounds."
"""How the names of the readout's weights begin, which are not the network's."""


def is_trained(network: Network, name: str) -> bool:
    """Whether the stage trains the tensor of that name."""
    if network.layout["heard"].expert != "language":
        return name.startswith(LISTENING)
    adapter = name.startswith("backbone.experts.language.") and name.endswith((".up", ".down"))
    return name.startswith(READING) or adapter


class Hear(Configurable):
    """A `Stage` (train/stage.py)."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`silence`: weight of an ask to which nothing is the answer. `own`: share of steps with the model's own words
        fed back, in `owned` of the places. `negatives`: see above. `held`: sessions of a validation, `together` at
        once. `blur`: noise on the ear's features, in units of each channel's spread. `styled`: share of sessions with
        speech that sound as another (train/hear_style.py). `deaf`: share of sessions whose
        speech is told by sounds alone, beside those that nobody spoke. `sounds`, `quiet`, `signs`: weights of their
        losses. `apart`: the readout from last states learns without changing them, because no checkpoint has it and its
        first errors would.
        """

        silence: float = 0.6
        own: float = 0.1
        owned: float = 0.5
        negatives: int = 3_072
        blur: float = 0.1
        styled: float = 0.0
        deaf: float = 0.15
        sounds: float = 0.5
        quiet: float = 0.2
        signs: float = 0.3
        apart: bool = False
        held: int = 24
        together: int = 24

        def __post_init__(self) -> None:
            check_shares(self, "own", "owned", "styled", "deaf")

        @classmethod
        def tiny(cls) -> "Hear.Config":
            """For networks of a few dozen tokens."""
            return cls(negatives=0, held=3)

    def __init__(
        self, config: Config, network: Network, batches: Batches, held: Sessions, device: str, words: Any = None
    ) -> None:
        """`words`: tokens -> text; without it every token is a word (size debug)."""
        self.config, self.network, self.batches, self.held, self.words = config, network, batches, held, words
        self.device = torch.device(device)
        for name, weight in network.named_parameters():
            weight.requires_grad_(is_trained(network, name))
        network.to(self.device)
        self.expert = batches.expert
        self.frames = Settled.of(network.config.ear)
        self.sounds = readout_of(network.backbone.config.experts[self.expert].width, self.frames).to(self.device)
        self.vocabulary = network.layout["heard"].predicts
        self.size = network.layout.vocabularies[self.vocabulary].table.size
        self.rule = Rule(network.layout)
        for name in ("sees", "keep", "on_text"):
            setattr(self.rule, name, getattr(self.rule, name).to(self.device))
        known = torch.from_numpy(batches.sessions.tokens()).unique()
        self.known = torch.cat([known, torch.tensor([batches.close])]).unique()
        self.twins = twins(network.layout.vocabularies[self.vocabulary].table.spelled)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The hearing half, and the readout of sounds."""
        ours = {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}
        return ours | {f"{SOUNDS}{name}": weight for name, weight in self.sounds.named_parameters()}

    def batch(self, step: int, part: int) -> Batch:
        """Drawn from (step, part)."""
        return self.batches(step, part)

    def loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted cross-entropy of all asks, and what was decided right."""
        c = self.config
        tokens = _on(batch.tokens, self.device)
        targets = batch.targets.to(self.device)
        among, targets = self._among(targets, generator)
        sights = self.sights(tokens)
        deaf = self._deaf(batch, generator)
        speech, chances = self.hear(self._features(batch, generator), deaf)
        given = {"speech": speech} | self.shown(batch, chances)
        if torch.rand((), generator=generator, device=generator.device) < c.own:
            tokens = self._own(tokens, given, sights, among, generator)
        states = self.states(tokens, given, sights)
        scores = self.scores(tokens, states, among)
        asked, wanted = scores[targets >= 0], targets[targets >= 0]
        nothing = len(among) + self.batches.nothing - self.size
        weight = torch.where(wanted == nothing, c.silence, 1.0)
        loss = (F.cross_entropy(asked, wanted, reduction="none") * weight).sum() / weight.sum()
        signs = self._signs(tokens, states, batch.targets.to(self.device))
        spoke = states[:, tokens.stream == self.network.layout.index["speech"]]
        sounds, quiet = self._sounds(batch, spoke, chances, deaf)
        best = asked.detach().argmax(-1)
        said, due = best != nothing, wanted != nothing
        both = (said & due).sum()
        return loss + c.sounds * sum(sounds.values()) + c.quiet * quiet + c.signs * signs, {
            "signs": signs.detach(),
            "quiet": quiet.detach(),
            **{f"sounds_{name}": found.detach() for name, found in sounds.items()},
            "recall": both / due.sum().clamp(min=1),
            "precision": both / said.sum().clamp(min=1),
            "right": ((best == wanted) & due).sum() / due.sum().clamp(min=1),
        }

    def _deaf(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Of which sessions only the sounds are told: of those that nobody spoke, and of some others."""
        if self.network.unwritten is None:
            return torch.zeros_like(batch.unspoken, device=self.device)
        drawn = torch.rand(len(batch.unspoken), generator=generator, device=generator.device) < self.config.deaf
        return (batch.unspoken.to(drawn.device) | drawn).to(self.device)

    def hear(self, features: Tensor, deaf: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Embeddings of speech, and, where grains are read by themselves, the chances of sounds in all frames.

        Of `deaf` sessions the embeddings are those of nothing; their sounds are read all the same.
        """
        adapter = self.network.adapter
        if not isinstance(adapter, GrainAdapter):
            return adapter(features), None
        found = adapter.read(features)
        hears = found if deaf is None else found * (~deaf)[:, None, None, None]
        return adapter.join(hears), adapter.sounds(found).flatten(1, 2)

    def shown(self, batch: Batch, chances: Tensor | None) -> dict[str, Tensor]:
        """What is given for the asks: the sounds that each has not written, where sounds are read."""
        if self.network.unwritten is None or chances is None:
            return {}
        if batch.chances is not None:
            told = batch.unspoken[:, None, None].to(self.device)
            chances = torch.where(told, batch.chances.to(self.device), chances)
        heard = batch.tokens.stream == self.network.layout.index["heard"]
        tick = batch.tokens.tick[:, heard].to(self.device)
        return {"heard": self.network.unwritten(chances, batch.written.to(self.device), tick)}

    def states(self, tokens: Tokens, given: Given, sights: Sights) -> Tensor:
        """Last states of all tokens (batch, tokens, width); `given`: embeddings of speech, and what asks are shown."""
        network, name = self.network, self.expert
        inputs = network.embed({name: tokens}, given)
        wide = torch.float64 if network.query.dtype == torch.float64 else torch.float32
        turns = {name: network.backbone.turns(name, tokens, wide)}
        return network.backbone.through(inputs, sights, turns, _Own(name))[name]

    def scores(self, tokens: Tokens, states: Tensor, among: Tensor | None = None) -> Tensor:
        """Scores of every ask (batch, asks, tokens), those of `among` and our own."""
        network = self.network
        here = tokens.stream == network.layout.index["heard"]
        found = network.tables[self.vocabulary].logits(states[:, here], among)  # type: ignore[operator]
        size = self.size if among is None else len(among)
        never = network._never["heard"] - self.size + size
        return found.index_fill(-1, never[never >= size].to(found.device), float("-inf"))

    def sights(self, tokens: Tokens) -> Sights:
        """What each token sees, for all layers."""
        backbone, places = self.network.backbone, tokens.stream.tolist()
        runs: list[tuple[int, slice]] = []
        for column, place in enumerate(places):
            frame = backbone.frame_of[place]
            start = runs.pop()[1].start if runs and runs[-1][0] == frame else column
            runs.append((frame, slice(start, column + 1)))
        sight = {self.expert: Sight(tuple(runs), bias_of(self.rule(tokens, tokens)))}
        kinds = {tuple(stands) for stands in backbone.stands}
        return {kind: sight if self.expert in kind else {} for kind in kinds}

    def _among(self, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The tokens of the base that are scored, and the targets as places among them and our own."""
        c = self.config
        if not c.negatives:
            among = torch.arange(self.size, device=self.device)
        else:
            drawn = torch.randint(self.size, (c.negatives,), generator=generator, device=generator.device)
            due = targets[(targets >= 0) & (targets < self.size)]
            alike = self.twins[due.cpu()].to(self.device) if len(self.twins) else due
            among = torch.cat([self.known.to(self.device), drawn.to(self.device), due, alike]).unique()
        ours = targets - self.size + len(among)
        theirs = torch.searchsorted(among, targets.clamp(0, self.size - 1))
        return among, torch.where(targets < 0, -1, torch.where(targets < self.size, theirs, ours))

    def _sounds(
        self, batch: Batch, states: Tensor, chances: Tensor | None, deaf: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The loss of a sound, by where it is read (the same words in the same frames); that of no sound."""
        words = spoken(batch.words, self.frames, self.batches.sessions.ticks).to(self.device)
        audible = [[] if one else some for one, some in zip(deaf.tolist(), batch.words, strict=True)]
        heard = spoken(audible, self.frames, self.batches.sessions.ticks).to(self.device)
        found = {"states": loss_of_sounds(self.sounds_of(states.detach() if self.config.apart else states), heard)}
        if chances is None:
            return found, states.sum() * 0
        return found | {"grains": loss_of_sounds(chances, words)}, loss_of_quiet(chances, words)

    def sounds_of(self, states: Tensor) -> Tensor:
        """The chances of sounds in all frames (batch, frames, sounds), by the last states of speech."""
        return self.sounds(states.unflatten(1, (-1, self.frames.states))).flatten(1, 2)

    def _signs(self, tokens: Tokens, states: Tensor, targets: Tensor) -> Tensor:
        """The loss of a letter or sound in its place; 0 where tokens are not scored by them, or none is due."""
        table = self.network.tables[self.vocabulary]
        due = (targets >= 0) & (targets < self.size)
        if not isinstance(table, BorrowedTable) or table.signs is None or table.codes is None or not due.any():
            return states.sum() * 0
        here = tokens.stream == self.network.layout.index["heard"]
        scores = table.signs(states[:, here][due])
        right = table.codes[targets[due]]
        lost = [(right[:, place] * F.log_softmax(scores[:, place], -1)).sum() for place in PLACES]
        return -torch.stack(lost).sum() / torch.stack([right[:, place].sum() for place in PLACES]).sum()

    @torch.no_grad()
    def _own(self, tokens: Tokens, given: Given, sights: Sights, among: Tensor, generator: torch.Generator) -> Tokens:
        """The tokens with some of what is fed back replaced by what the model would have heard there."""
        scores = self.scores(tokens, self.states(tokens, given, sights), among)
        guess = scores[..., : len(among)].argmax(-1)  # a token, whether or not it would have kept silent
        heard = tokens.stream == self.network.layout.index["heard"]
        ids = tokens.id[:, heard]
        luck = torch.rand(ids.shape, generator=generator, device=generator.device).to(self.device)
        guess = among[guess]
        fed = (ids[:, 1:] != self.batches.marker) & tokens.stored[:, heard][:, :-1] & tokens.valid[:, heard][:, 1:]
        fed &= (guess[:, :-1] != self.batches.close) & (luck[:, 1:] < self.config.owned)
        mixed = ids.clone()
        mixed[:, 1:] = torch.where(fed, guess[:, :-1], ids[:, 1:])
        every = tokens.id.clone()
        every[:, heard] = mixed
        return replace(tokens, id=every)

    def _features(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the ear gives, restyled now and then, with noise on every channel."""
        c, sessions = self.config, self.batches.sessions
        features = restyled(batch.features.to(self.device), batch.words, sessions, c.styled, generator)
        noise = torch.randn(features.shape, generator=generator, device=generator.device).to(self.device)
        return features + c.blur * torch.from_numpy(sessions.scales[0].spread).to(self.device) * noise

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Free running on the first held-out sessions: word error, words too many in sessions without any, delay."""
        c, network = self.config, self.network.cpu()
        try:
            return self._validated(network, range(min(c.held, len(self.held))))
        finally:
            network.to(self.device)

    def best_bias(self, biases: Sequence[float]) -> tuple[float, dict[float, float]]:
        """Which of these, added to the score of hearing nothing, makes fewest errors a word on the held-out sessions,
        words heard where there are none among them; and the errors of each. With the weights as they are now.
        """
        network, found = self.network.cpu(), dict[float, float]()
        try:
            for bias in biases:
                found[bias] = self._validated(network, range(min(self.config.held, len(self.held))), bias)["errors"]
        finally:
            network.to(self.device)
        return min(found, key=lambda bias: (found[bias], abs(bias))), found

    def _validated(self, network: Network, numbers: Sequence[int], bias: float = 0.0) -> dict[str, float]:
        hearing = Hearing(network, bias)
        total = {"edits": 0, "words": 0, "false": 0, "quiet": 0}
        for first in range(0, len(numbers), self.config.together):
            some = numbers[first : first + self.config.together]
            for number, heard in zip(some, run_freely(hearing, self.held, some, self.batches.system), strict=True):
                said = [token for token, _ in heard if token != hearing.close]
                meant = self._meant(number)
                edits = errors_of(self._words(said), meant)
                kind = "edits" if meant else "false"
                total[kind] += edits
                total["words" if meant else "quiet"] += len(meant) if meant else 1
        minutes = total["quiet"] * self.held.ticks * network.layout.tick_s / 60
        return {
            "errors": (total["edits"] + total["false"]) / max(1, total["words"]),
            "word_error": total["edits"] / max(1, total["words"]),
            "false_words_a_minute": total["false"] / max(1e-9, minutes) if total["quiet"] else 0.0,
        }

    def _meant(self, number: int) -> list[str]:
        if self.words is None:
            return self._words([token for _, token in self.held.labels[number] if token != self.batches.close])
        return plain(" ".join(str(word[0]) for word in self.held.words[number])).split()

    def _words(self, tokens: Sequence[int]) -> list[str]:
        return plain(self.words(tokens)).split() if self.words else [str(token) for token in tokens]

    def sample(self, step: int, folder: Path) -> Mapping[str, float]:
        """What is heard of the first held-out sessions, as text."""
        network = self.network.cpu()
        try:
            numbers = range(min(6, len(self.held)))
            heard = run_freely(Hearing(network), self.held, numbers, self.batches.system)
        finally:
            network.to(self.device)
        lines = []
        for number, some in zip(numbers, heard, strict=True):
            lines += [
                f"meant {' '.join(self._meant(number))}",
                f"heard {' '.join(self._words([t for t, _ in some]))}",
                "",
            ]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{step:06}.txt").write_text("\n".join(lines))
        return {}


class _Own:
    """The keys and values of the one expert that is there."""

    def __init__(self, expert: str) -> None:
        self.expert = expert

    def exchange(self, layer: int, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        keys, values = pairs[self.expert]
        return keys.permute(0, 2, 3, 1), values.transpose(1, 2)


@torch.no_grad()
def run_freely(
    hearing: Hearing, sessions: Sessions, numbers: Sequence[int], system: Sequence[int] = ()
) -> list[list[tuple[int, int]]]:
    """What is heard of some sessions when the model hears its own words: (token, tick) each."""
    features, state = sessions.features(list(numbers)), hearing.start(len(numbers), system)
    heard: list[list[tuple[int, int]]] = [[] for _ in numbers]
    for tick in range(sessions.ticks):
        said, state = hearing.step(features[:, tick], state)
        for one, tokens in zip(heard, said, strict=True):
            one += [(token, tick) for token in tokens]
    return heard


def _on(tokens: Tokens, device: torch.device) -> Tokens:
    if device.type == "cpu":
        return tokens
    return replace(tokens, **{name: getattr(tokens, name).to(device) for name in tokens.__dataclass_fields__})
