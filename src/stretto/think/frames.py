"""Instructions as frames (verb, thing, place): from the task sentences exactly, from transcripts by similar sound.

The task sentences say which things and places there are, so nothing here names a bowl. A transcript is searched for
those names, also for their distinctive words ("bottle" for "wine bottle") and for what sounds like them. A noun phrase
that resembles no name is a thing that is not there.

Needs: think/sounds_like.py. Does not know intents other than instructions.
"""

import re
from dataclasses import dataclass

from stretto.think.sounds_like import similarity


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


VERBS = {
    "put": "put place move set bring lay drop take carry get give stick transfer shift pick grab leave goes",
    "push": "push slide shove",
    "open": "open pull opened reopen",
    "close": "close shut closed",
    "turn": "turn switch start light turned activate ignite",
}
"""Verb classes and the words that belong to them."""

_VERB_OF = {word: verb for verb, words in VERBS.items() for word in words.split()}
_PLACING = r"(?:on top of|to the front of|in front of|on|onto|in|into|inside|to|next to)"
_ARTICLES = word_set("the a an my your this that these those its")
_SMALL = word_set(
    "on onto in into inside to of at from off up down out and then it with for by is are was be i you we me he she can "
    "could would will want please now robot so no not front there here over under next back one some all upon "
    "like hey okay ok yes just again instead if do does did have has had go right left as"
)
_SAME = {
    "burner": "stove",
    "cooker": "stove",
    "hob": "stove",
    "cupboard": "cabinet",
    "flask": "bottle",
}
_ELSEWHERE = word_set(
    "apple banana orange pear lemon tomato potato carrot bread egg cake book paper pen pencil phone laptop keyboard "
    "cup mug glass jar spoon fork knife pan pot kettle toaster microwave oven fridge freezer sink chair sofa couch bed "
    "lamp window basket box bag tray towel sponge hammer toy doll car shoe hat remote television shelf floor wall milk "
    "butter ketchup soup"
)
_MISHEARD = dict.fromkeys(("boat", "bullet", "bold", "both", "bows", "bolt", "roll", "role", "hole", "goal"), "bowl")
_SEEMS = 0.74
_SEEMS_AFTER_ARTICLE = 0.66


@dataclass(frozen=True)
class Frame:
    """What is to be done with what, and where to; `place` may be empty."""

    verb: str
    thing: str
    place: str = ""


@dataclass(frozen=True)
class Mention:
    """A name found in the words `start` to `end` of a transcript."""

    name: str
    start: int
    end: int
    score: float


def goal_frame(goal: str) -> Frame | None:
    """The frame of a task sentence, or None where it has none of the simple forms.

    >>> goal_frame("put the wine bottle on top of the cabinet")
    Frame(verb='put', thing='wine bottle', place='cabinet')
    >>> goal_frame("open the top drawer and put the bowl inside")
    Frame(verb='put', thing='bowl', place='top drawer')
    """
    simple = re.sub(r" of the \w+$", "", goal) if goal.startswith(("open", "close")) else goal
    forms = (
        (r"open the (?P<place>.+) and put the (?P<thing>.+) inside", "put"),
        (r"pick up the (?P<thing>.+) and place it " + _PLACING + r" the (?P<place>.+)", "put"),
        (r"push the (?P<thing>.+?) (?P<how>" + _PLACING + r") the (?P<place>.+)", "push"),
        (r"(?:put|place) the (?P<thing>.+?) " + _PLACING + r" the (?P<place>.+)", "put"),
        (r"open the (?P<thing>.+)", "open"),
        (r"close the (?P<thing>.+)", "close"),
        (r"turn on the (?P<thing>.+)", "turn on"),
        (r"turn off the (?P<thing>.+)", "turn off"),
    )
    for form, verb in forms:
        if found := re.fullmatch(form, simple):
            parts = found.groupdict()
            if " and " in parts["thing"] or " and " in parts.get("place", ""):
                return None
            front = "front of the " if "front" in parts.get("how", "") else ""
            return Frame(verb, parts["thing"], front + parts["place"] if "place" in parts else "")
    return None


