"""A session that is visited from outside: sound pushed in, what happens handed out, orders, bounded memory."""

import numpy as np
import pytest

from stretto.agents.scripted import Plan, Scripted
from stretto.agents.zero import Zero
from stretto.core.clock import VirtualClock
from stretto.core.signals import Kind, Output, Sound
from stretto.runtime.delays import NoDelays
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.door import Door, Flow, Visitor
from stretto.sessions.microphone import Microphone
from stretto.sessions.session import Session

DUMMY = {"env": "dummy", "suite": "dummy", "expert": "dummy"}


def run(agent, seconds=4.0, visitor=None, act=lambda flow, door: None, **settings):
    """(trace, flows) of a session on the virtual clock whose outside answers each flow by `act`."""
    flows: list[Flow] = []

    def send(flow):
        flows.append(flow)
        act(flow, door)

    door = Door(send, **settings)
    world = World.Config(**DUMMY, cameras_hz=5.0).build()
    session = Session.Config(voice_rate=16_000).build(world, agent, VirtualClock(), NoDelays(), (), door)
    return session.run(visitor or Visitor(), "0", seed=1, seconds=seconds), flows


class Talker(Zero):
    """Says a sentence at tick 3 and remembers what it observed."""

    def __init__(self, speech):
        self.speech, self.seen = speech, []

    def step(self, obs, state):
        self.seen.append(obs)
        return Output(speech=(self.speech,) if obs.tick == 3 else ()), state


def test_the_flows_hold_all_that_happened_once_and_in_order(tone):
    trace, flows = run(Talker(tone("one two three")))
    voice = np.concatenate([flow.voice for flow in flows])
    assert np.array_equal(voice[: len(trace.voice.samples)], trace.voice.samples)
    assert [e for flow in flows for e in flow.events] == trace.events
    assert [step.t for flow in flows for step in flow.steps] == [step.t for step in trace.steps]
    assert len([flow for flow in flows if flow.tick]) == 20
    assert {image.camera for flow in flows for image in flow.images} == {"front", "wrist"}
    ends = [flow.t for flow in flows]
    assert ends == sorted(ends)
    assert max(np.diff(ends)) < 0.081


def test_each_voice_begins_where_the_one_before_it_ended(tone):
    _, flows = run(Talker(tone("one two three")))
    for before, flow in zip(flows, flows[1:], strict=False):
        assert flow.voice_t == pytest.approx(before.voice_t + len(before.voice) / 16_000, abs=1e-4)


def test_the_agent_observes_what_happened_between_its_ticks(tone):
    agent = Talker(tone("one two three"))
    run(agent)
    kinds = [event.kind for obs in agent.seen for event in obs.events]
    assert kinds == [Kind.SPEECH_STARTED, Kind.SPEECH_STOPPED]


def test_a_hush_from_outside_cuts_the_sentence(tone):
    def act(flow, door):
        if abs(flow.t - 1.0) < 0.01:
            door.order("hush")

    trace, _ = run(Talker(tone("one two three four")), act=act)
    assert [event.text for event in trace.of(Kind.SPEECH_CUT)] == ["one"]


def test_the_agent_is_told_what_the_listener_has_heard_who_is_late(tone):
    agent = Talker(tone("one two three"))
    run(agent, act=lambda flow, door: setattr(door, "lag_s", 0.5))
    heard = {round(obs.t, 1): obs.playback.heard for obs in agent.seen}
    assert heard[1.4] == "one"
    assert heard[2.4] == "one two three"


def test_a_halt_from_outside_stops_the_arm():
    def act(flow, door):
        if flow.t > 0.6 and not door.halted:
            door.halted = True
            door.order("halt")

    Door.halted = False
    trace, _ = run(Scripted.Config().build([Plan(t=0.2, goal="go left")]), act=act)
    del Door.halted
    assert measures.first_stand(trace.steps, 0.5) == pytest.approx(0.7, abs=0.06)


def test_a_closed_door_ends_the_session():
    def act(flow, door):
        door.closed = flow.t > 1.0

    assert run(Zero(), seconds=1e9, act=act)[0].seconds == pytest.approx(1.2)


def test_typed_lines_reach_the_agent_one_a_tick_and_a_flood_is_refused(tone):
    agent, visitor = Talker(tone("one")), Visitor(longest=3)
    assert [visitor.type(f"line {n}") for n in range(5)] == [True, True, True, False, False]
    run(agent, visitor=visitor)
    assert [obs.text for obs in agent.seen if obs.text] == ["line 0", "line 1", "line 2"]


def test_a_session_of_minutes_keeps_only_the_last_of_them():
    trace, flows = run(Zero(), seconds=60.0, keep_s=10.0)
    assert len(trace.steps) <= 20 * 21
    assert len(trace.images) <= 10 * 21
    assert trace.microphone.seconds <= 21
    assert trace.voice.seconds <= 21
    assert sum(len(flow.steps) for flow in flows) == 1200


class Ears:
    """A microphone whose time is set by hand."""

    def __init__(self, **settings):
        self.t = 0.0
        self.ear = Microphone(**settings)
        self.ear.open(lambda: self.t)


def ramp(start, n):
    return np.arange(start, start + n, dtype=np.float32) / 1_000_000


def test_pieces_that_come_unevenly_are_laid_end_to_end():
    ears = Ears()
    for number, t in enumerate([0.0, 0.15, 0.15, 0.15, 0.15]):
        ears.t = t
        ears.ear.push(ramp(1 + 480 * number, 480))
    heard = ears.ear.read(0.0, 0.2)
    assert not heard[: round(0.04 * 16_000)].any()
    assert np.array_equal(heard[heard > 0], ramp(1, 5 * 480))


def test_after_a_gap_the_stream_goes_on_at_its_own_time():
    ears = Ears()
    ears.ear.push(ramp(1, 1600))
    ears.ear.read(0.0, 1.0)
    ears.t = 2.0
    ears.ear.push(ramp(1, 1600))
    heard = ears.ear.read(1.0, 3.0)
    assert np.flatnonzero(heard)[0] == round(1.04 * 16_000)


def test_of_a_flood_the_newest_is_kept_and_the_loss_is_told():
    ears = Ears(ahead_s=0.5)
    lost = sum(ears.ear.push(ramp(1 + 1600 * n, 1600)) for n in range(100))
    heard = ears.ear.read(0.0, 5.0)
    assert lost == pytest.approx(10.0 - 0.5, abs=0.05)
    assert np.array_equal(heard[heard > 0], ramp(1, 160_000)[-round(0.54 * 16_000) :][-np.count_nonzero(heard) :])


def test_taps_hear_at_once():
    ears, seen = Ears(), []
    ears.ear.taps.append(lambda t, samples: seen.append((t, len(samples))))
    ears.ear.push(ramp(1, 480))
    ears.ear.push(ramp(1, 480))
    assert seen == [(0.04, 480), (0.07, 480)]


def test_a_sound_mixed_in_lies_beside_the_stream():
    ears = Ears()
    ears.ear.push(np.full(1600, 0.25, np.float32))
    ears.ear.add(0.04, Sound(samples=np.full(1600, 0.25, np.float32), rate=16_000))
    assert np.isclose(ears.ear.read(0.0, 0.2).max(), 0.5)
