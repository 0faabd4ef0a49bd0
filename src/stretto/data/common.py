"""Plain questions that everybody can answer, with a short spoken answer: what a robot may be asked beside its work.

For training alone: nothing here is asked in the exam (a test compares with data/questions.py). A question is a template
and a row of a small table, so there are some hundreds of them.

Needs: nothing. Does not know who asks.
"""

import functools
import itertools

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()

_OPPOSITES = (
    "up:down left:right open:closed fast:slow wet:dry old:young early:late light:dark hard:soft full:empty day:night "
    "happy:sad tall:short rich:poor loud:quiet clean:dirty near:far high:low strong:weak wide:narrow"
)
_COLORS = {
    "a ripe banana": "yellow", "snow": "white", "blood": "red", "coal": "black", "the sun in a drawing": "yellow",
    "a carrot": "orange", "a ripe tomato": "red", "an elephant": "gray", "chocolate": "brown", "milk": "white",
    "a leaf in spring": "green", "a clear sea": "blue", "an eggplant": "purple", "a flamingo": "pink",
}  # fmt: skip
_CAPITALS = {
    "Spain": "Madrid", "Portugal": "Lisbon", "Austria": "Vienna", "Greece": "Athens", "Russia": "Moscow",
    "China": "Beijing", "Egypt": "Cairo", "Norway": "Oslo", "Sweden": "Stockholm", "Poland": "Warsaw",
    "Ireland": "Dublin", "Canada": "Ottawa", "Cuba": "Havana", "Turkey": "Ankara", "Hungary": "Budapest",
    "the United Kingdom": "London", "Belgium": "Brussels", "Denmark": "Copenhagen", "Finland": "Helsinki",
}  # fmt: skip
_LEGS = {"a bird": "two", "a cat": "four", "a horse": "four", "an ant": "six", "a bee": "six", "a snake": "no"}
_MAKES = {
    "hens": "lay eggs", "spiders": "make webs", "bakers": "bake bread", "painters": "paint pictures",
    "birds": "build nests", "sheep": "give us wool", "farmers": "grow food", "writers": "write books",
}  # fmt: skip
_BABIES = {"dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "horse": "foal", "hen": "chick"}
_AFTER = {
    "Monday": "Tuesday", "Tuesday": "Wednesday", "Friday": "Saturday", "Sunday": "Monday", "January": "February",
    "March": "April", "June": "July", "November": "December", "winter": "spring", "spring": "summer",
}  # fmt: skip
_COUNTS = (
    ("hours are in a day", "There are twenty-four hours in a day."),
    ("minutes are in an hour", "There are sixty minutes in an hour."),
    ("seconds are in a minute", "There are sixty seconds in a minute."),
    ("days are in a year", "There are three hundred and sixty-five days in a year."),
    ("fingers are on one hand", "There are five fingers on one hand."),
    ("wheels does a car have", "A car has four wheels."),
    ("wheels does a bicycle have", "A bicycle has two wheels."),
    ("sides does a triangle have", "A triangle has three sides."),
    ("corners does a square have", "A square has four corners."),
    ("eyes do people have", "People have two eyes."),
    ("letters are in the alphabet", "There are twenty-six letters in the alphabet."),
)
_OTHERS = (
    ("What do you use to cut paper?", "You cut paper with scissors."),
    ("What falls from the clouds when it is wet outside?", "Rain falls from the clouds."),
    ("Where do fish live?", "Fish live in water."),
    ("What do we breathe?", "We breathe air."),
    ("What is the largest ocean?", "The largest ocean is the Pacific."),
    ("What is the largest animal?", "The largest animal is the blue whale."),
    ("What is the tallest animal?", "The tallest animal is the giraffe."),
    ("Which animal says meow?", "A cat says meow."),
    ("Which animal barks?", "A dog barks."),
    ("What turns around the Earth at night?", "The moon turns around the Earth."),
    ("What do you wear on your feet?", "You wear shoes on your feet."),
    ("What do you drink when you are thirsty?", "You drink water when you are thirsty."),
    ("What is steam made of?", "Steam is made of water."),
    ("What do plants need to grow?", "Plants need water and light to grow."),
    ("What is bread made of?", "Bread is made of flour and water."),
    ("Where does the sun rise?", "The sun rises in the east."),
    ("Where does the sun set?", "The sun sets in the west."),
    ("Who wrote Hamlet?", "Shakespeare wrote Hamlet."),
    ("What is the first letter of the alphabet?", "The first letter of the alphabet is A."),
    ("What is the boiling point of water?", "Water boils at one hundred degrees."),
    ("Which planet is known as the red planet?", "Mars is known as the red planet."),
    ("What is the biggest planet?", "The biggest planet is Jupiter."),
    ("What do you call a person who flies a plane?", "A person who flies a plane is a pilot."),
    ("What do you call a doctor for teeth?", "A doctor for teeth is a dentist."),
    ("What is the opposite of yes?", "The opposite of yes is no."),
)


@functools.lru_cache(maxsize=1)
def questions() -> tuple[tuple[str, str], ...]:
    """All of them: (question, answer)."""
    made = [*_OTHERS, *((f"How many {what}?", answer) for what, answer in _COUNTS)]
    for one, other in (pair.split(":") for pair in _OPPOSITES.split()):
        made += [
            (f"What is the opposite of {a}?", f"The opposite of {a} is {b}.") for a, b in ((one, other), (other, one))
        ]
    made += [
        (f"What color is {thing}?", f"{thing[0].upper()}{thing[1:]} is {color}.") for thing, color in _COLORS.items()
    ]
    made += [
        (f"What is the capital of {land}?", f"The capital of {land} is {city}.") for land, city in _CAPITALS.items()
    ]
    made += [
        (f"How many legs does {who} have?", f"{who[0].upper()}{who[1:]} has {n} legs.") for who, n in _LEGS.items()
    ]
    made += [(f"What do {who} do?", f"{who[0].upper()}{who[1:]} {what}.") for who, what in _MAKES.items()]
    made += [
        (f"What is a young {old} called?", f"A young {old} is called a {young}.") for old, young in _BABIES.items()
    ]
    made += [
        (f"What comes after {one}?", f"{two[0].upper()}{two[1:]} comes after {one}.") for one, two in _AFTER.items()
    ]
    for a, b in itertools.product(range(1, 11), repeat=2):
        made.append(
            (f"What is {_NUMBERS[a]} plus {_NUMBERS[b]}?", f"{_NUMBERS[a]} plus {_NUMBERS[b]} is {_NUMBERS[a + b]}.")
        )
        if a > b:
            made.append(
                (
                    f"What is {_NUMBERS[a]} minus {_NUMBERS[b]}?",
                    f"{_NUMBERS[a]} minus {_NUMBERS[b]} is {_NUMBERS[a - b]}.",
                )
            )
    return tuple((question, answer[0].upper() + answer[1:]) for question, answer in made if question not in EXAM)


EXAM = ("What is three plus three?",)
"""What is left out because it is asked in the exam."""
