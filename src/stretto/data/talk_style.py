"""How people hesitate: pauses, fillers and restarts laid over a finished sentence.

    "Put the bowl on the plate."  ->  "Um, put the bowl on, on the plate."   with a pause of 0.7 s after "on,"

A pause stands after a word, never inside one, so the rendered sound can be stretched there and every word keeps its
time. A comma marks the place, which makes a synthesizer take breath too. Fillers are words and are spoken.

Needs: numpy. Does not know what is meant.
"""

import re
from dataclasses import dataclass

import numpy as np

FILLERS = ("um", "uh", "er", "hm")
_LEADS = ("well", "so", "okay", "oh", "right", "let me see")
_BREAKS = frozenset("on in into to onto of from with and at by the a that is for you my".split())
_MANY = 7


@dataclass(frozen=True)
class Pause:
    """Silence of `seconds` after the word number `after` (from 0)."""

    after: int
    seconds: float


def spoken_words(text: str) -> list[str]:
    """The words of a text without the punctuation around them, as voices return them.

    >>> spoken_words("Um, put it - there, please.")
    ['Um', 'put', 'it', 'there', 'please']
    """
    stripped = (re.sub(r"^\W+|\W+$", "", word) for word in text.split())
    return [word for word in stripped if word]


def plain(text: str) -> str:
    """A text as it is compared: lower-case words without punctuation, hyphens as spaces.

    >>> plain("Mm-hm, don't STOP!")
    "mm hm don't stop"
    """
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("’", "'")))


def sentence(text: str) -> str:
    """A capital at the beginning and after each full stop, and a mark at the end."""
    text = re.sub(r"\s+([,.!?])", r"\1", " ".join(text.split()))
    text = re.sub(r"(?:^|[.!?] )[a-z]", lambda found: found[0].upper(), text)
    return text if text[-1] in ".!?" else f"{text}."


def hesitate(text: str, source: np.random.Generator, amount: float = 1.0) -> tuple[str, tuple[Pause, ...]]:
    """The text as somebody says it who thinks while speaking, and its pauses. The first word comes without capital.

    `amount` scales how likely each hesitation is; 0 changes nothing.
    """
    words, marked = text.split(), set[int]()
    if source.random() < 0.22 * amount:
        words, marked = _restart(words, source)
    if source.random() < 0.25 * amount:
        words, marked = _filler(words, marked, source)
    if source.random() < 0.25 * amount:
        words, marked = _lead(words, marked, source)
    if source.random() < 0.3 * amount and len(words) > 3:
        marked = marked | {_place(words, source)}
    for place in marked:
        words[place] = words[place] if words[place][-1] in ",.!?" else f"{words[place]},"
    said = sentence(" ".join(words))
    silent = [Pause(place, round(float(source.gamma(2.0, 0.35)) + 0.1, 2)) for place in sorted(marked)]
    return said, tuple(pause for pause in silent if pause.after < len(words) - 1)


def _place(words: list[str], source: np.random.Generator) -> int:
    """A word after which one may break off: before a small word if there is one, never the last."""
    good = [at for at in range(len(words) - 1) if words[at + 1].lower().strip(",.!?") in _BREAKS]
    good = good or list(range(len(words) - 1))
    return int(good[int(source.integers(len(good)))])


def _restart(words: list[str], source: np.random.Generator) -> tuple[list[str], set[int]]:
    """One to three words said again, or the sentence begun again."""
    if len(words) < 3:
        return words, set()
    end = int(source.integers(1, min(len(words), _MANY)))
    again = end if source.random() < 0.4 else int(source.integers(1, min(end, 3) + 1))
    if any(word[-1] in ",.!?" for word in words[end - again : end]):
        return words, set()
    return [*words[:end], *words[end - again :]], {end - 1}


def _filler(words: list[str], marked: set[int], source: np.random.Generator) -> tuple[list[str], set[int]]:
    """ "um," somewhere inside, half of the time with a pause after it."""
    if len(words) < 3:
        return words, marked
    at = _place(words, source) + 1
    moved = {place + (place >= at) for place in marked}
    word = FILLERS[int(source.integers(len(FILLERS)))]
    return [*words[:at], f"{word},", *words[at:]], moved | ({at} if source.random() < 0.5 else set())


def _lead(words: list[str], marked: set[int], source: np.random.Generator) -> tuple[list[str], set[int]]:
    """A word to begin with."""
    lead = str(source.choice([*FILLERS, *_LEADS])).split()
    if words[0].lower().strip(",") == lead[0]:
        return words, marked
    moved = {place + len(lead) for place in marked}
    first = [*lead[:-1], f"{lead[-1]},"]
    return [*first, *words], moved | ({len(lead) - 1} if source.random() < 0.5 else set())
