"""The flight recorder: what breaks a session is kept, told and replayed, and the arm stands."""

import errno
import json
import os
import pickle
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stretto.agents.random import Random
from stretto.agents.zero import Zero
from stretto.cli.main import main
from stretto.core import signals
from stretto.core.clock import VirtualClock, WallClock
from stretto.core.errors import StrettoError
from stretto.core.signals import Act, ActionChunk, Event, Kind, Observation, Output, Sound, Speech
from stretto.envs.dummy import Dummy
from stretto.runtime.delays import Delays, NoDelays
from stretto.runtime.flight import Fault, Recorded, agent_name, line, replay
from stretto.runtime.flight_file import Flight, Frame, read_flight, same, write_flight
from stretto.runtime.process import WorldProcess
from stretto.runtime.world import World
from stretto.sessions import live
from stretto.sessions.live import Live, run_live
from stretto.sessions.session import Session, SessionFault
from stretto.sessions.users.script import Cue, Script

BREAKS_AT = 12
DUMMY = {"env": "dummy", "suite": "dummy", "expert": ""}


class Broken(Dummy):
    """The dummy world whose `stream` (proprio or action) is NaN from tick 12 on."""

    stream = "proprio"

    def observe(self, images=False):
        view = super().observe(images)
        if view.t < 0.2 * BREAKS_AT - 1e-6:
            return view
        values = getattr(view, self.stream).copy()
        values[2] = np.nan
        return replace(view, **{self.stream: values})


class Watching(Random):
    """Moves at random and remembers what it saw."""

    def start(self, context):
        self.seen = []
        return super().start(context)

    def step(self, obs, state):
        self.seen.append(obs)
        return super().step(obs, state)


class Raises(Random):
    """Fails at tick 12 as a network does."""

    def step(self, obs, state):
        if obs.tick == BREAKS_AT:
            raise ValueError("mat1 and mat2 shapes cannot be multiplied")
        return super().step(obs, state)


class Emits(Random):
    """Puts out `output` at tick 12."""

    def __init__(self, output):
        super().__init__(Random.Config())
        self.output = output

    def step(self, obs, state):
        out, state = super().step(obs, state)
        return (self.output if obs.tick == BREAKS_AT else out), state


def run(agent, folder, broken="", cues=(), seconds=4.0):
    """A session on the dummy world; its flights go to `folder`."""
    world = World.Config(**DUMMY, cameras_hz=5.0, camera_size=16).build()
    if broken:
        world.env = Broken(Dummy.Config())
        world.env.stream = broken
    config = Session.Config(flight=Recorded.Config(folder=str(folder)))
    delays = Delays({"agent_step": [0.05], "render": [0.03]})
    session = config.build(world, agent, VirtualClock(), delays)
    return session.run(Script.Config().build(list(cues)), "0", seed=1, seconds=seconds)


def faulted(agent, folder, **how):
    """The fault of a session that breaks."""
    with pytest.raises(SessionFault) as caught:
        run(agent, folder, **how)
    return caught.value


def flight_of(fault):
    return read_flight(path_of(fault))


def path_of(fault):
    return Path(re.search(r"are in (\S+\.npz)", str(fault))[1])


def chunk(values, rate=20.0, start=2.4):
    return ActionChunk(values=values, rate=rate, start=start)


# What must never reach the agent, and never leave it


@pytest.mark.parametrize("stream", ["proprio", "action"])
def test_an_observation_with_nan_never_reaches_the_agent(tmp_path, stream):
    agent = Watching(Random.Config())
    fault = faulted(agent, tmp_path, broken=stream)
    assert [obs.tick for obs in agent.seen] == list(range(1, BREAKS_AT))
    for words in (f"Tick {BREAKS_AT} (2.40 s)", f"{stream}[2] = nan (1 of 7 numbers)", "did not get it"):
        assert words in str(fault)


