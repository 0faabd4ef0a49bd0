"""For every scorer of the exam a hand-made trace that passes and one that fails by a hair."""

import pytest

from stretto.bench.duplex import injected, scorers, spoken
from stretto.bench.duplex.facts import Said
from stretto.bench.duplex.puppet import DT, Puppet, constant
from stretto.bench.duplex.spoken import Stretch
from stretto.sessions import scene

TOLD = Said(role="instruct", text="go", start=1.0, end=3.0)
PAUSE = Said(role="pause", text="wait", start=5.6, end=6.0)
GO_ON = Said(role="go_on", text="go on", start=9.5, end=10.0)


def paused(creep_cm=0.0, goal="goal"):
    """Stops at 6.5 s, creeps, goes on at 10.3 s, and reaches `goal` at 13 s."""
    moves = constant((2.0, 6.5, 20.0), (7.8, 8.3, 2 * creep_cm), (10.3, 14.0, 20.0))
    return Puppet(speed=moves, commands=[(2.0, 6.5), (10.3, 14.0)], holds={goal: (13.0, 99.0)}).episode()


def stops(at, runs=99.0):
    return Puppet(speed=constant((2.0, at, 20.0)), commands=[(2.0, at), (at + runs, 19.0)]).episode()


def brakes(seconds):
    return Puppet(speed=constant((2.0, 6.0 + seconds, 20.0)), commands=[(2.0, 6.0)]).episode()


def sounds(*spans):
    return Puppet(sounds=spans, said=[TOLD]).episode()


HAIR = {
    "still": (
        lambda: scorers.still(Puppet(speed=constant((1.2, 1.7, 1.98))).episode(), 1.0, 3.0),
        lambda: scorers.still(Puppet(speed=constant((1.2, 1.7, 2.02))).episode(), 1.0, 3.0),
    ),
    "turn_taken": (
        lambda: scorers.turn_taken(Puppet(speed=constant((4.38, 6.0, 20.0))).episode(), 3.0),
        lambda: scorers.turn_taken(Puppet(speed=constant((4.42, 6.0, 20.0))).episode(), 3.0),
    ),
    "succeeded": (
        lambda: scorers.succeeded(Puppet(holds={"goal": (17.99, 99.0)}).episode(), "goal", 3.0),
        lambda: scorers.succeeded(Puppet(holds={"goal": (18.01, 99.0)}).episode(), "goal", 3.0),
    ),
    "stopped": (
        lambda: scorers.stopped(stops(8.0), 6.0),
        lambda: scorers.stopped(stops(8.05), 6.0),
    ),
    "settled": (
        lambda: scorers.settled(brakes(0.55), 5.9),
        lambda: scorers.settled(brakes(0.6), 5.9),
    ),
    "not_dropped": (
        lambda: scorers.not_dropped(Puppet(held=(4.0, 7.0, 4.99)).episode(), 6.0, 11.0),
        lambda: scorers.not_dropped(Puppet(held=(4.0, 7.0, 5.01)).episode(), 6.0, 11.0),
    ),
    "resumed": (
        lambda: scorers.resumed(paused(creep_cm=0.98), PAUSE, GO_ON, "goal"),
        lambda: scorers.resumed(paused(creep_cm=1.02), PAUSE, GO_ON, "goal"),
    ),
    "false_stop": (
        lambda: scorers.false_stop(stops(6.5, runs=19 * DT), 6.0, 9.0),
        lambda: scorers.false_stop(stops(6.5, runs=20 * DT), 6.0, 9.0),
    ),
    "gap": (
        lambda: scorers.gap(stops(6.0, runs=10 * DT), 2.0, 18.0),
        lambda: scorers.gap(stops(6.0, runs=11 * DT), 2.0, 18.0),
    ),
    "jump": (
        lambda: scorers.jump(Puppet(commands=[(2.0, 19.0)], jolts=[(6.0, -1.0)]).episode(), 2.5, 18.0),
        lambda: scorers.jump(Puppet(commands=[(2.0, 19.0)], jolts=[(6.0, -1.01)]).episode(), 2.5, 18.0),
    ),
    "late_ticks": (
        lambda: scorers.late_ticks(Puppet(late=5).episode()),
        lambda: scorers.late_ticks(Puppet(late=6).episode()),
    ),
    "first_audio": (
        lambda: scorers.first_audio(sounds((7.99, 9.0)), 3.0),
        lambda: scorers.first_audio(sounds((8.02, 9.0)), 3.0),
    ),
    "no_talk_over": (
        lambda: scorers.no_talk_over(sounds((2.71, 5.0)), TOLD),
        lambda: scorers.no_talk_over(sounds((2.68, 5.0)), TOLD),
    ),
    "yielded": (
        lambda: scorers.yielded(sounds((0.2, 1.99)), TOLD),
        lambda: scorers.yielded(sounds((0.2, 2.02)), TOLD),
    ),
    "false_answer": (
        lambda: scorers.false_answer(sounds((6.02, 7.0)), TOLD, 20.0),
        lambda: scorers.false_answer(sounds((5.97, 7.0)), TOLD, 20.0),
    ),
    "quiet": (
        lambda: scorers.quiet(sounds((5.0, 5.05)), 0.0, 10.0),
        lambda: scorers.quiet(sounds((5.0, 5.1)), 0.0, 10.0),
    ),
}


