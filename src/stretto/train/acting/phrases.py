"""Instructions as the live agent's rings would hold them: keys and values of the frozen language side, cached.

The action expert knows its task only through the language expert's keys and values, and these depend on the words
alone. So each wording goes through the language model once, in a plan written by the cursor that also drives live
sessions, and training joins the action expert to what was kept. Every phrase ends with the two ticks that are trained:
one with pictures and a chunk, and the one after it, in which only the act slot is asked.

An instruction comes typed or heard (the stream `heard`, two tokens a tick). Half of a heard sentence is a phrase too,
in which there is nothing to do yet. An earlier instruction may stand before the one that holds, which may then be a
switch ("actually, …"), a correction ("no, I meant …") or only another place ("no, on the plate"); and talk that changes
nothing behind it (a question, a yes, words to somebody else). Behind a stop there is nothing to do, until one goes on.
What is heard is now and then in two turns, where somebody paused, or with a small word heard as another.

Needs: a network with its language model to make a book; a book that was saved needs none. Wordings: data/talk_wide.py,
of training; those of development make a second, small book, under which held-out episodes are validated.
"""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stretto.agents.duplex import SYSTEM
from stretto.agents.network import Network
from stretto.core.clock import Stopwatch
from stretto.core.errors import StrettoError
from stretto.core.rng import derive, generator
from stretto.data import questions, talk, talk_wide
from stretto.data.hearing import MARKS
from stretto.think.memory import Pair, Whole
from stretto.think.plan import Plan, TickPlan, write
from stretto.think.tokens import Tokens, gather
from stretto.train.acting.contexts import NO_TASK

IDLE = {"ask_scene": 4, "ask_general": 2, "facts": 1, "backchannel": 2, "side": 3, "hard": 3}
"""What people say beside a task that goes on, and how often."""

HALTING = {"stop": 4, "pause": 3, "never_mind": 1}

AFTER = ("instruct", "switch", "correct")
"""How another task is asked for, each as often."""

SMALL = ("the", "a", "on", "in", "of", "to", "it", "onto", "and", "please", "can", "you", "now")
"""Words that are heard one for another without a difference to the task."""

PAUSED, MISHEARD = 0.1, 0.15
"""Shares of heard phrases in two turns, and with a small word wrong or missing."""

GOALS = tuple(talk.GOALS)
"""The ten tasks; a context's `task` is a place in it, which is also LIBERO's number."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One phrase before it is tokens: `text` for task `task`, after `earlier` for task `before`; then the lines of
    `later`. `whole`: all was said, and there is something to do if there is a task; else the arm should stand."""

    task: int
    text: str = ""
    before: int = NO_TASK
    earlier: str = ""
    later: str = ""
    form: str = "typed"
    whole: bool = True

    @property
    def turns(self) -> list[str]:
        """What was said, turn by turn; what is heard as hearing writes it, without a last mark while it goes on."""
        some = [turn for turn in (self.earlier, *self.text.split("\n"), *self.later.split("\n")) if turn]
        if self.form == "typed":
            return some
        halved = not self.whole and not self.later
        return [_heard(turn, halved and turn == self.text) for turn in some]


def another(task: int, before: int, draw: int, seed: int = 0, split: str = "train") -> str:
    """How `task` is asked for while the arm is about the task `before`: anew, as a switch, or as a correction, which
    names only the place where the thing is the same."""
    goal, how = GOALS[task], AFTER[draw % len(AFTER)]
    places = [place for place, other in questions.places(GOALS[before]).items() if other == goal]
    if how == "correct" and places and draw % 2:
        some = questions.corrections(places[0], split)
        return some[derive(seed, "another", task, before, draw) % len(some)]
    for number in range(20):
        said = talk_wide.draw(how, derive(seed, "another", how, task, before, draw, number) % 2**31, split, 0.0, goal)
        if said.goal == goal:
            return said.text
    return goal


def wordings(task: int, count: int, seed: int = 0, split: str = "train") -> list[str]:
    """At most `count` distinct ways to ask for a task, of one split; the suite's own sentence first."""
    found = {GOALS[task]: None}
    for draw in range(20 * count):
        said = talk_wide.draw("instruct", derive(seed, "wording", task, draw) % 2**31, split, 0.0, GOALS[task])
        found[said.text if draw % 4 else said.plain] = None
        if len(found) >= count:
            break
    return list(found)


