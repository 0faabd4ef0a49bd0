"""What physics says of a stop: hand-made traces that pass and that fail by a hair."""

import numpy as np
import pytest

from stretto.runtime.world import Step
from stretto.sessions import measures

DT = 0.05


def steps(commands, speed=0.25):
    """Steps whose x command is given; a moving arm goes `speed` m/s along x, a commanded zero stands at once."""
    x, out = 0.0, []
    for index, command in enumerate(commands):
        x += speed * DT * bool(command)
        action = np.zeros(7)
        action[0], action[6] = command, -1.0
        proprio = np.array([x, 0, 0, 0, 0, 0, 0], np.float32)
        out.append(Step(t=index * DT, action=action, proprio=proprio, success=False, halted=False))
    return out


def test_stop_latency_runs_from_the_words_end_to_the_first_of_twenty_zero_commands():
    assert measures.stop_latency(steps([1] * 20 + [0] * 20), 0.70) == pytest.approx(0.30)


def test_nineteen_zero_commands_are_no_stop():
    assert measures.stop_latency(steps([1] * 20 + [0] * 19 + [1] * 10), 0.7) == 5.0


def test_a_stop_that_began_before_the_word_ended_counts_from_the_words_end():
    assert measures.stop_latency(steps([1] * 10 + [0] * 40), 1.0) == 0.0


def test_the_gripper_may_stay_closed_in_a_zero_command():
    assert measures.is_zero(steps([0])[0])


def test_settling_ends_below_five_centimetres_a_second():
    coasting = steps([1] * 10 + [0] * 30)
    for i in range(10, 13):  # three periods of coasting at 10 cm/s after the zero command
        for later in coasting[i:]:
            later.proprio[0] += np.float32(0.1 * DT)
    assert measures.settling(coasting, 0.3) == pytest.approx(4 * DT)


def test_travel_is_the_length_of_the_path_from_the_very_moment():
    assert measures.travel(steps([1] * 40), 0.52, 1.02) == pytest.approx(0.5 * 0.25, rel=1e-3)


def test_travel_sees_the_first_period_after_the_word():
    assert measures.travel(steps([1] * 20 + [0] * 100), 0.9, 5.0) == pytest.approx(2 * 0.25 * DT, rel=1e-3)


def test_displacement_is_measured_from_where_the_arm_was():
    some = steps([0] * 10 + [1] * 4)
    assert measures.displacement(some, 0.0, 0.5) == 0.0
    assert measures.displacement(some, 0.0, 0.7) == pytest.approx(0.05, rel=1e-3)


def test_speed_at_a_moment_is_that_of_its_control_period():
    assert measures.speed_at(steps([0, 0, 1, 1]), 0.12) == pytest.approx(0.25, rel=1e-3)
