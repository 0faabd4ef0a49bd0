import subprocess
import sys

import numpy as np
import pytest

from stretto.agents.cascade import Cascade
from stretto.agents.zero import Zero
from stretto.core import registry
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Utterance
from stretto.core.signals import Act, ActionChunk, Kind, Output, Sound, Speech, Word
from stretto.core.sound import level_dbfs
from stretto.data.voices import speaker
from stretto.runtime.delays import Delays
from stretto.runtime.echo import BLOCK, EchoCanceller
from stretto.runtime.process import WorldProcess
from stretto.runtime.reflex import Reflex, ReflexProcess
from stretto.runtime.world import Alarm, World
from stretto.sessions import measures
from stretto.sessions.guard import Guard, OwnVoice
from stretto.sessions.session import Session
from stretto.sessions.users.script import Cue, Script
from stretto.think.meant import alone, meant

DUMMY = {"env": "dummy", "suite": "dummy", "expert": "dummy"}
RATE = 16_000


@pytest.fixture
def reflex(monkeypatch):
    monkeypatch.setitem(registry.TABLE["listening"], "loud", "fake_spotter:Loud")
    return Reflex.Config(spotter="loud").build()


def bang(seconds=0.2):
    samples = np.full(round(seconds * RATE), 0.9, np.float32)
    word = Word("stop", 0.0, seconds)
    return Speech(text="stop", sound=Sound(samples=samples, rate=RATE), words=(word,), speaker="bang")


def moving(world, seconds=5.0):
    world.reset("0", 0)
    values = np.full((round(seconds / world.dt), 7), 0.5)
    world.post(ActionChunk(values=values, rate=1 / world.dt, start=0.0), 0.0)
    return world


# -- the world


def test_an_alarm_halts_within_one_control_period_and_says_so():
    world = moving(World.Config(**DUMMY).build())
    world.post(Alarm("stop"), 0.512)
    report = world.advance(2.0)
    assert measures.first_stand(report.steps, 0.0) == pytest.approx(0.55)
    assert [(e.kind, e.text) for e in report.events] == [(Kind.ACTION_HALTED, "reflex: stop")]


def test_a_move_decided_before_the_alarm_does_not_undo_it():
    world = moving(World.Config(**DUMMY).build())
    world.post(Alarm("stop"), 0.5)
    world.post(Act.MOVE, 0.52)
    assert world.advance(1.0).steps[-1].halted
    world.post(Act.MOVE, 1.0)
    assert not world.advance(1.2).steps[-1].halted


def test_an_alarm_while_halted_is_told_again():
    world = moving(World.Config(**DUMMY).build())
    world.post(Act.HALT, 0.1)
    world.post(Alarm("wait"), 0.5)
    halts = [e.text for e in world.advance(1.0).events]
    assert halts == ["", "reflex: wait"]


# -- the path


def test_words_come_with_their_session_times(reflex):
    """Pieces of any size; the word's frame ends 32 ms after it began, here at 3.0 + 0.5 s."""
    sound = np.zeros(RATE, np.float32)
    sound[8_000:9_000] = 0.9
    found = []
    for begin in range(0, RATE, 700):
        found += reflex.hear(3.0 + begin / RATE, sound[begin : begin + 700])
    assert len(found) == 1
    assert 3.5 <= found[0].t <= 3.5 + 0.032


def test_after_a_gap_time_begins_anew(reflex):
    reflex.hear(0.0, np.zeros(1_600, np.float32))
    found = reflex.hear(9.0, np.full(1_600, 0.9, np.float32))
    assert 8.9 <= found[0].t <= 9.1


def test_sound_that_is_not_finite_is_refused(reflex):
    with pytest.raises(StrettoError, match="not a number"):
        reflex.hear(0.0, np.full(512, np.nan, np.float32))


def test_the_own_voice_does_not_halt(reflex):
    """A loud voice out of the loudspeaker is taken out once the way is learned; without it the same sound halts."""
    source = np.random.default_rng(0)
    voice = (0.4 * source.standard_normal(6 * RATE)).clip(-1, 1).astype(np.float32)
    echo = np.concatenate([np.zeros(320, np.float32), 0.9 * voice])[: len(voice)]
    reflex.play(0.0, voice)
    late = [word.t for word in reflex.hear(0.0, echo) if word.t > 3.0]
    assert late == []
    reflex.start()
    assert [word.t for word in reflex.hear(0.0, echo) if word.t > 3.0]


