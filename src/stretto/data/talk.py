"""What people say to the robot in LIBERO-Goal: a small grammar with wordings for training and for test.

Every intent has templates; a template belongs to one split, and so do the things that are not there and the pairs of
object and place that nobody asks for in training. Development uses the wordings of training with its own speaker.
A line is drawn from (intent, seed, split), so a session says the same again under the same seed.

Needs: nothing. Does not know who speaks (data/voices.py) nor what is understood (think/intent.py).
"""

from dataclasses import dataclass

from stretto.core.errors import unknown
from stretto.core.rng import derive, generator

INTENTS = ("instruct", "stop", "pause", "go_on", "switch", "ask_scene", "ask_general", "defective")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is said and what is meant: `goal` of an instruction, `topic` of a question or of what is wrong."""

    text: str
    intent: str
    goal: str = ""
    topic: str = ""


GOALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "open the middle drawer of the cabinet": (
        ("open the middle drawer of the cabinet", "open the middle drawer", "pull the middle drawer open"),
        ("open the drawer in the middle", "pull out the middle drawer of the cabinet", "get the middle drawer open"),
    ),
    "put the bowl on the stove": (
        ("put the bowl on the stove", "place the bowl on the stove", "move the bowl onto the stove"),
        ("set the bowl on the stove", "put the bowl down on the stove", "take the bowl and put it on the stove"),
    ),
    "put the wine bottle on top of the cabinet": (
        (
            "put the wine bottle on top of the cabinet",
            "place the wine bottle on the cabinet",
            "put the bottle on top of the cabinet",
        ),
        (
            "set the wine bottle on top of the cabinet",
            "put the bottle of wine on the cabinet",
            "move the wine bottle to the top of the cabinet",
        ),
    ),
    "open the top drawer and put the bowl inside": (
        (
            "open the top drawer and put the bowl inside",
            "put the bowl in the top drawer",
            "open the top drawer and place the bowl in it",
        ),
        (
            "place the bowl inside the top drawer",
            "open the top drawer, then put the bowl in",
            "put the bowl into the top drawer of the cabinet",
        ),
    ),
    "put the bowl on top of the cabinet": (
        ("put the bowl on top of the cabinet", "place the bowl on the cabinet", "put the bowl on the cabinet"),
        (
            "set the bowl on top of the cabinet",
            "move the bowl to the top of the cabinet",
            "take the bowl and put it on top of the cabinet",
        ),
    ),
    "push the plate to the front of the stove": (
        (
            "push the plate to the front of the stove",
            "push the plate in front of the stove",
            "slide the plate to the front of the stove",
        ),
        (
            "move the plate to the front of the stove",
            "shove the plate in front of the stove",
            "put the plate in front of the stove",
        ),
    ),
    "put the cream cheese in the bowl": (
        ("put the cream cheese in the bowl", "place the cream cheese in the bowl", "put the cheese into the bowl"),
        (
            "drop the cream cheese into the bowl",
            "set the cream cheese inside the bowl",
            "take the cheese and put it in the bowl",
        ),
    ),
    "turn on the stove": (
        ("turn on the stove", "turn the stove on", "switch on the stove"),
        ("switch the stove on", "start the stove", "get the stove turned on"),
    ),
    "put the bowl on the plate": (
        ("put the bowl on the plate", "place the bowl on the plate", "move the bowl onto the plate"),
        ("set the bowl on the plate", "put the bowl down on the plate", "take the bowl and put it on the plate"),
    ),
    "put the wine bottle on the rack": (
        ("put the wine bottle on the rack", "place the wine bottle on the rack", "put the bottle on the wine rack"),
        ("set the wine bottle on the rack", "put the bottle of wine on the rack", "move the wine bottle onto the rack"),
    ),
}
"""The ten tasks: for each its wordings of training and of test."""

_FRAMES = {
    "instruct": (
        ("{ask}.", "Please {ask}.", "Can you {ask}?", "Now {ask}."),
        ("{ask}, please.", "Could you please {ask}?", "I want you to {ask}.", "Hey robot, {ask}."),
    ),
    "switch": (
        ("No, {ask}.", "Actually, {ask} instead.", "Stop that and {ask}."),
        ("No wait, {ask} instead.", "I changed my mind, {ask}.", "Forget that, {ask}."),
    ),
}

_SAID: dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {
    "stop": (
        (("Stop!", ""), ("Stop now.", ""), ("Please stop.", ""), ("Stop moving.", ""), ("Robot, stop!", "")),
        (
            ("Stop right there.", ""),
            ("Stop it now.", ""),
            ("Stop, please.", ""),
            ("Stop, stop!", ""),
            ("You must stop now.", ""),
        ),
    ),
    "pause": (
        (("Wait.", ""), ("Hold on.", ""), ("Pause.", ""), ("Wait a moment.", "")),
        (("Wait a second.", ""), ("Hold on a moment.", ""), ("Please wait.", ""), ("Pause for a moment.", "")),
    ),
    "go_on": (
        (("Go on.", ""), ("Continue.", ""), ("Keep going.", ""), ("You can continue.", "")),
        (("Please continue.", ""), ("Go on now.", ""), ("Carry on, please.", ""), ("Don't stop.", "")),
    ),
    "ask_scene": (
        (
            ("Where is the {thing}?", "where is the {thing}"),
            ("Can you see the {thing}?", "where is the {thing}"),
            ("Is the stove on?", "is the stove on"),
            ("Is the middle drawer open?", "is the middle drawer open"),
            ("What are you holding?", "what are you holding"),
            ("What are you doing?", "what are you doing"),
        ),
        (
            ("Where's the {thing} now?", "where is the {thing}"),
            ("Do you know where the {thing} is?", "where is the {thing}"),
            ("Is the stove turned on?", "is the stove on"),
            ("Is the top drawer open?", "is the top drawer open"),
            ("What do you have in your hand?", "what are you holding"),
            ("What are you doing right now?", "what are you doing"),
        ),
    ),
    "ask_general": (
        (
            ("What is your name?", "name"),
            ("What can you do?", "able"),
            ("How are you?", "well"),
            ("Thank you.", "thanks"),
            ("What is the capital of France?", ""),
            ("Do you like music?", ""),
        ),
        (
            ("Who are you?", "name"),
            ("What are you able to do?", "able"),
            ("How are you doing today?", "well"),
            ("Thanks a lot.", "thanks"),
            ("Can you tell me a joke?", ""),
            ("What time is it?", ""),
        ),
    ),
}

THINGS = ("bowl", "plate", "cream cheese", "wine bottle")
"""What lies about and can be moved."""

PLACES = (
    "on the plate",
    "on the stove",
    "on the cabinet",
    "on the rack",
    "in the bowl",
    "in the top drawer",
    "in the middle drawer",
)
"""Where things can be asked to go."""

_ABSENT_THINGS = (("banana", "coffee cup", "spoon", "book", "tomato"), ("apple", "knife", "laptop", "orange", "hammer"))
_ABSENT_PLACES = (
    ("in the microwave", "on the chair", "in the basket", "on the shelf"),
    ("in the fridge", "on the sofa", "in the sink", "on the window"),
)
_HELD_OUT = 0.2


def pairs(split: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a thing and a place that exist and are no task: a fifth of them is spoken in test only."""
    spoken = {(thing, place) for thing in THINGS for place in PLACES if thing not in place} - set(_TASK_PAIRS)
    ordered = sorted(spoken, key=lambda pair: derive(0, "pairs", *pair))
    cut = round(len(ordered) * _HELD_OUT)
    return tuple(ordered[:cut] if _column(split) else ordered[cut:])


