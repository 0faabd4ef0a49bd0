"""The cascade agent with real ears and a real voice, on the dummy world and on LIBERO."""

import pytest

from stretto.agents.cascade import Cascade
from stretto.core.clock import VirtualClock
from stretto.core.signals import Kind
from stretto.data.voices import speaker
from stretto.runtime.delays import Delays
from stretto.runtime.world import World
from stretto.sessions import measures
from stretto.sessions.score import stop_word_end
from stretto.sessions.session import Session
from stretto.sessions.users.script import Cue, Script

pytestmark = pytest.mark.slow

COSTS = {"agent_step": [0.01], "recognise": [0.4], "intent": [0.005], "first_audio": [0.15], "render": [0.03]}


@pytest.fixture(scope="module")
def agent():
    return Cascade.Config().build()


@pytest.fixture(scope="module")
def say():
    voice = speaker("festival-slt")
    return lambda text: voice.speak(text)


@pytest.fixture(scope="module")
def kitchen():
    world = World.Config().build()
    yield world
    world.close()


def converse(agent, world, cues, seconds, task="8", factor=1.0):
    session = Session.Config().build(world, agent, VirtualClock(), Delays(COSTS, factor))
    return session.run(Script.Config().build(cues), task, seed=2, seconds=seconds)


def said(trace):
    return [event.text for event in trace.of(Kind.SPEECH_STARTED)]


def test_a_spoken_instruction_is_heard_answered_and_done_and_nothing_moves_before_it_ends(agent, kitchen, say):
    trace = converse(agent, kitchen, [Cue(intent="instruct", speech=say("Put the bowl on the plate."))], 12.0)
    end = trace.of(Kind.USER_STOPPED)[0].t
    assert measures.displacement(trace.steps, 0.0, end) < 0.01
    assert measures.first_success(trace.steps) is not None
    assert said(trace) == ["Okay, I will put the bowl on the plate.", "Done."]


def test_stop_halts_the_moving_arm_and_go_on_finishes_the_task(agent, kitchen, say):
    stop = say("Stop!")
    cues = [
        Cue(intent="instruct", speech=say("Put the bowl on the plate.")),
        Cue(intent="stop", speech=stop, after=Kind.ACTION_STARTED, wait_s=0.6),
        Cue(intent="go_on", speech=say("Go on."), after=Kind.ACTION_HALTED, wait_s=2.5),
    ]
    trace = converse(agent, kitchen, cues, 20.0)
    word_end = trace.utterances[1].t + stop_word_end(stop.words, stop.end)
    assert measures.stop_latency(trace.steps, word_end) <= 2.0
    assert trace.of(Kind.SPEECH_CUT), "it was talked over and must hush"
    assert [e.kind for e in trace.of(Kind.ACTION_RESUMED, Kind.ACTION_COMPLETED)] == [
        Kind.ACTION_RESUMED,
        Kind.ACTION_COMPLETED,
    ]


def test_a_long_stop_sentence_halts_the_arm_before_it_has_ended(agent, kitchen, say):
    stop = say("Stop right there, please, and do not move.")
    cues = [
        Cue(intent="instruct", speech=say("Put the bowl on the plate.")),
        Cue(intent="stop", speech=stop, after=Kind.ACTION_STARTED, wait_s=0.4),
    ]
    trace = converse(agent, kitchen, cues, 14.0)
    halted = trace.of(Kind.ACTION_HALTED)[0].t
    assert halted < trace.utterances[1].t + stop.end
    assert said(trace)[-1] == "I have stopped."
    assert measures.stop_latency(trace.steps, halted) == 0


def test_a_stop_inside_another_sentence_is_released_when_the_sentence_is_understood(agent, kitchen, say):
    cues = [
        Cue(intent="instruct", speech=say("Put the bowl on the plate.")),
        Cue(intent="switch", speech=say("Stop that and turn on the stove."), after=Kind.ACTION_STARTED, wait_s=0.4),
    ]
    trace = converse(agent, kitchen, cues, 18.0)
    assert trace.of(Kind.ACTION_COMPLETED)[-1].text == "turn on the stove"


def test_a_question_is_answered_from_the_scene_while_the_arm_moves(agent, kitchen, say):
    cues = [
        Cue(intent="instruct", speech=say("Put the wine bottle on the rack.")),
        Cue(intent="ask_scene", speech=say("Is the stove on?"), after=Kind.ACTION_STARTED, wait_s=0.5),
    ]
    trace = converse(agent, kitchen, cues, 9.0)
    answer = trace.of(Kind.SCENE_ANSWER)[0]
    assert answer.text in said(trace)
    assert measures.speed_at(trace.steps, answer.t) > 0.05


def test_what_is_not_there_is_refused_and_the_arm_stays(agent, kitchen, say):
    trace = converse(agent, kitchen, [Cue(intent="defective", speech=say("Put the apple on the plate."))], 5.0)
    assert trace.of(Kind.ACTION_REJECTED)
    assert "apple" in said(trace)[0]
    assert measures.displacement(trace.steps, 0.0, 5.0) < 0.01


def test_another_task_is_switched_to_where_the_arm_is(agent, kitchen, say):
    cues = [
        Cue(intent="instruct", speech=say("Put the bowl on the plate.")),
        Cue(intent="switch", speech=say("No, turn on the stove."), after=Kind.ACTION_STARTED, wait_s=0.8),
    ]
    trace = converse(agent, kitchen, cues, 16.0)
    assert trace.of(Kind.ACTION_SWITCHED)[0].text == "turn on the stove"
    assert trace.of(Kind.ACTION_COMPLETED)[-1].text == "turn on the stove"


def test_typed_text_is_obeyed_like_sound(agent, kitchen):
    trace = converse(agent, kitchen, [Cue(intent="instruct", typed="turn on the stove")], 8.0, task="7")
    assert measures.first_success(trace.steps) is not None


def test_twice_the_delays_answer_later_and_the_same_seed_repeats(agent, kitchen, say):
    cues = [Cue(intent="instruct", speech=say("Turn on the stove."))]
    once, again, slow = (converse(agent, kitchen, cues, 5.0, "7", factor) for factor in (1.0, 1.0, 2.0))
    assert once.events == again.events
    assert slow.of(Kind.ACTION_STARTED)[0].t > once.of(Kind.ACTION_STARTED)[0].t


def test_silence_makes_it_neither_move_nor_speak(agent, kitchen):
    trace = converse(agent, kitchen, [], 4.0)
    assert said(trace) == []
    assert measures.displacement(trace.steps, 0.0, 4.0) < 0.01


def test_a_job_that_a_thread_finishes_between_two_looks_is_not_lost():
    from stretto.agents.cascade import _done

    class Late:
        asked = 0

        def result(self):
            self.asked += 1
            return "heard" if self.asked > 1 else None

    job = Late()
    assert _done((job,)) == ([], (job,))
    assert _done((job,)) == (["heard"], ())