def test_sound_with_nan_never_reaches_the_agent(tmp_path):
    samples = np.full(8_000, 0.1, np.float32)
    samples[4_000] = np.nan
    said = Speech(text="go", sound=Sound(samples=samples, rate=16_000), words=(signals.Word("go", 0.0, 0.5),))
    fault = faulted(Zero(), tmp_path, cues=[Cue(intent="instruct", speech=said, wait_s=1.0)])
    assert "sound[800] = nan (1 of 3200 numbers)" in str(fault)
    assert "Tick 7 (1.40 s)" in str(fault)
    assert np.isfinite(fault.trace.microphone.samples).all()
    assert np.isnan(flight_of(fault).frames[-1].obs.sound.samples[800])


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Output(chunk=chunk(np.full((8, 7), np.inf))), "action chunk[0, 0] = inf (56 of 56 numbers)"),
        (Output(chunk=chunk(np.zeros((8, 6)))), "shape (8, 6) where (steps, 7)"),
        (Output(chunk=chunk(np.zeros((8, 7)), rate=0.0)), "0.0 Hz"),
        (Output(chunk=chunk(np.zeros((8, 7)), start=np.nan)), "from nan s"),
        (
            Output(speech=(Speech(text="a", sound=Sound(samples=np.full(9, np.nan, np.float32), rate=9), words=()),)),
            "speech[0] = nan",
        ),
    ],
)
def test_an_output_that_cannot_be_played_never_leaves_the_agent(tmp_path, output, words):
    fault = faulted(Emits(output), tmp_path)
    assert words in str(fault)
    assert f"Tick {BREAKS_AT}" in str(fault)
    assert np.isfinite([step.action for step in fault.trace.steps]).all()
    assert same(flight_of(fault).frames[-1].output, output)


def test_whatever_an_agent_raises_is_told_with_its_line(tmp_path):
    fault = faulted(Raises(Random.Config()), tmp_path)
    assert "the agent 'raises' raised ValueError: mat1 and mat2" in str(fault)
    assert "test_flight.py, line" in str(fault)
    assert "ValueError" in json.loads(path_of(fault).with_suffix(".json").read_text())["traceback"]


# How the session ends


def test_after_a_fault_the_arm_is_given_zero_commands_for_a_second(tmp_path):
    fault = faulted(Watching(Random.Config()), tmp_path, broken="proprio")
    after = [step for step in fault.trace.steps if step.t >= 2.4 - 1e-6]
    assert len(after) == 20
    assert all(step.halted and not step.action[:6].any() for step in after)
    assert any(step.action[:6].any() for step in fault.trace.steps[:48])


@pytest.mark.slow
def test_a_world_that_paces_itself_is_halted_too(tmp_path):
    config = Session.Config(flight=Recorded.Config(folder=str(tmp_path)))
    with WorldProcess(World.Config(**DUMMY)) as world, pytest.raises(SessionFault) as caught:
        config.build(world, Raises(Random.Config()), WallClock(), NoDelays()).run(Script.Config().build([]), "0", 1)
    halted = [step for step in caught.value.trace.steps if step.halted]
    assert halted[0].t - 2.4 < 0.2
    assert len(halted) >= 15
    assert not any(step.action[:6].any() for step in halted)


def test_the_trace_of_a_broken_session_tells_of_the_fault_and_the_halt(tmp_path):
    trace = faulted(Watching(Random.Config()), tmp_path, broken="proprio").trace
    assert [(event.source, event.t) for event in trace.of(Kind.FAULT)] == [("session", pytest.approx(2.4))]
    assert trace.of(Kind.ACTION_HALTED)[0].t == pytest.approx(2.4)
    assert trace.seconds == pytest.approx(2.4)
    assert trace.microphone.seconds == pytest.approx(2.4)


def test_a_world_that_breaks_too_does_not_hide_the_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(World, "post", lambda *_: None)
    whole = World.advance

    def advance(world, to):
        if to > 3.0:
            raise StrettoError("the world failed")
        return whole(world, to)

    monkeypatch.setattr(World, "advance", advance)
    fault = faulted(Raises(Random.Config()), tmp_path)
    assert "mat1" in str(fault)
    assert [event.source for event in fault.trace.of(Kind.FAULT)] == ["session", "world"]


