"""Requests that an arm at a table cannot meet, of training: what it cannot reach, cannot do, and what makes no sense.

Few wordings of a kind teach the wordings; many teach the kind. None is one that the exam asks in its test split, and
no thing stands in a sentence with the place with which it is kept for the test (tests compare).
"""

from collections.abc import Iterable

ERRANDS: dict[str, tuple[str, ...]] = {
    "Order me {}.": ("a taxi to the airport", "a pizza", "some flowers", "a new pair of shoes"),
    "Order {} for tonight.": ("some noodles", "a cake", "dinner"),
    "Play {} for me.": ("some music", "a song", "the radio", "something quiet"),
    "Send {}.": ("an email to my boss", "a message to my sister", "a letter to the bank", "her a birthday card"),
    "Ring {}.": ("my father", "the dentist", "the neighbours", "the office"),
    "Set {}.": ("an alarm for seven", "a timer for ten minutes", "a reminder for Monday"),
    "Write {}.": ("a shopping list", "a poem for her", "my report", "down what I say"),
    "Read me {}.": ("the news", "a story", "my messages", "the last page"),
    "Pay {}.": ("the rent", "the electricity bill", "for my parking"),
    "Reserve {}.": ("a hotel room", "a seat by the window", "the meeting room"),
    "Find {}.": ("me a flight to Rome", "a good film for tonight", "out who won the match"),
    "Turn {}.": ("up the volume", "off the lights in the hall", "down the heating upstairs"),
    "Water {}.": ("the plants", "the garden", "the lawn"),
    "Take {}.": ("a picture of me", "the dog for a walk", "the children to school", "out the rubbish"),
    "Wash {}.": ("the car", "my shirts", "the windows"),
    "Tell {}.": ("my wife that I am late", "the neighbours to be quiet", "everybody that dinner is ready"),
    "Let {}.": ("the cat out", "the guests in"),
    "Go {}.": ("shopping for me", "to the post office", "and get the mail"),
    "Translate {}.": ("this letter", "the menu"),
    "Check {}.": ("my bank account", "the weather for tomorrow", "whether the shop is open"),
    "Download {}.": ("that game", "the new version"),
    "Drive {}.": ("me to work", "the car into the garage"),
}
FEATS: dict[str, tuple[str, ...]] = {
    "Throw the {} out of the window.": ("bowl", "plate", "cream cheese"),
    "Throw the {} at the wall.": ("bowl", "plate", "wine bottle", "cream cheese"),
    "Throw the {} into the garden.": ("bowl", "wine bottle", "cream cheese"),
    "Kick the {}.": ("plate", "bowl", "wine bottle"),
    "Put the {} on the ceiling.": ("plate", "bowl", "wine bottle", "cream cheese"),
    "Hang the {} on the lamp.": ("plate", "bowl", "wine bottle"),
    "Carry the {} into the next room.": ("cabinet", "stove", "bowl", "plate"),
    "Carry the {} upstairs.": ("stove", "cabinet", "wine bottle"),
    "Break the {} in two.": ("plate", "bowl", "wine rack"),
    "Balance the {} on your elbow.": ("plate", "bowl", "wine bottle"),
    "Walk {}.": ("over to the door", "around the table", "down the stairs", "to the kitchen"),
    "Run {}.": ("to the door", "around the room", "outside"),
    "Fly {}.": ("up to the ceiling", "over the table", "out of the room"),
    "Climb {}.": ("onto the cabinet", "up the wall", "out of the window"),
    "Dance {}.": ("with me", "on the stove", "a little"),
    "Come {}.": ("over here to me", "and sit down", "with me to the door"),
    "Turn {} upside down.": ("the table", "the cabinet", "the whole stove"),
    "Roll {}.": ("over to the window", "off the table"),
    "Swim {}.": ("across the pool", "in the sink"),
    "Juggle with {}.": ("the bowl and the plate", "three eggs"),
    "Push {} through the wall.": ("the cabinet", "the stove", "the table"),
}
ABSURD: dict[str, tuple[str, ...]] = {
    "Put the stove {}.": ("in the bowl", "on the wine rack", "under the cream cheese", "into the bottle"),
    "Put the cabinet {}.": ("in the bowl", "on the plate", "into the bottle", "on top of the cheese"),
    "Put the table {}.": ("in the drawer", "on the plate", "into the bowl", "on top of the bottle"),
    "Put the wine rack {}.": ("into the bottle", "under the plate"),
    "Put the top drawer {}.": ("on the plate", "in the bowl", "into the wine bottle"),
    "Pour the {} into the bottle.": ("plate", "cabinet", "stove"),
    "Open the {}.": ("plate", "bowl", "stove with the bottle", "cream cheese drawer", "wine rack with the plate"),
    "Turn on the {}.": ("plate", "bowl", "cream cheese", "cabinet", "wine rack"),
    "Switch off the {}.": ("bowl", "plate", "wine rack"),
    "Close the {}.": ("plate", "wine rack", "cream cheese"),
    "Fold the {}.": ("plate", "bowl", "cabinet"),
    "Fill the {} with the stove.": ("bowl", "bottle", "top drawer"),
    "Cook the {}.": ("cabinet", "plate", "wine rack"),
    "Unlock the {}.": ("bowl", "plate"),
    "Screw the bowl {}.": ("into the bottle", "onto the ceiling"),
}


def _all(forms: dict[str, tuple[str, ...]]) -> Iterable[str]:
    return (form.format(part) for form, parts in forms.items() for part in parts)


IMPOSSIBLE: dict[str, tuple[str, ...]] = {
    "out_of_context": tuple(_all(ERRANDS)),
    "motion": tuple(_all(FEATS)),
    "semantic": tuple(_all(ABSURD)),
}
"""All of them, by kind."""
