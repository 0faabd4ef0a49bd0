"""Talk without a world: sessions of words alone, to learn what to answer and when to keep silent.

A question about the world outside needs no pictures, and what speaks learns from what was read, so such sessions cost
neither a simulator nor a voice: their words stand in the heard stream as a perfect ear would write them. Nothing is
learned from them about the arm.

Source of the lines: the composer's terms and the wide grammar, of the training split.
"""

import numpy as np

from stretto.core.rng import generator
from stretto.core.signals import Word
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk import GOALS
from stretto.data.talk_style import spoken_words
from stretto.sessions.composer.compose import Line
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.terms.ask_general import question
from stretto.sessions.composer.terms.defective import impossible
from stretto.train.duplex.session import Session

MIX: dict[str, float] = {
    "ask_general": 50, "defective": 20, "instruct": 12, "switch": 6, "correct": 4, "side": 8, "backchannel": 4,
    "hard": 4, "stop": 4, "prose": 4,
}  # fmt: skip
"""What is said, and how often; questions are answered, and what can be met nowhere is refused."""

WORD_S = 0.3
TURNS = 3


class Words(Draw):
    """Draws texts; nobody speaks."""

    def __init__(self, seed: int, split: str) -> None:
        self.seed, self.split, self.tasks = seed, split, tuple(GOALS)
        self._voices: SpeechCache | None = None  # type: ignore[assignment]


def line_of(role: str, text: str, start: float, says: str, moves: bool = False) -> Line:
    """A line that nobody speaks, from `start` on (s), and what should be said and done about it."""
    words = tuple(
        Word(word, start + WORD_S * k, start + WORD_S * k + 0.8 * WORD_S) for k, word in enumerate(spoken_words(text))
    )
    return Line(role=role, text=text, start=start, end=words[-1].end, words=words, moves=moves, says=says)


def after(line: Line, rest_s: float) -> float:
    """When the next one may begin: a rest and the time that its answer takes later."""
    return line.end + rest_s + 0.12 * len(line.says.split())


def _told(draw: Words, intent: str, turn: int) -> tuple[str, str]:
    """A line and what is said to it."""
    if intent == "ask_general":
        return question(draw, turn)
    if intent == "defective":
        said, says = impossible(draw, turn)
        return (said if isinstance(said, str) else said.text), says
    return draw.saying(intent, turn).text, ""


def dialogue(seed: int, split: str, width: int, embeddings: int = 0, tick_s: float = 0.2) -> Session:
    """One to three turns of talk. `width`: of a speech feature, of which there is none."""
    draw, rng = Words(seed, split), generator(seed, "dialogue")
    lines: list[Line] = []
    t = float(rng.uniform(0.2, 0.8))
    for turn in range(int(rng.integers(1, TURNS + 1))):
        intent = draw.weighted(MIX, "intent", turn)
        text, says = _told(draw, intent, turn)
        lines.append(line_of(intent, text, t, says))
        t = after(lines[-1], float(rng.uniform(1.5, 2.5)))
    features = np.zeros((int(t / tick_s) + 8, embeddings, width), np.float16)
    return Session.unseen(features, lines, tick_s, tuple(line.role for line in lines), seed)
