"""Composed sessions: the same from the same seed, of the training split alone; and what should be said and done."""

import numpy as np
import pytest

from stretto.core.signals import Sound, Speech, Word
from stretto.data import common, questions, talk
from stretto.data.speech_cache import SpeechCache
from stretto.data.talk_style import plain
from stretto.sessions.composer.compose import Line
from stretto.sessions.composer.draw import Draw
from stretto.sessions.composer.plot import Plot
from stretto.sessions.composer.terms import MIDDLES, OPENINGS, term
from stretto.sessions.composer.terms.defective import NEEDS
from stretto.sessions.watched import THINGS
from stretto.train.duplex.labels import ANY, HALT, MOVE, labels_of, reaction_tick, tick_of

TASKS = tuple(talk.GOALS)


class DummyVoices(SpeechCache):
    """Speaks a tone for each word."""

    def __init__(self):
        pass

    def speak(self, text, name, still=True, **settings):
        words = tuple(Word(word, 0.3 * k, 0.3 * k + 0.25) for k, word in enumerate(text.split()))
        samples = 0.1 * np.sin(np.arange(round(16_000 * 0.3 * max(1, len(words)))) / 9).astype(np.float32)
        return Speech(text=text, sound=Sound(samples=samples, rate=16_000), words=words, speaker=name)


def drawn(seed, split="train"):
    return Draw(seed, split, TASKS, DummyVoices())


def told(draw, goal="put the bowl on the plate"):
    return Plot(placement=draw.placement).then(*[], goal=goal)


@pytest.mark.parametrize("name", sorted({*OPENINGS, *MIDDLES}))
def test_every_term_adds_the_same_from_the_same_seed_and_nothing_else_is_touched(name):
    added = 0
    for seed in range(4):
        for before in (Plot(placement=1), told(drawn(seed))):
            one, two = (term(name)(before, drawn(seed)) for _ in range(2))
            assert [p.speech.text for p in one.prompts] == [p.speech.text for p in two.prompts]
            assert [p.wait_s for p in one.prompts] == [p.wait_s for p in two.prompts]
            assert one.prompts[: len(before.prompts)] == before.prompts
            added += one is not before
    assert added


def test_a_correction_of_a_slip_of_the_tongue_names_its_task():
    """The same words never ask for two tasks, as "no, the bowl" would."""
    asked = {}
    for seed in range(80):
        plot = term("correct")(Plot(placement=1), drawn(seed))
        asked.setdefault(plain(plot.prompts[-1].speech.text), set()).add(plot.goal)
    assert all(len(goals) == 1 for goals in asked.values())


def test_what_halts_a_moving_arm_is_only_said_to_a_moving_arm():
    for name in ("stop", "pause_resume", "switch"):
        still = Plot(placement=1)
        assert term(name)(still, drawn(1)) is still
        assert term(name)(told(drawn(1)), drawn(1)).prompts


def test_what_is_hidden_is_needed_by_what_is_refused_and_not_by_its_twin():
    for seed in range(40):
        refused, twin = (term(name)(Plot(placement=1), drawn(seed)) for name in ("defective", "twin"))
        assert not refused.goal
        assert refused.prompts[-1].reaction.say
        assert set(twin.arrangement.hidden) <= set(THINGS) - set(NEEDS[twin.goal])
        assert twin.prompts[-1].reaction.goal == twin.goal


def test_nothing_that_the_exam_asks_is_answered_in_training():
    exam = {plain(question.text) for question in questions.general("test")}
    told = {plain(text) for text, _ in common.questions()}
    assert len(told) > 250
    assert not exam & told
    assert all(answer[0].isupper() and answer[-1] == "." for _, answer in common.questions())


def line(start, end, **fields):
    return Line(role="line", text="", start=start, end=end, **fields)


def test_a_tick_has_the_sound_up_to_its_end():
    assert [tick_of(t, 0.2) for t in (0.0, 0.1, 0.2, 0.21, 1.0)] == [0, 0, 0, 1, 4]


def test_a_reaction_is_due_in_the_tick_after_the_turns_end_was_heard_or_a_second_later():
    some = line(0.5, 1.0)
    assert reaction_tick(some, (3, 6, 20), 0.2) == 7
    assert reaction_tick(some, (), 0.2) == tick_of(2.0, 0.2)
    assert reaction_tick(some, (20,), 0.2) == tick_of(2.0, 0.2)


@pytest.mark.parametrize(("end", "due"), [(3.21, 16), (3.3, 16), (3.31, 17), (3.4, 17)])
def test_a_halt_is_due_in_the_tick_that_has_a_tenth_of_a_second_behind_its_word(end, due):
    act = labels_of([line(0.0, 1.0, moves=True), line(3.0, 3.6, halts_at=end)], (), (6,), 30, 0.2).act
    assert (act[due - 2 : due + 1] == [MOVE, ANY, HALT]).all()


def test_the_arm_moves_when_told_halts_at_the_word_goes_on_and_stands_when_done():
    lines = [
        line(0.0, 1.0, moves=True),
        line(3.0, 3.5, halts_at=3.3),
        line(5.0, 5.6, moves=True, says="Okay."),
    ]
    labels = labels_of(lines, [9.0], (6, 20, 30), 60, 0.2)
    act = labels.act
    assert (act[:7] == HALT).all()
    assert (act[7:15] == MOVE).all()
    assert act[15] == ANY
    assert (act[16:31] == HALT).all()
    assert (act[31:44] == MOVE).all()
    assert (act[45:] == HALT).all()
    assert labels.say == ((31, "Okay."),)
