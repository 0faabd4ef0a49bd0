"""Everything people say to a robot or near it: the wide grammar, from which training and test speech is made.

    saying = draw("hard", seed=3, split="test")
    saying = draw_from("robot", seed=4)          # the intent itself is drawn, from a mix

It has the intents of data/talk.py and more: corrections, never mind, yes and no, backchannels, side talk, hard
sentences with a command word that is no command, requests of other rooms, facts, prose, remarks of people among
themselves (`lines`, data/talk_lines.py), what they say around a house (`home`, data/talk_home.py), clauses of whole
texts (`passages`, data/talk_passages.py), strings of common words, and all of these with other words in many places. A
saying says its intent, goal, topic, split and where its pauses are. Wordings are of one split (three lists each, and a
test that they do not meet); the pairs of thing and place kept for testing are never spoken in training. data/talk.py
stays the small grammar of sessions and cards, whose lines are in here with their split.

Needs: the packages of data/talk_facts.py, data/talk_words.py and data/talk_passages.py for facts, prose, words and
passages only. Does not know who
speaks (data/clips.py).
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from stretto.core.errors import StrettoError, unknown
from stretto.core.rng import generator
from stretto.data import talk, talk_facts, talk_goals, talk_home, talk_lines, talk_passages, talk_words
from stretto.data.talk_grammar import draw as fill
from stretto.data.talk_grammar import every
from stretto.data.talk_style import Pause, hesitate, plain, sentence
from stretto.data.talk_tables import SAID, WORDS

SPLITS = ("train", "dev", "test")
INTENTS = (
    *SAID,
    "instruct",
    "switch",
    "correct",
    "defective",
    "ask_scene",
    "elsewhere",
    "facts",
    "prose",
    "words",
    "even",
    "changed",
    "lines",
    "home",
    "passages",
)

MIXES: dict[str, dict[str, float]] = {
    "robot": {
        "instruct": 24, "switch": 4, "correct": 6, "defective": 5, "ask_scene": 6, "ask_general": 5, "stop": 7,
        "pause": 6, "go_on": 4, "never_mind": 2, "confirm": 2, "backchannel": 3, "side": 7, "hard": 7, "elsewhere": 6,
        "facts": 3, "prose": 3,
    },
    "english": {
        "words": 50, "prose": 20, "facts": 10, "elsewhere": 6, "side": 5, "ask_general": 3, "hard": 3, "confirm": 3,
    },
    "strings": {"even": 100},
    "changed": {"changed": 100},
    "home": {"home": 100},
    "passages": {"passages": 100},
    "natural": {
        "home": 34, "lines": 24, "instruct": 10, "words": 8, "side": 4, "hard": 4, "stop": 4, "pause": 3,
        "ask_scene": 3, "ask_general": 3, "correct": 3,
    },
    "spoken": {"lines": 80, "side": 6, "facts": 6, "ask_general": 4, "words": 4},
    "reflex": {"stop": 30, "pause": 25, "hard": 20, "side": 6, "backchannel": 5, "instruct": 5, "prose": 5, "facts": 4},
    "tame": {"instruct": 30, "side": 20, "ask_scene": 10, "backchannel": 10, "elsewhere": 10, "facts": 10, "prose": 10},
}  # fmt: skip
"""Shares of intents. `tame` has no command word of `COMMANDS` at all: what must never halt an arm."""

CHANGED = ("robot", "english", "spoken")
"""Mixes whose sayings are changed."""

SOME = 4
"""Words of a saying that may be changed, at least."""

COMMANDS = ("stop", "wait", "pause", "freeze", "hold on", "careful", "whoa")
"""The words of the reflex."""

_COMMANDING = re.compile(r"\b(stop\w*|wait\w*|weight\w*|paus\w+|paws|freez\w+|froze\w*|h[oe]ld on|careful\w*|whoa)\b")
_THINKING = frozenset(("instruct", "switch", "correct", "defective", "ask_scene", "ask_general", "elsewhere", "side"))
_MAY_COMMAND = frozenset(("stop", "pause", "go_on", "switch", "hard", "correct", "changed"))
_TRIES = 200


@dataclass(frozen=True, kw_only=True)
class Saying:
    """One thing said. `plain`: its words before hesitations; `pauses` stand after words of `text`."""

    text: str
    intent: str
    split: str
    goal: str = ""
    topic: str = ""
    plain: str = ""
    pauses: tuple[Pause, ...] = ()


def draw(intent: str, seed: int, split: str = "train", hesitation: float | None = None, goal: str = "") -> Saying:
    """One saying; the same for the same arguments. `goal` chooses the task (instruct, switch, correct).

    `hesitation` scales pauses, fillers and restarts; by default half of what takes thinking has some, commands none.
    Raises StrettoError for an unknown intent, split or goal.
    """
    _check(intent, split, goal)
    source = generator(seed, "say", intent, split)
    for _ in range(_TRIES):
        text, goal_of, topic = _MAKERS.get(intent, _said)(intent, split, goal, source)
        if intent in _MAY_COMMAND or not _COMMANDING.search(text.lower()):
            break
    else:
        raise StrettoError(f"No sentence of '{intent}' without a command word in {_TRIES} tries.")
    amount = (1.2 if intent in _THINKING and source.random() < 0.5 else 0.0) if hesitation is None else hesitation
    said, pauses = hesitate(text, source, amount)
    return Saying(text=said, intent=intent, split=split, goal=goal_of, topic=topic, plain=plain(text), pauses=pauses)


def draw_from(mix: str | Mapping[str, float], seed: int, split: str = "train") -> Saying:
    """A saying whose intent is drawn from a mix, by name or as shares. Raises StrettoError for unknown names."""
    if isinstance(mix, str):
        if mix not in MIXES:
            raise unknown("mix", mix, MIXES)
        mix = MIXES[mix]
    return draw(_intent(mix, generator(seed, "mix", split)), seed, split)


def _intent(mix: Mapping[str, float], source: np.random.Generator) -> str:
    """One of a mix."""
    names, shares = list(mix), np.array([float(each) for each in mix.values()])
    if not names or shares.min() < 0 or not shares.sum() > 0:
        raise StrettoError(f"Expected shares of intents, at least one above 0, got {dict(mix)}.")
    return names[int(source.choice(len(names), p=shares / shares.sum()))]


def commands_in(words: Sequence[str], commands: Sequence[str] = COMMANDS) -> tuple[tuple[str, int, int], ...]:
    """Where the words of a command stand: (command, its first word, its last word).

    >>> commands_in(["No", "hold", "on", "stop"])
    (('hold on', 1, 2), ('stop', 3, 3))
    """
    said = [plain(word) for word in words]
    found = []
    for command in commands:
        parts = command.split()
        for at in range(len(said) - len(parts) + 1):
            if said[at : at + len(parts)] == parts:
                found.append((command, at, at + len(parts) - 1))
    return tuple(sorted(found, key=lambda each: each[1]))


def templates(intent: str, split: str) -> tuple[str, ...]:
    """The templates of an intent that has one list of them. Raises StrettoError for an unknown intent or split."""
    _check(intent, split, "")
    table = SAID.get(intent) or talk_goals.FRAMES.get(intent) or ((), (), ())
    return table[SPLITS.index(split)]


def _check(intent: str, split: str, goal: str) -> None:
    if intent not in INTENTS:
        raise unknown("intent", intent, INTENTS)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if goal and goal not in talk.GOALS:
        raise unknown("goal", goal, talk.GOALS)


T = TypeVar("T")
Made = tuple[str, str, str]
"""Text, goal, topic."""


def _said(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """A sentence of a list of templates, each with its topic; the lines of data/talk.py among them."""
    listed = templates(intent, split)
    lines = _lines(intent, split)
    at = int(source.integers(len(listed) + len(lines) // 4))
    if at >= len(listed):
        line = _one(lines, source)
        text = line.text if line.text.startswith("I ") else line.text[0].lower() + line.text[1:]
        return text, line.goal, line.topic
    words = _slots(split)
    _, _, told = listed[at].partition(" :: ")
    bound = {name: (fill(_one(words[name], source), words, source),) for name in re.findall(r"\{(\w+)\}", told)}
    text, topic, goal = [*fill(listed[at], {**words, **bound}, source).split(" :: "), "", ""][:3]
    return text, goal, topic


def _about_task(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """A request for a task inside a frame, perhaps after one that is taken back."""
    goal = goal or _one(tuple(talk.GOALS), source)
    words = _slots(split)
    thing = next((name for name in words["thing"] if name in goal), "stove")
    others = [other for other in words["other"] if other != thing and _may_meet(other, goal, split)]
    ask = fill(_one(talk_goals.asks(goal, split), source), words, source)
    frames = templates(intent, split)
    if ask.startswith("the "):
        frames = tuple(frame for frame in frames if re.search(r"(^|, )\{ask\}", frame))
    if not others:
        frames = tuple(frame for frame in frames if "{wrong}" not in frame and "{other}" not in frame)
    frame = _one(frames, source)
    named = "{ask}" in frame
    text = fill(frame, {**words, "ask": (ask,), "thing": (thing,), "other": tuple(others)}, source)
    return text, goal if named else "", "" if named else thing


def _may_meet(other: str, goal: str, split: str) -> bool:
    """Whether a thing may be named beside a task without naming a pair that is kept for testing."""
    if split == "test":
        return True
    return not any(
        (thing == other and place in goal) or (place == other and thing.split()[-1] in goal) for thing, place in _kept()
    )


@functools.lru_cache(maxsize=1)
def _kept() -> tuple[tuple[str, str], ...]:
    """Pairs of a thing and the noun of a place that only the test speaks."""
    return tuple((thing, place.split(" the ")[1]) for thing, place in talk.pairs("test"))


@functools.lru_cache(maxsize=64)
def _lines(intent: str, split: str) -> tuple[talk.Line, ...]:
    """The lines of the small grammar, whose development says what its training says: so nothing in development."""
    return talk.lines(intent, split) if intent in talk.INTENTS and split != "dev" else ()


def _defective(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """A request that cannot be met; its topic is what is missing or the pair that is no task."""
    words = _slots(split)
    frame = _one(templates("defective", split), source)
    slot = next(name for name in ("pair", "absent", "gone") if f"{{{name}}}" in frame)
    what = _one(words[slot], source)
    topic = what if slot == "pair" else _missing(what)
    return fill(frame, {**words, slot: (what,)}, source), "", topic


def _missing(what: str) -> str:
    """Of "bowl in the fridge" the fridge, of "apple on the plate" the apple."""
    here = ("bowl", "wine bottle")
    thing, _, place = what.partition(" the ")
    return place if what.startswith(here) else re.sub(r" (on|in|under|behind)$", "", thing)


def _fact(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    told = _facts(split)
    relation = _one(sorted(told), source)
    fact = _one(told[relation], source)
    wording = _one(talk_facts.WORDINGS[relation][SPLITS.index(split)], source)
    return sentence(wording.format(a=fact.a, b=fact.b)), "", relation


@functools.lru_cache(maxsize=3)
def _facts(split: str) -> dict[str, list[talk_facts.Fact]]:
    """The facts of a split by relation."""
    told: dict[str, list[talk_facts.Fact]] = {}
    for fact in talk_facts.facts(split):
        told.setdefault(fact.relation, []).append(fact)
    return told


def _prose(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    return _one(talk_facts.prose(split), source), "", ""


def _line(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    return _one(talk_lines.lines(split), source), "", ""


def _passage(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    return _one(_passages(split), source), "", ""


@functools.lru_cache(maxsize=3)
def _passages(split: str) -> tuple[str, ...]:
    """Passages of a split that nothing else of any split says."""
    return tuple(text for text in talk_passages.passages(split) if plain(text) not in _taken())


@functools.lru_cache(maxsize=1)
def _taken() -> frozenset[str]:
    """All that is listed in any split and could be a passage."""
    whole = [each for table in SAID.values() for some in table for each in some]
    whole += [each for table in talk_goals.FRAMES.values() for some in table for each in some if "{" not in each]
    said = {text.partition(" :: ")[0] for each in whole for text in every(each, WORDS)}
    said |= {text for other in SPLITS for told in (talk_lines.lines, talk_facts.prose) for text in told(other)}
    return frozenset(map(plain, said))


def _home(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """What people say around a house; each sentence is of one split."""
    while True:
        text = sentence(talk_home.said(source))
        if talk_facts.share("home", plain(text)) == split and not _names_kept(text, split):
            return text, "", ""


def _words(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """A string of common words, or of all words evenly, in which no pair kept for testing stands by accident."""
    while True:
        text = talk_words.string(source, 0.0 if intent == "even" else talk_words.FLAT)
        if not _names_kept(text, split):
            return text, "", ""


def _changed(intent: str, split: str, goal: str, source: np.random.Generator) -> Made:
    """Any other saying of some words, with other words in many places; too many to be one of another split."""
    while True:
        name = _intent(MIXES[_one(CHANGED, source)], source)
        told, _, _ = _MAKERS.get(name, _said)(name, split, "", source)
        text = talk_words.changed(told, source)
        if len(text.split()) >= SOME and text != sentence(told) and not _names_kept(text, split):
            return text, "", ""


def _names_kept(text: str, split: str) -> bool:
    """Whether a sentence names a pair that is kept for testing, though it is of another split."""
    return split != "test" and any(thing in text.lower() and place in text.lower() for thing, place in _kept())


_MAKERS = {
    "instruct": _about_task,
    "switch": _about_task,
    "correct": _about_task,
    "defective": _defective,
    "facts": _fact,
    "prose": _prose,
    "lines": _line,
    "home": _home,
    "passages": _passage,
    "words": _words,
    "even": _words,
    "changed": _changed,
}


@functools.lru_cache(maxsize=3)
def _slots(split: str) -> dict[str, tuple[str, ...]]:
    return {**WORDS, **talk_goals.slots(split)}


def _one(options: Sequence[T], source: np.random.Generator) -> T:
    return options[int(source.integers(len(options)))]
