"""What people say around a house: requests, remarks, questions and small stories, in many frames and many words.

The robot's own grammar (data/talk_tables.py, data/talk_goals.py) says few things in few ways, and keeps some ways for
testing. This one knows neither its things and places nor its wordings; it is only there so that who learns to hear has
heard English of the same kind: orders, small words between larger ones, words of every day in each other's company.

    said(source)        "Would it be too much trouble to take the rake back to the shed, and hang up the hose?"

Needs: nothing. Does not know the splits (data/talk_wide.py): none of it is a wording that is kept.
"""

import re

import numpy as np

from stretto.data.talk_grammar import draw

MOVES = (
    "put *, place *, carry *, take *, bring *, leave *, set * down, drop *, push *, pull *, slide *, drag *, roll *, "
    "throw *, toss *, hang *, stack *, stick *, store *, keep *, return *, shove *, tuck *, squeeze *, lean *, "
    "prop * up, lower *, raise *, lift *, swing *, turn * round, shift *, move *, spread * out, hide *, lay * out, "
    "stand * up, pour *, load *, pack *, gather *, sort *, guide *, hand * over, pass *, send *, fetch * from, "
    "collect * from, rescue * from, remove * from, grab * from, sink *"
).split(", ")
"""How a thing, the star, is brought to a place."""