def test_a_disk_that_refuses_does_not_hide_the_fault(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    fault = faulted(Raises(Random.Config()), tmp_path)
    assert "mat1" in str(fault)
    assert "could not be kept" in str(fault)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_crosses_from_one_process_to_another(tmp_path):
    fault = faulted(Raises(Random.Config()), tmp_path)
    other = pickle.loads(pickle.dumps(fault))
    assert str(other) == str(fault)
    assert other.trace.seconds == fault.trace.seconds


def test_a_session_without_a_fault_writes_nothing(tmp_path):
    trace = run(Zero(), tmp_path)
    assert not trace.of(Kind.FAULT)
    assert list(tmp_path.iterdir()) == []


# What is kept


def test_the_last_ten_seconds_are_kept_with_pictures_and_no_more(tmp_path):
    recorder = Recorded.Config(seconds=2.0, folder=str(tmp_path)).build(Zero(), "a/b c")
    world = World.Config(**DUMMY, cameras_hz=5.0, camera_size=16).build()
    session = Session.Config(flight=recorder.config).build(
        world, Zero(), VirtualClock(), Delays({"agent_step": [0.0], "render": [0.0]})
    )
    session.run(Script.Config().build([]), "0", seed=1, seconds=5.0)
    flight = read_flight(session.recorder.write(tmp_path / "now.npz"))
    assert [frame.obs.tick for frame in flight.frames] == list(range(16, 26))
    assert all(frame.obs.images and frame.obs.sound.seconds == pytest.approx(0.2) for frame in flight.frames)
    assert flight.context["tasks"] == Dummy.tasks


def test_the_file_is_named_by_the_session_and_the_tick(tmp_path):
    path = path_of(faulted(Raises(Random.Config()), tmp_path))
    assert path == tmp_path / "raises-go-left-dev-seed-1-tick12.npz"
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.with_suffix(".json").name, path.name]
    facts = json.loads(path.with_suffix(".json").read_text())
    assert (facts["first_tick"], facts["last_tick"]) == (1, 12)


def test_an_agent_that_writes_into_what_it_got_does_not_change_what_is_kept(tmp_path):
    class Scribbles(Random):
        def step(self, obs, state):
            obs.proprio[:] = 77
            if obs.tick == BREAKS_AT:
                raise ValueError
            return super().step(obs, state)

    flight = flight_of(faulted(Scribbles(Random.Config()), tmp_path))
    assert max(np.abs(frame.obs.proprio).max() for frame in flight.frames) <= 1.0


def test_everything_that_flows_comes_back_exactly(tmp_path, tone):
    obs = Observation(
        t=0.4,
        tick=2,
        proprio=np.array([1.5, np.nan], np.float32),
        action=np.zeros(7, np.float32),
        images=(signals.Image(camera="front", t=0.3, pixels=np.arange(48, dtype=np.uint8).reshape(4, 4, 3)),),
        sound=Sound(samples=np.array([0.25], np.float32), rate=16_000),
        text="typed “é”",
        events=(Event(kind=Kind.FAULT, t=0.1, source="world", text="x", data={"list": (1, 2), "n": None}),),
    )
    output = Output(
        heard="a",
        say="b",
        speech=(tone("one two"),),
        hush=True,
        act=Act.HALT,
        chunk=chunk(np.arange(14, dtype=np.float64).reshape(2, 7)),
        skill=(signals.SkillRequest(verb="start", goal="go left"),),
    )
    flight = Flight(session="s", agent="zero", context={"tasks": ("a",), "seed": 3}, frames=(Frame(obs, output),))
    back = read_flight(write_flight(flight, tmp_path / "f.npz", {}))
    assert same(back.frames[0].output, output)
    assert back.context == flight.context
    found = back.frames[0].obs
    assert np.array_equal(found.proprio, obs.proprio, equal_nan=True)
    assert found.proprio.dtype == np.float32
    assert np.array_equal(found.images[0].pixels, obs.images[0].pixels)
    assert (found.text, found.events, found.playback) == (obs.text, obs.events, obs.playback)
    assert not same(replace(output, hush=False), output)
    assert not same(replace(output, chunk=chunk(np.zeros((2, 7)))), output)


