import numpy as np
import pytest

from stretto.core.errors import StrettoError
from stretto.core.signals import ActionChunk
from stretto.runtime.execution import Latest


def chunk(value, start, steps=16, gripper=1.0):
    values = np.full((steps, 7), float(value))
    values[:, 6] = gripper
    return ActionChunk(values=values, rate=20.0, start=start)


def play(execution, start, end):
    return np.array([execution.action(t) for t in np.arange(start, end - 1e-9, 0.05)])


def test_a_chunk_is_played_at_its_times_and_then_the_arm_halts():
    execution = Latest.Config().build()
    execution.accept(chunk(0.5, 1.0, steps=4), t=1.0)
    played = play(execution, 1.0, 1.4)
    assert np.allclose(played[:4, :6], 0.5)
    assert not played[4:, :6].any()


def test_the_zero_command_repeats_the_grippers_last_value():
    execution = Latest.Config().build()
    execution.accept(chunk(0.5, 0.0, steps=2, gripper=1.0), t=0.0)
    assert play(execution, 0.0, 0.3)[-1].tolist() == [0, 0, 0, 0, 0, 0, 1.0]


def test_actions_that_came_too_late_are_dropped_by_their_time_stamps():
    execution = Latest.Config(blend_s=0.0).build()
    values = np.arange(28, dtype=float).reshape(4, 7)
    execution.accept(ActionChunk(values=values, rate=20.0, start=0.0), t=0.1)
    assert execution.action(0.1).tolist() == values[2].tolist()
    execution.accept(chunk(9, start=0.0, steps=2), t=0.5)
    assert not execution.action(0.5)[:6].any()


def test_a_seam_is_blended_without_a_jump():
    execution = Latest.Config(blend_s=0.2).build()
    execution.accept(chunk(0.0, 0.0), t=0.0)
    execution.accept(chunk(1.0, 0.3), t=0.3)
    steps = np.abs(np.diff(play(execution, 0.0, 0.8)[:, 0]))
    assert steps.max() <= 0.25 + 1e-9
    assert execution.action(0.6)[0] == 1.0


def test_the_gripper_switches_at_once_at_a_seam():
    execution = Latest.Config(blend_s=0.2).build()
    execution.accept(chunk(0.0, 0.0, gripper=-1.0), t=0.0)
    execution.accept(chunk(0.0, 0.1, gripper=1.0), t=0.1)
    assert execution.action(0.1)[6] == 1.0


def test_a_chunk_for_later_does_not_silence_the_running_one():
    execution = Latest.Config().build()
    execution.accept(chunk(0.5, 0.0), t=0.0)
    execution.accept(chunk(0.9, 0.5), t=0.1)
    assert execution.action(0.2)[0] == 0.5


def test_halt_voids_everything_not_yet_applied():
    execution = Latest.Config().build()
    execution.accept(chunk(0.5, 0.0), t=0.0)
    execution.halt()
    assert not execution.action(0.05)[:6].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_chunk_with_nan_is_refused_and_the_old_one_plays_on(bad):
    execution = Latest.Config().build()
    execution.accept(chunk(0.5, 0.0), t=0.0)
    with pytest.raises(StrettoError, match="not played"):
        execution.accept(chunk(bad, 0.0), t=0.0)
    assert execution.action(0.05)[0] == 0.5


def test_a_wrong_shape_fails_naming_the_argument():
    with pytest.raises(Exception, match="values"):
        ActionChunk(values=np.zeros(7), rate=20.0, start=0.0)
