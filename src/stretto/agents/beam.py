"""Several readings of what was heard, carried on side by side until what follows tells which one it was.

What decides between "go in" and "go and" comes after it. So one session of hearing (agents/hearing.py) stands in the
batch several times: the likeliest readings of its last words, each with the past that it would have had. At every ask
each may go on in several ways, and the best of all go on. A reading is as good as its answers were likely, and as the
language model finds its words likely, each against what any word costs; the readings of one moment have heard the same
sound, so they can be compared. A word is told when all readings have it, at the latest `late` ticks after the best one
wrote it: whoever wrote something else is given up then.

    beam = Beam.of(Hearing(network))                              None where no sounds are read
    state = beam.start(system)
    said, state = beam.step(features[None], state)                as Hearing.step, for one session
    beam.rest(state)                                              what is not told yet, when nothing follows

Source: beam search with a language model (shallow fusion, Gulcehre et al. 2015), in a stream. Needs: torch. Does not
decide how likely an answer is (agents/evidence.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stretto.agents.evidence import Evidence, Since
from stretto.agents.hearing import Hearing
from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.errors import StrettoError
from stretto.think.cursor import Cursor, Rows
from stretto.think.memory import Rings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way in which it may have been: where it stands, what it said that is not told yet (token, tick), how good it
    is against the others. `rows`: of the pass under way."""

    cursor: Cursor
    since: Since = field(default_factory=Since)
    read: Tensor | None = None
    said: tuple[tuple[int, int], ...] = ()
    score: float = 0.0
    rows: Rows = ()

    @property
    def tokens(self) -> tuple[int, ...]:
        """What it said that is not told yet."""
        return tuple(token for token, _ in self.said)


@dataclass(frozen=True, kw_only=True)
class BeamState:
    """A session: a place of the rings for each reading, None where there is none."""

    readings: tuple[Reading | None, ...]
    rings: Rings
    sounds: Tensor | None = None


@dataclass(frozen=True)
class Answer:
    """A reading as it may go on; `place`: where it stood."""

    place: int
    reading: Reading
    token: int | None


