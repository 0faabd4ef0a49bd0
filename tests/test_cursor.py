"""Where a session stands: what a tick asks, what is stored, and what stays within bounds."""

import pytest

from stretto.core.errors import StrettoError
from stretto.think.cursor import Cursor
from stretto.think.layouts.ellsa import Ellsa
from stretto.think.layouts.tick200 import Tick200

LAYOUT = Tick200.Config.tiny().build()
QUIET = {"heard": LAYOUT.token("heard", "nothing"), "say": LAYOUT.token("say", "nothing"), "act": 2}


def row_of(rows, name, layout=LAYOUT):
    return next((row for row in rows if layout.streams[row.stream].name == name), None)


def names(rows, layout=LAYOUT):
    return [layout.streams[row.stream].name for row in rows]


def tick(cursor, content=(), *said):
    """One whole tick; `said`: what is said pass by pass, else QUIET. Returns the cursor, passes and stored flags."""
    cursor, rows = cursor.tick(dict(content))
    passes, kept, said = [], [], list(said)
    while rows:
        passes.append(rows)
        asked = {LAYOUT.streams[row.stream].name for row in rows} & set(QUIET)
        answer = {name: (said[0] if said else {}).get(name, QUIET[name]) for name in asked}
        said = said[1:]
        cursor, stored, rows = cursor.settle(answer)
        kept.append(stored)
    return cursor, passes, kept


# What a slot's tokens become


def test_text_through_a_slot_is_the_text_itself():
    """The example of think/layout.py: silence takes no position, and what is stored is <say> The cat."""
    marker = LAYOUT.token("say", "marker")
    cursor, stored, ins = Cursor.start(LAYOUT), [], []
    for word in (None, 10, 11, None, 12):
        cursor, passes, kept = tick(cursor, (), {"say": word} if word else {})
        row = row_of(passes[0], "say")
        ins.append(row.id)
        stored += [(row.id, row.text)] * kept[0][passes[0].index(row)]
    assert ins == [marker, marker, 10, 11, 11]
    assert stored == [(marker, 0), (10, 1), (11, 2)]


def test_a_slot_that_said_something_is_asked_again_within_its_tick_and_others_are_not():
    cursor, passes, _ = tick(Cursor.start(LAYOUT, tick=1), (), {"say": 10}, {"say": 11})
    assert [names(rows) for rows in passes] == [["heard", "act", "say"], ["say"]]
    assert passes[1][0].id == 10
    assert (passes[1][0].number, passes[1][0].nth, passes[1][0].tick) == (1, 1, 1)
    assert cursor.slots["say"].pending == 11


def test_a_slot_says_at_most_its_tokens_in_a_tick():
    _, passes, _ = tick(Cursor.start(LAYOUT, tick=1), (), {"heard": 5}, {"heard": 6}, {"heard": 7})
    assert len(passes) == 2


@pytest.mark.parametrize("slot", ["heard", "say"])
def test_in_a_tick_of_pictures_a_slot_holds_one_token_at_most(slot):
    for number, count in ((2, 1), (3, 2)):
        cursor, passes, _ = tick(Cursor.start(LAYOUT, tick=number), (), {slot: 10}, {slot: 11})
        assert len(passes) == count
        assert cursor.slots[slot].pending == 9 + count


def test_the_end_of_an_utterance_brings_the_marker_back():
    close = LAYOUT.token("say", "close")
    cursor, passes, _ = tick(Cursor.start(LAYOUT, tick=1), (), {"say": 10}, {"say": close})
    assert len(passes) == 2
    assert cursor.slots["say"].pending == -1
    _, passes, _ = tick(cursor)
    assert row_of(passes[0], "say").id == LAYOUT.token("say", "marker")


def test_the_marker_is_open_to_nobody_and_a_pending_word_to_its_tick():
    _, passes, _ = tick(Cursor.start(LAYOUT, tick=1), (), {"heard": 5})
    assert not row_of(passes[0], "heard").open
    assert row_of(passes[1], "heard").open
    assert row_of(passes[0], "act").open