# Replay


def test_a_replay_puts_out_what_the_session_put_out_and_ends_with_the_same_error(tmp_path):
    fault = faulted(Raises(Random.Config()), tmp_path)
    flight = flight_of(fault)
    ticks = replay(flight, Raises(Random.Config()))
    lines = [line(*next(ticks)) for _ in range(BREAKS_AT - 1)]
    with pytest.raises(Fault) as again:
        next(ticks)
    assert all(told.endswith("(as recorded)") for told in lines)
    assert str(again.value) == flight.fault
    assert str(fault).startswith(flight.fault)


def test_a_replay_of_another_agent_says_what_differs(tmp_path):
    flight = flight_of(faulted(Raises(Random.Config()), tmp_path))
    told = [line(frame, output) for frame, output in replay(flight, Zero())]
    assert told[0] == "tick 1 (0.20 s):  nothing  (not as recorded)"


def test_only_an_agent_with_a_name_gets_a_command(tmp_path):
    assert agent_name(Random.Config().build()) == "random"
    assert "stretto run" not in str(faulted(Raises(Random.Config()), tmp_path))


class _Here(World):
    """A world in this process where a session from names wants one in its own."""

    def __init__(self, config):
        super().__init__(config)
        self.env = Broken(Dummy.Config())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.make_safe()


@pytest.fixture
def broken_world(tmp_path, monkeypatch):
    """`stretto run` on a world that breaks at tick 12, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "WorldProcess", _Here)
    return tmp_path


@pytest.mark.slow
def test_a_run_that_breaks_prints_the_command_that_replays_it(broken_world, capsys):
    arguments = ["run", "--task", "dummy:0", "--agent", "random", "--clock", "lockstep", "--say", "go"]
    assert main([*arguments, "--out", "out/run"]) == 2
    shown = capsys.readouterr()
    head, *events = [json.loads(text) for text in (broken_world / "out/run/events.jsonl").read_text().splitlines()]
    assert head["session"] == "random"
    assert {"fault", "action halted"} <= {event["kind"] for event in events}
    assert (broken_world / "out/run/score.png").stat().st_size > 5_000
    assert (broken_world / "out/run/session.mp4").stat().st_size > 5_000
    command = re.search(r"Replay them: (stretto run .*)", shown.err)[1]
    assert command.startswith("stretto run --agent random --replay out/flight/random-go-left-dev-seed-0-tick12.npz")
    assert main(shlex.split(command)[1:]) == 2
    again = capsys.readouterr()
    assert again.out.count("(as recorded)") == BREAKS_AT - 1
    assert (
        again.err.strip().removeprefix("stretto run: ")
        == read_flight(next((broken_world / "out/flight").glob("*.npz"))).fault
    )
    assert again.err.strip() in shown.err
    assert shown.out.count("Replay them") == 0


def test_a_flight_is_written_on_demand(broken_world):
    run_live(
        Live(task="dummy:0", agent="random", clock="lockstep", seconds=1.0, flight="kept.npz"),
        Script.Config().build([]),
    )
    assert len(read_flight(broken_world / "kept.npz").frames) == 5


@pytest.mark.parametrize("how", ["missing", "text", "cut", "format", "other npz"])
def test_a_file_that_is_no_flight_says_what_was_expected(tmp_path, capsys, how):
    flight = Flight(session="s", agent="zero", context={}, frames=())
    good = write_flight(flight, tmp_path / "good.npz", {})
    path = tmp_path / "bad.npz"
    if how == "missing":
        path = tmp_path / "god.npz"
    elif how == "text":
        path.write_text("hello")
    elif how == "cut":
        path.write_bytes(good.read_bytes()[:-40])
    elif how == "format":
        np.savez(path, flight=np.frombuffer(b'{"format": 9}', np.uint8))
    else:
        np.savez(path, x=np.zeros(3))
    assert main(["run", "--agent", "zero", "--replay", str(path)]) == 2
    words = {"missing": "Did you mean 'good.npz'", "format": "format 1, got 9"}.get(how, "Expected a flight")
    assert words in capsys.readouterr().err
