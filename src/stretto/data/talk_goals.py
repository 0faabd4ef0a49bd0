"""How people ask for things: the tasks of LIBERO-Goal, its other pairs of thing and place, things that are not there.

Each list has wordings of training, development and test. The core of it is data/talk.py (its wordings keep their
split); here come more ways to say the same, the frames around a request (politeness, address), corrections, and
requests of other kitchens and rooms, which only widen what is heard.

Needs: nothing. Does not know hesitations (data/talk_style.py).
"""

from stretto.core.rng import derive
from stretto.data import talk
from stretto.data.talk_tables import Three

COLUMNS = ("train", "dev", "test")


def _put(thing: str, place: str) -> Three:
    """Ways to ask for `thing` on top of `place`."""
    return (
        (
            f"[put|place] the {thing} [on|onto|on top of|up on] the {place}",
            f"move the {thing} [over to|to] the {place}",
            f"the {thing} goes [on|on top of] the {place}",
            f"[put|place] it, the {thing}, on the {place}",
            f"[carry|transfer] the {thing} [to|over to|onto] the {place}",
            f"[rest|leave|position|deposit] the {thing} [on|on top of] the {place}",
            f"[lift|fetch|find] the {thing} and [leave|rest|place] it [on|on top of] the {place}",
            f"the {thing} [belongs|should be|should go|has to go] [on|on top of] the {place}",
        ),
        (
            f"[lay|stand] the {thing} [on|on top of] the {place}",
            f"[get|bring] the {thing} [onto|over to] the {place}",
        ),
        (
            f"set the {thing} [down on|on top of|onto] the {place}",
            f"[take|grab|pick up] the {thing} and [put|place|set] it [on|on top of] the {place}",
            f"make sure the {thing} ends up on the {place}",
        ),
    )


def _into(thing: str, place: str) -> Three:
    """Ways to ask for `thing` inside `place`."""
    return (
        (
            f"[put|place] the {thing} [in|into|inside] the {place}",
            f"move the {thing} [into|inside] the {place}",
            f"the {thing} goes [in|into] the {place}",
            f"[transfer|carry] the {thing} [into|to] the {place}",
            f"[leave|deposit|tuck|pop] the {thing} [in|inside] the {place}",
            f"[lift|fetch|find] the {thing} and [lower it into|leave it in|place it in] the {place}",
            f"the {thing} [belongs|should be|should go|has to go] [in|inside] the {place}",
        ),
        (f"[lay|get|bring] the {thing} [in|into|inside] the {place}",),
        (
            f"[drop|set] the {thing} [in|into|inside] the {place}",
            f"[take|grab|pick up] the {thing} and [put|drop|set] it [in|into|inside] the {place}",
        ),
    )


ASKS: dict[str, Three] = {
    "open the middle drawer of the cabinet": (
        (
            "[open|pull open|pull out] the [middle drawer|middle drawer in the cabinet|second drawer]",
            "pull the middle drawer [open|out]",
            "[draw|tug] the [middle|second] drawer [open|out]",
            "open the cabinet's [middle|second] drawer",
            "open the drawer between the top one and the bottom one",
            "pull [on|at] the handle of the middle drawer[ until it is open|]",
            "the middle drawer [should be|has to be|must be] open",
        ),
        ("slide the middle drawer [open|out]", "bring the middle drawer out"),
        ("[get|have] the middle drawer opened", "open [up|] the drawer [that is in|in] the middle"),
    ),
    "put the bowl on the stove": _put("[black |]bowl", "[stove|burner]"),
    "put the wine bottle on top of the cabinet": _put("[wine |]bottle", "[cabinet|cupboard]"),
    "open the top drawer and put the bowl inside": (
        (
            "open the [top|upper] drawer and [put|place] the bowl [inside|in it|into it]",
            "put the bowl [in|inside] the top drawer",
            "place the bowl in the top drawer",
            "the bowl goes in the top drawer",
            "[stow|stash|store] the bowl in the [top|upper] drawer",
            "[pull out|draw out|pull open] the [top|upper] drawer and [put|place|lower] the bowl [in|inside|into it]",
            "open the [top|upper] drawer, the bowl goes inside",
            "move the bowl into the [top|upper] drawer of the cabinet",
            "the bowl [belongs|should be|has to go] in the [top|upper] drawer",
        ),
        (
            "bring the bowl into the top drawer",
            "hide the bowl in the top drawer",
            "pull the top drawer open for the bowl",
        ),
        (
            "open the top drawer[, then| and then] [set|put] the bowl [in|inside]",
            "[set|drop] the bowl [in|into] the top drawer",
            "put the bowl away in the top drawer",
        ),
    ),
    "put the bowl on top of the cabinet": _put("bowl", "[cabinet|cupboard]"),
    "push the plate to the front of the stove": (
        (
            "[push|slide] the plate [to the front of|in front of] the stove",
            "push the plate over to the front of the stove",
            "the plate goes in front of the stove",
            "[ease|scoot|press|drive] the plate [to|over to|toward] the front of the stove",
            "push the plate until it is in front of the stove",
            "[transfer|guide] the plate [to the front of|in front of] the stove",
            "the plate [belongs|should be|has to go] in front of the stove",
        ),
        ("shift the plate [to the front of|in front of] the stove", "nudge the plate in front of the stove"),
        (
            "[move|shove] the plate [to the front of|in front of] the stove",
            "give the plate a push to the front of the stove",
        ),
    ),
    "put the cream cheese in the bowl": _into("[cream cheese|cheese]", "bowl"),
    "turn on the stove": (
        (
            "[turn|switch] on the [stove|burner]",
            "turn the [stove|burner] on",
            "turn on the stove for me",
            "[power on|power up|fire up|ignite] the [stove|burner]",
            "power the [stove|burner] on",
            "use the knob to turn on the [stove|burner]",
            "make the [stove|burner] hot",
            "turn on the heat of the stove",
            "the [stove|burner] [should be|has to be|must be] on",
        ),
        ("heat [up|] the stove", "turn the knob of the stove", "light the stove"),
        (
            "[start|activate] the [stove|burner]",
            "get the stove [running|going|turned on]",
            "have the stove switched on",
        ),
    ),
    "put the bowl on the plate": _put("[black |]bowl", "plate"),
    "put the wine bottle on the rack": _put("[wine |]bottle", "[rack|wine rack]"),
}
"""For each task, more ways to ask for it than data/talk.py has."""

