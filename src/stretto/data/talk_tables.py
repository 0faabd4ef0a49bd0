"""What people say to a robot, as templates: for each intent three lists of wordings, of training, development and test.

The template language is that of data/talk_grammar.py. " :: " separates a sentence from its topic (what a question is
about; of a hard sentence, the command that it sounds like), a second one from the task that it asks for. No wording
stands in two lists (a test proves it). What is said about tasks, things and places stands in data/talk_goals.py.

Needs: nothing. Does not know how a wording becomes a sentence (data/talk_wide.py).
"""

Three = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The wordings of training, development and test."""

SAID: dict[str, Three] = {
    "stop": (
        (
            "[stop|stop|stop stop stop][!|.]",
            "[hey|no|robot|oh no|okay][, |! ]stop[!|.]",
            "stop [moving|now|that|the arm|immediately|this instant].",
            "[please|just] stop[ now|].",
            "[freeze|freeze now|robot, freeze|just freeze][!|.]",
            "[halt|halt now|robot, halt].",
            "[whoa|whoa whoa|whoa, stop|whoa, robot][!|.]",
            "[can|will] you stop[ that|]?",
            "I said stop[!|.]",
            "[don't move|don't touch that|stay where you are][!|.]",
        ),
        (
            "stop what you are doing.",
            "[come to a stop|I need you to stop].",
            "freeze[ please|, robot|, don't move].",
            "whoa there[!|.]",
            "stop[, that is wrong|, you will break it|, it is falling][!|.]",
            "[no more|not another move], stop.",
        ),
        (
            "stop [right there|it now|everything][!|.]",
            "[you must|could you] stop now[.|?]",
            "stop, [please|robot|that's enough].",
            "freeze [right now|right there][!|.]",
            "whoa, [easy|not so fast|hey][!|.]",
            "[enough|that's enough], stop[!|.]",
            "stop[, stop|, freeze][!|.]",
        ),
    ),
    "pause": (
        (
            "[wait|wait wait|hey, wait|no, wait|robot, wait][!|.]",
            "wait [a moment|for me|there|here].",
            "[hold on|hey, hold on|hold on, robot][!|.]",
            "[pause|pause now|robot, pause|please pause][!|.]",
            "[careful|be careful|careful there|hey, careful][!|.]",
            "[just a|one] moment.",
            "hang on[ a moment|].",
        ),
        (
            "wait[, wait a little|, I am thinking|, let me think][.]",
            "hold on, [I am not ready|let me look][.]",
            "careful, [that is hot|it is slippery][!|.]",
            "[take a pause|pause there].",
        ),
        (
            "wait a [second|minute][.]",
            "[please wait|you need to wait].",
            "hold on a [moment|second|minute].",
            "pause [for a moment|right there|it][.]",
            "careful[ with that|, it's fragile|, watch the plate][!|.]",
            "[give me|I need] a second.",
        ),
    ),
    "go_on": (
        (
            "[go on|continue|keep going|resume][.|, please.|, robot.]",
            "[okay|alright|good|yes], [go on|continue|keep going].",
            "you can [continue|go on|move again].",
            "go ahead.",
            "[never stop|don't stop now].",
            "[it is|that is] fine, go on.",
        ),
        ("[proceed|please proceed|you may proceed].", "[pick up|start again] where you left off.", "on you go."),
        (
            "please continue.",
            "go on now.",
            "carry on[, please|][.]",
            "don't stop.",
            "[all clear|false alarm], [keep moving|you can resume|carry on].",
            "no, don't stop, [carry on|keep moving].",
        ),
    ),
    "never_mind": (
        (
            "never mind[.|, robot.]",
            "[oh|actually], never mind[.|, leave it.]",
            "forget it.",
            "[it|that] does not matter.",
            "[leave|drop] it[.|, please.]",
        ),
        ("forget about it.", "[no|it is] nothing, never mind.", "cancel that."),
        (
            "never mind [that|what I said].",
            "[just|please] forget it.",
            "it's not important[ anymore|].",
            "scratch that.",
        ),
    ),
    "confirm": (
        (
            "[yes|yep|sure|no|nope][.]",
            "[yes|yeah|no], [please|thank you|that is right|not that].",
            "[that is|you are] [right|wrong|correct].",
            "the [left|right|black|first|other] one[.]",
            "[exactly|of course|not yet|maybe|I think so].",
        ),
        ("[absolutely|certainly|by all means].", "the one [in front|at the back].", "[I guess|I suppose] so."),
        (
            "[yes, exactly|no, not at all|definitely].",
            "the [smaller|second] one[, please|].",
            "that's [it|the one|not it].",
        ),
    ),
    "backchannel": (
        (
            "mm-hm[.]",
            "[okay|right|yep|good|cool][.]",
            "[oh|ah], [okay|right|nice][.]",
            "[I see|looks good|well done][.]",
            "[okay okay|yep yep|right right][.]",
        ),
        ("[aha|hm|alright then][.]", "[that looks right|so far so good][.]", "[perfect|lovely][.]"),
        (
            "[uh-huh|uh-huh, okay|mm-hm, right|okay, good][.]",
            "[yeah|yeah yeah|all right|nice|very good][.]",
            "[got it|makes sense|sounds good|fair enough][.]",
            "[great|wonderful][.]",
        ),
    ),
    "ask_general": (
        (
            "what [is your name|are you called]? :: name",
            "what can you do[ for me|]? :: able",
            "how are you[ today|]? :: well",
            "[thank you|thanks][.|, robot.| very much.] :: thanks",
            "[hello|hi|hey|good morning][.| robot.| there.] :: hello",
            "do you like [music|people|cooking|your work]?",
            "[can|could] you [sing|dance|count to ten|tell me a story]?",
            "[are|were] you [a machine|made of metal|ever tired|listening]?",
            "what is [the weather like|the time|your favorite color|the date today]?",
            "who [made you|is the president of {country}|wrote this book|is your friend]?",
            "why is [the sky blue|ice cold|the sea salty|grass green]?",
            "how [old are you|far away is the moon|many legs does a spider have|do airplanes fly]?",
        ),
        (
            "do you have a name? :: name",
            "what are you good at? :: able",
            "[are you okay|how is your day]? :: well",
            "[many thanks|thank you so much]. :: thanks",
            "what [animal do you like|did you do yesterday|makes you happy]?",
            "where [do you live|does rain come from]?",
        ),
        (
            "who are you[ again|]? :: name",
            "what [are you able to do|else can you do|kind of things can you help with]? :: able",
            "how are you [doing|feeling] today? :: well",
            "[thanks a lot|I thank you]. :: thanks",
            "[good afternoon|good evening|hello again]. :: hello",
            "can you tell me [a joke|a poem|something about {country}]?",
            "what [time is it|day is it today|should I cook tonight]?",
            "how [hot is the sun|do magnets work|long does an egg take]?",
        ),
    ),
    "side": (
        (
            "{person}, [did you|could you] [call the dentist|water the plants|find my keys|feed the cat]?",
            "{person}, [dinner is|lunch is|the coffee is] [ready|almost ready|getting cold].",
            "I will be [home|back|there] [by six|after lunch|in an hour|tomorrow].",
            "[my {relative}|{person}] [is coming over|called me|moved to {country}] [tonight|last week|on {day}].",
            "[no|yes], I was [talking to|asking] {person}.",
            "[are|were] you talking to me or to the robot, {person}?",
            "[look|listen], {person}, the robot is [working|cleaning up|doing it again].",
            "I bought [{food}|some {food}] at the [market|shop] [this morning|on {day}].",
            "[do you|who would] want [some {food}|a cup of tea|more {food}], {person}?",
            "it is [raining|cold|sunny|windy] [again|outside|today].",
            "the meeting is on {day} at {hour}.",
            "[yes|hello], this is {person} speaking.",
        ),
        (
            "{person}, what shall we eat on {day}?",
            "[tell|ask] {person} that I am [busy|on the phone|in the garden].",
            "the neighbors [are having a party|bought a dog|painted their fence].",
            "have a seat, {person}, this is my new robot.",
            "I spoke to my {relative} on {day}.",
        ),
        (
            "{person}, can you [pass me the {food}|open the window|turn down the radio]?",
            "[as I said|you know], {person}, the train leaves at {hour}.",
            "[her|his] {relative} lives in {country} now.",
            "we [should|could] [go shopping|visit my {relative}|make {food}] on {day}.",
            "[did|does] the robot [understand|hear] us, {person}?",
            "I am on the phone with [my {relative}|{person}|the bank].",
        ),
    ),
    "hard": (
        (
            "put the bowl on top of the stove. :: stop :: put the bowl on the stove",
            "put the {movable} on top of the cabinet. :: stop :: put the {movable} on top of the cabinet",
            "I will stop by [later|tomorrow|on {day}|at {hour}]. :: stop",
            "the bus stop is [near the house|around the corner|over there]. :: stop",
            "we made a [short|quick|long] stop in {country}. :: stop",
            "{person} [never stops talking|stopped smoking|could not stop laughing]. :: stop",
            "the [rain|music|train|clock] [stopped|has stopped|will stop soon]. :: stop",
            "[the shop|the stock|the step|the top shelf|the stamp] is [new|too high|closed]. :: stop",
            "wait times are [long|short] [today|on {day}]. :: wait",
            "I [can't|can hardly] wait [for {day}|to see {person}|to eat]. :: wait",
            "the waiter [brought|forgot] the {food}. :: wait",
            "what is the weight of the {movable}? :: wait",
            "{person} was waiting at the station. :: wait",
            "the cat has dirty paws. :: pause",
            "there was a long pause after the question. :: pause",
            "the [lake|water|pipe] will freeze [tonight|this winter]. :: freeze",
            "there is {food} in the freezer. :: freeze",
            "{person} is a very careful driver. :: careful",
            "she carefully [opened the letter|read the book]. :: careful",
            "I [hold on to|held on to] [my hat|old letters]. :: hold on",
            "whoever did this was clever. :: whoa",
            "I [know|wrote] what {person} [said|meant]. :: whoa",
            "no need to stop[, you are doing fine|]. :: stop",
        ),
        (
            "the doctor told {person} to stop drinking coffee. :: stop",
            "our last stop was {country}. :: stop",
            "the game stops at {hour}. :: stop",
            "the wait was worth it. :: wait",
            "her heart paused for a beat. :: pause",
            "it is freezing outside. :: freeze",
            "a careful plan saves time. :: careful",
        ),
        (
            "I will stop by [the office|after work|your place][ later|]. :: stop",
            "set the bowl on top of the stove[ now|]. :: stop :: put the bowl on the stove",
            "{person} asked when the [rain|noise|show] stops. :: stop",
            "the next stop is [the station|the museum|{country}]. :: stop",
            "you don't have to stop. :: stop",
            "why did the [train|robot|film] stop yesterday? :: stop",
            "[nobody|{person}] likes to wait in line. :: wait",
            "the waiting room [is full|was cold]. :: wait",
            "lift weights on {day}. :: wait",
            "after a pause, {person} went on reading. :: pause",
            "I put the {food} into the freezer. :: freeze",
            "{person} is always careful with money. :: careful",
            "hold on to your dreams. :: hold on",
        ),
    ),
}
"""The intents whose sentences name no task."""

WORDS: dict[str, tuple[str, ...]] = {
    "person": tuple(
        "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Nick Olivia Peter Rosa Sam Tina Victor "
        "Sarah Tom Linda Paul Julia Mark Laura Simon Alice George Nora Oscar Helen Max Ruth Frank Eva Daniel Sophie "
        "Martin Jane Robert Lucy Adam Carol Eric Diana Kevin Amy Brian".split()
    ),
    "relative": tuple(
        "mother father sister brother uncle aunt cousin grandmother neighbor boss teacher friend".split()
    ),
    "day": tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()),
    "hour": ("two", "half past three", "four o'clock", "a quarter to five", "seven", "eight thirty", "nine", "noon"),
    "food": tuple(
        "bread butter soup rice salad chicken fish pasta apples oranges tomatoes potatoes onions carrots beans eggs "
        "sugar honey chocolate cake ham pizza yogurt lemons grapes mushrooms peppers corn garlic olives".split()
    ),
    "country": tuple(
        "France Spain Italy Germany Poland Norway Sweden Greece Turkey Egypt Kenya India China Japan Mexico Brazil "
        "Canada Chile Peru Ireland Portugal Austria Belgium Denmark Finland Morocco Cuba Vietnam".split()
    ),
    "movable": ("bowl", "wine bottle"),
}
"""Words that sentences of every split may have: what is split is the wording, and the facts (data/talk_facts.py)."""
