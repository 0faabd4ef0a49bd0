import numpy as np
import pytest

from stretto.core.signals import HEARING_RATE
from stretto.listen.turns.cues import Cues
from stretto.listen.turns.smart_turn import SmartTurn, features
from stretto.listen.vad import FRAME


class Told(SmartTurn):
    """Smart-Turn with a network that says what the test says; `asked` counts how often it was asked."""

    def __init__(self, config, answers):
        self.config, self.answers, self.asked = config, list(answers), 0

    def completeness(self, samples):
        self.asked += 1
        return self.answers.pop(0)


def ends(turns, voiced):
    """Frame numbers at which a turn ended, for frames voiced (1) or not (0)."""
    state, found = turns.start(), []
    for number, probability in enumerate(voiced):
        cues = Cues(
            t=(number + 1) * FRAME / HEARING_RATE,
            samples=np.zeros(FRAME, np.float32),
            probabilities=np.array([probability], np.float32),
        )
        turn, state = turns.decide(cues, state)
        found += [number] * len(turn.ended)
    return found


def test_a_complete_sentence_ends_at_the_first_pause():
    turns = Told(SmartTurn.Config(), [0.9])
    assert ends(turns, [1] * 20 + [0] * 20) == [25]
    assert turns.asked == 1


def test_an_incomplete_sentence_goes_on_over_a_hesitation():
    turns = Told(SmartTurn.Config(), [0.1, 0.9])
    assert ends(turns, [1] * 20 + [0] * 10 + [1] * 20 + [0] * 20) == [55]


def test_an_incomplete_sentence_ends_after_a_long_silence():
    turns = Told(SmartTurn.Config(), [0.1] * 10)
    assert ends(turns, [1] * 20 + [0] * 80) == [82]


def test_a_click_is_no_turn_and_the_network_is_not_asked():
    turns = Told(SmartTurn.Config(), [])
    assert ends(turns, [1] + [0] * 80) == []


def test_features_are_those_of_eight_seconds_whatever_the_length():
    short = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert features(short).shape == (80, 800)
    padded = np.pad(short, (128_000 - 16_000, 0)).astype(np.float32)
    assert np.array_equal(features(short), features(padded))


@pytest.mark.slow
def test_the_network_tells_a_finished_sentence():
    samples = np.random.default_rng(0).normal(0, 0.01, 32_000).astype(np.float32)
    assert 0 <= SmartTurn.Config().build().completeness(samples) <= 1
