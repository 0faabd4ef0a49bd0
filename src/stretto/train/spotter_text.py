"""What is spoken to train the spotter: its words in every neighbourhood, and what only sounds like them.

An utterance is four phrases. Half of them hold a word of the list: alone, called twice, after or before a few words,
in the middle of them, or in a command of data/talk_wide.py. The words around it are slices of training sentences, so
that "stop" meets every sound that can stand beside it and the network learns a word and not a wording. The others are
training sentences and phrases around words that sound alike (stock, top, plate, weigh). Only training wordings occur.

Needs: data/talk_wide.py. Does not know who speaks.
"""

import functools

import numpy as np

from stretto.core.rng import generator
from stretto.data.talk_style import plain, sentence, spoken_words
from stretto.data.talk_wide import COMMANDS, commands_in, draw, draw_from

PHRASES = 4
"""Phrases of an utterance."""

NEAR: dict[str, str] = {
    "stop": "stock top shop step spot stove star start store stuff stack pop drop stomp stamp strap mop stock-pot",
    "wait": "way white wheat wet what late eight plate rate gate wade waste ways weigh wake great",
    "pause": "plus boss cause laws paused jaws pass pours pods palms pot pose post because",
    "freeze": "free breeze please three fries these frees cheese trees fleas friends frisbee",
    "hold on": "hold old home on hold-it hole whole told cold holder gold bold-one holding",
    "careful": "care carful cheerful care-free fearful caramel carry cupful hair-full scary car where",
    "whoa": "woke won't row wow war low go oh so though raw wool well show wall woman",
}
"""Words that sound like one of the list and are none."""

LIKE: dict[str, str] = {
    "wait": "weight weights",
    "pause": "paws",
    "freeze": "frees frieze froze frozen",
    "whoa": "woe woah",
}
"""Words that nobody can tell from one of the list by ear: neither right nor wrong to hear."""

HELD = ("stop stop", "stop freeze", "stop please", "stop robot", "please wait", "stop right there", "stop now")
"""Test wordings that words put together at random may hit."""

_WITH_COMMAND = ("stop", "pause")
_WITHOUT = ("instruct", "switch", "ask_scene", "ask_general", "side", "elsewhere", "facts", "prose", "backchannel")
_LEADS = ("hey", "robot", "no", "please", "oh no", "okay", "just", "now", "and", "then", "so", "you", "can you")


def utterance(number: int, words: tuple[str, ...] = COMMANDS, seed: int = 0) -> str:
    """The text of utterance `number`: a few phrases, each a sentence of its own."""
    source = generator(seed, "spotter text", number)
    return " ".join(sentence(_phrase(words, source)) for _ in range(PHRASES))


def unsure(word: str, words: tuple[str, ...]) -> bool:
    """Whether a spoken word is so like one of the list that neither hearing nor missing it is wrong.

    >>> unsure("stopped", ("stop",)), unsure("weight", ("wait",)), unsure("top", ("stop",))
    (True, True, False)
    """
    said = plain(word)
    starts = tuple(each for each in words if " " not in each)
    stems = tuple(each[:-1] for each in starts if each.endswith("e"))
    alike = {like for each in words for like in LIKE.get(each, "").split()}
    return said not in words and (said.startswith(starts + stems) or said in alike)


def _phrase(words: tuple[str, ...], source: np.random.Generator) -> str:
    """A phrase that is no wording of the test."""
    while plain(phrase := _any(words, source)) in HELD:
        pass
    return phrase


def _any(words: tuple[str, ...], source: np.random.Generator) -> str:
    kind = source.random()
    if kind < 0.44:
        return _with(words[int(source.integers(len(words)))], source)
    if kind < 0.50:
        return _command(words, source)
    if kind < 0.68:
        near = [each for word in words for each in NEAR.get(word, "").split()]
        return _around(_one(near, source).replace("-", " ") if near else "", source)
    return _saying(source)


def _with(word: str, source: np.random.Generator) -> str:
    """A word of the list among others."""
    kind = source.random()
    if kind < 0.22:
        return word
    if kind < 0.30:
        return f"{word}, {word}, {word}"
    if kind < 0.42:
        return f"{_one(_LEADS, source)}{_one((',', ''), source)} {word}"
    if kind < 0.66:
        return f"{word}{_one((',', '', ''), source)} {_slice(source)}"
    if kind < 0.80:
        return f"{_slice(source)}{_one((',', '', ''), source)} {word}"
    return _around(word, source)


def _around(word: str, source: np.random.Generator) -> str:
    return f"{_slice(source)} {word} {_slice(source)}"


def _command(words: tuple[str, ...], source: np.random.Generator) -> str:
    """A training sentence with a command of the list in it, if there is one soon."""
    for _ in range(4):
        said = draw(_WITH_COMMAND[int(source.integers(2))], int(source.integers(2**31)), "train", hesitation=0).text
        if commands_in(spoken_words(said), words):
            return said
    return said


def _saying(source: np.random.Generator) -> str:
    """A training sentence that is no command; every sixth is one that only sounds like it."""
    if source.random() < 0.16:
        return draw("hard", int(source.integers(2**31)), "train").text
    return draw_from(dict.fromkeys(_WITHOUT, 1.0), int(source.integers(2**31)), "train").text


def _slice(source: np.random.Generator) -> str:
    """One to four words that stand beside each other in a training sentence."""
    said = _bank()[int(source.integers(len(_bank())))]
    count = int(source.integers(1, 5))
    start = int(source.integers(max(1, len(said) - count + 1)))
    return " ".join(said[start : start + count])


@functools.lru_cache(maxsize=1)
def _bank() -> tuple[tuple[str, ...], ...]:
    """The words of training sentences, from which slices are cut."""
    mix = dict.fromkeys(_WITHOUT, 1.0)
    texts = (draw_from(mix, number, "train").plain for number in range(600))
    return tuple(tuple(text.split()) for text in texts if text)


def _one(options: tuple[str, ...] | list[str], source: np.random.Generator) -> str:
    return options[int(source.integers(len(options)))]
