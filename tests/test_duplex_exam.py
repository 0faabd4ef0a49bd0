"""The exam's draws, its person, its arms and controls, and agents that break."""

import time
from dataclasses import replace

import numpy as np
import pytest

from stretto.agents.checkpoint import find_weights
from stretto.agents.zero import Zero
from stretto.bench.card import Trial
from stretto.bench.card_workers import outcomes
from stretto.bench.duplex import arms, play, tables
from stretto.bench.duplex.facts import Truth
from stretto.bench.duplex.gallery import cut, worst
from stretto.bench.duplex.lost import lost_rows
from stretto.bench.duplex.pairs import HARD, pair
from stretto.bench.duplex.play import Exam
from stretto.bench.duplex.refusals import SPARE, VISUAL
from stretto.bench.duplex.scenario import Case, Sheet, paused
from stretto.bench.duplex.scenarios import SCENARIOS, ask_scene
from stretto.bench.duplex_cascade import DuplexCascade
from stretto.core.clock import VirtualClock
from stretto.core.errors import StrettoError
from stretto.core.protocols import Context
from stretto.core.rng import generator
from stretto.core.signals import (
    ActionChunk,
    Event,
    Image,
    Kind,
    Observation,
    Output,
    SkillRequest,
    Sound,
    Speech,
    Word,
)
from stretto.data import talk
from stretto.data.voices import speakers
from stretto.runtime.delays import NoDelays
from stretto.runtime.jobs import DrawnJobs
from stretto.runtime.world import World
from stretto.sessions.users.director import Director, Prompt, Reaction, acting, reached, stands
from stretto.sessions.watched import Watched

TASKS = tuple(talk.GOALS)
CONTEXT = Context(
    tasks=TASKS, tick_s=0.2, control_hz=20.0, actions=7, seed=0, jobs=DrawnJobs(VirtualClock(), NoDelays())
)


class Mouth:
    """A voice without an engine: a quarter of a second of noise a word."""

    def __init__(self):
        self.texts = []

    def speak(self, text, seed=0):
        self.texts.append(text)
        said = text.split()
        words = tuple(Word(word, 0.25 * k, 0.25 * k + 0.2) for k, word in enumerate(said))
        samples = generator(0, text).normal(0, 0.05, 4000 * len(said)).astype(np.float32)
        return Speech(text=text, sound=Sound(samples=samples, rate=16_000), words=words, speaker="mouth")


def case(scenario="instruct", number=0, split="dev", attempt=0):
    mouth = Mouth()
    return Case(scenario, number, split, TASKS, dict.fromkeys(speakers(split), mouth), attempt)


def lines(split):
    """Everything that is said in a few dozen cases of every scenario."""
    return {
        prompt.speech.text
        for name, scenario in SCENARIOS.items()
        for number in (0, 1, 5)
        for prompt in scenario.sheet(case(name, number, split)).prompts
        if not prompt.speech.text.startswith("[")
    }


def test_development_and_test_share_no_wording_no_speaker_no_placement_and_no_timing():
    assert not lines("dev") & lines("test")
    assert not set(speakers("dev")) & set(speakers("test"))
    dev, test = (SCENARIOS["stop"].sheet(case("stop", 3, split)) for split in ("dev", "test"))
    assert dev.prompts[1].wait_s != test.prompts[1].wait_s
    assert test.placement in range(50)
    assert dev.placement > 50


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_case_is_the_same_for_every_arm_and_another_for_every_number(name):
    one, same, other = (SCENARIOS[name].sheet(case(name, number)) for number in (4, 4, 5))
    assert [p.speech.text for p in one.prompts] == [p.speech.text for p in same.prompts]
    assert [p.wait_s for p in one.prompts] == [p.wait_s for p in same.prompts]
    assert one.placement == same.placement != other.placement


