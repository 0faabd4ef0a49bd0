"""The demo's script, and what is left of a session: captions, score, the telling."""

from dataclasses import replace

import numpy as np
import pytest

from stretto.agents.scripted import Plan, Scripted
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.signals import Act, Event, Kind, Sound, Speech
from stretto.data.talk import GOALS
from stretto.runtime.delays import Delays
from stretto.runtime.world import World
from stretto.sessions.demo import demo_cues, demo_over
from stretto.sessions.film import arm_states, captions, film_seconds, sound_track, write_film
from stretto.sessions.report import tell
from stretto.sessions.score import draw_score, drawable, stops
from stretto.sessions.session import Session
from stretto.sessions.trace import Tick
from stretto.sessions.users.script import Cue, Script

pytestmark = pytest.mark.slow

TASKS = tuple(GOALS)


@pytest.fixture(scope="module")
def trace():
    """Go left, cut off while answering, halted for a stop, released."""
    from stretto.core.signals import Word

    def tone(text):
        words = tuple(Word(word, 0.4 * i, 0.4 * i + 0.3) for i, word in enumerate(text.split()))
        wave = np.sin(np.arange(6400 * len(words)) / 10).astype(np.float32) * 0.3
        return Speech(text=text, sound=Sound(samples=wave, rate=16_000), words=words, speaker="tone")

    cues = [
        Cue(intent="instruct", speech=tone("go left"), wait_s=0.2),
        Cue(intent="stop", speech=tone("stop"), after=Kind.ACTION_STARTED, wait_s=0.0),
    ]
    plan = [
        Plan(t=1.2, goal="go left", speech=tone("okay I will go left")),
        Plan(t=1.8, act=Act.HALT),
        Plan(t=4.0, act=Act.MOVE),
    ]
    world = World.Config(env="dummy", suite="dummy", expert="dummy", film_hz=10.0, film_size=64).build()
    session = Session.Config().build(
        world, Scripted.Config().build(plan), VirtualClock(), Delays({"agent_step": [0.0], "render": [0.0]})
    )
    return session.run(Script.Config().build(cues), "0", seed=1, seconds=6.0)


@pytest.mark.parametrize(("early", "said_at"), [(True, 1.5), (False, 3.3)])
def test_a_halt_in_the_middle_of_the_sentence_counts_where_the_cue_says_so(early, said_at):
    """The sentence ends at 1.3 s, the arm halts at 0.9; the next line comes 0.2 s after both, or when patience ends."""
    speech = Speech(text="stop moving", sound=Sound(samples=np.zeros(20_800, np.float32), rate=16_000), words=())
    cues = [
        Cue(intent="stop", speech=speech, wait_s=0.0),
        Cue(intent="go_on", typed="go on", after=Kind.ACTION_HALTED, wait_s=0.2, patience_s=2.0, early=early),
    ]
    script, halted = Script.Config().build(cues), Event(kind=Kind.ACTION_HALTED, t=0.9, source="session")
    found = [script.observe(k / 5, (k + 1) / 5, (halted,) if k == 5 else ()) for k in range(20)]
    assert [round(each.t, 3) for each in found if each] == [0.0, said_at]


def test_one_seed_makes_one_script_and_another_seed_another():
    one, same, other = (demo_cues(TASKS, seed) for seed in (1, 1, 2))
    assert [(cue.speech.text, cue.wait_s) for cue in one] == [(cue.speech.text, cue.wait_s) for cue in same]
    assert [cue.wait_s for cue in one] != [cue.wait_s for cue in other]


def test_the_script_instructs_asks_instructs_stops_goes_on_and_switches():
    assert [cue.intent for cue in demo_cues(TASKS, 4)] == [
        "instruct",
        "ask_scene",
        "instruct",
        "stop",
        "go_on",
        "switch",
    ]


