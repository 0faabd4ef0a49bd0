"""Sentences as people say them, written by a small language model: natural English for training to hear.

A grammar says what somebody thought of. Hearing learns its phrases by heart and stumbles over everything else: with
sentences of training's templates it made 8 % of errors, with those of development 25 % (docs/log.md). So SmolLM2
(Apache-2.0) goes on with short lists of remarks; half of its lines begin as people often begin, half with any common
word, so that all of them come, in places of their own. What is kept is in data/lines.txt.gz, made once by

    stretto data lines --count 5500 --seed 0        17 minutes of one core; and again with seed 1
    python -c "from stretto.train.lines import join; join()"        of both files what no grammar says

Needs: the language model's package, the package of common words.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

from stretto.core.clock import Stopwatch
from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.data import talk
from stretto.data.talk_grammar import every
from stretto.data.talk_lines import LINES, fits
from stretto.data.talk_style import plain
from stretto.data.talk_tables import SAID, WORDS
from stretto.data.talk_words import words
from stretto.data.voices import SPLITS
from stretto.think.writer import Writer

MODEL = "smollm2-135m"
AT_ONCE = 128

OPENINGS = (
    "I You We They He She It That This There What Where When Why Who How Which Is Are Was Were Do Does Did Have Has "
    "Can Could Would Will Should Let Please My Your Our The A If And But So No Yes Well Maybe Just Not Some Every One "
    "All Put Take Bring Give Tell Ask Look Go Come Get Make Leave Open Turn Keep Show Move Try"
).split()
"""Words with which half of the lines begin."""

PROMPTS = (
    (
        "Things that people said at home today.",
        "Have you seen my blue jacket anywhere?", "I was going to call you last night, but I forgot.",
        "Put the plates away before you leave, please.", "We are almost out of coffee again.",
        "She told me that the train was two hours late.", "How long have you been living in this town?",
        "Let me know when the soup is ready.", "It was not easy, but somebody had to do it.",
    ),
    (
        "Heard in an office.",
        "Who is going to answer this letter?", "I would rather talk about it tomorrow.",
        "The meeting has been moved to the second floor.", "You should have told us before lunch.",
        "Nobody knows why the printer does that.", "Can you send him the numbers from last year?",
        "There is a man downstairs who wants to speak to Helen.", "They are not sure whether it is worth the money.",
    ),
    (
        "Short sentences from a workshop, a kitchen and a garden.",
        "Hand me the small hammer, would you?", "The shelf is too high for the big boxes.",
        "Carry the chairs outside and wipe the table.", "That drawer never closes the way it should.",
        "First wash the potatoes, then cut them in half.", "Do not touch the pan, it is still hot.",
        "What did you do with the key of the shed?", "Lift it a little more to the left.",
    ),
    (
        "Overheard on a bus.",
        "My sister has just bought a house by the sea.", "Did they really win three to one?",
        "I have never been so tired in my life.", "You can get off at the next corner and walk.",
        "Peter says that he is moving to Canada in spring.", "Are those seats taken?",
        "If it rains, we will go to the museum instead.", "The doctor wants me to sleep more and worry less.",
    ),
    (
        "Questions and answers at school.",
        "Which river flows through the middle of the city?", "An hour has sixty minutes, as everybody knows.",
        "Could you explain that once more, please?", "Iron is heavier than wood.",
        "He wrote the longest story in the whole class.", "Why does the moon change its shape?",
        "We learned about birds that fly across the ocean.", "Read the first page and tell me what you think.",
    ),
)  # fmt: skip
"""Lists that the model goes on with; the first line of each is its heading."""


def join(folder: Path = Path("out/lines"), path: Path = LINES) -> Path:
    """All lines of a folder's files that still fit and that no grammar says, in any split, as one file."""
    grammar = {plain(text.partition(" :: ")[0]) for lists in SAID.values() for some in lists for one in some
               for text in every(one, WORDS)}  # fmt: skip
    grammar |= {plain(line.text) for intent in talk.INTENTS for split in SPLITS for line in talk.lines(intent, split)}
    found: dict[str, str] = {}
    for file in sorted(folder.glob("lines-*.txt.gz")):
        for line in gzip.decompress(file.read_bytes()).decode().splitlines():
            if fits(line) and plain(line) not in grammar:
                found.setdefault(plain(line), line)
    return write_text(path, list(found.values()))


def write_text(path: Path, lines: list[str]) -> Path:
    """Write lines (.txt.gz), whole or not at all, and the same bytes for the same lines."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))
    return part.replace(path)


def write_lines(path: Path, count: int, seed: int, say: Callable[[str], None]) -> Path:
    """Write so many different lines (.txt.gz). Raises StrettoError for none, and when none that is written fits."""
    if count < 1:
        raise StrettoError(f"Expected a count of at least 1 line, got {count}.")
    writer, rng, found = Writer(MODEL), generator(seed, "lines"), dict[str, str]()
    openings = [word for word in OPENINGS if len(writer.text.encode(f" {word}")) == 1]
    common = [word for word in map(str.capitalize, words()) if len(writer.text.encode(f" {word}")) == 1]
    watch, rounds = Stopwatch(), 0
    while len(found) < count:
        before, (heading, *shown) = len(found), PROMPTS[int(rng.integers(len(PROMPTS)))]
        order = rng.permutation(len(shown))
        prompt = "\n- ".join([heading, *(shown[place] for place in order)]) + "\n-"
        lists = [(openings, common)[k % 2] for k in range(AT_ONCE)]
        begun = [f" {some[int(rng.integers(len(some)))]}" for some in lists]
        for line in writer.lines(prompt, begun, rng):
            if fits(line):
                found.setdefault(plain(line), line)
        rounds += 1
        if rounds == 20 and not found:
            raise StrettoError(f"'{MODEL}' wrote no line that fits in {20 * AT_ONCE}.")
        left = watch.seconds() / max(1, len(found)) * (count - len(found)) / 60
        say(f"{len(found)} of {count} lines ({len(found) - before} of {AT_ONCE} kept), {max(0.0, left):.0f} min left")
    return write_text(path, list(found.values())[:count])