def test_a_redraw_changes_the_onset_and_nothing_else():
    one, two = (SCENARIOS["stop"].sheet(case("stop", 2, attempt=attempt)) for attempt in (0, 1))
    assert one.prompts[1].wait_s != two.prompts[1].wait_s
    assert one.placement == two.placement
    assert one.prompts[1].speech.text == two.prompts[1].speech.text


def test_four_in_ten_instructions_have_a_pause_of_the_asked_length_inside():
    gaps = []
    for number in range(100):
        words = case(number=number).instruct(TASKS[number % 10]).speech.words
        gaps.append(max(b.start - a.end for a, b in zip(words, words[1:], strict=False)))
    long = [gap for gap in gaps if gap > 0.3]
    assert 0.3 < len(long) / len(gaps) < 0.5
    assert all(0.4 <= gap - 0.05 <= 1.2 for gap in long)


def test_a_pause_moves_the_words_behind_it_and_only_those():
    speech = Mouth().speak("put the bowl on the stove")
    long = paused(speech, 1.0, generator(0, "pause"))
    moved = [round(b.start - a.start, 6) for a, b in zip(speech.words, long.words, strict=True)]
    assert set(moved) == {0.0, 1.0}
    assert moved == sorted(moved)
    assert long.sound.seconds == pytest.approx(speech.sound.seconds + 1.0)


def test_onsets_of_instructions_lie_between_half_a_second_and_four():
    waits = [case(number=number).instruct(TASKS[0]).wait_s for number in range(100)]
    assert 0.5 <= min(waits) < 0.8
    assert 3.7 < max(waits) <= 4.0


def test_the_commonest_answer_of_a_type_is_right_in_about_a_quarter_of_its_cases():
    drawn = [ask_scene.drawn(number) for number in range(112)]
    common = {kind: ask_scene.commonest(kind) for kind in {kind for kind, _ in drawn}}
    right = [answer == common[kind] for kind, answer in drawn]
    assert sum(right) / len(right) <= 0.27
    assert len({kind for kind, _ in drawn}) >= 6


def test_at_least_half_of_the_defective_sentences_are_valid_in_another_scene():
    sheets = [SCENARIOS["defective"].sheet(case("defective", number)) for number in range(20)]
    assert sum(bool(sheet.arrangement.hidden) for sheet in sheets) >= 10


def test_a_twin_hides_something_that_its_goal_does_not_need():
    needed = {goal: {hidden for other, hidden in VISUAL if other == goal} for goal, _ in VISUAL}
    assert all(SPARE[goal] not in hidden for goal, hidden in needed.items())


def test_pairs_that_the_scene_makes_hard_are_not_asked():
    assert not {pair(case("switch_mid", number)) for number in range(60)} & HARD


# the person


class Seen(Watched):
    """A world that shows what the test says."""

    t = 0.0

    def __init__(self):
        self.path, self.truth = [(0.0, np.zeros(3))], []

    def go(self, t, x):
        self.t = t
        self.path.append((t, np.array([x, 0.0, 0.0])))


def prompts(**fields):
    speech = Mouth().speak("one two three four")
    return [Prompt(role="instruct", speech=speech, wait_s=1.0), Prompt(role="stop", speech=speech, **fields)]


def play_person(person, world, seconds, x=lambda t: 0.0, events=lambda t: ()):
    for k in range(1, round(seconds / 0.2)):
        world.go(0.2 * k, x(0.2 * k))
        person.observe(0.2 * k, 0.2 * k + 0.2, events(0.2 * k))
    return [said.t for said in person.said]


def test_a_line_waits_for_the_arm_to_move_whatever_the_agent_says():
    world = Seen()
    person = Director(prompts(when=acting, wait_s=0.5), world)
    claims = (Event(kind=Kind.ACTION_STARTED, t=2.0, source="agent"),)
    said = play_person(person, world, 7.0, x=lambda t: 0.1 * max(0.0, t - 4.0), events=lambda t: claims)
    assert said[0] == pytest.approx(1.0)
    assert said[1] == pytest.approx(4.2 + 0.5, abs=0.21)
    assert not person.missed


