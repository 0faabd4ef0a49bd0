"""The experts of LIBERO-Goal: pure functions of the state, safe when interrupted, able to go on with another goal."""

import numpy as np
import pytest

from stretto.bench.experts import Experts, put_down, replay, undisturbed
from stretto.core.errors import StrettoError
from stretto.core.protocols import Expert
from stretto.envs.experts.libero_goal import LiberoGoalExpert
from stretto.envs.experts.libero_goal.grasp import smallest_turn
from stretto.envs.experts.libero_goal.motion import Hand, turn_x, turn_z
from stretto.envs.libero import Libero

pytestmark = pytest.mark.slow  # a real world
STOVE, PLATE, CHEESE = "put the bowl on the stove", "put the bowl on the plate", "put the cream cheese in the bowl"


@pytest.fixture(scope="module")
def env():
    env = Libero.Config().build()
    yield env
    env.close()


@pytest.fixture
def expert():
    return LiberoGoalExpert()


def _until(env, expert, goal, limit, stop):
    for step in range(limit):
        if stop():
            return step
        env.apply(expert.act(env.scene(), goal))
    return None


def test_on_a_handle_the_hand_closes_only_when_it_presses_on_and_no_longer_moves(env, expert):
    env.reset("0", 3, "dev")
    before = action = expert.act(env.scene(), env.tasks[0])
    while action[6] < 1:
        env.apply(action)
        before, action = action, expert.act(env.scene(), env.tasks[0])
    assert before[1] < -0.2
    assert Hand(env.scene()).still


def test_its_goals_are_the_suites_instructions_and_put_it_down(env, expert):
    assert set(expert.goals) == {*env.tasks, "put it down"}
    assert isinstance(expert, Expert)


def test_an_unknown_goal_is_answered_with_the_nearest(env, expert):
    env.reset("8", 0, "dev")
    with pytest.raises(StrettoError, match="Did you mean 'put the bowl on the plate'"):
        expert.act(env.scene(), "put the bowl on plate")


def test_the_action_follows_from_the_state_alone(env, expert):
    env.reset("8", 0, "dev")
    _until(env, expert, PLATE, 30, lambda: False)
    action = expert.act(env.scene(), PLATE)
    expert.act(env.scene(), STOVE)
    assert np.array_equal(action, LiberoGoalExpert().act(env.scene(), PLATE))
    assert action.shape == (7,)
    assert action.dtype == np.float64
    assert np.abs(action).max() <= 1


@pytest.mark.parametrize("task", range(10))
def test_each_task_is_solved_from_a_fresh_placement(env, expert, task):
    """With a fifth of a session's 300 steps to spare, which a policy that learns from it needs."""
    env.reset(str(task), 1, "dev")
    goal = env.tasks[task]
    assert _until(env, expert, goal, 240, lambda: expert.done(env.scene(), goal)) is not None
    assert env.success()
    assert not np.any(expert.act(env.scene(), goal))


def test_told_to_put_it_down_it_lowers_the_bowl_before_letting_go(env, expert):
    episode = undisturbed(env, 8, 0)
    replay(env, 8, 0, episode.holding[len(episode.holding) // 2])
    down, highest, dropped = put_down(env)
    assert down
    assert not dropped
    assert highest < 0.05
    assert not np.any(expert.act(env.scene(), "put it down"))


def test_holding_the_wrong_thing_it_puts_it_down_and_goes_on(env, expert):
    env.reset("8", 2, "dev")
    assert _until(env, expert, PLATE, 120, lambda: Hand(env.scene()).held is not None) is not None
    _until(env, expert, PLATE, 12, lambda: False)
    assert _until(env, expert, CHEESE, 400, lambda: env.predicate(CHEESE)) is not None


def test_holding_the_right_thing_it_carries_on_to_another_place(env, expert):
    env.reset("8", 3, "dev")
    _until(env, expert, PLATE, 120, lambda: Hand(env.scene()).held is not None)
    _until(env, expert, PLATE, 15, lambda: False)
    lowest = []
    assert _until(env, expert, STOVE, 200, lambda: lowest.append(Hand(env.scene()).held) or env.predicate(STOVE))
    assert lowest.count(None) < 5


def test_answers_follow_the_state(env, expert):
    env.reset("7", 0, "dev")
    scene = env.scene()
    assert expert.answer(scene, "is the stove on") == "No, the stove is off."
    assert expert.answer(scene, "where is the bowl") == "The bowl is on the table."
    assert expert.answer(scene, "what are you holding") == "I am not holding anything."
    assert expert.answer(scene, "what is on the plate") == "There is nothing on the plate."
    assert expert.answer(scene, "is the middle drawer open") == "No, the middle drawer is closed."
    assert expert.answer(scene, "where is the spoon") == "I do not see a spoon."
    assert "wine bottle" in expert.answer(scene, "what do you see")
    scene._data.joint("flat_stove_1_button").qpos = 0.6
    scene._data.joint("wooden_cabinet_1_middle_level").qpos = -0.15
    env._world.sim.forward()
    assert expert.answer(scene, "Is the stove on?") == "Yes, the stove is on."
    assert expert.answer(scene, "is the middle drawer open") == "Yes, the middle drawer is open."


def test_after_the_bowl_is_moved_the_answers_say_where(env, expert):
    env.reset("8", 0, "dev")
    _until(env, expert, PLATE, 200, lambda: expert.done(env.scene(), PLATE))
    assert expert.answer(env.scene(), "where is the bowl") == "The bowl is on the plate."
    assert expert.answer(env.scene(), "what is on the plate") == "The bowl is on the plate."


def test_the_trials_of_the_card_have_keys_of_their_own_and_the_numbers_that_the_bars_ask_for():
    trials = Experts().trials(None)
    keys = [trial.key for trial in trials]
    assert len(set(keys)) == len(keys)
    kinds = [trial.params["kind"] for trial in trials]
    assert kinds.count("success") == 200
    assert kinds.count("held") >= 50
    assert kinds.count("switched") >= 100
    assert all(10 <= trial.params["init"] < 30 for trial in trials)
    assert all(
        trial.params["first"] != trial.params["second"] for trial in trials if trial.params["kind"] == "switched"
    )


def test_the_smallest_turn_takes_one_direction_to_another():
    a, b = turn_x(20) @ np.array([0, 0, 1.0]), turn_z(40) @ turn_x(75) @ np.array([0, 0, 1.0])
    turn = smallest_turn(a, b)
    assert np.allclose(turn @ a, b)
    assert np.allclose(turn @ turn.T, np.eye(3))
