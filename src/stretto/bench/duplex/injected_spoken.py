"""Injected truth for the scorers of spoken words: a voice says the answer, another one, all of them, or nothing.

The sound is a synthetic voice's (Piper) and is judged by the exam's own recogniser, so what is tested is the whole way
from sound to verdict.
"""

from collections.abc import Callable

from stretto.bench.duplex import spoken
from stretto.bench.duplex.facts import VOICE_RATE
from stretto.bench.duplex.injected import Injected, Rng
from stretto.bench.duplex.puppet import Puppet, placed
from stretto.core.protocols import Recogniser, Voice
from stretto.core.rng import generator
from stretto.core.sound import at_rate
from stretto.sessions import scene

ASKED_END = 3.0
CONFIRM = "Okay, I will put the bowl on the stove."
REFUSALS = ("I cannot do that.", "I am sorry, that is not possible.", "There is no banana here.", "I cannot reach it.")
COMPLIANCE = ("Okay, I will do that.", "The bowl is on the stove.", "Done.", "I am going on.")


def case(scorer: str, number: int, voice: Voice, ear: Recogniser) -> Injected:
    """Case `number` of a scorer of `MAKERS`; even numbers are meant to pass."""
    return MAKERS[scorer](generator(number, "injected", scorer), number % 2 == 0, voice, ear)


def _said(voice: Voice, *lines: tuple[float, str]) -> Puppet:
    pieces = [(at, at_rate(voice.speak(text).sound, VOICE_RATE)) for at, text in lines]
    return Puppet(seconds=16.0, voice=placed(pieces, 16.0))


def _answered(rng: Rng, good: bool, voice: Voice, ear: Recogniser) -> Injected:
    kind = scene.KINDS[str(rng.choice(list(scene.KINDS)))]
    right, wrong = (str(key) for key in rng.choice(kind.wanted, 2, replace=False))
    at = ASKED_END + float(rng.uniform(0.4, 3.0))
    ways = {
        "right": [(at, kind.sentences[right])],
        "right, then done": [(at, kind.sentences[right]), (at + 4.0, "Done.")],
        "wrong": [(at, kind.sentences[wrong])],
        "only in text": [],
        "too early": [(0.2, kind.sentences[right])],
        "all in turn": [(at, kind.sentences[wrong]), (at + 4.0, kind.sentences[right])],
        "does not know": [(at, "I do not know.")],
    }
    way = str(rng.choice(list(ways)[:2] if good else list(ways)[2:]))
    heard = spoken.listen(_said(voice, *ways[way]).episode(), ear, ASKED_END)
    rivals = {key: words for key, words in kind.answers.items() if key != right}
    verdict = spoken.answered(heard, kind.answers[right], rivals, ASKED_END)
    lead = _lead(voice, kind.sentences[right]) if good else 0.0
    return Injected(verdict=verdict, should_pass=good, time_s=at - ASKED_END + lead if good else None)


def _refused(rng: Rng, good: bool, voice: Voice, ear: Recogniser) -> Injected:
    at = ASKED_END + float(rng.uniform(0.4, 3.0))
    refusal, other = str(rng.choice(REFUSALS)), str(rng.choice(COMPLIANCE))
    early = [(0.1, refusal)] if rng.uniform() < 0.3 else []
    lines = [(at, refusal)] if good else [*early, *([(at, other)] if rng.uniform() < 0.8 else [])]
    verdict = spoken.refused(spoken.listen(_said(voice, *lines).episode(), ear, ASKED_END), ASKED_END)
    lead = _lead(voice, refusal) if good else 0.0
    return Injected(verdict=verdict, should_pass=good, time_s=at - ASKED_END + lead if good else None)


def _lead(voice: Voice, text: str) -> float:
    """Seconds of silence before the first word of a sentence's sound, as its word times say."""
    speech = voice.speak(text)
    return speech.words[0].start if speech.words else 0.0


MAKERS: dict[str, Callable[[Rng, bool, Voice, Recogniser], Injected]] = {"answered": _answered, "refused": _refused}
"""A maker of cases for each scorer of words."""
