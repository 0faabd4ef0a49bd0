"""Phrases: what is spoken when, nothing lost, no word cut."""

import doctest
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.core.errors import StrettoError
from stretto.speak import phrases as module
from stretto.speak.base import clean
from stretto.speak.phrases import Pending, Phrases

phrases = Phrases.Config().build()


def spoken(pieces, queued=(), cutter=phrases):
    """All phrases of a text that comes in `pieces`, with so much sound queued at each."""
    state, out = cutter.start(), []
    for index, piece in enumerate(pieces):
        ready, state = cutter.push(piece, state, queued[index] if queued else 0.0)
        out += ready
    return out + cutter.flush(state)[0]


def test_the_first_phrase_goes_at_the_third_whole_word():
    state = phrases.start()
    for piece in ("I", " will", " put", " th"):
        ready, state = phrases.push(piece, state)
        if ready:
            break
    assert ready == ["I will put"]
    assert piece == " th"


def test_the_first_phrase_goes_at_a_mark_if_that_comes_first():
    assert phrases.push("Okay, ", phrases.start())[0] == ["Okay,"]


def test_while_sound_is_queued_only_punctuation_ends_a_phrase():
    later = Pending(first=False)
    ready, state = phrases.push("the bowl is on the plate ", later, queued_s=1.5)
    assert ready == []
    assert phrases.push("now. And", state, queued_s=1.5)[0] == ["the bowl is on the plate now."]


def test_when_sound_runs_low_whole_words_go_without_waiting_for_a_mark():
    later = Pending(text="the bowl is on th", first=False)
    assert phrases.push("", later, queued_s=1.5)[0] == []
    ready, state = phrases.push("", later, queued_s=0.9)
    assert ready == ["the bowl is on"]
    assert state.text == "th"


def test_one_or_two_words_are_not_spoken_alone_however_little_is_queued():
    assert phrases.push("the bowl is ", Pending(first=False), queued_s=0.0)[0] == []


@pytest.mark.parametrize("inside", ["3.5", "e.g.", "10,000", "it's", "what?!", "a.b.c", "well-known", "word—word"])
def test_marks_inside_a_word_do_not_cut_it(inside):
    out = spoken(list(f"{inside} of them and"))
    assert any(inside in phrase.split() for phrase in out)


def test_a_quote_that_closes_after_a_mark_stays_with_it():
    assert spoken(['He said "stop!" and', " left."]) == ['He said "stop!"', "and left."]


def test_a_long_text_without_a_mark_is_cut_at_the_longest_phrase():
    out = spoken(["word " * 60], queued=[5.0])
    assert [len(phrase.split()) for phrase in out] == [24, 24, 12]


def test_a_text_that_never_brings_a_space_is_cut_at_the_most_letters():
    phrases = Phrases.Config(most_letters=20).build()
    ready, rest = phrases.push("... " + "ab" * 25 + " and on", phrases.start())
    assert ready == ["... " + "ab" * 10, "ab" * 10]
    assert rest.text == "ab" * 5 + " and on"


def test_what_is_written_to_be_looked_at_is_not_spelled():
    said = " ".join(spoken(["**Okay**, [ok] `x` ", "（＊＊５） עברית", " ☕ done. "]))
    assert said.split() == ["Okay,", "ok", "x", "(5)", "done."]


def test_flush_says_the_rest_and_begins_anew():
    ready, state = phrases.flush(Pending(text="one two", first=False))
    assert (ready, state) == (["one two"], Pending(text="", first=True))
    assert phrases.flush(state) == ([], state)


def test_marks_without_a_word_are_never_a_phrase():
    assert spoken(["... ", "Well, ", "yes. ", "- ", "?! "]) == ["... Well,", "yes."]


PIECES = st.lists(st.text(alphabet="ab 1.,!?\n\"'-…é", max_size=6), max_size=30)
QUEUES = st.lists(st.floats(0, 3), min_size=30, max_size=30)


@settings(deadline=None)
@given(pieces=PIECES, queued=QUEUES)
def test_phrases_together_are_the_text_up_to_white_space_and_marks_after_the_last_word(pieces, queued):
    out = spoken(pieces, queued)
    text = "".join("".join(pieces).split())
    together = "".join("".join(out).split())
    assert text.startswith(together)
    assert not re.search(r"[^\W_]", text[len(together) :])


@settings(deadline=None)
@given(pieces=PIECES, queued=QUEUES)
def test_no_word_is_cut_and_every_phrase_can_be_spoken(pieces, queued):
    out = spoken(pieces, queued)
    words = "".join(pieces).split()
    assert " ".join(out).split() == words[: len(" ".join(out).split())]
    for phrase in out:
        assert clean(phrase)
        assert phrase == phrase.strip()


@settings(deadline=None)
@given(pieces=PIECES, queued=QUEUES)
def test_a_phrase_before_the_last_ends_at_a_mark_or_has_enough_words(pieces, queued):
    out = spoken(pieces, queued)
    for index, phrase in enumerate(out[:-1]):
        words = sum(bool(re.search(r"[^\W_]", word)) for word in phrase.split())
        assert re.search(r"[.,!?…][\"']*$", phrase) or words >= (3 if index == 0 else 4)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("wrong", [{"first_words": 0}, {"low_words": 30}, {"most_words": 2}])
def test_a_configuration_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(StrettoError, match="most_words"):
        Phrases.Config(**wrong)
