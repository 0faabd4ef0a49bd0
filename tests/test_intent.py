"""Rules: what people say, as written and as Whisper-tiny writes it, becomes an intent."""

import pytest

from stretto.data import talk
from stretto.think.frames import Frame, goal_frame
from stretto.think.intent import KINDS, Rules
from stretto.think.sounds_like import similarity

GOALS = tuple(talk.GOALS)


@pytest.fixture(scope="module")
def rules():
    return Rules.Config().build(GOALS)


def kind(rules, text):
    return rules.parse(text).kind


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("intent", talk.INTENTS)
def test_every_line_of_the_grammar_is_understood(rules, intent, split):
    """Spelled correctly, the wordings of both splits give their intent, goal and topic; what is missing is named."""
    for line in talk.lines(intent, split)[:: 1 if len(talk.lines(intent, split)) < 40 else 5]:
        found = rules.parse(line.text)
        assert found.kind == ("instruct" if intent == "switch" else intent), (line, found)
        if found.kind != "defective":
            assert (found.goal, found.topic) == (line.goal, line.topic), (line, found)
        assert 0 < found.score <= 1
        if found.topic.startswith("there is no"):
            assert line.topic.split()[-1] in found.topic


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("Put the bull on the played.", "put the bowl on the plate"),
        ("Cut the ball on the stow", "put the bowl on the stove"),
        ("at the bowl on the plate.", "put the bowl on the plate"),
        ("But the bow in the top draw.", "open the top drawer and put the bowl inside"),
        ("Please open the metal drawer of the cabin it.", "open the middle drawer of the cabinet"),
        ("Put the wine model on the wreck.", "put the wine bottle on the rack"),
        ("Put the green cheese in the ball", "put the cream cheese in the bowl"),
        ("Turn on this dove.", "turn on the stove"),
    ],
)
def test_recognition_errors_are_read_through(rules, text, goal):
    """Words that sound alike are taken for each other, and a garbled verb is no obstacle."""
    assert rules.parse(text).goal == goal


@pytest.mark.parametrize(
    "text", ["Stop!", "stop", "Stop right there.", "Please stop now.", "Stop. Stop. Stop.", "Okay, stop moving!",
             "Halt!", "Stock.", "Don't move.", "Stop putting the bowl on the plate.",
             "Don't put the bowl on the plate.",
             "Stop! Where is the bowl?", "That's enough, stop it."]
)  # fmt: skip
def test_a_stop_is_a_stop(rules, text):
    """Stop words lead, alone or with what belongs to them, and a forbidden task is a stop too."""
    assert kind(rules, text) == "stop"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop.", "go_on"),
        ("Please do not stop.", "go_on"),
        ("Stop that and put the bowl on the stove.", "instruct"),
        ("Stop. Put the bowl on the stove instead.", "instruct"),
        ("Wait, put the bowl on the plate.", "instruct"),
        ("No. Put the bowl on the stove.", "instruct"),
        ("The bus stop is on the left side of the street over there.", "none"),
        ("Why did you stop?", "ask_general"),
        ("I bought a new bicycle yesterday.", "none"),
        ("The meeting starts at 9.", "none"),
        ("Hmm.", "none"),
        ("", "none"),
    ],
)
def test_stop_inside_something_else(rules, text, expected):
    """A stop inside an instruction, a denial or a story is none; a whole new instruction after it is a switch."""
    assert kind(rules, text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Put the banana on the plate.", "there is no banana here"),
        ("Put the bowl in the dishwasher.", "there is no dishwasher here"),
        ("Put the wine bottle in the top drawer.", "put the wine bottle in the top drawer"),
        ("Put the plate on the bowl.", "put the plate in the bowl"),
        ("Open the bottom drawer.", "open the bottom drawer"),
        ("Turn off the stove.", "turn off the stove"),
        ("Put the bowl down somewhere.", "where the bowl should go"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(rules, text, reason):
    """A thing or place that is not there, and a pair that is no task, are named."""
    found = rules.parse(text)
    assert found.kind == "defective"
    assert reason in found.topic


def test_questions_have_one_plain_form(rules):
    """Differently asked questions give the same topic, also when misheard."""
    for text in ("Where is the bowl?", "Where's the ball?", "Can you see the bowl?", "Tell me where the bowl is."):
        assert rules.parse(text).topic == "where is the bowl"
    for text in ("Is the stove on?", "Is the stow turned on now?", "Is the stove off?"):
        assert rules.parse(text).topic == "is the stove on"
    assert rules.parse("What is on the plate?").topic == "what is on the plate"
    assert rules.parse("Where is the banana?").topic == "where is the banana"
    assert rules.parse("What are you holding?").topic == "what are you holding"


def test_a_task_cut_in_two_is_put_together(rules):
    """When the recogniser puts a full stop inside an instruction the task is found in the whole."""
    assert rules.parse("Put the bowl. On the plate.").goal == "put the bowl on the plate"


def test_task_sentences_become_frames():
    """The simple forms of LIBERO's sentences are read; compound ones are left to the nearest sentence."""
    assert goal_frame("push the plate to the front of the stove") == Frame("push", "plate", "front of the stove")
    assert goal_frame("pick up the milk and place it in the basket") == Frame("put", "milk", "basket")
    assert goal_frame("put both moka pots on the stove") is None


def test_other_worlds_need_no_change():
    """Tasks of another suite are found by frames, odd ones by the nearest sentence."""
    suite = tuple(f"pick up the {name} and place it in the basket" for name in ("milk", "butter", "tomato sauce"))
    rules = Rules.Config().build(suite)
    assert rules.parse("Put the tomato source in the basket.").goal == suite[2]
    assert rules.parse("Please put the milk into the basket.").goal == suite[0]
    assert kind(rules, "Put the cheese in the basket.") == "defective"
    dummy = Rules.Config().build(("go left", "go right", "go up"))
    assert dummy.parse("Please go left.").goal == "go left"
    assert kind(dummy, "Stop!") == "stop"
    assert kind(dummy, "What a day.") in ("none", "ask_general")


def test_sound_likeness_orders_words():
    """What sounds alike is nearer than what is spelled alike."""
    assert similarity("bowl", "bull") > similarity("bowl", "boot")
    assert similarity("rack", "wreck") > similarity("rack", "rank")
    assert similarity("stove", "stove") == 1.0


def test_the_vocabulary_names_the_scene(rules):
    """The prompt for a recogniser holds all names and "stop"."""
    for name in ("Stop", "the bowl", "the cream cheese", "the top drawer", "the rack"):
        assert name.lower() in rules.vocabulary.lower()
    assert Rules.Config().build(("go left",)).vocabulary.endswith("Go on.")


def test_kinds_are_those_the_agents_know():
    """The order in which clauses of one transcript win."""
    assert KINDS[:2] == ("instruct", "stop")
    assert len(set(KINDS)) == 8
