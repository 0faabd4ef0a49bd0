"""What every world promises, whatever its name."""

import numpy as np
import pytest

from stretto.core import registry
from stretto.core.errors import StrettoError
from stretto.core.protocols import Env, Expert
from stretto.core.rng import generator

pytestmark = pytest.mark.slow

EXPERTS = {"dummy": "dummy", "libero": "libero_goal"}


@pytest.fixture(scope="module", params=registry.names("env"))
def world(request):
    env = registry.build("env", request.param)
    env.kind = request.param
    yield env
    env.close()


def roll(env, task, seed, split, steps=15):
    env.reset(task, seed, split)
    rng = generator(seed, "actions")
    out = []
    for _ in range(steps):
        env.apply(rng.uniform(-1, 1, env.actions))
        out.append(env.observe().proprio)
    return np.array(out)


def test_it_fulfils_the_protocol(world):
    assert isinstance(world, Env)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_same_reset_and_actions_repeat_bit_for_bit_whatever_ran_between(world, split):
    first = roll(world, "1", 5, split)
    roll(world, "0", 6, "dev")
    assert np.array_equal(first, roll(world, "1", 5, split))


def test_train_and_dev_draw_different_placements(world):
    scenes = []
    for split in ("train", "dev"):
        world.reset("0", 3, split)
        scenes.append(world.render(world.cameras[0], 32, 32).pixels.astype(int))
    assert np.abs(scenes[0] - scenes[1]).sum() > 0


def test_an_observation_has_what_the_robot_knows_of_itself_and_pictures_on_demand(world):
    world.reset("0", 0, "dev")
    bare, seen = world.observe(), world.observe(images=True)
    assert bare.images == ()
    assert [image.camera for image in seen.images] == list(world.cameras)
    assert np.isfinite(seen.proprio).all()
    assert not seen.action.any()


def test_a_picture_has_the_size_that_was_asked_for(world):
    world.reset("0", 0, "dev")
    assert world.render(world.cameras[0], 24, 40).pixels.shape == (24, 40, 3)


def test_a_task_may_be_named_by_number_or_by_sentence(world):
    world.reset(world.tasks[1], 0, "dev")
    by_sentence = world.observe().proprio
    world.reset("1", 0, "dev")
    assert np.array_equal(by_sentence, world.observe().proprio)


@pytest.mark.parametrize("task", ["999", "fly to the moon"])
def test_a_wrong_task_is_an_error_of_the_user(world, task):
    with pytest.raises(StrettoError):
        world.reset(task, 0, "dev")


@pytest.mark.parametrize("action", [np.full(7, np.nan), np.zeros(3)])
def test_a_wrong_action_is_refused_and_nothing_moves(world, action):
    world.reset("0", 0, "dev")
    before = world.observe().proprio
    with pytest.raises(StrettoError):
        world.apply(action)
    assert np.array_equal(before, world.observe().proprio)


def test_the_predicate_judges_any_goal_of_the_scene(world):
    world.reset("0", 0, "dev")
    assert [world.predicate(goal) for goal in world.tasks[:3]] == [False] * 3
    with pytest.raises(StrettoError):
        world.predicate("fly to the moon")


def test_its_expert_answers_from_any_state_and_does_a_task(world):
    expert = registry.build("expert", EXPERTS[world.kind])
    assert isinstance(expert, Expert)
    roll(world, "1", 7, "dev")
    for _ in range(300):
        if expert.done(world.scene(), world.tasks[1]):
            break
        world.apply(expert.act(world.scene(), world.tasks[1]))
    assert world.success()
    assert isinstance(expert.answer(world.scene(), "what are you holding"), str)