def sayings(each: int, pairs: int, seed: int = 0, split: str = "train") -> list[Said]:
    """What a book holds: `each` wordings a task, typed and heard; `pairs` times each task after each other; halves;
    talk that changes nothing, with a task before it and without one, and talk that halts the arm.
    """
    said, rng = [Said(task=NO_TASK), Said(task=NO_TASK, form="heard")], generator(seed, "sayings")
    texts = [wordings(task, each, seed, split) for task in range(len(GOALS))]

    def line(mix: dict[str, int]) -> str:
        return talk_wide.draw_from(mix, int(rng.integers(2**31)), split).text

    said += [Said(task=NO_TASK, text=line(IDLE), form=("heard", "typed")[k % 4 == 3]) for k in range(each)]
    for task, some in enumerate(texts):
        for number in range(each // 2):
            text, form = str(rng.choice(some)), ("heard", "typed")[number % 4 == 3]
            idle, halt = line(IDLE), line(HALTING)
            on = f"{halt}\n{line({'go_on': 1})}"
            said.append(Said(task=task, text=text, later=on if number % 4 == 1 else idle, form=form))
            if number % 2 == 0:
                later = halt if number % 4 else f"{idle}\n{halt}"
                said.append(Said(task=task, text=text, later=later, form=form, whole=False))
        for text in some:
            said += [Said(task=task, text=text), Said(task=task, text=text, form="heard")]
        said += [Said(task=task, text=str(rng.choice(some)), form="heard", whole=False) for _ in range(each // 4)]
        for before in range(len(GOALS)):
            for number in range(pairs if before != task else 0):
                said.append(
                    Said(
                        task=task,
                        text=another(task, before, number, seed, split),
                        before=before,
                        earlier=str(rng.choice(texts[before])),
                        form=("heard", "typed")[number % 4 == 3],
                    )
                )
    return [_as_heard(some, rng) if some.form == "heard" and some.whole else some for some in said]


def _as_heard(said: Said, rng: np.random.Generator) -> Said:
    """The phrase as an ear may have it: now and then in two turns, or with a small word wrong or missing."""
    words = said.text.split()
    small = [place for place, word in enumerate(words) if word in SMALL]
    if small and rng.random() < MISHEARD:
        words[int(rng.choice(small))] = str(rng.choice(["", *SMALL]))
    words = [word for word in words if word]
    if len(words) > 3 and rng.random() < PAUSED:
        cut = int(rng.integers(2, len(words)))
        words[cut] = "\n" + words[cut]
    return replace(said, text=" ".join(words).replace(" \n", "\n"))


def _heard(text: str, half: bool) -> str:
    """A sentence as hearing writes it (data/hearing.py), or the first half of it."""
    words = text.replace(",", "").split()
    words = words[: max(1, len(words) // 2)] if half else words
    said = " ".join(words).rstrip(MARKS if half else "")
    return said[0].upper() + said[1:] + ("" if half or said[-1] in MARKS else ".")


@dataclass(frozen=True, kw_only=True)
class Language:
    """What a batch sees of language: `keys` (batch, layers, kv, size, columns), `values` (…, columns, size).

    `layers`: those of the backbone that the second axis stands for.
    """

    keys: Tensor
    values: Tensor
    layers: tuple[int, ...]

    def exchange(self, layer: int, pairs: Mapping[str, Pair]) -> Pair:
        """The cached columns, then the action expert's own."""
        keys, values = pairs["action"]
        own = keys.permute(0, 2, 3, 1), values.transpose(1, 2)
        place = self.layers.index(layer)
        return torch.cat([self.keys[:, place], own[0]], -1), torch.cat([self.values[:, place], own[1]], -2)


class PhraseBook:
    """Phrases ready to be trained under. Tensors are stacked and padded; `pick` takes some of them.

    The first columns that all phrases share, the system prompt's, are kept once: `lead`, keys and values.
    """

    def __init__(self, said: Sequence[Said], parts: dict[str, list[Tensor]], lead: tuple[Tensor, Tensor]) -> None:
        self.said = list(said)
        self.parts, self.lead = parts, lead
        self.columns = torch.tensor([lead[0].shape[-1] + keys.shape[-1] for keys in parts["keys"]])
        self.groups: dict[tuple[int, int], list[int]] = {}
        self.halves = [number for number, some in enumerate(said) if not some.whole]
        for number, some in enumerate(said):
            if some.whole:
                self.groups.setdefault((some.task, some.before), []).append(number)

    def __len__(self) -> int:
        return len(self.said)

    def group(self, task: int, before: int = NO_TASK) -> list[int]:
        """Phrases for a task after another; those without another where the book has none."""
        return self.groups.get((task, before)) or self.groups[(task, NO_TASK)]

    def pick(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tokens]:
        """Keys, values, visibility (batch, tokens, columns + tokens) and the action expert's tokens of some phrases."""
        widest = int(self.columns[list(numbers)].max())
        keys, values, visible = [], [], []
        for number in numbers:
            some, room = self.parts["keys"][number], widest - int(self.columns[number])
            keys.append(torch.nn.functional.pad(torch.cat([self.lead[0], some], -1), (room, 0)))
            some = torch.cat([self.lead[1], self.parts["values"][number]], -2)
            values.append(torch.nn.functional.pad(some, (0, 0, room, 0)))
            visible.append(torch.nn.functional.pad(self.parts["visible"][number], (room, 0)))
        rest = {
            f.name: torch.stack([self.parts[f"token.{f.name}"][number] for number in numbers])
            for f in fields(Tokens)
            if f.name != "stream"
        }
        tokens = Tokens(stream=self.parts["token.stream"][0], **rest)
        return torch.stack(keys), torch.stack(values), torch.stack(visible), tokens

    def save(self, path: Path) -> Path:
        """Write the book (.npz); keys and values in float16, without padding, the lead with the first phrase."""
        parts, shared = dict(self.parts), self.lead[0].shape[-1]
        for name, lead, axis in (("keys", self.lead[0], -1), ("values", self.lead[1], -2)):
            parts[name] = [torch.cat([lead, parts[name][0]], axis), *parts[name][1:]]
        arrays = {name: torch.cat([p.flatten() for p in some]).numpy() for name, some in parts.items()}
        shapes = {f"{name}.shape": np.array([p.shape for p in some]) for name, some in parts.items()}
        said = np.array([[str(getattr(s, f.name)) for f in fields(Said)] for s in self.said])
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            np.savez(file, said=said, shared=np.array(shared), **arrays, **shapes)  # type: ignore[arg-type]
        return part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "PhraseBook":
        """A book from disk. Raises StrettoError when it is none."""
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise StrettoError(f"'{path}' is no book of phrases ({error}). Delete it to have it made again.") from error
        parts = {}
        for name in [name for name in arrays if f"{name}.shape" in arrays]:
            shapes = arrays[f"{name}.shape"]
            ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
            pieces = np.split(arrays[name], ends)
            parts[name] = [torch.from_numpy(piece.reshape(shape)) for piece, shape in zip(pieces, shapes, strict=True)]
        shared = int(arrays["shared"])
        lead = parts["keys"][0][..., :shared], parts["values"][0][..., :shared, :]
        parts["keys"][0], parts["values"][0] = parts["keys"][0][..., shared:], parts["values"][0][..., shared:, :]
        said = [
            Said(
                task=int(task),
                text=text,
                before=int(before),
                form=form,
                whole=whole == "True",
                earlier=first,
                later=last,
            )
            for task, text, before, first, last, form, whole in arrays["said"]
        ]
        return cls(said, parts, lead)


@torch.no_grad()
def make_book(network: Network, said: Sequence[Said], say: Callable[[str], None] = lambda text: None) -> PhraseBook:
    """Send phrases through the language side, in the network's precision. Raises StrettoError for a layout that
    remembers older pictures."""
    image = network.layout["image"]
    if image.keep >= image.every:
        raise StrettoError(
            f"Contexts hold one moment, but the layout keeps pictures for {image.keep} ticks and brings them every "
            f"{image.every}: set the layout's `pictures` to {image.every - 1}."
        )
    parts: dict[str, list[Tensor]] = {}
    system, watch = len(network.text.encode(SYSTEM, special=True)) if network.text else 1, Stopwatch()
    lead: tuple[Tensor, Tensor] | None = None
    for number, some in enumerate(said):
        found = _phrase(network, some)
        keys, values = found["keys"], found["values"]
        lead = lead or (keys[..., :system].clone(), values[..., :system, :].clone())
        found |= {"keys": keys[..., system:].clone(), "values": values[..., system:, :].clone()}
        for name, part in found.items():
            parts.setdefault(name, []).append(part)
        if number % 500 == 499:
            rest = watch.seconds() / (number + 1) * (len(said) - number - 1) / 60
            say(f"{number + 1} of {len(said)} phrases, {rest:.0f} min left")
    assert lead is not None
    return PhraseBook(said, parts, lead)


class _Keeping(Whole):
    """The call's own tokens, whose keys and values are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, Pair] = {}

    def exchange(self, layer: int, pairs: Mapping[str, Pair]) -> Pair:
        self.kept[layer] = super().exchange(layer, pairs)
        return self.kept[layer]


def _phrase(network: Network, said: Said) -> dict[str, Tensor]:
    """One phrase: what is kept of the language side, and where the action expert's tokens stand."""
    plan = plan_of(network, said)
    tokens = gather(network.layout, [plan.rows], [plan.stored])
    last = max(row.tick for row in plan.rows)
    action, language = tokens["action"], tokens.get("language")
    action = action.take_where(action.tick[0] >= last - 1)
    assert language is not None
    memory = _Keeping()
    inputs = network.embed({"language": language}, {})
    network.backbone(inputs, {"language": language}, memory)
    seen = network.backbone.rule(action, language)[0].any(0)
    language = language.take_where(seen)
    visible = network.backbone.rule(action, Tokens.cat([language, action]))[0]
    layers = joined(network)
    half = torch.float16
    found = {
        "keys": torch.stack([memory.kept[layer][0][0][..., seen] for layer in layers]).to(half),
        "values": torch.stack([memory.kept[layer][1][0][:, seen] for layer in layers]).to(half),
        "visible": visible,
        "token.stream": action.stream,
    }
    found |= {f"token.{f.name}": getattr(action, f.name)[0] for f in fields(Tokens) if f.name != "stream"}
    return found


def joined(network: Network) -> tuple[int, ...]:
    """The layers of the language expert in which the action expert stands."""
    return network.backbone.config.experts["action"].places(network.backbone.depth)


def plan_of(network: Network, said: Said) -> Plan:
    """A session that reads the system prompt, then the phrase, and ends with a tick of pictures and the next one."""
    layout = network.layout
    halt = layout.vocabularies["act"].id("<halt>")
    ticks: list[TickPlan] = []
    for text in said.turns:
        if said.form == "typed":
            ids = encode(network, text)
            ticks.append(TickPlan(content={"typed": ids[: layout["typed"].tokens]}, said={"act": [halt]}))
        else:
            ids = encode_heard(network, text)
            words = [*ids, layout.token("heard", "close")] if text[-1] in MARKS else ids
            parts = layout["heard"].spread(words, len(ticks))
            ticks += [TickPlan(said={"heard": part, "act": [halt]}) for part in parts]
    every = layout["image"].every
    ticks += [TickPlan(said={"act": [halt]})] * (-len(ticks) % every)
    seen: dict[str, int | Sequence[int]] = {}
    seen |= {name: layout[name].tokens for name in ("image", "proprio", "playback", "chunk") if name in layout.index}
    ticks.append(TickPlan(content=seen, said={"act": [halt]}))
    ticks.append(TickPlan(content={"playback": 1} if "playback" in seen else {}, said={"act": [halt]}))
    system = network.text.encode(SYSTEM, special=True) if network.text else [1]
    return write(layout, ticks, system)


def encode_heard(network: Network, text: str) -> list[int]:
    """The tokens of a sentence, or of a part of one, as hearing writes it."""
    return network.text.heard(text) if network.text else encode(network, text)


def encode(network: Network, text: str) -> list[int]:
    """The tokens of a text; without a tokenizer (size debug) a number for each word."""
    if network.text is not None:
        return network.text.encode(text)
    size = network.layout.vocabularies["text"].table.size
    return [3 + derive(0, word) % (size - 3) for word in text.split()][: network.layout["typed"].tokens]