def test_text_positions_count_text_and_time_counts_ticks():
    cursor, rows = Cursor.start(LAYOUT).begin([3, 4, 5])
    assert [(row.text, row.counts[0]) for row in rows] == [(0, 0), (1, 1), (2, 2)]
    for number in range(3):
        cursor, passes, _ = tick(cursor, {"speech": 2})
        speech = [row for row in passes[0] if LAYOUT.streams[row.stream].name == "speech"]
        assert [row.time for row in speech] == [2 * number, 2 * number + 1]
        assert {row.text for row in passes[0]} == {3}
    cursor, passes, _ = tick(cursor, {"typed": [7, 8]}, {"say": 10})
    assert [row.text for row in passes[0][:2]] == [3, 4]
    assert row_of(passes[0], "say").text == 5
    assert row_of(passes[1], "say").text == 6


def test_all_tokens_of_a_picture_share_one_position_and_one_rank():
    _, passes, _ = tick(Cursor.start(LAYOUT), {"image": 4})
    seen = [row for row in passes[0] if LAYOUT.streams[row.stream].name == "image"]
    assert len({(row.time, row.rank) for row in seen}) == 1
    assert [row.nth for row in seen] == [0, 1, 2, 3]


def test_a_slot_that_begins_anew_forgets_what_it_said_in_the_last_block():
    layout = Ellsa.Config.tiny().build()
    silent = layout.token("say", "nothing")
    cursor, rows = Cursor.start(layout).tick({})
    while rows:
        cursor, _, rows = cursor.settle({"say": silent, "action": 5})
    assert cursor.slots["action"].said == layout["action"].tokens
    _, rows = cursor.tick({})
    assert row_of(rows, "action", layout).id == layout.token("action", "marker")


def test_a_cursor_is_a_value_and_may_be_stepped_twice():
    cursor, rows = Cursor.start(LAYOUT).tick({"speech": 2})
    one, _, _ = cursor.settle({**QUIET, "say": 10})
    two, _, _ = cursor.settle(QUIET)
    again, _, _ = cursor.settle({**QUIET, "say": 10})
    assert one == again
    assert one.slots["say"].pending == 10
    assert two.slots["say"].pending == -1
    assert cursor.rows == rows


def test_a_session_may_begin_at_any_tick_and_text_position():
    cursor, rows = Cursor.start(LAYOUT, tick=180_000, text=77).begin([3])
    assert (rows[0].text, rows[0].tick, rows[0].time) == (77, 180_000, 360_001)
    _, rows = cursor.tick({"image": 4})
    assert rows[0].tick == 180_000


# Bad input


def refused(text, content, cursor=None):
    with pytest.raises(StrettoError, match=text):
        (cursor or Cursor.start(LAYOUT)).tick(content)


def test_an_unknown_stream_is_refused_with_the_nearest():
    refused("'spech'.*Did you mean 'speech'", {"spech": 2})


def test_too_many_tokens_are_refused():
    refused("'speech'.*at most 2 tokens a tick, got 3 in tick 0", {"speech": 3})
    with pytest.raises(StrettoError, match="'system'.*at most 4 tokens a tick, got 5"):
        Cursor.start(LAYOUT).begin([1, 2, 3, 4, 5])


def test_a_system_prompt_is_read_once():
    """Its ring holds one; a second would overwrite what the training mask still shows."""
    cursor, _ = Cursor.start(LAYOUT).begin([1, 2, 3])
    with pytest.raises(StrettoError, match="'system'.*is kept for ever.*holds 4 tokens.*got 2 more after 3"):
        cursor.begin([4, 5])


def test_a_stream_out_of_its_turn_is_refused():
    cursor, _, _ = tick(Cursor.start(LAYOUT))
    refused("'image' comes every 2 ticks, not in tick 1", {"image": 4}, cursor)


def test_text_without_numbers_is_refused():
    refused("'typed' is text: give token numbers", {"typed": 2})


def test_what_a_slot_says_cannot_be_fed():
    refused("'say' is a slot", {"say": [10]})


def test_a_pass_must_be_settled_before_the_next_tick():
    cursor, _ = Cursor.start(LAYOUT).tick({})
    refused("has not been settled", {}, cursor)


def test_an_answer_for_every_slot_is_asked_for():
    cursor, _ = Cursor.start(LAYOUT).tick({})
    with pytest.raises(StrettoError, match="asked heard, act, say, got answers for heard"):
        cursor.settle({"heard": 5})
