"""The duplex agent at debug size in a live session: on time, repeatable, forked, and refusing what it cannot take."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stretto.agents.duplex import Duplex
from stretto.agents.sizes import size
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context
from stretto.core.signals import Act, Image, Kind, Observation, Playback, Sound
from stretto.envs.dummy import Dummy
from stretto.look.encoders.conv import ConvTokens
from stretto.runtime.delays import Delays, NoDelays
from stretto.runtime.flight import Recorded
from stretto.runtime.flight_file import read_flight
from stretto.runtime.jobs import DrawnJobs
from stretto.runtime.world import World
from stretto.sessions.session import Session, SessionFault
from stretto.sessions.users.script import Cue, Script

BREAKS_AT = 12


class Watched(Duplex):
    """Remembers what it put out."""

    def start(self, context):
        self.outputs = []
        return super().start(context)

    def step(self, obs, state):
        output, state = super().step(obs, state)
        self.outputs.append(output)
        return output, state


class Broken(Dummy):
    """The dummy world whose proprioception is NaN from tick 12 on."""

    def observe(self, images=False):
        view = super().observe(images)
        if view.t < 0.2 * BREAKS_AT - 1e-6:
            return view
        return replace(view, proprio=np.full_like(view.proprio, np.nan))


def network():
    """The debug network for the dummy world: 16 px cameras, seven numbers of proprioception; a head that reads.

    An untrained flow head reads nothing, its gates are zero: they are opened here.
    """
    config = size("debug")
    eye = ConvTokens.Config(size=16, tokens=4, width=16, channels=(8, 8, 16))
    made = replace(config, eye=eye, proprio=7, layout=replace(config.layout, camera_tokens=4)).build()
    made.head.table.data = torch.randn(made.head.table.shape, generator=torch.Generator().manual_seed(0))
    return made


def agent_of(kind=Duplex, **config):
    return kind(Duplex.Config(size="debug", live=False, **config), network())


def run(agent, seconds=3.0, seed=1, cues=(), world=Dummy, **config):
    where = World.Config(env="dummy", suite="dummy", expert="", cameras_hz=2.5, camera_size=16).build()
    where.env = world(Dummy.Config())
    delays = Delays({"duplex_step": [0.05, 0.09], "render": [0.03], "first_audio": [0.3]}, seed=seed)
    session = Session.Config(**config).build(where, agent, VirtualClock(), delays)
    return session.run(Script.Config().build(list(cues)), "0", seed=seed, seconds=seconds)


def observation(tick, pixels=100, rate=16_000, side=16):
    t = round(0.2 * tick, 3)
    rng = np.random.default_rng(tick)
    seen = np.full((side, side, 3), pixels, np.uint8)
    return Observation(
        t=t,
        tick=tick,
        proprio=rng.normal(size=7).astype(np.float32),
        action=np.zeros(7, np.float32),
        images=tuple(Image(camera=name, t=t, pixels=seen) for name in ("front", "wrist")),
        sound=Sound(samples=rng.normal(size=rate // 5).astype(np.float32) / 10, rate=rate),
    )


def context(tick_s=0.2):
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    return Context(tasks=("go",), tick_s=tick_s, control_hz=20.0, actions=7, seed=3, jobs=jobs)


@pytest.mark.parametrize("name", ["debug", "debug-listener", "debug-duplex"])
def test_every_small_size_runs_live_with_finite_chunks(name):
    agent = Duplex.Config(weights="", size=name).build()
    state, side = agent.start(context()), agent.network.eye.config.size
    for tick in range(1, 6):
        output, state = agent.step(replace(observation(tick, side=side), proprio=np.ones(19, np.float32)), state)
        assert output.act in (Act.MOVE, Act.HALT)
        assert output.chunk is None or np.isfinite(output.chunk.values).all()


@pytest.mark.slow
def test_thirty_seconds_on_time_with_chunks_and_acts(tone):
    """Half a minute of talk and silence: no tick late, an act token a tick, a chunk every second one, and it moves."""
    agent = agent_of(Watched)
    cues = [Cue(intent="instruct", speech=tone("go left"), wait_s=1.0), Cue(intent="instruct", typed="stop", wait_s=9)]
    trace = run(agent, seconds=30.0, cues=cues)
    assert len(trace.ticks) == 150
    assert not [event for event in trace.events if event.kind in (Kind.DEADLINE_MISSED, Kind.FAULT)]
    assert {output.act for output in agent.outputs} <= {Act.MOVE, Act.HALT}
    chunks = [output.chunk for output in agent.outputs]
    assert [chunk is not None for chunk in chunks] == [number % 2 == 0 for number in range(150)]
    assert all(chunk.values.shape == (16, 7) and np.abs(chunk.values).max() <= 1 for chunk in chunks if chunk)
    assert np.ptp(trace.positions(), axis=0).max() > 0.01 or all(o.act is Act.HALT for o in agent.outputs)


def test_the_same_seed_repeats_bit_for_bit():
    one, two, other = (agent_of(Watched, temperature=1.0) for _ in range(3))
    first, second, third = run(one, 1.6), run(two, 1.6), run(other, 1.6, seed=2)
    assert np.array_equal(first.positions(), second.positions())
    for a, b in zip(one.outputs, two.outputs, strict=True):
        assert a.act is b.act
        assert (a.chunk is None and b.chunk is None) or np.array_equal(a.chunk.values, b.chunk.values)
    assert not np.array_equal(one.outputs[0].chunk.values, other.outputs[0].chunk.values)
    assert len(third.ticks) == len(first.ticks)


def chunks_of(act):
    agent = agent_of()
    agent.network.tables["act"].bias.data[agent.layout.vocabularies["act"].id(act)] = 100.0
    state, chunks = agent.start(context()), []
    for tick in range(1, 4):
        output, state = agent.step(observation(tick), state)
        chunks.append(output.chunk)
    return agent, chunks


def test_a_chunk_continues_the_actions_that_are_committed():
    agent, chunks = chunks_of("<move>")
    assert chunks[1] is None
    gone, count = round((chunks[2].start - chunks[0].start) * 20), agent.config.committed
    assert np.allclose(chunks[2].values[:count], chunks[0].values[gone : gone + count], atol=1e-6)
    assert not np.allclose(chunks[2].values[count:8], chunks[0].values[gone + count : gone + 8])


def test_an_arm_that_was_halted_is_taken_to_stand_on_for_a_while():
    agent, chunks = chunks_of("<halt>")
    for chunk in (chunks[0], chunks[2]):
        assert not chunk.values[: agent.config.standing, :6].any()
        assert chunk.values[agent.config.standing, :6].any()


def test_a_forked_state_goes_its_own_way_and_the_first_does_not_notice():
    def through(agent, state, ticks, pixels):
        found = []
        for tick in ticks:
            output, state = agent.step(observation(tick, pixels), state)
            found += [] if output.chunk is None else [output.chunk.values]
        return np.array(found), state

    agent = agent_of()
    begun, state = through(agent, agent.start(context()), range(1, 7), 100)
    wanted, _ = through(agent, agent.fork(state), range(7, 13), 100)
    fork = agent.fork(state)
    strange, _ = through(agent, fork, range(7, 13), 250)
    found, _ = through(agent, state, range(7, 13), 100)
    assert np.array_equal(found, wanted)
    assert not np.array_equal(strange, wanted)
    assert len(begun) == 3


@pytest.mark.parametrize("words", ["", "abc"])
def test_under_the_control_given_words_take_the_place_of_what_is_heard(words):
    class Letters:
        def encode(self, text, special=False):
            return [3] if special else [ord(letter) - ord("a") for letter in text]

        heard = encode

        def push(self, ids, waiting):
            return "".join(chr(ord("a") + each) for each in ids), b""

    agent = agent_of(temperature=1.0)
    agent.network.text = Letters()
    controlled = agent.with_heard(words)
    heard = {}
    for each in (agent, controlled):
        state = each.start(context())
        heard[each] = ""
        for tick in range(1, 13):
            output, state = each.step(observation(tick), state)
            heard[each] += output.heard
    assert heard[controlled] == words
    assert len(heard[agent]) > 3


@pytest.mark.parametrize(("queued", "phrases", "speaks"), [(3.9, 1, True), (4.1, 0, False), (0.0, 2, False)])
def test_while_much_speech_waits_to_be_played_or_made_no_more_is_said(queued, phrases, speaks):
    class Dots:
        def encode(self, text, special=False):
            return [3]

        def push(self, ids, waiting):
            return "." * len(ids), b""

    class Endless:
        def result(self):
            return None

    agent = agent_of(temperature=1.0, ahead_s=4.0)
    agent.network.text, agent.voice = Dots(), None
    state, said = replace(agent.start(context()), speaking=(Endless(),) * phrases), ""
    for tick in range(1, 9):
        playback = Playback(speaking=True, queued_s=queued)
        output, state = agent.step(replace(observation(tick), playback=playback), state)
        said += output.say
    assert (len(said) > 3) if speaks else (said == "")


def test_an_observation_with_nan_ends_the_session_and_leaves_a_flight_to_replay(tmp_path):
    with pytest.raises(SessionFault, match=rf"Tick {BREAKS_AT} .*proprio\[0\] = nan") as caught:
        run(agent_of(), world=Broken, flight=Recorded.Config(folder=str(tmp_path)))
    path = Path(re.search(r"are in (\S+\.npz)", str(caught.value))[1])
    command = json.loads(path.with_suffix(".json").read_text())["replay"]
    assert command in str(caught.value)
    assert re.fullmatch(rf"stretto run --agent duplex .*--replay {re.escape(str(path))}", command)
    flight = read_flight(path)
    assert flight.agent == "duplex"
    assert flight.frames[-1].obs.tick == BREAKS_AT
    stood = [step.action for step in caught.value.trace.steps if step.t > 0.2 * BREAKS_AT + 0.2]
    assert stood
    assert not np.any([action[:6] for action in stood])


def test_sound_of_another_rate_is_refused():
    agent = agent_of()
    with pytest.raises(StrettoError, match="Expected sound at 16000 Hz, got 44100 Hz"):
        agent.step(observation(1, rate=44_100), agent.start(context()))


def test_another_robots_proprioception_is_refused():
    agent = agent_of()
    agent.network.config = replace(agent.network.config, proprio=9)
    with pytest.raises(StrettoError, match=r"Expected 9 numbers of proprioception, got \d+ in tick"):
        agent.step(observation(1), agent.start(context()))


def test_a_session_with_another_tick_is_refused():
    with pytest.raises(StrettoError, match="'tick200' has ticks of 0.2 s, the session of 0.1 s"):
        run(agent_of(), tick_s=0.1)


def test_pictures_of_another_size_are_refused():
    agent = agent_of()
    state = agent.start(context())
    with pytest.raises(StrettoError, match=r"\(..., 3, 16, 16\), got \(2, 3, 24, 24\)"):
        agent.step(observation(1, side=24), state)


def test_an_unknown_size_is_refused_with_the_nearest():
    with pytest.raises(StrettoError, match="Did you mean 'tiny'"):
        Duplex.Config(weights="", size="tinny", live=False).build()