def test_a_line_whose_moment_never_comes_is_said_all_the_same_and_marked():
    world = Seen()
    person = Director(prompts(when=acting, patience_s=3.0), world)
    said = play_person(person, world, 9.0)
    assert said[1] == pytest.approx(1.0 + 0.95 + 3.0, abs=0.25)
    assert person.missed == {"stop"}


def test_a_polite_line_waits_until_the_robot_is_quiet():
    world = Seen()
    person = Director(prompts(wait_s=0.2, polite=True), world)
    start, end = (
        Event(kind=kind, t=t, source="session") for kind, t in ((Kind.SPEECH_STARTED, 2), (Kind.SPEECH_STOPPED, 4))
    )
    said = play_person(
        person, world, 7.0, events=lambda t: (start,) if abs(t - 2) < 0.1 else (end,) if abs(t - 4) < 0.1 else ()
    )
    assert said[1] >= 4.4


def test_a_person_sees_goals_and_standing_arms():
    world = Seen()
    for k in range(1, 41):
        world.go(0.05 * k, 0.0)
    world.truth = [Truth(t=2.0, holds=frozenset({"goal"}))]
    assert stands(world, 0.5)
    assert not stands(world, 1.5)
    assert reached("goal")(world, 0.0)
    assert not reached("another")(world, 0.0)


# arms and controls


@pytest.mark.parametrize("name", ["cascade_policy", "shuffled_images:cascade_policy"])
def test_an_arm_that_cannot_run_yet_says_what_is_missing(name, monkeypatch, tmp_path):
    monkeypatch.setattr("stretto.agents.policy.find_weights", lambda name, recipe: find_weights(str(tmp_path), recipe))
    with pytest.raises(StrettoError, match="Train them: stretto train policy_goal"):
        arms.open_arm(name, Mouth())


def test_one_trial_of_any_arm_can_be_named():
    found = DuplexCascade().find("heard_off:duplex/x0.5/stop/dev7")
    assert found.params == {"arm": "heard_off:duplex", "scenario": "stop", "number": 7, "split": "dev", "delays": 0.5}
    assert DuplexCascade().find("duplex/x1/stopp/dev7") is None


def test_an_unknown_arm_is_answered_with_the_nearest():
    with pytest.raises(StrettoError, match="Did you mean 'scripted'"):
        arms.open_arm("script", Mouth())


def test_the_control_silence_takes_the_sound_and_leaves_the_times():
    drawn = case()
    sheet = SCENARIOS["instruct"].sheet(drawn)
    heard = arms.open_arm("silence:zero", Mouth()).alter(drawn, sheet)
    assert not heard.prompts[0].speech.sound.samples.any()
    assert heard.prompts[0].speech.words == sheet.prompts[0].speech.words
    assert heard.end_goal == sheet.end_goal


def test_the_control_wrong_instruction_says_another_task_and_is_judged_by_the_first():
    drawn = case()
    sheet = SCENARIOS["instruct"].sheet(drawn)
    wrong = arms.open_arm("wrong_instruction:zero", Mouth()).alter(drawn, sheet)
    said = talk_goal(wrong.prompts[0].speech.text)
    assert said != sheet.end_goal == wrong.end_goal


def talk_goal(text):
    return next(line.goal for line in talk.lines("instruct", "dev") if line.text == text)


def test_the_silent_twin_hears_the_instruction_alone_on_the_same_placement():
    drawn = case("ask_scene")
    sheet = SCENARIOS["ask_scene"].sheet(drawn)
    twin = arms.open_arm("silent:zero", Mouth()).alter(drawn, sheet)
    assert [prompt.role for prompt in twin.prompts] == ["instruct"]
    assert (twin.placement, twin.arrangement) == (sheet.placement, sheet.arrangement)


