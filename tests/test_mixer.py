import numpy as np

from stretto.core.signals import Kind
from stretto.runtime.mixer import Mixer


def mixer():
    return Mixer.Config(rate=16_000).build()


def test_speech_sounds_from_the_time_it_was_there(tone):
    mouth = mixer()
    mouth.post(tone("one two"), at=0.5)
    sound, events = mouth.advance(2.0)
    assert not sound[: 16_000 // 2].any()
    assert sound[16_000 // 2 + 100 : 16_000 // 2 + 200].any()
    assert [(e.kind, round(e.t, 3)) for e in events] == [(Kind.SPEECH_STARTED, 0.5), (Kind.SPEECH_STOPPED, 1.3)]


def test_sound_is_the_same_however_it_is_cut_into_ticks(tone):
    one, many = mixer(), mixer()
    for mouth in (one, many):
        mouth.post(tone("one two three"), at=0.33)
        mouth.hush(at=1.01)
    whole = one.advance(2.0)[0]
    pieces = np.concatenate([many.advance(t)[0] for t in np.arange(0.08, 2.01, 0.08)])
    assert len(whole) == len(pieces) == 32_000
    assert np.array_equal(whole, pieces)


def test_what_was_heard_is_what_had_been_played_when_it_was_cut(tone):
    mouth = mixer()
    mouth.post(tone("one two three"), at=0.0)
    mouth.post(tone("never said"), at=0.1)
    mouth.hush(at=0.75)
    _, events = mouth.advance(3.0)
    assert [(e.kind, e.text) for e in events][-1] == (Kind.SPEECH_CUT, "one two")
    assert mouth.playback.heard == "one two"
    assert not mouth.playback.speaking
    assert mouth.queued_s == 0


def test_playback_counts_the_words_of_the_running_sentence(tone):
    mouth = mixer()
    mouth.post(tone("one two three"), at=0.0)
    mouth.advance(0.45)
    assert mouth.playback.heard == "one"
    assert mouth.playback.speaking


def test_a_flood_of_speech_is_dropped_with_a_fault(tone):
    mouth = Mixer.Config(rate=16_000, queue_s=3.0).build()
    for _ in range(10):
        mouth.post(tone("one two three"), at=0.0)
    _, events = mouth.advance(0.1)
    assert sum(e.kind is Kind.FAULT for e in events) == 7


def test_a_sentence_longer_than_the_queue_is_played(tone):
    mouth = Mixer.Config(rate=16_000, queue_s=0.5).build()
    mouth.post(tone("one two three"), at=0.0)
    _, events = mouth.advance(0.1)
    assert [e.kind for e in events] == [Kind.SPEECH_STARTED]


def test_a_listener_behind_a_wire_has_heard_less(tone):
    mouth = mixer()
    mouth.lag_s = 0.4
    mouth.post(tone("one two three"), at=0.0)
    mouth.advance(0.85)
    assert mouth.playback.heard == "one"


def test_what_was_on_its_way_when_it_was_cut_was_not_heard(tone):
    """The sentence of 1.2 s had been sent whole; the listener, 0.6 s behind, is in its second word."""
    mouth = mixer()
    mouth.lag_s = 0.6
    mouth.post(tone("one two three"), at=0.0)
    _, before = mouth.advance(1.4)
    assert [e.kind for e in before] == [Kind.SPEECH_STARTED]
    assert mouth.playback.speaking
    mouth.hush(at=1.4)
    _, events = mouth.advance(3.0)
    assert [(e.kind, e.text) for e in events] == [(Kind.SPEECH_CUT, "one two")]
    assert mouth.playback.heard == "one two"
    assert not mouth.playback.speaking


def test_a_sentence_is_over_when_the_listener_has_heard_its_end(tone):
    mouth = mixer()
    mouth.lag_s = 0.5
    mouth.post(tone("one two"), at=0.1)
    mouth.post(tone("three"), at=0.1)
    _, events = mouth.advance(3.0)
    assert [(e.kind, round(e.t, 3), e.text) for e in sorted(events, key=lambda event: event.t)] == [
        (Kind.SPEECH_STARTED, 0.1, "one two"),
        (Kind.SPEECH_STARTED, 0.9, "three"),
        (Kind.SPEECH_STOPPED, 1.4, "one two"),
        (Kind.SPEECH_STOPPED, 1.8, "three"),
    ]


def test_the_words_of_a_sentence_come_with_its_beginning(tone):
    mouth = mixer()
    mouth.post(tone("one two"), at=0.0)
    _, events = mouth.advance(0.1)
    assert events[0].data == {"words": [("one", 0.3), ("two", 0.7)], "seconds": 0.8}