FRAMES: dict[str, Three] = {
    "instruct": (
        (
            "{ask}.",
            "please {ask}.",
            "[can|will|would] you {ask}[ please|]?",
            "[now|next|robot|okay|okay robot|then|good, now] [|please ]{ask}.",
            "[I would like you to|you can|you should|let's|go ahead and|try to] {ask}.",
            "{ask} [now|next|for me|again].",
            "[kindly|quickly|first] {ask}.",
            "[listen|hello|listen, robot|alright|your turn], {ask}.",
            "[why don't|how about] you {ask}?",
            "[we need you to|I would be glad to see you|it would be great if you could|what I want is that you] {ask}.",
            "{ask}, [thanks|thank you|robot|quickly].",
            "{ask} [when you can|right away|if you can|this time|as the next thing].",
            "make yourself useful and {ask}.",
        ),
        (
            "[be so kind and|time to|I need you to|would you kindly] {ask}.",
            "can you go and {ask}?",
            "so, {ask}, will you?",
        ),
        (
            "{ask}, please.",
            "could you [please |]{ask}[ for me|]?",
            "[I want you to|your next task is to|the next thing is to|your job is to] {ask}.",
            "hey [robot|there], {ask}.",
            "do me a favor and {ask}.",
        ),
    ),
    "switch": (
        (
            "no, {ask}.",
            "[actually|no], {ask} instead.",
            "stop that and {ask}.",
            "[wait|hold on], [better|rather|please] {ask}.",
            "[leave that|that can stay], {ask}.",
        ),
        ("on second thought, {ask}.", "do something else, {ask}.", "change of plans, {ask}."),
        (
            "no wait, {ask} instead.",
            "I changed my mind, {ask}.",
            "forget that[| for now], {ask}.",
            "stop, {ask} first.",
        ),
    ),
    "correct": (
        (
            "no, [I meant|I mean|I said] {ask}.",
            "not that[ one|], {ask}.",
            "no, the other [one|thing], {ask}.",
            "{wrong}, no, {ask}.",
            "{wrong}, sorry, I mean {ask}.",
            "[that is wrong|wrong], {ask}.",
            "no, the {thing}.",
            "[not the {other}, the {thing}|the {thing}, not the {other}].",
        ),
        (
            "{wrong}, oh wait, I meant {ask}.",
            "you misheard me, {ask}.",
            "I was asking for the {thing}.",
            "wrong one, the {thing}.",
        ),
        (
            "no, no, {ask} is what I [meant|said].",
            "{wrong}, or rather, {ask}.",
            "that's not [what I said|right], {ask}.",
            "no, I [meant|want] the {thing}.",
            "the {thing} instead of the {other}.",
        ),
    ),
    "defective": (
        (
            "put the {pair}.",
            "[please|can you|now] put the {pair}.",
            "place the {pair}.",
            "put the {absent}.",
            "[bring|give] me the {gone}.",
        ),
        ("get the {pair}.", "I would love the {pair}.", "fetch me the {gone}.", "lay the {absent}."),
        (
            "put the {pair}[, please|, robot].",
            "take the {gone} away.",
            "could you put the {pair}?",
            "set the {absent}.",
            "hand me the {gone}.",
        ),
    ),
    "ask_scene": (
        (
            "where is the {thing}[ now|]? :: where is the {thing}",
            "[can|do] you see the {thing}? :: where is the {thing}",
            "[tell|show] me where the {thing} is. :: where is the {thing}",
            "is the [stove|burner] [on|off|hot]? :: is the stove on",
            "is the {drawer} drawer open? :: is the {drawer} drawer open",
            "what are you [holding|carrying]? :: what are you holding",
            "what are you doing? :: what are you doing",
            "what [do you see|is on the table]? :: what do you see",
            "what is [on|on top of] the {spot}? :: what is on the {spot}",
            "are you [done|finished|ready]? :: what are you doing",
        ),
        (
            "have you seen the {thing}? :: where is the {thing}",
            "did you turn the stove on? :: is the stove on",
            "what is that in your hand? :: what are you holding",
            "what are you up to? :: what are you doing",
        ),
        (
            "where's the {thing} now? :: where is the {thing}",
            "do you know where the {thing} is? :: where is the {thing}",
            "is the stove [turned on|still on|running]? :: is the stove on",
            "[did you open|have you opened] the {drawer} drawer? :: is the {drawer} drawer open",
            "what do you have in your [hand|gripper]? :: what are you holding",
            "what are you doing [right now|at the moment]? :: what are you doing",
            "is there [something|anything] on the {spot}? :: what is on the {spot}",
        ),
    ),
    "elsewhere": (
        (
            "[put|place|move] the {object} [on|under|next to|behind] the {spot2}.",
            "[please|now] [bring|carry|take] the {object} to the {spot2}.",
            "[clean|wipe|dust] the {spot2}.",
            "pick up the {object}[ and hold it|].",
            "[can|would] you [find|bring me] the {object}?",
            "[fold|wash|fill|empty] the {object}.",
        ),
        (
            "[leave|lay] the {object} by the {spot2}.",
            "tidy up around the {spot2}.",
            "fetch the {object} from the {spot2}.",
        ),
        (
            "[set|drop|leave] the {object} [beside|near|on] the {spot2}, please.",
            "could you [get|hand] me the {object}?",
            "take the {object} off the {spot2}.",
            "[sweep|scrub] the {spot2}, robot.",
        ),
    ),
}
"""Sentences around a request, a thing, a place."""