class Beam(Configurable):
    """Steps the readings of one session."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """`width`: readings at once. `margin`, `sure`: how much less likely than the best one may be within a tick and
        at its end, as logarithms. `late`: ticks for which a word may wait. `language`: weight of the logarithm of a
        word's chance in the language model, `any_word` being added to it.
        """

        width: int = 3
        margin: float = 3.0
        sure: float = 2.2
        late: int = 1
        language: float = 0.5
        any_word: float = 5.0

        def __post_init__(self) -> None:
            for name, least in (("width", 1), ("late", 0), ("margin", 0.0), ("sure", 0.0)):
                if getattr(self, name) < least:
                    raise StrettoError(f"Expected Beam.Config.{name} of at least {least}, got {getattr(self, name)}.")

    def __init__(self, config: Config, hearing: Hearing, evidence: Evidence) -> None:
        self.config, self.hearing, self.evidence = config, hearing, evidence

    @classmethod
    def of(cls, hearing: Hearing) -> "Beam | None":
        """That of a network which reads sounds."""
        return cls(cls.Config(), hearing, hearing.evidence) if hearing.evidence else None

    def start(self, system: Sequence[int] = ()) -> BeamState:
        """A fresh session that has read the system prompt."""
        state = self.hearing.start(self.config.width, system)
        nobody = (None,) * (self.config.width - 1)
        return BeamState(readings=(Reading(cursor=state.cursors[0]), *nobody), rings=state.rings)

    @torch.no_grad()
    def step(
        self, features: Float[Tensor, "1 embeddings features"], state: BeamState
    ) -> tuple[list[list[int]], BeamState]:
        """One tick: what is told in it, the end of a turn among it, and the next state."""
        speech, sounds = self.hearing.network.adapter.step(features, state.sounds)
        assert sounds is not None
        given = speech.expand(self.config.width, -1, -1), sounds.expand(self.config.width, -1, -1, -1)
        readings = [_ticked(reading, speech.shape[1]) for reading in state.readings]
        while any(reading and reading.rows for reading in readings):
            readings = self._pass(readings, *given, state.rings)
        told, readings = self._told(readings)
        return [told], BeamState(readings=tuple(readings), rings=state.rings, sounds=sounds)

    def rest(self, state: BeamState) -> list[int]:
        """What the best reading has said and nobody was told, since more might have followed."""
        return list(_best(state.readings).tokens)

    def _pass(
        self, readings: Sequence[Reading | None], speech: Tensor, sounds: Tensor, rings: Rings
    ) -> list[Reading | None]:
        """All readings through one pass, and the best of the ways in which they may go on."""
        hearing = self.hearing
        passes = [reading.rows if reading else () for reading in readings]
        asked = [[row.stream in hearing.places for row in rows] for rows in passes]
        ours = [tuple(compress(rows, keep)) for rows, keep in zip(passes, asked, strict=True)]
        now = _best(readings).cursor.now
        ended = [reading.since.ended if reading else 0 for reading in readings]
        given = {"speech": speech} | hearing.network.shown(sounds, [now] * len(readings), ended)
        scores, read = hearing.through(ours, given, rings, [reading.read if reading else None for reading in readings])
        answers: list[Answer] = []
        for place, reading in enumerate(readings):
            if reading is not None:
                answers += self._answers(place, replace(reading, read=read[place]), scores.get(place), sounds[0])
        best = self._placed(self._kept(answers))
        rings.take([answer.place if answer else place for place, answer in enumerate(best)])
        after: list[Reading | None] = []
        stored: list[list[bool]] = []
        for place, answer in enumerate(best):
            if answer is None:
                after.append(None)
                stored.append([False] * len(ours[place]))
                continue
            reading, kept = answer.reading, list[bool]()
            if reading.rows:
                heard = hearing.nothing if answer.token is None else answer.token
                cursor, kept, rows = reading.cursor.settle({"heard": heard} | hearing.others)
                reading = replace(reading, cursor=cursor, rows=rows)
            after.append(reading)
            stored.append(list(compress(kept, asked[answer.place])))
        rings.keep(stored)
        return after

    def _answers(self, place: int, reading: Reading, scores: Tensor | None, sounds: Tensor) -> list[Answer]:
        """The ways in which a reading may go on; as it is where it is not asked."""
        if scores is None:
            return [Answer(place, reading, None)]
        hearing, expected = self.hearing, self.hearing.expected
        opinion = expected.after(reading.read, reading.cursor) if expected else None
        now, found, language = reading.cursor.now, list[Answer](), None
        for token, since, chance in self.evidence.chances(scores, sounds, now, reading.since, opinion):
            score = reading.score + chance
            if expected and opinion and reading.read is not None and self.evidence.audible(token):
                language = expected.chances(reading.read) if language is None else language
                score += self.config.language * (float(language[token]) + self.config.any_word)
            said = reading.said if token == hearing.nothing else (*reading.said, (token, now))
            found.append(Answer(place, replace(reading, since=since, said=said, score=score), token))
        return found

    def _kept(self, answers: Sequence[Answer]) -> list[Answer]:
        """The best, each text once, none much worse than the best of all."""
        ranked = sorted(answers, key=lambda answer: -answer.reading.score)
        best = ranked[0].reading.score
        each: dict[tuple[int, ...], Answer] = {}
        for answer in ranked:
            if answer.reading.score >= best - self.config.margin:
                each.setdefault(answer.reading.tokens, answer)
        return list(each.values())[: self.config.width]

    def _placed(self, answers: Sequence[Answer]) -> list[Answer | None]:
        """Each at a place of its own: the first of a reading stays where it is, others take what is free."""
        placed: dict[int, Answer] = {}
        others = [answer for answer in answers if placed.setdefault(answer.place, answer) is not answer]
        free = [place for place in range(self.config.width) if place not in placed]
        placed |= dict(zip(free, others, strict=False))
        return [placed.get(place) for place in range(self.config.width)]

    def _told(self, readings: Sequence[Reading | None]) -> tuple[list[int], list[Reading | None]]:
        """What is told at the end of a tick, and the readings that have it behind them."""
        best = _best(readings)
        due = sum(tick <= best.cursor.now - self.config.late for _, tick in best.said)
        near = best.score - self.config.sure
        agree = [r and r.score >= near and r.tokens[:due] == best.tokens[:due] for r in readings]
        alive = [reading if one else None for reading, one in zip(readings, agree, strict=True)]
        told = due
        while told < len(best.said) and all(
            r is None or r.tokens[: told + 1] == best.tokens[: told + 1] for r in alive
        ):
            told += 1
        rest: list[Any] = [r and replace(r, said=r.said[told:], score=r.score - best.score) for r in alive]
        return list(best.tokens[:told]), rest


def _ticked(reading: Reading | None, embeddings: int) -> Reading | None:
    """The same at the first pass of the next tick."""
    if reading is None:
        return None
    cursor, rows = reading.cursor.tick({"speech": embeddings})
    return replace(reading, cursor=cursor, rows=rows)


def _best(readings: Sequence[Reading | None]) -> Reading:
    """The best of those that there are."""
    return max((reading for reading in readings if reading), key=lambda reading: reading.score)
