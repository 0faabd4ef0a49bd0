"""Questions with known answers, and what people say that is not for the robot; each wording belongs to one split.

General questions have short factual answers with their key words: an answer is right when all words of one wording are
in it. Questions about the scene have a type; what is true is the scene's business (sessions/scene.py). Corrections
name another place for the same thing. Backchannels and side talk ask for nothing.

Needs: nothing. Does not know who speaks.
"""

from dataclasses import dataclass

from stretto.core.errors import unknown
from stretto.data.impossible import IMPOSSIBLE

Wordings = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A general question: its `text`, a spoken `answer`, and the key words of which one group must be in an answer."""

    text: str
    answer: str
    keys: Wordings


def _q(text: str, answer: str, *keys: str) -> Question:
    return Question(text=text, answer=answer, keys=tuple(tuple(key.split()) for key in keys))


GENERAL: tuple[tuple[Question, ...], tuple[Question, ...]] = (
    (
        _q("What is the capital of France?", "The capital of France is Paris.", "paris"),
        _q("What is the capital of Japan?", "The capital of Japan is Tokyo.", "tokyo"),
        _q("How many days are in a week?", "There are seven days in a week.", "seven"),
        _q("What color is the sky on a clear day?", "The sky is blue.", "blue"),
        _q("How many legs does a spider have?", "A spider has eight legs.", "eight"),
        _q("What is frozen water called?", "Frozen water is called ice.", "ice"),
        _q("Which planet do we live on?", "We live on planet Earth.", "earth"),
        _q("What do bees make?", "Bees make honey.", "honey"),
        _q("What is two plus three?", "Two plus three is five.", "five"),
        _q("What is the opposite of hot?", "The opposite of hot is cold.", "cold"),
    ),
    (
        _q("What is the capital of Italy?", "The capital of Italy is Rome.", "rome"),
        _q("What is the capital of Germany?", "The capital of Germany is Berlin.", "berlin"),
        _q("How many months are in a year?", "There are twelve months in a year.", "twelve"),
        _q("What color is grass?", "Grass is green.", "green"),
        _q("How many legs does a dog have?", "A dog has four legs.", "four"),
        _q("What do cows give us to drink?", "Cows give us milk.", "milk"),
        _q("Which star gives us light during the day?", "The sun gives us light.", "sun"),
        _q("What is three plus three?", "Three plus three is six.", "six"),
        _q("What is the opposite of big?", "The opposite of big is small.", "small", "little"),
        _q("Which season comes after summer?", "Autumn comes after summer.", "autumn", "fall"),
    ),
)


def _where(thing: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        (
            f"Where is the {thing}?", f"Can you see the {thing}?", f"Where did the {thing} go?",
            f"Where do you see the {thing}?", f"Show me where the {thing} is.", f"What is the {thing} standing on?",
            f"Is the {thing} on the table?", f"Tell me the place of the {thing}.",
        ),
        (f"Where's the {thing} now?", f"Where can I find the {thing}?"),
    )  # fmt: skip


def _upon(place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        (
            f"What is on the {place}?", f"What do you see on the {place}?", f"Which thing is on the {place}?",
            f"Is there anything on the {place}?", f"What stands on the {place}?", f"Name what is on the {place}.",
            f"What did somebody put on the {place}?",
        ),
        (f"What's lying on the {place}?", f"Tell me, what is on the {place}?"),
    )  # fmt: skip


SCENE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "where_bowl": _where("bowl"),
    "where_cheese": _where("cream cheese"),
    "where_bottle": _where("wine bottle"),
    "on_stove": _upon("stove"),
    "on_plate": _upon("plate"),
    "open_drawer": (
        (
            "Which drawer is open?", "Which of the drawers is open?", "Is a drawer open, and which one?",
            "Which drawer can I look into?", "Name the open drawer.", "What drawer did somebody open?",
        ),
        ("Which drawer is standing open?", "Tell me, which drawer is open?"),
    ),
    "holding": (
        (
            "What are you holding?", "What is in your hand?", "Which thing are you holding?", "What did you pick up?",
            "Is there anything in your hand?", "What is between your fingers?", "What are you gripping?",
        ),
        ("What do you have in your hand?", "What are you holding right now?"),
    ),
}  # fmt: skip
"""Types of questions about the scene."""

_CORRECT = (
    ("No, {place}.", "No, not there, {place}.", "I mean {place}."),
    ("No, sorry, {place}.", "Wait, no, {place}.", "I meant {place}."),
)
_ASIDES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "backchannel": (
        ("Mm-hm.", "Okay.", "Right.", "I see.", "Good."),
        ("Uh-huh.", "Yeah.", "All right.", "Nice.", "Very good."),
    ),
    "side_talk": (
        (
            "Did you call your sister yesterday?",
            "I think we should leave at eight.",
            "The train was late again this morning.",
            "Have you seen my glasses anywhere?",
        ),
        (
            "What did the doctor say about your knee?",
            "Let's have pizza for dinner tonight.",
            "My phone battery is almost empty.",
            "It will rain for the whole weekend.",
        ),
    ),
    "out_of_context": (
        IMPOSSIBLE["out_of_context"],
        ("Book me a table for two.", "Call my mother for me.", "Buy two tickets for the concert."),
    ),
    "motion": (
        IMPOSSIBLE["motion"],
        ("Throw the wine bottle across the room.", "Lift the cabinet above your head.", "Jump onto the table."),
    ),
    "semantic": (
        IMPOSSIBLE["semantic"],
        ("Put the stove into the drawer.", "Put the rack on the cream cheese.", "Turn on the wine bottle."),
    ),
}
"""What is no instruction, or none that can be met, by kind."""


PLACES = {
    "bowl": {
        "on the stove": "put the bowl on the stove",
        "on top of the cabinet": "put the bowl on top of the cabinet",
        "on the plate": "put the bowl on the plate",
    },
    "wine bottle": {
        "on top of the cabinet": "put the wine bottle on top of the cabinet",
        "on the rack": "put the wine bottle on the rack",
    },
}
"""Where a thing may go, by the words of a correction."""


def places(goal: str) -> dict[str, str]:
    """Where else the thing of a task may go: the place's words -> the task; of none for other tasks."""
    others = next((tasks for tasks in PLACES.values() if goal in tasks.values()), {})
    return {place: other for place, other in others.items() if other != goal}


def general(split: str) -> tuple[Question, ...]:
    """The general questions of a split. Raises StrettoError for an unknown split."""
    return GENERAL[_column(split)]


def scene(kind: str, split: str) -> tuple[str, ...]:
    """The wordings of a type of question about the scene. Raises StrettoError for an unknown type or split."""
    if kind not in SCENE:
        raise unknown("type of scene question", kind, SCENE)
    return SCENE[kind][_column(split)]


def corrections(place: str, split: str) -> tuple[str, ...]:
    """Corrections that name another place: `No, on the plate.`"""
    return tuple(text.format(place=place) for text in _CORRECT[_column(split)])


def asides(kind: str, split: str) -> tuple[str, ...]:
    """What is said that is no instruction which can be met. Raises StrettoError for an unknown kind or split."""
    if kind not in _ASIDES:
        raise unknown("kind of aside", kind, _ASIDES)
    return _ASIDES[kind][_column(split)]


def _column(split: str) -> int:
    """0 for the wordings of training and development, 1 for those of test."""
    columns = {"train": 0, "dev": 0, "test": 1}
    if split not in columns:
        raise unknown("split", split, columns)
    return columns[split]
