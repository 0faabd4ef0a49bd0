"""Recording: an episode is what happened, once per seed, and a second call makes only what is missing."""

import numpy as np
import pytest

from stretto.cli.main import main
from stretto.core.signals import Kind
from stretto.data.lerobot import LeRobotReader
from stretto.data.voices import speakers
from stretto.sessions.recording import Recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recording():
    return Recording.Config(env="dummy", suite="dummy", expert="dummy", image_size=32).build()


def test_the_expert_begins_after_the_sentence_and_reaches_the_goal(recording):
    episode = recording.record(0, seed=3)
    end = next(event.t for event in episode.events if event.kind is Kind.USER_STOPPED)
    moved = np.abs(episode.steps.action[:, :6]).max(axis=1) > 0
    assert episode.steps.t[moved][0] >= end
    assert episode.steps.success[-1]
    assert episode.task == "go left"


def test_state_and_action_stand_in_the_order_of_cause(recording):
    """proprio[k] is what held when action[k] was applied."""
    episode = recording.record(0, seed=3)
    moved = np.diff(episode.steps.proprio[:, 0])
    assert np.allclose(moved, 0.0125 * episode.steps.action[:-1, 0], atol=1e-6)


def test_one_seed_makes_one_episode_sound_included(recording):
    one, other = recording.record(1, seed=4), recording.record(1, seed=4)
    assert np.array_equal(one.steps.proprio, other.steps.proprio)
    assert np.array_equal(one.heard_sound.samples, other.heard_sound.samples)
    assert one.versions["speaker"] == other.versions["speaker"]
    assert one.versions["clock"] == "lockstep"


def test_only_training_speakers_speak_in_training(recording):
    assert {recording.record(0, seed=s).versions["speaker"] for s in range(4)} <= set(speakers("train"))


def test_both_voices_are_stored(recording):
    episode = recording.record(0, seed=3)
    assert np.abs(episode.heard_sound.samples).max() > 0.05
    assert np.abs(episode.spoken_sound.samples).max() > 0.05


def test_a_second_call_makes_only_what_is_missing(tmp_path, capsys):
    command = ["record", "--task", "dummy", "--workers", "2", "--out", str(tmp_path)]
    assert main([*command, "--episodes", "2"]) == 0
    assert main([*command, "--episodes", "3"]) == 0
    assert "1 episodes made, 3 in" in capsys.readouterr().out
    reader = LeRobotReader(tmp_path)
    assert sorted(reader.row(i)["stretto/seed"] for i in range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "dumy"], "Did you mean 'dummy'"),
        (["--task", "dummy:7"], "0 to 2"),
        (["--task", "dummy", "--episodes", "0"], "at least one"),
        (["--task", "dummy", "--split", "tran"], "Did you mean 'train'"),
        (["--task", "dummy", "--out", "/proc/nothing"], "Cannot write"),
    ],
)
def test_wrong_settings_say_what_was_expected(capsys, arguments, words):
    assert main(["record", *arguments]) == 2
    assert words in capsys.readouterr().err