_THINGS = ("bowl", "plate", "cream cheese", "wine bottle")
_COLORS = "red blue green yellow white grey brown orange purple small big old new wooden".split()
_OBJECTS = (
    "mug cup glass fork spoon knife pan kettle towel sponge book pen pencil box bag basket lamp chair blanket shirt "
    "pillow shoe hat phone remote newspaper ball toy puzzle candle vase flower bucket brush hammer screwdriver ladder "
    "jar tray napkin toaster teapot"
).split()
_SPOTS = (
    "table sofa bed desk window door floor carpet sink fridge oven microwave dishwasher shelf wardrobe closet bathtub "
    "garage garden balcony hallway kitchen bathroom stairs corner wall fireplace bookcase counter"
).split()
_ABSENT = (
    ("banana", "coffee cup", "spoon", "book", "tomato", "lemon", "teapot", "blue mug"),
    ("pear", "candle", "yellow box", "carrot"),
    ("apple", "knife", "laptop", "orange", "hammer", "red cup", "potato"),
)
_FAR = (
    ("in the microwave", "on the chair", "in the basket", "on the shelf", "under the bed", "on the roof"),
    ("in the garage", "on the carpet", "behind the door"),
    ("in the fridge", "on the sofa", "in the sink", "on the window", "in the bathtub", "on the moon"),
)


def pairs(split: str) -> tuple[tuple[str, str], ...]:
    """Pairs of thing and place that are no task: of development those that are drawn out of training's."""
    if split == "test":
        return talk.pairs("test")
    ordered = sorted(talk.pairs("train"), key=lambda pair: derive(0, "dev pairs", *pair))
    return tuple(ordered[:2] if split == "dev" else ordered[2:])


def slots(split: str) -> dict[str, tuple[str, ...]]:
    """The words that fill the frames of one split ("train", "dev", "test")."""
    column = COLUMNS.index(split)
    absent = tuple(f"{thing} {place}" for thing in _ABSENT[column] for place in ("on the plate", "on the stove"))
    far = tuple(f"{thing} {place}" for place in _FAR[column] for thing in ("bowl", "wine bottle"))
    return {
        "thing": _THINGS,
        "other": _THINGS,
        "pair": tuple(f"{thing} {place}" for thing, place in pairs(split)),
        "absent": absent + far,
        "gone": _ABSENT[column],
        "wrong": ({"train": "put", "dev": "get", "test": "set"}[split] + " the {other}",),
        "drawer": ("middle", "bottom", *(("top",) if split != "train" else ())),
        "spot": ("plate", "stove", "cabinet", "rack"),
        "object": tuple(f"[{color} |]{thing}" for thing in _OBJECTS for color in _COLORS),
        "spot2": tuple(_SPOTS),
    }


def asks(goal: str, split: str) -> tuple[str, ...]:
    """Templates that ask for one task in one split, the wordings of data/talk.py included."""
    column = COLUMNS.index(split)
    old = {"train": talk.GOALS[goal][0], "dev": (), "test": talk.GOALS[goal][1]}[split]
    return (*old, *ASKS[goal][column])
