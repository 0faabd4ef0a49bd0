"""Short spoken answers about the scene, computed from the simulator's state.

Privileged, like the experts: these are labels for learning to answer and the voice of the scripted agent. A question is
recognised by the words in it; a thing that is not in the scene is named as unknown.
"""

import re
from collections.abc import Callable

import numpy as np

from stretto.envs.experts.libero_goal.motion import BOTTLE, BOWL, CABINET, CHEESE, KNOB, PLATE, STOVE, Hand
from stretto.envs.libero_scene import Scene

_NAMES = {BOWL: "bowl", CHEESE: "cream cheese", BOTTLE: "wine bottle", PLATE: "plate"}
_WORDS = {
    "bowl": BOWL,
    "cream cheese": CHEESE,
    "cheese": CHEESE,
    "wine bottle": BOTTLE,
    "bottle": BOTTLE,
    "wine": BOTTLE,
    "plate": PLATE,
}
_PLACES = ("stove", "cabinet", "plate", "rack", "bowl", "top drawer", "drawer", "table")
_FIXTURES = {"stove": "on the left", "cabinet": "on the right", "rack": "behind the cabinet on the right"}


def answer(scene: Scene, topic: str, goal: str = "") -> str:
    """One English sentence about `topic`, a question in plain words; `goal` is what the arm is about."""
    text = " ".join(re.findall(r"[a-z]+", topic.lower()))
    if re.search(r"\b(?:are|re) you (?:doing|up to|working on)\b|\byour task\b", text):
        return f"I am going to {goal}." if goal else "I am not doing anything."
    for pattern, reply in _REPLIES:
        found = re.search(pattern, text)
        if found:
            return reply(scene, *found.groups())
    return "I do not know."


def place_of(scene: Scene, name: str) -> str:
    """Where a movable thing is, as a phrase: `on the stove`, `in the top drawer`, `in my hand`."""
    if Hand(scene).held == name:
        return "in my hand"
    position = scene.position(name)
    if name == CHEESE and scene.holds("on", CHEESE, BOWL):
        return "in the bowl"
    if name != PLATE and _above(scene, PLATE, position, 0.05):
        return "on the plate"
    if scene.holds("in", name, f"{CABINET}_top_region"):
        return "in the top drawer"
    if scene.holds("on", name, f"{CABINET}_top_side"):
        return "on top of the cabinet"
    if name == BOTTLE and scene.holds("on", BOTTLE, "wine_rack_1_top_region"):
        return "on the rack"
    if _above(scene, STOVE, position, 0.06):
        return "on the stove"
    if name == PLATE and scene.holds("on", PLATE, "main_table_stove_front_region"):
        return "in front of the stove"
    return "on the table" if position[2] > 0.85 else "on the floor"


def _above(scene: Scene, support: str, position: np.ndarray, height: float) -> bool:
    low, high = scene.box(support)
    return bool(
        np.all(position[:2] > low[:2]) and np.all(position[:2] < high[:2]) and -0.03 < position[2] - high[2] < height
    )


def _where(scene: Scene, thing: str) -> str:
    thing = _plain(thing)
    if thing in _WORDS:
        name = _WORDS[thing]
        return f"The {_NAMES[name]} is {place_of(scene, name)}."
    if thing in _FIXTURES:
        return f"The {thing} is {_FIXTURES[thing]}."
    if thing.endswith("drawer"):
        return "The drawers are in the cabinet."
    return f"I do not see a {thing}."


def _stove(scene: Scene) -> str:
    return "Yes, the stove is on." if scene.joint(KNOB) >= 0.5 else "No, the stove is off."


def _drawer(scene: Scene, level: str) -> str:
    is_open = scene.joint(f"{CABINET}_{level}_level") < -0.05
    return f"Yes, the {level} drawer is open." if is_open else f"No, the {level} drawer is closed."


def _holding(scene: Scene) -> str:
    held = Hand(scene).held
    return f"I am holding the {_NAMES[held]}." if held else "I am not holding anything."


def _what_is_on(scene: Scene, place: str) -> str:
    place = _plain(place)
    if place not in (*_PLACES, "middle drawer", "bottom drawer"):
        return f"I do not see a {place}."
    word = "in" if place.endswith(("drawer", "bowl")) else "on"
    there = [_NAMES[name] for name in _NAMES if place_of(scene, name).endswith(f"the {place}")]
    return f"{_list(there)} {word} the {place}." if there else f"There is nothing {word} the {place}."


def _see(scene: Scene) -> str:
    things = ", ".join(f"a {_NAMES[name]}" for name in _NAMES)
    return f"I see {things}, a stove, a cabinet and a rack."


def _list(names: list[str]) -> str:
    joined = " and ".join(f"the {name}" for name in names)
    return f"{joined[0].upper()}{joined[1:]} {'is' if len(names) == 1 else 'are'}"


def _plain(thing: str) -> str:
    return re.sub(r"^(?:top of )?(?:the |a |an )", "", thing.strip()).replace("wine rack", "rack")


_REPLIES: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"\bstove (?:turned )?(?:on|off)\b|\bis the stove\b", _stove),
    (r"\b(top|middle|bottom) drawer (?:open|closed|shut)\b", _drawer),
    (r"\bholding\b|\bin your hand\b", _holding),
    (r"\bwhat is (?:there )?(?:in|on|inside) (.+)$", _what_is_on),
    (r"\bwhere (?:is|are) (.+)$", _where),
    (r"\bwhat (?:do|can) you see\b|\bwhat is (?:there|here)\b", _see),
    (r"^(?:the )?([a-z ]+)$", _where),
)
