import json
from dataclasses import replace

import numpy as np
import pytest

from stretto.agents.random import Random
from stretto.agents.scripted import Plan, Scripted
from stretto.agents.zero import Zero
from stretto.core.clock import Lockstep, VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.signals import Act, ActionChunk, Event, Kind, Output, SkillRequest
from stretto.envs.dummy import SECRET, DummyScene
from stretto.runtime.delays import Delays, from_card
from stretto.runtime.observers import Deadlines, Latencies
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.session import Session, SessionFault
from stretto.sessions.users.script import Cue, Script

DUMMY = {"env": "dummy", "suite": "dummy", "expert": "dummy"}


def costs(step=0.05, **parts):
    return Delays({"agent_step": [step], "render": [0.03], **{k: [v] for k, v in parts.items()}})


def run(agent, cues=(), seconds=4.0, clock=None, delays=None, **world):
    session = Session.Config().build(
        World.Config(**{**DUMMY, **world}).build(), agent, clock or VirtualClock(), delays or costs()
    )
    return session.run(Script.Config().build(list(cues)), "0", seed=1, seconds=seconds)


class Probe(Zero):
    """Does what `act(obs)` says and remembers every observation."""

    def __init__(self, act=lambda obs: Output()):
        self.act, self.seen = act, []

    def step(self, obs, state):
        self.seen.append(obs)
        return self.act(obs), state


def test_the_zero_agent_leaves_the_arm_where_it_is():
    trace = run(Zero())
    assert measures.displacement(trace.steps, 0.0, 4.0) == 0
    assert len(trace.steps) == 80
    assert len(trace.ticks) == 20


def test_a_session_repeats_bit_for_bit():
    one, two = run(Random.Config().build()), run(Random.Config().build())
    assert np.array_equal(one.positions(), two.positions())
    assert np.array_equal(one.microphone.samples, two.microphone.samples)