# -- echo


def test_echo_goes_and_a_person_stays():
    source = np.random.default_rng(1)
    voice = (0.2 * source.standard_normal(400 * BLOCK)).astype(np.float32)
    way = np.zeros(2_000, np.float32)
    way[[350, 700, 1_500]] = 0.5, 0.2, 0.1
    echo = np.convolve(voice, way)[: len(voice)].astype(np.float32)
    half = len(voice) // 2
    person = np.zeros_like(voice)
    person[half : half + 8_000] = (0.1 * source.standard_normal(8_000)).astype(np.float32)
    cleaned = EchoCanceller.Config().build().clean(echo + person, voice)
    assert level_dbfs(echo[-8_000:]) - level_dbfs(cleaned[-8_000:]) > 20
    spoken = slice(half, half + 8_000)
    assert abs(level_dbfs(cleaned[spoken]) - level_dbfs(person[spoken])) < 2


def test_silence_of_the_voice_changes_nothing():
    heard = np.random.default_rng(0).standard_normal(BLOCK * 5).astype(np.float32)
    assert np.array_equal(EchoCanceller.Config().build().clean(heard, np.zeros_like(heard)), heard)


def test_echo_of_other_lengths_is_refused():
    with pytest.raises(StrettoError, match="whole number of blocks"):
        EchoCanceller.Config().build().clean(np.zeros(100, np.float32), np.zeros(100, np.float32))
    with pytest.raises(StrettoError, match="whole 20 ms"):
        OwnVoice(0.125)


# -- sessions


class Witness(Zero):
    """Remembers the events it was told, and releases the arm `after` seconds after an alarm."""

    privileged = True

    def __init__(self, after=None):
        self.told, self.after, self.alarm = [], after, None

    def step(self, obs, state):
        self.told += obs.events
        for event in obs.events:
            if event.kind is Kind.ACTION_HALTED:
                self.alarm = event.t
        chunk = None
        if obs.tick == 1:
            chunk = ActionChunk(values=np.full((200, 7), 0.3), rate=20.0, start=obs.t)
        if self.after is not None and self.alarm is not None and obs.t >= self.alarm + self.after:
            self.alarm = None
            return Output(act=Act.MOVE, chunk=ActionChunk(values=np.full((60, 7), 0.3), rate=20.0, start=obs.t)), state
        return Output(chunk=chunk), state


def session(agent, reflex, wait_s=1.03, **config):
    delays = Delays({"agent_step": [0.0], "spotter": [0.004], "render": [0.0]})
    world = World.Config(**DUMMY).build()
    made = Session.Config(**config).build(world, agent, VirtualClock(), delays, (), None, reflex)
    cue = Cue(intent="stop", speech=bang(), wait_s=wait_s)
    return made.run(Script.Config().build([cue]), "0", 0, seconds=4.0)


@pytest.mark.parametrize("wait_s", [1.0, 1.013, 1.049])
def test_a_word_halts_the_arm_before_the_agent_knows_of_it(reflex, wait_s):
    """Within a frame, the spotter's delay and a control period, at any phase; and the agent hears of it."""
    agent = Witness()
    trace = session(agent, reflex, wait_s)
    stand = measures.first_stand(trace.steps, 0.5)
    assert 0 <= stand - wait_s <= 0.032 + 0.004 + 0.05
    assert [e.text for e in agent.told if e.kind is Kind.ACTION_HALTED] == ["reflex: stop"]


def test_the_agent_releases(reflex):
    trace = session(Witness(after=0.3), reflex)
    resumed = trace.of(Kind.ACTION_RESUMED)
    assert len(resumed) == 1
    assert resumed[0].t - trace.of(Kind.ACTION_HALTED)[0].t < 0.6
    assert not trace.steps[-20].halted


def test_a_release_gives_the_arm_back_where_it_was(reflex):
    """No step after the release is longer than one of steady motion, and none goes back."""
    positions = measures.positions(session(Witness(after=0.3), reflex).steps)[:, 0]
    steps = np.diff(positions)
    assert steps.max() <= steps[8] + 1e-6
    assert steps[8] > 0
    assert steps.min() >= 0


def test_a_session_without_a_reflex_does_not_halt():
    trace = session(Witness(), None)
    assert not trace.of(Kind.ACTION_HALTED)