@pytest.mark.parametrize("name", scorers.MOTION)
def test_a_scorer_passes_what_just_holds_and_fails_what_just_does_not(name):
    good, bad = HAIR[name]
    assert good().passed, good()
    assert not bad().passed, bad()


RIGHT, WRONG = scene.KINDS["where_bowl"].answers["stove"], {"plate": scene.KINDS["where_bowl"].answers["plate"]}


def stretches(*texts):
    return [Stretch(4.0 + k, 4.5 + k, spoken.words_of(text)) for k, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "passed"),
    [
        (["The bull is on the stove."], True),
        (["The bowl is on the plate."], False),
        (["It is on the stove or on the plate."], False),
        (["Okay.", "On the stove."], True),
        (["On the plate.", "On the stove."], False),
        ([], False),
    ],
)
def test_only_the_first_answer_counts_and_only_if_it_is_right_alone(texts, passed):
    assert spoken.answered(stretches(*texts), RIGHT, WRONG, 3.0).passed is passed


def test_a_sentence_passes_with_one_word_in_five_wrong_and_fails_with_two():
    meant = "seven days are in it"
    assert spoken.answered(stretches("seven bays are in it"), [["weeks"]], {}, 3.0, meant).passed
    assert not spoken.answered(stretches("seven bays are on it"), [["weeks"]], {}, 3.0, meant).passed


def test_digits_are_words():
    assert spoken.words_of("2 plus 3 is 5.") == ("two", "plus", "three", "is", "five")


def test_a_refusal_is_heard_in_its_words():
    assert spoken.refused(stretches("I can't do that."), 3.0).passed
    assert not spoken.refused(stretches("I can do that."), 3.0).passed


def test_no_confusion_turns_one_answer_into_another():
    for kind in scene.KINDS.values():
        words = {key: {word for wording in wordings for word in wording} for key, wordings in kind.answers.items()}
        for one in words:
            for wrong, right in spoken.CONFUSED.items():
                others = set().union(*(words[key] for key in words if key != one))
                assert not (wrong in words[one] and right in others), (wrong, right)


@pytest.mark.parametrize("scorer", injected.MAKERS)
def test_verdicts_on_injected_truth_are_right_and_times_within_a_control_period(scorer):
    for number in range(8):
        case = injected.case(scorer, number)
        assert case.verdict.passed == case.should_pass, (number, case)
        if case.time_s is not None:
            assert abs(case.verdict.value - case.time_s) <= 0.05 + 1e-9, (number, case)