def test_a_question_that_is_read_is_typed_and_nothing_else_is_said():
    drawn = case("ask_general")
    sheet = SCENARIOS["ask_general"].sheet(drawn)
    read = arms.open_arm("read:zero", Mouth()).alter(drawn, sheet)
    director = Director(read.prompts, Seen())
    said = [some for k in range(60) if (some := director.observe(k / 5, k / 5 + 0.2, ())) is not None]
    assert [(some.typed, some.speech) for some in said] == [(sheet.prompts[-1].speech.text, None)]


def test_shown_pictures_are_another_episodes_with_this_ones_times():
    class Eyes(Zero):
        def step(self, obs, state):
            self.seen = obs.images
            return Output(), state

    eyes = Eyes()
    other = Image(camera="front", t=9.0, pixels=np.full((2, 2, 3), 7, np.uint8))
    agent = arms.Shown(eyes, (other,))
    agent.start(CONTEXT)
    own = Image(camera="front", t=1.0, pixels=np.zeros((2, 2, 3), np.uint8))
    agent.step(Observation(t=1.0, proprio=np.zeros(3, np.float32), action=np.zeros(7, np.float32), images=(own,)), None)
    assert eyes.seen[0].t == 1.0
    assert eyes.seen[0].pixels[0, 0, 0] == 7


def test_heard_controls_need_a_stream_of_heard_text():
    arm = arms.open_arm("heard_off:zero", Mouth())
    with pytest.raises(StrettoError, match="with_heard"):
        arm.agent(Director([], Seen()))


# agents that break, in a world without physics


class Bad(Zero):
    def __init__(self, do):
        self.do = do

    def step(self, obs, state):
        return self.do(obs), state


def nan(obs):
    values = np.full((4, 7), np.nan) if obs.tick == 5 else np.zeros((4, 7))
    return Output(chunk=ActionChunk(values=values, rate=20.0, start=obs.t))


def crash(obs):
    if obs.tick == 5:
        raise RuntimeError("lost the plot")
    return Output()


def flood(obs):
    return Output(say="no " * 200, speech=tuple(Mouth().speak("no " * 20) for _ in range(5)))


def session(agent, **sheet):
    exam = Exam(world=Watched(World.Config(env="dummy", suite="dummy", expert="dummy")))
    speech = Mouth().speak("go to the left")
    told = Prompt(role="instruct", speech=speech, wait_s=1.5, reaction=Reaction(goal="go left", move=True))
    made = Sheet(
        task="go left", placement=1, prompts=[told], watch=("go left",), end_goal="go left", limit_s=4.0, **sheet
    )
    arm = arms.Arm(name="bad", privileged=True, agent=agent)
    return exam.session(arm, case(), made, 1.0)


def judged(played):
    rows = SCENARIOS["instruct"].judge(played.sheet, played.episode, NoTools())
    return {row["row"]: row["value"] for row in rows}


class NoTools:
    """For judges that need none."""

    def ear(self):
        raise AssertionError

    def floor(self, sheet, episode, word_end):
        raise AssertionError


@pytest.mark.parametrize(("do", "fault"), [(nan, "nan"), (crash, "lost the plot"), (flood, "")])
def test_an_agent_that_breaks_is_scored_as_what_it_is(do, fault):
    played = session(lambda director: Bad(do))
    assert (fault in played.episode.fault) if fault else not played.episode.fault
    assert not judged(played)["passed"]
    assert any(row["row"] == "faulted" and row["value"] is bool(fault) for row in play.common_rows(played))


def test_an_agent_that_hangs_is_interrupted(monkeypatch):
    monkeypatch.setattr(play, "PATIENCE_S", 0.2)

    def hang(obs):
        while True:
            time.monotonic()

    assert "gave no answer" in session(lambda director: Bad(hang)).episode.fault


