"""What people say: every intent has lines, the same seed says the same, training and test do not meet."""

import re

import pytest

from stretto.core.errors import StrettoError
from stretto.data.talk import GOALS, INTENTS, draw, lines, pairs


def plain(text):
    return re.sub(r"[^a-z' ]", "", text.lower())


@pytest.mark.parametrize("intent", INTENTS)
def test_training_and_test_do_not_meet(intent):
    """No text of the test is said in training under any intent, whatever its punctuation; dev says what train does."""
    train = {plain(line.text) for other in INTENTS for line in lines(other, "train")}
    test = [plain(line.text) for line in lines(intent, "test")]
    assert len(test) >= 4
    assert len(test) == len(set(test))
    assert not train & set(test)
    assert lines(intent, "dev") == lines(intent, "train")


def test_every_task_has_wordings_in_both_splits():
    """Ten goals, each with at least three ways to ask in either split."""
    assert len(GOALS) == 10
    for split in ("train", "test"):
        for goal in GOALS:
            assert sum(line.goal == goal for line in lines("instruct", split)) >= 12


def test_the_same_seed_says_the_same():
    """A line depends on intent, seed and split alone, and seeds differ."""
    assert draw("instruct", 3, "test") == draw("instruct", 3, "test")
    assert len({draw("instruct", seed, "test").text for seed in range(50)}) > 20


def test_slots_choose_what_is_meant():
    """A goal or topic that is asked for comes, one that does not exist is answered with the nearest."""
    for goal in GOALS:
        assert draw("switch", 5, "train", goal=goal).goal == goal
    assert draw("ask_scene", 1, "test", topic="where is the bowl").topic == "where is the bowl"
    with pytest.raises(StrettoError, match="Did you mean 'turn on the stove'"):
        draw("instruct", 0, goal="turn of the stove")
    with pytest.raises(StrettoError, match="slot"):
        draw("instruct", 0, colour="red")
    with pytest.raises(StrettoError, match="intent"):
        draw("sing", 0)
    with pytest.raises(StrettoError, match="split"):
        draw("stop", 0, "tests")


def test_a_fifth_of_the_impossible_pairs_is_held_out():
    """Pairs that are no task are shared out once, and none of them is a task."""
    train, test = set(pairs("train")), set(pairs("test"))
    assert not train & test
    assert len(test) == round(0.2 * len(train | test))
    spoken = {plain(line.text) for line in lines("instruct", "train") + lines("instruct", "test")}
    assert not {plain(line.text) for line in lines("defective", "test")} & spoken