def test_a_reflex_that_dies_halts_the_arm_and_says_so():
    class Dead(ReflexProcess):
        def __init__(self):
            pass

        def alarms(self):
            raise StrettoError("The reflex's process has ended: no word stops the arm any more.")

        def start(self):
            pass

    posted = []
    guard = Guard(Dead(), lambda command, at: posted.append(command), VirtualClock(), Delays({}))
    guard.begin(0, -65.0)
    assert [event.kind for event in guard.check(1.0)] == [Kind.FAULT]
    assert posted == [Act.HALT]
    assert guard.check(2.0) == []


# -- the process


def test_the_reflex_and_the_spotter_run_without_torch():
    code = (
        "import sys, numpy as np\n"
        "from stretto.runtime.reflex import Reflex\n"
        "reflex = Reflex.Config().build()\n"
        "reflex.hear(0.0, np.zeros(16_000, np.float32))\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_the_process_raises_the_flag_and_tells():
    from multiprocessing import get_context

    flag = get_context("spawn").Value("b", 0, lock=False)
    with ReflexProcess(Reflex.Config(), flag) as process:
        process.start()
        process.hear(0.0, np.full(1_600, np.nan, np.float32))
        process._process.join(timeout=60)
        with pytest.raises(StrettoError, match="not a number"):
            process.alarms()
    assert flag.value == 1, "a reflex that fails halts the arm"


@pytest.mark.slow
def test_the_flag_halts_each_time_and_is_taken_down():
    with WorldProcess(World.Config(**DUMMY)) as world:
        world.reset("0", 0)
        world.post(ActionChunk(values=np.full((100, 7), 0.5), rate=20.0, start=0.0), 0.0)
        world.advance(0.5)
        world.flag.value = 1
        steps = world.advance(1.0).steps
        assert steps[0].halted
        assert world.flag.value == 0
        world.post(Act.MOVE, 1.0)
        assert not world.advance(1.2).steps[-1].halted


# -- what was meant


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Stop!", True),
        ("Could you stop that, please?", True),
        ("Hey robot, hold on.", True),
        ("I said stop.", True),
        ("Whoa, robot!", True),
        ("I will stop by tomorrow.", False),
        ("I will stop", False),
        ("The bus stop is over there.", False),
        ("No need to stop.", False),
        ("The waiter brought the soup.", False),
        ("Hold on to my hat.", False),
        ("Emma is a very careful driver.", False),
        ("Put the bowl on the plate.", None),
        ("", None),
    ],
)
def test_a_word_is_a_command_or_only_told_of(text, asked):
    assert meant(text) is asked


def test_up_to_three_words_are_alone():
    assert alone("Stock.")
    assert not alone("put the bowl there")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "released"), [("I will stop by the office later.", True), ("Could you stop that, please?", False)]
)
def test_the_cascade_releases_what_was_not_meant_and_confirms_what_was(monkeypatch, text, released):
    """Within a second of the halt; a stop that was meant stays one."""
    monkeypatch.setitem(registry.TABLE["listening"], "timed", "fake_spotter:Timed")
    speech = speaker("flite-kal").speak(text)
    said = 1.5
    end = said + next(word.end for word in speech.words if word.text == "stop")
    reflex = Reflex.Config(spotter="timed", weights=f"{end + 0.05:.3f}").build()
    parts = {
        "agent_step": 0.003,
        "recognise": 0.6,
        "intent": 0.001,
        "first_audio": 0.3,
        "spotter": 0.004,
        "glance": 0.2,
    }
    delays = Delays({part: [seconds] for part, seconds in parts.items()})
    world = World.Config(**DUMMY).build()
    made = Session.Config().build(world, Cascade.Config().build(), VirtualClock(), delays, (), None, reflex)
    cues = [Cue(intent="instruct", typed="go right", wait_s=0.2)]
    trace = made.run(Both(cues, Utterance(t=said, intent="hard", speech=speech)), "0", 0, seconds=5.0)
    halts, resumed = trace.of(Kind.ACTION_HALTED), trace.of(Kind.ACTION_RESUMED)
    assert halts[0].text == "reflex: stop"
    assert bool(resumed) is released
    if released:
        assert resumed[0].t - halts[0].t <= 1.0


class Both:
    """A script, and one thing said at its own time."""

    def __init__(self, cues, said):
        self.script, self.said = Script.Config().build(cues), said

    def observe(self, t, until, events):
        if self.said is not None and t <= self.said.t < until:
            said, self.said = self.said, None
            return said
        return self.script.observe(t, until, events)
