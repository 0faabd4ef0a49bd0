"""Questions about the scene and their true answers, computed from the simulator, each answerable from the cameras.

Seven types, each with four answers that are asked for. A case draws the answer it wants, evenly over them, and
arranges the scene so that it is true; what counts is what the simulator says when the question is asked. So the
commonest answer of a type is right in about a quarter of its cases.

An answer is a key (`stove`, `nothing`); its `keys` are the words by which it is recognised in a transcript.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stretto.envs.experts.libero_goal.answers import place_of
from stretto.envs.experts.libero_goal.motion import BOTTLE, BOWL, CABINET, CHEESE, Hand
from stretto.sessions.watched import Arrangement

Wordings = tuple[tuple[str, ...], ...]

_PLACES: dict[str, Wordings] = {
    "table": (("table",),),
    "plate": (("plate",),),
    "stove": (("stove",), ("burner",)),
    "cabinet": (("cabinet",), ("cupboard",)),
    "bowl": (("bowl",),),
    "rack": (("rack",),),
    "drawer": (("drawer",),),
    "hand": (("hand",), ("holding",), ("gripper",)),
}
_THINGS: dict[str, Wordings] = {
    "bowl": (("bowl",),),
    "cheese": (("cheese",),),
    "bottle": (("bottle",), ("wine",)),
    "nothing": (("nothing",), ("not", "anything"), ("empty",), ("no", "thing")),
}
_DRAWERS: dict[str, Wordings] = {
    "top": (("top",), ("upper",)),
    "middle": (("middle",), ("center",)),
    "bottom": (("bottom",), ("lower",)),
    "none": (("none",), ("no", "drawer"), ("closed",), ("all", "shut"), ("not", "open")),
}
_NAMES = {BOWL: "bowl", CHEESE: "cheese", BOTTLE: "bottle"}
_SPOKEN = {"bowl": "bowl", "cheese": "cream cheese", "bottle": "wine bottle"}
STOVE_TASK = "turn on the stove"
RACK_TASK = "put the wine bottle on the rack"
DRAWER_TASK = "open the middle drawer of the cabinet"
PLATE_TASK = "put the bowl on the plate"
CHEESE_TASK = "put the cream cheese in the bowl"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of question: the keys of its answers, a sentence for each, the tasks during which it may be asked."""

    answers: Mapping[str, Wordings]
    wanted: tuple[str, ...]
    sentences: Mapping[str, str]
    tasks: tuple[str, ...] = (DRAWER_TASK, STOVE_TASK, RACK_TASK)
    by_answer: Mapping[str, str] = field(default_factory=dict)


def _where(thing: str, wanted: tuple[str, ...], **more: Any) -> Kind:
    answers = {key: words for key, words in _PLACES.items() if key != thing}
    sentences = {
        key: f"The {_SPOKEN[thing]} is {'in' if key in ('bowl', 'drawer') else 'in my' if key == 'hand' else 'on'} "
        f"{'' if key == 'hand' else 'the '}{key}."
        for key in answers
    }
    return Kind(answers=answers, wanted=wanted, sentences=sentences, **more)


def _what_on(place: str) -> Kind:
    sentences = {key: f"The {_SPOKEN[key]} is on the {place}." for key in _SPOKEN}
    sentences["nothing"] = f"There is nothing on the {place}."
    wanted = ("bowl", "cheese", "bottle", "nothing")
    return Kind(answers=_THINGS, wanted=wanted, sentences=sentences, tasks=(DRAWER_TASK,))


KINDS: dict[str, Kind] = {
    "where_bowl": _where("bowl", ("table", "plate", "stove", "cabinet"), tasks=(RACK_TASK, DRAWER_TASK)),
    "where_cheese": _where("cheese", ("table", "plate", "stove", "bowl"), tasks=(RACK_TASK, DRAWER_TASK)),
    "where_bottle": _where("bottle", ("table", "plate", "stove", "cabinet"), tasks=(DRAWER_TASK,)),
    "on_stove": _what_on("stove"),
    "on_plate": _what_on("plate"),
    "open_drawer": Kind(
        answers=_DRAWERS,
        wanted=("top", "middle", "bottom", "none"),
        sentences={
            "top": "The top drawer is open.",
            "middle": "The middle drawer is open.",
            "bottom": "The bottom drawer is open.",
            "none": "None of the drawers is open.",
        },
        tasks=(STOVE_TASK,),
    ),
    "holding": Kind(
        answers=_THINGS,
        wanted=("bowl", "cheese", "bottle", "nothing"),
        sentences={
            **{key: f"I am holding the {_SPOKEN[key]}." for key in _SPOKEN},
            "nothing": "I am holding nothing.",
        },
        by_answer={"bowl": PLATE_TASK, "cheese": CHEESE_TASK, "bottle": RACK_TASK, "nothing": STOVE_TASK},
    ),
}
"""All types of questions about the scene."""


def arrangement(kind: str, wanted: str) -> Arrangement:
    """The scene in which the wanted answer is true."""
    if kind.startswith("where_"):
        thing = _SPOKEN[kind.removeprefix("where_")]
        return Arrangement() if wanted == "table" else Arrangement(at={thing: wanted})
    if kind.startswith("on_") and wanted != "nothing":
        return Arrangement(at={_SPOKEN[wanted]: kind.removeprefix("on_")})
    if kind == "open_drawer" and wanted != "none":
        return Arrangement(opened=wanted)
    return Arrangement()


def truth(kind: str, scene: Any) -> str:
    """The key of the true answer now; "" when it is none of the keys."""
    if kind.startswith("where_"):
        name = {short: long for long, short in _NAMES.items()}[kind.removeprefix("where_")]
        phrase = place_of(scene, name)
        return next((key for key in _PLACES if phrase.endswith(key)), "")
    if kind.startswith("on_"):
        place = kind.removeprefix("on_")
        there = [short for long, short in _NAMES.items() if place_of(scene, long).endswith(f"the {place}")]
        return "nothing" if not there else there[0] if len(there) == 1 else ""
    if kind == "open_drawer":
        levels = [level for level in ("top", "middle", "bottom") if scene.joint(f"{CABINET}_{level}_level") < -0.05]
        return "none" if not levels else levels[0] if len(levels) == 1 else ""
    held = Hand(scene).held
    return _NAMES[held] if held else "nothing"