def test_the_demo_is_over_a_while_after_its_last_task(trace):
    """Here the only task is begun before the last thing is said: what is completed then is not the last task."""
    assert not demo_over(3)(trace), "a third thing is still to be said"
    assert not demo_over(2)(trace), "nothing was begun after the last thing was said"
    assert demo_over(1)(replace(trace, utterances=trace.utterances[:1], ticks=[*trace.ticks, Tick(9.0, 9.0, 9.0)]))


GOALS = (Kind.ACTION_STARTED, Kind.ACTION_SWITCHED, Kind.ACTION_COMPLETED)


def test_captions_say_who_said_what_and_when(trace):
    assert [(line.who, line.text) for line in captions(trace)] == [
        ("you", "go left"),
        ("robot", "okay I will go left"),
        ("you", "stop"),
    ]


def test_the_arms_states_are_told_from_its_events(trace):
    assert [name for _, name in arm_states(trace)] == ["waiting", "go left", "halted", "go left", "waiting"]


def test_the_goal_of_an_arm_that_a_policy_moves_is_told_by_its_agent(trace):
    told = [replace(event, source="agent") if event.kind in GOALS else event for event in trace.events]
    stop = Event(kind=Kind.ACTION_HALTED, t=0.01, source="agent")
    begun = next(event.t for event in told if event.kind is Kind.ACTION_STARTED)
    moves = Event(kind=Kind.ACTION_RESUMED, t=begun + 0.01, source="world")
    assert arm_states(replace(trace, events=[stop, moves, *told])) == arm_states(trace), "and nothing is told twice"


def test_the_person_is_on_the_left_and_the_robot_on_the_right(trace):
    left, right = sound_track(trace)
    early = round(0.3 * 44_100), round(0.9 * 44_100)
    assert np.abs(left[slice(*early)]).max() > 0.1
    assert np.abs(right[slice(*early)]).max() == 0


def test_the_film_has_picture_and_sound_as_long_as_the_session(trace, tmp_path):
    picture, sound, frames = film_seconds(write_film(trace, tmp_path / "session.mp4", fps=10))
    assert picture == pytest.approx(trace.seconds, abs=0.2)
    assert sound == pytest.approx(trace.seconds, abs=0.2)
    assert frames == 60


def test_a_session_that_was_not_filmed_says_how_to_film_it(tmp_path):
    world = World.Config(env="dummy", suite="dummy", expert="").build()
    session = Session.Config().build(
        world, Scripted.Config().build([]), VirtualClock(), Delays({"agent_step": [0.0], "render": [0.0]})
    )
    dark = session.run(Script.Config().build([]), "0", seed=1, seconds=1.0)
    with pytest.raises(StrettoError, match="film_hz"):
        write_film(dark, tmp_path / "session.mp4", fps=10)


def test_the_score_draws_the_stop_from_the_words_end_to_the_stand(trace, tmp_path):
    (word_end, stand), *_ = stops(trace)
    assert stand == pytest.approx(1.8)
    assert word_end == pytest.approx(trace.utterances[1].t + 0.3)
    assert draw_score(trace, tmp_path / "score.png").stat().st_size > 10_000


def test_the_score_draws_whatever_an_agent_says(trace, tmp_path):
    """Half a formula, other scripts, line breaks: what an untrained language model says."""
    odd = Event(kind=Kind.SPEECH_STARTED, t=1.0, source="session", text="[turedernunden#c{presump} $$[\n\u5b4a $x_{")
    strange = replace(trace, events=[*trace.events, odd])
    assert draw_score(strange, tmp_path / "score.png").stat().st_size > 10_000
    assert drawable(odd.text) == "[turedernunden#c{presump} $$[ \u25a1 $x_{"


def test_the_telling_has_a_line_for_what_was_said_and_one_for_what_came_of_it(trace):
    lines = tell(trace).splitlines()
    assert len(lines) == 5
    assert "go left" in lines[0]
    assert "[arm starts]" in lines[1]
    assert "stop latency" in lines[-1]
