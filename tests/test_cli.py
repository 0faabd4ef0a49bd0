"""The command line: what a person types, right and wrong, on the dummy world."""

import errno
import json
import os
import signal
import subprocess
import sys

import av
import numpy as np
import pytest

from stretto.cli.main import VERBS, main
from stretto.core.signals import Sound
from stretto.core.sound import write_sound
from stretto.sessions import live

pytestmark = pytest.mark.slow

DUMMY = ["run", "--task", "dummy:0", "--agent", "zero", "--clock", "lockstep", "--seconds", "1"]


def fails(capsys, *arguments):
    """The error text of a command that must exit with 2."""
    assert main(list(arguments)) == 2
    return capsys.readouterr().err


def test_run_writes_film_score_and_events(tmp_path, capsys):
    assert main([*DUMMY, "--say", "go left", "--out", str(tmp_path)]) == 0
    with av.open(str(tmp_path / "session.mp4")) as film:
        assert film.streams.video
        assert film.streams.audio[0].channels == 2
    assert (tmp_path / "score.png").stat().st_size > 5_000
    head, *events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert head["clock"] == "lockstep"
    assert [event["text"] for event in events if event["kind"] == "user typed"] == ["go left"]
    assert "you: go left" in capsys.readouterr().out


def test_a_second_run_in_the_same_folder_replaces_the_first(tmp_path):
    for text in ("go left", "go right"):
        assert main([*DUMMY, "--say", text, "--out", str(tmp_path), "--no-film"]) == 0
    assert "go right" in (tmp_path / "events.jsonl").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.jsonl", "score.png"]


def test_run_takes_a_wav(tmp_path):
    rng = np.random.default_rng(0)
    wav = write_sound(tmp_path / "said.wav", Sound(samples=rng.normal(0, 0.1, 8_000).astype(np.float32), rate=8_000))
    assert main([*DUMMY, "--audio", str(wav), "--out", str(tmp_path / "out"), "--no-film"]) == 0
    assert "said.wav" in (tmp_path / "out" / "events.jsonl").read_text()


def test_an_unknown_verb_offers_the_nearest(capsys):
    assert "Did you mean 'demo'" in fails(capsys, "dmo")


def test_an_unknown_agent_offers_the_nearest(capsys, tmp_path):
    arguments = ["run", "--agent", "cascad", "--say", "x", "--out", str(tmp_path)]
    assert "Did you mean 'cascade'" in fails(capsys, *arguments)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("libero_gaol:8", "Did you mean 'libero_goal'"),
        ("libero_goal", "SUITE:NUMBER"),
        ("libero_goal:eight", "SUITE:NUMBER"),
        ("libero_goal:10", "0 to 9"),
    ],
)
def test_a_wrong_task_says_what_was_expected(capsys, tmp_path, task, words):
    arguments = ["run", "--task", task, "--agent", "zero", "--clock", "lockstep", "--say", "x", "--no-film"]
    assert words in fails(capsys, *arguments, "--out", str(tmp_path))


def test_a_missing_wav_is_named(capsys, tmp_path):
    (tmp_path / "hello.wav").write_bytes(b"")
    text = fails(capsys, *DUMMY, "--audio", str(tmp_path / "helo.wav"), "--out", str(tmp_path))
    assert "hello.wav" in text


def test_a_wrong_clock_offers_the_clocks(capsys, tmp_path):
    assert "virtual" in fails(
        capsys, "run", "--clock", "virtul", "--say", "x", "--agent", "zero", "--out", str(tmp_path)
    )


def test_a_folder_that_cannot_be_written_is_refused_before_the_session(capsys):
    assert "--out" in fails(capsys, *DUMMY, "--say", "x", "--out", "/proc/nothing/here")


def test_a_full_disk_leaves_no_half_written_file(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "No space left" in fails(capsys, *DUMMY, "--say", "x", "--no-film", "--out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]  # the log, written as things happened


def test_without_a_latency_card_the_virtual_clock_says_how_to_make_one(capsys, tmp_path, monkeypatch):
    def none():
        raise live.StrettoError("There is no latency card. Make one with `stretto bench latency`.")

    monkeypatch.setattr("stretto.runtime.delays.find_card", none)
    text = fails(capsys, "run", "--task", "dummy:0", "--agent", "zero", "--say", "x", "--out", str(tmp_path))
    assert "stretto bench latency" in text


def test_without_egl_physics_runs_and_pictures_say_what_to_install(tmp_path):
    env = {**os.environ, "MUJOCO_GL": "disable"}
    command = [
        sys.executable,
        "-m",
        "stretto.cli.main",
        "run",
        "--agent",
        "zero",
        "--clock",
        "lockstep",
        "--seconds",
        "1",
    ]
    command += ["--say", "x", "--out", str(tmp_path)]
    with_film = subprocess.run(command, env=env, capture_output=True, text=True)
    assert with_film.returncode == 2
    assert "libegl1" in with_film.stderr
    without = subprocess.run([*command, "--no-film"], env=env, capture_output=True, text=True)
    assert without.returncode == 0, without.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(capsys, verb):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text or verb in ("train", "serve")


def test_show_prints_the_settings(capsys):
    assert main(["show", "env", "dummy"]) == 0
    assert "image_size = 16" in capsys.readouterr().out


def test_ctrl_c_in_a_live_run_ends_it_and_halts_the_arm(tmp_path):
    code = (  # a shell's background jobs ignore Ctrl-C, and so would what they start
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from stretto.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "run", "--task", "dummy:0", "--agent", "random", "--say", "x"]
    command += ["--clock", "wall", "--no-film", "--seconds", "60", "--out", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().startswith("running")
        log = tmp_path / "events.jsonl"
        while not log.exists() or "user typed" not in log.read_text():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        errors = running.stderr.read()
    assert running.returncode == 130
    assert "halted" in errors
    assert "user typed" in (tmp_path / "events.jsonl").read_text()


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--seed", "-1"], ["--delays", "-1"]])
def test_numbers_out_of_range_say_what_was_expected(capsys, tmp_path, wrong):
    arguments = ["run", "--task", "dummy:0", "--agent", "zero", "--say", "x", "--out", str(tmp_path), *wrong]
    assert "Expected seconds above 0" in fails(capsys, *arguments)