_TASK_PAIRS = (
    ("bowl", "on the stove"),
    ("bowl", "on the cabinet"),
    ("bowl", "on the plate"),
    ("bowl", "in the top drawer"),
    ("wine bottle", "on the cabinet"),
    ("wine bottle", "on the rack"),
    ("cream cheese", "in the bowl"),
)


def lines(intent: str, split: str) -> tuple[Line, ...]:
    """Everything that may be said with one intent in one split ("train", "dev", "test").

    Raises StrettoError for an unknown intent or split.
    """
    column = _column(split)
    if intent in _FRAMES:
        return tuple(
            _line(frame.format(ask=ask), intent, goal=goal)
            for goal, asks in GOALS.items()
            for ask in asks[column]
            for frame in _FRAMES[intent][column]
        )
    if intent == "defective":
        return _defective(column, split)
    if intent not in _SAID:
        raise unknown("intent", intent, INTENTS)
    return tuple(
        _line(text.format(thing=thing), intent, topic=topic.format(thing=thing))
        for text, topic in _SAID[intent][column]
        for thing in (THINGS if "{thing}" in text else ("",))
    )


def draw(intent: str, seed: int, split: str = "train", **slots: str) -> Line:
    """One line with an intent; `goal=` or `topic=` keep only lines about that.

    >>> draw("instruct", 1, "train", goal="turn on the stove").goal
    'turn on the stove'

    Raises StrettoError for an unknown intent, split, slot, goal or topic.
    """
    found = lines(intent, split)
    for slot, value in slots.items():
        if slot not in ("goal", "topic"):
            raise unknown("slot", slot, ("goal", "topic"))
        known = {getattr(line, slot) for line in found}
        if value not in known:
            raise unknown(f"{slot} of the intent '{intent}'", value, known)
        found = tuple(line for line in found if getattr(line, slot) == value)
    return found[int(generator(seed, "talk", intent, split).integers(len(found)))]


def _defective(column: int, split: str) -> tuple[Line, ...]:
    """Requests that cannot be met: a thing or a place that is not there, or a pair that is no task."""
    said = []
    for thing in _ABSENT_THINGS[column]:
        said += [
            _line(f"Put the {thing} {place}.", "defective", topic=thing) for place in ("on the plate", "on the stove")
        ]
    for place in _ABSENT_PLACES[column]:
        missing = place.split(" the ")[1]
        said += [_line(f"Put the {thing} {place}.", "defective", topic=missing) for thing in ("bowl", "wine bottle")]
    for thing, place in pairs(split):
        said.append(_line(f"Put the {thing} {place}.", "defective", topic=f"{thing} {place}"))
    return tuple(said)


def _line(text: str, intent: str, goal: str = "", topic: str = "") -> Line:
    return Line(text=text[0].upper() + text[1:], intent=intent, goal=goal, topic=topic)


def _column(split: str) -> int:
    """0 for the wordings of training and development, 1 for those of test."""
    columns = {"train": 0, "dev": 0, "test": 1}
    if split not in columns:
        raise unknown("split", split, columns)
    return columns[split]