SLOTS: dict[str, tuple[str, ...]] = {
    "thing": (
        "[old|new|big|little|green|wet|clean|heavy|broken|blue|spare|other|wooden|long|empty|good|] {noun}", "{noun}",
        "{noun}",
        "{noun} [of mine|of yours|with the handle|from next door|we bought|that fell over|on the left|in the corner]",
    ),
    "noun": (
        "ladder", "hammer", "towel", "blanket", "pillow", "lamp", "candle", "broom", "bucket", "sponge", "mop",
        "kettle", "teapot", "saucer", "fork", "spoon", "knife", "jug", "tray", "basket", "box", "crate", "bag",
        "suitcase", "purse", "wallet", "coat", "jacket", "scarf", "hat", "glove", "sock", "shoe", "boot", "belt",
        "shirt", "sweater", "dress", "umbrella", "newspaper", "letter", "parcel", "envelope", "stamp", "pencil", "pen",
        "notebook", "folder", "map", "book", "magazine", "photo", "painting", "mirror", "clock", "watch", "phone",
        "charger", "cable", "battery", "torch", "radio", "camera", "laptop", "keyboard", "screen", "printer", "chair",
        "stool", "bench", "table", "desk", "sofa", "cushion", "carpet", "rug", "curtain", "blind", "vase", "plant",
        "pot", "shovel", "rake", "hose", "spade", "wheelbarrow", "seed", "bulb", "wrench", "screwdriver", "drill",
        "saw", "nail", "screw", "bolt", "rope", "string", "wire", "tape", "glue", "brush", "paint", "ball", "kite",
        "puzzle", "doll", "drum", "guitar", "violin", "bike", "helmet", "pump", "wheel", "tent", "sleeping bag",
        "bread", "butter", "jam", "honey", "egg", "cake", "pie", "soup", "salad", "onion", "garlic", "pepper", "carrot",
        "cabbage", "bean", "pumpkin", "lemon", "orange", "peach", "plum", "grape", "cherry", "melon", "nut", "flour",
        "sugar", "salt", "rice", "pasta", "sausage", "ham", "fish", "juice", "coffee", "tea", "milk", "water", "beer",
        "jar", "lid", "tin", "can opener", "whisk", "ladle", "peeler", "grater", "timer", "apron", "dishcloth", "soap",
        "shampoo", "comb", "razor", "toothbrush", "medicine", "bandage", "dog lead", "cat food", "fish tank",
        "bird cage", "key", "padlock", "bell", "fence", "gate", "shutter", "hinge",
    ),
    "stuff": (
        "the {thing}", "the {thing}", "the {thing}", "that {noun}", "this {noun}", "my {noun}", "your {noun}",
        "his {noun}", "her {noun}", "our {noun}", "their {noun}", "a {noun}", "another {noun}", "both {noun}s",
        "all the {noun}s", "two of the {noun}s", "each {noun}", "some of the {noun}s", "these {noun}s", "those {noun}s",
        "one more {noun}", "{name}'s {noun}", "it", "them", "the {noun} and the {noun}", "the {noun} or the {noun}",
        "the rest",
    ),
    "place": (
        "[in|into|inside] the {room}", "[on|onto|on top of] the {flat}", "[by|beside|next to|near] the {spot}",
        "[under|underneath|below|behind|in front of|between us and|over by|beyond|outside] the {spot}",
        "[to|over to|up to|down to|back to|out to|away from|out of|across] the {room}", "upstairs", "downstairs",
        "outside", "out there", "over here", "in there", "where it belongs", "where I can see it", "out of the way",
        "back where you found it", "at the [top|bottom|end|front|back] of the {spot}", "against the {spot}",
    ),
    "room": (
        "kitchen", "hall", "bedroom", "bathroom", "attic", "cellar", "basement", "garden", "yard", "shed", "workshop",
        "office", "study", "library", "corridor", "lobby", "closet", "pantry", "laundry room", "living room", "car",
        "boot of the car", "fridge", "freezer", "oven", "sink", "washing machine", "dishwasher", "bin", "dustbin",
        "toolbox", "chest", "trunk", "wardrobe", "mailbox", "greenhouse", "stable", "tent", "van", "boat", "cage",
    ),
    "flat": (
        "desk", "shelf", "counter", "bench", "windowsill", "bed", "sofa", "floor", "mat", "step", "tray", "scale",
        "wall", "table in the hall", "top shelf", "hook", "mantelpiece", "trolley", "roof", "lawn", "bonnet of the car",
    ),
    "spot": (
        "door", "window", "stairs", "fireplace", "heater", "piano", "armchair", "bookshelf", "fence", "gate", "hedge",
        "tree", "well", "path", "pond", "garage", "mirror", "entrance", "phone", "television", "radiator", "lift",
        "sign",
    ),
    "name": (
        "Oscar", "Nina", "Peter", "Helen", "Martin", "Grace", "Victor", "Alice", "Simon", "Julia", "Hugo", "Ruth",
        "Frank", "Emma", "George", "Sophie", "Walter", "Irene", "Paul", "Diana", "Kevin", "Monica", "Leo", "Rachel",
        "Arthur",
    ),
    "who": (
        "my [mother|father|sister|brother|aunt|uncle|neighbor|friend|boss|grandmother|cousin|daughter|son]", "{name}",
        "{name}", "the [plumber|postman|nurse|teacher|baker|driver|gardener|landlord|electrician|vet|guests|children]",
        "somebody", "nobody", "everyone", "one of us", "the lady upstairs", "the man with the van",
        "your [wife|husband]",
    ),
    "move": tuple(move.replace("*", "{stuff}") + " {place}" for move in MOVES),
    "do": (
        "{move}", "{move}", "{move}", "open {stuff}", "close {stuff}", "shut {stuff}", "lock {stuff}", "unlock {stuff}",
        "clean {stuff}", "wash {stuff}", "dry {stuff}", "wipe {stuff}", "polish {stuff}", "sweep {place}",
        "dust {stuff}", "fold {stuff}", "iron {stuff}", "mend {stuff}", "fix {stuff}", "repair {stuff}",
        "paint {stuff}", "cut {stuff}", "slice {stuff}", "chop {stuff}", "peel {stuff}", "stir {stuff}", "mix {stuff}",
        "bake {stuff}", "boil {stuff}", "fry {stuff}", "warm {stuff} up", "cool {stuff} down", "fill {stuff}",
        "empty {stuff}", "rinse {stuff}", "shake {stuff}", "squash {stuff}", "break {stuff} in half",
        "tie {stuff} together", "wrap {stuff} up", "unwrap {stuff}", "plug {stuff} in", "unplug {stuff}",
        "switch {stuff} [on|off]", "turn {stuff} [on|off|up|down]", "charge {stuff}", "count {stuff}",
        "measure {stuff}", "weigh {stuff}", "check {stuff}", "test {stuff}", "look [at|after|for|behind|under] {stuff}",
        "listen to {who}", "wake {who} up", "call {who}", "ask {who} to {do}", "tell {who} to {do}",
        "help {who} to {do}", "let {who} {do}", "help {who} with {stuff}", "feed the [cat|dog|birds]", "walk the dog",
        "water the [plants|flowers|lawn]", "light the [fire|candles|lamp]", "make the bed", "set the table",
        "do the dishes", "take the rubbish out", "answer the door", "sit down", "lie down", "stand back",
        "come [here|in|back|along|closer|over]", "go [away|home|outside|upstairs|back|ahead|round]", "hurry up",
        "calm down", "slow down", "speed up", "try again", "start over", "have a look", "have another go",
        "finish {stuff}", "show me [how|where|what you found|the way]", "give {stuff} to {who}",
        "lend {stuff} to {who}", "lend me {stuff}", "pass me {stuff}", "hand me {stuff}", "hold {stuff} for me",
        "catch {stuff}", "find {stuff}", "choose {stuff}", "use {stuff}", "share {stuff} with {who}",
        "read {stuff} to {who}", "write to {who}", "sing {who} a song",
        "[tidy|clear|clean|lock|warm|heat|light] up the {room}", "make room {place}", "knock on the {spot}",
    ),
    "ask": (
        "would it be too much trouble to {do}?", "would you be good enough to {do}?", "do you think you could {do}?",
        "is there any chance you could {do}?", "how about you {do}?", "why not {do}?",
        "[may|might] I trouble you to {do}?", "if it isn't too hard, {do}.", "when you have a minute, {do}.",
        "once you are done, {do}.", "before you [leave|go|sit down|do that], {do}.", "after that, {do}.",
        "as soon as {who} {comes}, {do}.", "while {who} {is}, {do}.",
        "[first|next|then|now|later|at last|to begin with], {do}.", "{do}, and then {do}.", "{do} and {do}.",
        "{do} or {do}.", "{do} but not {place}.", "{do}, but [don't|do not] {do}.", "either {do} or {do}.",
        "don't {do}, {do}.", "don't [ever|you dare] {do}.", "never {do} without asking.",
        "always {do} before {who} {comes}.", "I [want|would like|expect|beg|order|told|asked|wanted] you to {do}.",
        "I'd [rather|prefer it if] you {do}.",
        "you [should|must|might|ought to|have to|had better|may as well|can] {do}.", "it is time to {do}.",
        "let us {do}.", "let's {do} and {do}.", "we [need|have] to {do}.", "someone has to {do}.",
        "{do} for {who}[, will you?|.]",
        "{do}[ quickly| slowly| gently| at once| right away| carefully| one by one| as well| too| again| instead|].",
        "{name}, {do}.", "[oh|well|right|look|listen|okay|all right|say], {do}.", "{do}, {name}.", "{do}, if you like.",
        "{do}, [won't|can't|could|would] you?", "be [quick|careful|gentle] when you {do}.", "remember to {do}.",
        "don't forget to {do}.", "make sure to {do}.", "see if you can {do}.", "[go|come] and {do}.", "try to {do}.",
        "{do} so that {who} can {do}.", "{do} because {who} {is}.", "{do} until {who} {comes}.",
        "if {who} {comes}, {do}.", "unless {who} {is}, {do}.", "I wonder if you could {do}.", "perhaps you could {do}.",
        "would you mind if I {do}?", "no, {do}.", "not that one, {do}.", "I said {do}.", "on second thought, {do}.",
        "actually, {do}.", "rather {do}.", "sorry, not the {noun}, the {noun}.", "that was wrong, {do}.",
        "and now {do}.", "the {noun} goes {place}.",
        "the {noun} [belongs|should be|has to go|used to be|looks better|was] {place}.", "I want {stuff} {place}.",
        "get {stuff} {place}, and {do}.", "as you are there, {do}.", "on your way {do}.", "for a change, {do}.",
    ),
    "comes": (
        "comes [home|back|in|round|over]", "calls", "arrives", "asks", "gets here", "is ready", "wakes up", "leaves",
        "has finished", "has eaten", "tells you", "says so", "rings the bell", "needs it", "sees it", "wants to",
    ),
    "is": (
        "is [asleep|away|busy|late|here|in a hurry|hungry|tired|ill|outside|upstairs|at work|on the phone|in the bath]",
        "has a [cold|headache|meeting|visitor|day off|plan|new job]", "cannot {do}", "likes {stuff}", "hates {stuff}",
        "wants to {do}", "forgot to {do}", "is going to {do}", "was about to {do}", "has to {do}", "used to {do}",
        "never learned to {do}", "is afraid of {stuff}", "bought {stuff}", "broke {stuff}", "lost {stuff}",
        "sold {stuff}", "dropped {stuff} {place}", "found {stuff} {place}", "left {stuff} {place}",
        "keeps {stuff} {place}", "saw {stuff} {place}", "put {stuff} {place}", "will {do}", "would not {do}",
        "tried to {do}", "needs {stuff}",
    ),
    "tell": (
        "{who} {is}.", "{who} {is}, and {who} {is}.", "{who} {is}, but {who} {is}.", "{who} {is} because {who} {is}.",
        "I think {who} {is}.", "I [know|heard|hope|doubt|suppose|believe|am sure|am afraid] that {who} {is}.",
        "{who} told me that {who} {is}.", "{who} said to {who} that {who} {is}.", "when {who} {comes}, we can {do}.",
        "there is {stuff} {place}.", "there was nothing {place}.", "{stuff} is {place}.", "I saw {stuff} {place}.",
        "it is [too|very|rather|so|not] [hot|cold|heavy|light|loud|quiet|dark|bright|far|late|early|dirty|sharp].",
        "it [rained|snowed|was sunny|was windy] [all day|last night|in the morning|for a week].",
        "that is what I meant.", "the {noun} was on the {flat}, now it is in the {room}.",
        "the {noun} [is|was|looks|feels|smells] [odd|fine|wet].",
        "[what a|such a] [shame|pity|day|mess|surprise|relief|good idea|waste of time].",
        "[thanks|thank you] for {stuff}.", "I [could not|should have|might have|would have|must have|didn't] {do}.",
        "[maybe|perhaps] {who} {is}.", "we [ran out of|are out of|have enough|need more] {noun}s.",
        "one of the {noun}s is missing.", "well done, {name}.",
        "[good morning|good night|hello|welcome back|see you later|goodbye|take care], {name}.", "nothing of the sort.",
        "[never mind that|don't worry about it|it does not matter|it was only a joke|that will do], {name}.",
        "it took [an hour|two days|a while|ages] to {do}.", "on [Monday|Tuesday|Friday|Sunday] {who} {is}.",
        "at [one|two|three|half past four|five|noon|midnight] {who} {is}.", "no wonder that {who} {is}.",
        "by then {who} {is}.",
    ),
    "question": (
        "who {is}?", "do you know [who|why|when|how|where|whether] {who} {is}?", "why {is} {name} {place}?",
        "[what|which one|how much|how many] do you [want|need|like|see|have|think]?",
        "where [is|was|did you put] {stuff}?", "whose {noun} is [that|this|it]?",
        "who [took|broke|moved|lost|ate|bought|hid|found|has] {stuff}?",
        "is there [any|a|enough|still some] {noun} {place}?", "[is|was] {stuff} {place}?", "are the {noun}s {place}?",
        "what [are you doing|did you say|happened|is wrong|is next|was that|became of {stuff}|can we do about it]?",
        "how [did it go|long will it take|far is it|old is {name}|do I {do}|does it work]?",
        "when [will you|did you|can we|do we have to|should I] {do}?", "did you {do}?", "have we got {stuff}?",
        "[could|can|shall|should|may] [we|I] {do}?", "has {who} seen {stuff}?", "does {who} know where {stuff} is?",
        "is it true that {who} {is}?", "are you sure that {who} {is}?", "[what|who] is {place}?",
        "which {noun} is yours?", "would {who} like {stuff}?", "is that {noun} or {noun}?", "how come {who} {is}?",
        "what if {who} {is}?",
    ),
}  # fmt: skip
"""Of the kinds of sentences (`ask`, `tell`, `question`) and of what they are made."""

KINDS, SHARES = ("ask", "tell", "question"), (0.6, 0.25, 0.15)
LONGEST = 16
"""Words of a sentence, at most: what is made of itself may become long."""

_PLURAL = re.compile(r"(\w+(?:ch|sh|ss|x))s\b|(\w+[^aeiou\W])ys\b")


def said(source: np.random.Generator) -> str:
    """A sentence, without its capital."""
    while True:
        kind = KINDS[int(source.choice(len(KINDS), p=SHARES))]
        text = draw(f"{{{kind}}}", SLOTS, source)
        if len(text.split()) <= LONGEST:
            return _PLURAL.sub(_plural, text)


def _plural(found: re.Match[str]) -> str:
    """Of "brushs" brushes, of "cherrys" cherries."""
    return f"{found[1]}es" if found[1] else f"{found[2]}ies"
