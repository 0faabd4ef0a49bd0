"""The LIBERO world: repeats bit for bit, judges every goal of its scene, hides simulator state, renders fast."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from stretto.core.errors import StrettoError
from stretto.core.protocols import Env
from stretto.envs.libero import Libero, suites
from stretto.envs.libero_step import step

pytestmark = pytest.mark.slow  # a real world


@pytest.fixture(scope="module")
def env():
    env = Libero.Config(image_size=64).build()
    yield env
    env.close()


def _state(env):
    data = env.scene()._data
    return np.concatenate([data.qpos, data.qvel, env._world.sim.model._model.body("wooden_cabinet_1_main").pos])


def _run(env, task, seed, split, steps=12):
    env.reset(task, seed, split)
    states = [_state(env)]
    rng = np.random.default_rng(7)
    for _ in range(steps):
        env.apply(rng.uniform(-1, 1, 7))
        states.append(_state(env))
    return np.array(states)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_reset_and_what_follows_repeat_bit_for_bit_even_after_other_episodes(env, split):
    first = _run(env, "1", 3, split)
    _run(env, "7", 4, "train")
    assert np.array_equal(_run(env, "1", 3, split), first)


def test_train_and_dev_draw_different_placements_of_the_same_seed(env):
    env.reset("8", 0, "train")
    train = _state(env)
    env.reset("8", 0, "dev")
    assert not np.array_equal(train, _state(env))


def test_the_test_split_takes_the_official_init_state_modulo_fifty(env):
    env.reset("8", 3, "test")
    first = _state(env)
    env.reset("put the bowl on the plate", 53, "test")
    assert np.array_equal(first, _state(env))
    bowl = env.scene().position("akita_black_bowl_1")
    official = env._official(8, 3)
    assert np.abs(bowl[:2] - official[1 + 9 : 1 + 11]).max() < 0.01


def test_tasks_are_the_suites_instructions_in_its_order(env):
    assert len(env.tasks) == 10
    assert env.tasks[0] == "open the middle drawer of the cabinet"
    assert env.tasks[8] == "put the bowl on the plate"


def test_objects_stand_still_when_an_episode_starts(env):
    env.reset("8", 1, "train")
    scene = env.scene()
    assert all(np.abs(scene.velocity(name)[:3]).max() < 0.01 for name in scene.objects)
    assert all(scene.clearance(name) < 0.003 for name in scene.objects)


def test_one_episode_judges_every_goal_of_the_scene(env):
    env.reset("7", 0, "train")
    assert not any(env.predicate(goal) for goal in env.tasks)
    data = env.scene()._data
    data.joint("flat_stove_1_button").qpos = 0.6
    data.joint("wooden_cabinet_1_middle_level").qpos = -0.15
    env._world.sim.forward()
    assert env.success()
    assert env.predicate("open the middle drawer of the cabinet")
    assert not env.predicate("put the bowl on the plate")


def test_a_stove_that_was_on_is_off_after_a_reset(env):
    env.reset("7", 0, "train")
    env.scene()._data.joint("flat_stove_1_button").qpos = 0.6
    env.apply(np.zeros(7))
    assert env.success()
    env.reset("7", 0, "train")
    assert not env.success()


def test_an_observation_has_proprioception_the_last_action_and_no_simulator_state(env):
    env.reset("0", 0, "train")
    env.apply(np.full(7, 2.0))
    seen = env.observe()
    assert seen.t == pytest.approx(0.05)
    assert seen.proprio.shape == (19,)
    assert seen.proprio.dtype == np.float32
    assert np.array_equal(seen.action, np.ones(7, np.float32))
    assert seen.images == ()
    fields = [getattr(seen, field.name) for field in dataclasses.fields(seen)]
    assert all(type(value).__module__.split(".")[0] in ("builtins", "numpy", "stretto") for value in fields)
    assert not any(hasattr(seen, name) for name in ("scene", "env", "world"))
    assert seen.proprio.base is None or not np.shares_memory(seen.proprio, env.scene()._data.qpos)


@pytest.mark.parametrize("bad", [np.zeros(6), np.array([0, 0, 0, 0, 0, 0, np.nan])])
def test_a_bad_action_is_refused(env, bad):
    env.reset("0", 0, "train")
    with pytest.raises((StrettoError, TypeError)):
        env.apply(bad)


def test_wrong_names_are_answered_with_the_nearest(env):
    with pytest.raises(StrettoError, match="Did you mean 'libero_goal'"):
        Libero.Config(suite="libero_gaol").build()
    with pytest.raises(StrettoError, match="Did you mean 'put the bowl on the plate'"):
        env.reset("put the bowl on a plate", 0)
    with pytest.raises(StrettoError, match="0 to 9"):
        env.reset("10", 0)
    with pytest.raises(StrettoError, match="Did you mean 'train'"):
        env.reset("0", 0, "trian")
    env.reset("0", 0)
    with pytest.raises(StrettoError, match="Did you mean 'front'"):
        env.render("fronts", 8, 8)
    with pytest.raises(StrettoError, match="Did you mean 'put the bowl on the plate'"):
        env.predicate("put the bowl on plate")


def test_an_env_without_an_episode_says_so():
    with pytest.raises(StrettoError, match="reset"):
        Libero.Config().build().observe()


def test_every_suite_of_the_package_is_known():
    assert {"libero_goal", "libero_spatial", "libero_object", "libero_10", "libero_90"} <= set(suites())


def test_pictures_show_the_scene_upright_at_the_time_of_the_state(env):
    env.reset("8", 0, "train")
    env.apply(np.zeros(7))
    front, wrist = env.observe(images=True).images
    assert (front.camera, wrist.camera) == env.cameras
    assert front.pixels.shape == (64, 64, 3)
    assert front.t == pytest.approx(0.05)
    assert front.pixels.std() > 10
    big = env.render("front", 96, 128).pixels.astype(float)
    assert big.shape == (96, 128, 3)
    table, wall = big[70:, 40:90].mean((0, 1)), big[:8].mean((0, 1))
    assert np.abs(table - wall).max() > 15


def test_it_fulfils_the_protocol(env):
    names = [name for name in vars(Env) if not name.startswith("_")]
    assert all(hasattr(env, name) for name in names)


def test_physics_works_quietly_without_a_gl_and_a_picture_says_what_to_install():
    code = (
        "from stretto.envs.libero import Libero\n"
        "import numpy as np\n"
        "env = Libero.Config().build(); env.reset('0', 0); env.apply(np.zeros(7)); env.observe()\n"
        "try:\n    env.render('front', 8, 8)\n"
        "except ValueError as error:\n    assert 'libegl1' in str(error), error\n"
        "else:\n    raise SystemExit('rendered')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MUJOCO_GL": "disable"}, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_leaving_out_what_is_not_in_view_changes_no_pixel(env, camera, monkeypatch):
    env.reset("8", 3, "dev")
    rng = np.random.default_rng(0)
    for _ in range(6):
        for _ in range(5):
            env.apply(rng.uniform(-1, 1, 7))
        culled = env.render(camera, 64, 96).pixels.copy()
        with monkeypatch.context() as every:
            every.setattr("stretto.envs.pictures.in_view", lambda model, *_: np.ones(model.ngeom, bool))
            assert np.array_equal(culled, env.render(camera, 64, 96).pixels)


def test_a_control_period_equals_the_suites_own_bit_for_bit(env):
    def states(advance):
        env.reset("3", 5, "train")
        rng = np.random.default_rng(1)
        found = []
        for turn in range(60):
            if turn % 10 == 0:
                action = rng.uniform(-1, 1, 7)
                action[2] = -abs(action[2])
            advance(env._world, action)
            data = env._world.sim.data._data
            found.append(np.concatenate([env.state(), data.xpos.ravel(), data.qacc_warmstart]))
        return np.array(found)

    assert np.array_equal(states(step), states(lambda world, action: world.step(action)))