def test_an_agent_that_uses_a_skill_it_may_not_is_a_fault_of_its_own():
    played = session(lambda director: Bad(lambda obs: Output(skill=(SkillRequest(verb="start", goal="go left"),))))
    assert "does not declare `privileged`" in played.episode.fault


def test_the_scripted_arm_does_what_the_script_says_and_a_session_repeats():
    plays = [session(lambda director: arms.Prompted(director, Mouth())) for _ in range(2)]
    rows = [judged(played) for played in plays]
    assert rows[0]["passed"]
    assert rows[0] == rows[1]
    assert np.array_equal(plays[0].trace.positions(), plays[1].trace.positions())


def test_the_agents_own_voice_comes_back_when_the_sheet_says_so():
    def talker(obs):
        return Output(speech=(Mouth().speak("here I am"),)) if obs.tick == 2 else Output()

    quiet, loud = (session(lambda director: Bad(talker), echo=gain).trace.microphone.samples for gain in (0.0, 0.3))
    heard = slice(round(0.5 * 16_000), round(0.9 * 16_000))
    assert np.abs(loud[heard]).mean() > np.abs(quiet[heard]).mean() + 0.003


# the page


ROW = {
    "row": "passed",
    "value": False,
    "arm": "cascade",
    "scenario": "stop",
    "unit": "stop/dev1",
    "seed": 1,
    "delays": 1.0,
}


def test_a_lost_trial_fails_and_its_times_stand_at_their_time_outs():
    params = {"arm": "duplex", "scenario": "stop", "number": 3, "split": "dev", "delays": 1.0}
    rows = {row["row"]: row for row in lost_rows(params, "it hung")}
    assert rows["passed"]["value"] is False
    assert rows["stop_latency_s"]["value"] == 5.0
    assert all(row["fault"] == "it hung" and row["unit"] == "stop/dev3" for row in rows.values())


def test_the_page_of_a_smoke_run_shows_no_percentages_and_a_full_one_names_faults():
    rows = [ROW, {**ROW, "arm": "other", "value": True, "fault": "crashed <here>"}]
    assert "%" not in tables.tables(rows, quick=True)
    full = tables.tables(rows)
    assert "0 % [" in full
    assert "other minus cascade" in full
    assert "crashed &lt;here&gt;" in full


def test_the_gallery_takes_failed_trials_of_different_scenarios_first():
    rows = [ROW, {**ROW, "unit": "stop/dev2"}, {**ROW, "scenario": "echo"}, {**ROW, "scenario": "noise", "value": True}]
    assert [row["scenario"] for row in worst(rows)] == ["stop", "echo"]


def test_a_clip_is_the_asked_part_of_the_session_with_its_sound():
    trace = session(lambda director: Zero()).trace
    trace = replace(
        trace, film=[Image(camera="front", t=0.1 * k, pixels=np.zeros((2, 2, 3), np.uint8)) for k in range(60)]
    )
    clip = cut(trace, 1.0, 2.0)
    assert clip.microphone.seconds == pytest.approx(2.0)
    assert clip.film[0].t <= 0.0
    assert clip.film[-1].t < 2.0
    assert clip.seconds == pytest.approx(2.0, abs=0.2)


class Hanging:
    """A benchmark one of whose trials never comes back."""

    name, clock, parallel, seconds_per_trial, patience_s = "hanging", "virtual", True, 1.0, 1.0

    def open(self):
        return None

    def run(self, trial, state):
        while trial.key == "hangs":
            time.monotonic()
        return [{"row": "passed", "value": True, "unit": trial.key, "seed": 0}]

    def close(self, state):
        pass


@pytest.mark.slow
def test_a_trial_whose_process_never_comes_back_is_ended_and_the_others_go_on():
    found = {
        outcome.key: outcome for outcome in outcomes(Hanging(), [Trial(key) for key in ("hangs", "one", "two")], 1)
    }
    assert found["hangs"].ended
    assert "took longer than 1 s" in found["hangs"].failure
    assert found["one"].rows
    assert found["two"].rows