def test_the_world_does_not_wait_for_the_agent():
    """An answer that takes 90 ms arrives 90 ms later: the first two control periods of its chunk are dropped."""

    def act(obs):
        values = np.zeros((8, 7))
        values[:, 0] = np.arange(1, 9) / 10
        return Output(chunk=ActionChunk(values=values, rate=20.0, start=obs.t)) if obs.tick == 1 else Output()

    trace = run(Probe(act), delays=costs(0.09))
    played = [round(float(step.action[0]), 2) for step in trace.steps[4:12]]
    assert played == [0.0, 0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def test_in_lockstep_the_world_waits():
    agent = Scripted.Config().build([Plan(t=0.2, goal="go left")])
    trace = run(agent, clock=Lockstep())
    assert trace.steps[4].action[0] != 0
    assert trace.clock == "lockstep"


def test_a_step_longer_than_a_tick_is_late_and_said_so():
    trace = run(Zero(), delays=costs(0.3))
    assert all(tick.late(0.2) for tick in trace.ticks)
    assert len(trace.of(Kind.DEADLINE_MISSED)) == 20
    assert trace.ticks[1].begun == pytest.approx(0.5)


def test_a_halt_stops_the_arm_and_voids_the_skills_steps():
    agent = Scripted.Config().build([Plan(t=0.2, goal="go left"), Plan(t=0.6, act=Act.HALT)])
    trace = run(agent, delays=costs(0.0))
    assert trace.steps[11].action[0] != 0
    assert measures.first_stand(trace.steps, 0.5) == pytest.approx(0.6)
    assert trace.of(Kind.ACTION_HALTED)[0].t == pytest.approx(0.6)


def test_after_a_release_the_skill_goes_on_to_its_goal():
    plan = [Plan(t=0.2, goal="go left"), Plan(t=0.6, act=Act.HALT), Plan(t=1.8, act=Act.MOVE)]
    trace = run(Scripted.Config().build(plan), delays=costs(0.0))
    assert measures.first_success(trace.steps) is not None
    assert [e.kind for e in trace.of(Kind.ACTION_RESUMED, Kind.ACTION_COMPLETED)] == [
        Kind.ACTION_RESUMED,
        Kind.ACTION_COMPLETED,
    ]


def test_the_microphone_hears_the_user_at_the_time_he_speaks(tone):
    agent = Probe()
    trace = run(agent, [Cue(intent="instruct", speech=tone("go left"), wait_s=1.0)])
    loud = np.abs(trace.microphone.samples) > 0.05
    assert np.argmax(loud) / 16_000 == pytest.approx(1.0, abs=0.01)
    heard = np.concatenate([obs.sound.samples for obs in agent.seen])
    assert np.array_equal(heard, trace.microphone.samples)


def test_no_transcript_and_no_user_event_reaches_the_agent(tone):
    agent = Probe()
    trace = run(agent, [Cue(intent="instruct", speech=tone("go left"), wait_s=1.0)])
    assert trace.of(Kind.USER_STARTED)
    assert not any(obs.events or obs.text for obs in agent.seen)


def reachable(thing, depth=8):
    """Everything that can be reached from an object through its attributes and items."""
    seen, todo = {}, [(thing, 0)]
    while todo:
        item, level = todo.pop()
        if id(item) in seen or level > depth:
            continue
        seen[id(item)] = item
        inner = list(getattr(item, "__dict__", {}).values())
        inner += list(item.values()) if isinstance(item, dict) else []
        inner += list(item) if isinstance(item, list | tuple | set) else []
        todo += [(child, level + 1) for child in inner]
    return list(seen.values())


def test_simulator_state_cannot_be_reached_from_what_an_agent_is_given():
    class Curious(Probe):
        def start(self, context):
            self.context = context

    agent = Curious()
    run(agent, cameras_hz=5.0, film_hz=10.0)
    found = reachable(agent.context) + [item for obs in agent.seen for item in reachable(obs)]
    assert not any(isinstance(item, World | DummyScene) for item in found)
    assert SECRET not in [item for item in found if isinstance(item, str)]


def test_an_agent_that_is_not_privileged_cannot_use_a_skill():
    agent = Probe(lambda obs: Output(skill=(SkillRequest(verb="start", goal="go left"),)))
    with pytest.raises(StrettoError, match="privileged"):
        run(agent)


def test_an_answer_about_the_scene_comes_back_as_an_event():
    class Asks(Probe):
        privileged = True

    agent = Asks(lambda obs: Output(skill=(SkillRequest(verb="ask", goal="where"),) if obs.tick == 1 else ()))
    run(agent)
    answers = [e for obs in agent.seen for e in obs.events if e.kind is Kind.SCENE_ANSWER]
    assert answers[0].text.startswith("I am at")


def test_pictures_come_by_turns_and_after_the_time_they_take():
    agent = Probe()
    run(agent, cameras_hz=5.0)
    images = [(obs.t, image) for obs in agent.seen for image in obs.images]
    assert {image.camera for _, image in images} == {"front", "wrist"}
    assert all(t >= image.t + 0.03 - 1e-9 for t, image in images)
    assert len({image.t for _, image in images}) == len(images)


def test_nan_actions_are_a_fault_and_the_arm_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def act(obs):
        return Output(chunk=ActionChunk(values=np.full((8, 7), np.nan), rate=20.0, start=obs.t))

    with pytest.raises(SessionFault) as caught:
        run(Probe(act))
    trace = caught.value.trace
    assert trace.of(Kind.FAULT)
    assert measures.displacement(trace.steps, 0.0, 4.0) == 0


def test_the_session_hushes_and_knows_what_was_heard(tone):
    def act(obs):
        return Output(speech=(tone("one two three four"),) if obs.tick == 1 else (), hush=obs.tick == 6)

    agent = Probe(act)
    trace = run(agent, delays=costs(0.0))
    assert trace.of(Kind.SPEECH_CUT)[0].text == "one two"
    assert agent.seen[-1].playback.heard == "one two"


def test_a_cue_waits_for_its_event_and_counts_from_there(tone):
    cues = [
        Cue(intent="instruct", speech=tone("go left"), wait_s=0.3),
        Cue(intent="stop", speech=tone("stop"), after=Kind.ACTION_STARTED, wait_s=0.5),
    ]
    trace = run(Scripted.Config().build([Plan(t=2.0, goal="go left")]), cues, delays=costs(0.0))
    assert [round(u.t, 2) for u in trace.utterances] == [0.3, 2.5]


def test_typed_text_reaches_the_agent_as_text():
    agent = Probe()
    run(agent, [Cue(intent="instruct", typed="go left", wait_s=1.0)])
    assert [obs.text for obs in agent.seen if obs.text] == ["go left"]


def test_a_part_that_nobody_measured_is_an_error_that_names_the_card():
    with pytest.raises(StrettoError, match="stretto bench latency"):
        Delays({}).draw("recognise")


def test_the_shipped_agents_own_step_counts_where_it_was_measured(tmp_path):
    def measured(card, **parts):
        rows = [{"row": "delay_s", "part": part, "value": value} for part, value in parts.items()]
        (tmp_path / f"{card}.rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return from_card(tmp_path / "latency.rows.jsonl").table

    measured("latency", render=0.03)
    assert measured("tick", duplex_step=0.08) == {"render": [0.03], "duplex_step": [0.08]}
    assert measured("tick-trained", duplex_step=0.09) == {"render": [0.03], "duplex_step": [0.09]}


def test_delays_scale_by_their_factor():
    table = {"recognise": [0.1, 0.2, 0.4]}
    half = [Delays(table, 0.5, seed=3).draw("recognise") for _ in range(1)]
    twice = [Delays(table, 2.0, seed=3).draw("recognise") for _ in range(1)]
    assert twice[0] == pytest.approx(4 * half[0])


def test_a_world_that_cannot_keep_up_slips_and_obeys_a_halt_at_once():
    world = World.Config(**DUMMY).build()
    world.reset("0", 1)
    world.post(SkillRequest(verb="start", goal="go left"), 0.0)
    world.advance(0.2)
    world.slip(5.0)
    world.post(Act.HALT, 4.0)
    world.step()
    report = world.take()
    assert report.steps[0].t == pytest.approx(5.0)
    assert report.steps[0].halted
    assert Kind.DEADLINE_MISSED in [event.kind for event in report.events]


def test_an_episode_begins_with_the_gripper_of_a_fresh_world_whatever_ran_before():
    def grip(obs):
        values = np.zeros((2, 7))
        values[:, 6] = 1.0
        return Output(chunk=ActionChunk(values=values, rate=20.0, start=obs.t))

    world = World.Config(**DUMMY).build()
    for agent in (Probe(grip), Zero()):
        session = Session.Config().build(world, agent, VirtualClock(), costs())
        trace = session.run(Script.Config().build([]), "0", seed=1, seconds=1.0)
    assert not trace.steps[0].action.any()


def test_a_user_may_begin_anywhere_within_a_tick(tone):
    trace = run(Zero(), [Cue(intent="instruct", speech=tone("go left"), wait_s=0.73)])
    assert trace.utterances[0].t == pytest.approx(0.73)


def test_an_agents_events_carry_the_time_they_were_delivered_and_its_name():
    forged = Event(kind=Kind.ACTION_COMPLETED, t=0.0, source="world", text="x")
    trace = run(Probe(lambda obs: Output(events=(forged,) if obs.tick == 2 else ())))
    event = trace.of(Kind.ACTION_COMPLETED)[0]
    assert (event.source, event.t) == ("agent", pytest.approx(0.45))


def test_observers_know_how_long_answers_took_and_what_came_too_late(tone):
    latencies, deadlines = Latencies(), Deadlines()

    class Hears(Scripted):
        def step(self, obs, state):
            out, state = super().step(obs, state)
            return replace(out, heard="go" if obs.tick == 4 else ""), state

    agent = Hears(Hears.Config(), [Plan(t=1.0, goal="go left", speech=tone("yes"))])
    session = Session.Config().build(
        World.Config(**DUMMY).build(), agent, VirtualClock(), costs(0.25), [latencies, deadlines]
    )
    cue = Cue(intent="instruct", speech=tone("go"), wait_s=0.3)
    trace = session.run(Script.Config().build([cue]), "0", seed=1, seconds=3.0)
    end = trace.utterances[0].t + 0.3
    assert latencies.first_audio() == [pytest.approx(trace.of(Kind.SPEECH_STARTED)[0].t - end)]
    assert latencies.first_action() == [pytest.approx(trace.of(Kind.ACTION_STARTED)[0].t - end)]
    assert len(deadlines.missed) == len(trace.ticks)