class Names:
    """The things and places of a set of tasks, and how they may be called."""

    def __init__(self, frames: list[Frame], goals: tuple[str, ...]):
        whole = {name.removeprefix("front of the ") for frame in frames for name in (frame.thing, frame.place) if name}
        whole |= {found for goal in goals for found in re.findall(r"drawer of the (\w+)$", goal)}
        self.names = tuple(sorted(whole))
        self.heads = {head for head, _ in self._shared()}
        self._calls = [(tuple(name.split()), name) for name in self.names]
        for name in self.names:
            words = name.split()
            single = [word for word in (words[0], words[-1]) if len(words) > 1]
            unique = [word for word in single if sum(word in other.split() for other in self.names) == 1]
            self._calls += [((word,), name) for word in unique if word not in ("top", "middle", "bottom")]
            self._calls += [((word, name), name) for word in self._qualifiers(name, frames)]
        self._calls += [
            ((word,), name) for word, meant in _SAME.items() for name in self.names if meant in name.split()
        ]
        self._calls += [((head,), head) for head in self.heads]

    def _shared(self) -> list[tuple[str, str]]:
        """(last word, name) of names that share their last word: drawers."""
        lasts = [name.split()[-1] for name in self.names]
        return [(last, name) for last, name in zip(lasts, self.names, strict=True) if lasts.count(last) > 1]

    def _qualifiers(self, name: str, frames: list[Frame]) -> set[str]:
        """First words of the longer names that go there, which people also say of the place: "wine" of the rack."""
        return {frame.thing.split()[0] for frame in frames if frame.place == name and " " in frame.thing}

    def find(self, words: list[str]) -> list[Mention]:
        """The mentions in a transcript, in order, none overlapping."""
        found = []
        for call, name in self._calls:
            for size in range(1, 4):
                for start in range(len(words) - size + 1):
                    score = self._score(words, start, size, call, name)
                    if score:
                        found.append(Mention(name, start, start + size, score))
        found.sort(key=lambda each: (-(each.score + 0.12 * (each.end - each.start)), each.start))
        kept: list[Mention] = []
        for each in found:
            if all(each.end <= other.start or each.start >= other.end for other in kept):
                kept.append(each)
        return sorted(kept, key=lambda each: each.start)

    def _score(self, words: list[str], start: int, size: int, call: tuple[str, ...], name: str) -> float:
        """How well the window of words sounds like the call, or 0."""
        window, joined = words[start : start + size], "".join(call)
        if (
            _ELSEWHERE & set(window) - set(call)
            or size < len(call) - 1
            or size > len(call) + 1
            or any(word in _ARTICLES for word in window)
        ):
            return 0.0
        if len(call) == 1 and name.startswith(f"{joined} ") and window != [joined]:
            return 0.0
        after_article = start > 0 and words[start - 1] in _ARTICLES
        known = [word in _COMMON and word not in call for word in window]
        if known[0] and not after_article:
            return 0.0
        if known[-1] and size >= len(call) and window[0] != call[0] and similarity("".join(window), joined) < 0.9:
            return 0.0
        if size == len(call) and len(call) > 1:
            each = [similarity(word, wanted) for word, wanted in zip(window, call, strict=True)]
            score = sum(each) / len(each) if min(each) > 0.4 else 0.0
        else:
            score = _alike("".join(window), joined)
        return score if score >= (_SEEMS_AFTER_ARTICLE if after_article else _SEEMS) else 0.0

    def unknown(self, words: list[str], mentions: list[Mention]) -> list[tuple[int, str]]:
        """Noun phrases after an article that no mention touches: (place in the transcript, phrase)."""
        found = []
        for index, word in enumerate(words[:-1]):
            if word not in _ARTICLES:
                continue
            end = index + 1
            while end < len(words) and not {words[end]} & (_SMALL | _ARTICLES | _VERB_OF.keys()):
                end += 1
            phrase = words[index + 1 : end]
            taken = any(each.start < end and each.end > index + 1 for each in mentions)
            if phrase and not taken and not all(each in _GRAMMAR for each in phrase):
                found.append((index + 1, " ".join(phrase)))
        return found

    def nearest(self, phrase: str, names: set[str]) -> tuple[float, str]:
        """The best of `names` for a phrase, with its similarity; 0 for what is known to be something else."""
        if _ELSEWHERE & set(phrase.split()):
            return 0.0, ""
        joined = phrase.replace(" ", "")
        return max(((similarity(joined, name.replace(" ", "")), name) for name in names), default=(0.0, ""))


def _alike(heard: str, wanted: str) -> float:
    """Similarity of sound; a word that goes on after the name ("bowlander") holds the name too."""
    if _MISHEARD.get(heard) == wanted:
        return 0.9
    if len(wanted) >= 4 and heard.startswith(wanted) and len(heard) > len(wanted) + 1:
        return 0.8
    return similarity(heard, wanted)


_GRAMMAR = word_set("top middle bottom front inside side way thing things moment second minute left right mind mine")


_COMMON = _SMALL | _VERB_OF.keys() | _GRAMMAR


def plain_verb(word: str) -> str:
    """A verb without the s that a recogniser adds to it: "opens" is "open"; any other word as it is."""
    short = word.removesuffix("s")
    return short if word not in _VERB_OF and short in _VERB_OF else word


def verb_of(words: list[str]) -> str:
    """The class of the first verb, "turn on" and "turn off" apart, or ""."""
    verbs = [(index, _VERB_OF[word]) for index, word in enumerate(words) if word in _VERB_OF]
    if not verbs:
        return ""
    if any(verb == "turn" for _, verb in verbs):
        return "turn off" if "off" in words else "turn on"
    return verbs[0][1]
