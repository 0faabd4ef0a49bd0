"""Episodes as token plans: the same tokens as a live session's, and readable."""

import pytest
import torch

from backbone_reference import SYSTEM, asked, episode
from stretto.cli.main import main
from stretto.core.errors import StrettoError
from stretto.think.layout import TEXT
from stretto.think.layouts.ellsa import Ellsa
from stretto.think.layouts.listener200 import Listener200
from stretto.think.layouts.tick200 import Tick200
from stretto.think.plan import FIRST, WORDS, TickPlan, page, printed, sample, table, write
from stretto.think.tokens import gather, targets_of

LAYOUT = Tick200.Config.tiny().build()
MOVE = LAYOUT.vocabularies["act"].id("<move>")


@pytest.fixture(params=["tick200", "ellsa", "listener200"])
def layout(request):
    return {"tick200": Tick200, "ellsa": Ellsa, "listener200": Listener200}[request.param].Config.tiny().build()


def as_ticks(layout, session):
    """What a random session was fed and said, tick by tick, and what each pass answered."""
    ticks, answers = {}, []
    for number, (rows, stored) in enumerate(session.passes[1:], start=1):
        tick = ticks.setdefault(rows[0].tick, TickPlan(content={}, said={}))
        for row in rows:
            stream = layout.streams[row.stream]
            if not stream.is_slot and not stream.repeats:
                if stream.counter == TEXT:
                    tick.content.setdefault(stream.name, []).append(row.id)
                else:
                    tick.content[stream.name] = tick.content.get(stream.name, 0) + 1
        answers.append(said_in(layout, session, number, rows, stored))
        for name, token in answers[-1].items():
            if token != layout.token(name, "nothing"):
                tick.said.setdefault(name, []).append(token)
    return list(ticks.values()), answers


def said_in(layout, session, number, rows, stored):
    """A pass's answers, read from what stands in the slots of later passes."""
    said = {}
    for row, kept in zip(rows, stored, strict=True):
        stream = layout.streams[row.stream]
        if stream.is_slot:
            said[stream.name] = next_in(layout, session, number, row) if kept else layout.token(stream.name, "nothing")
    return said


def next_in(layout, session, number, row):
    stream = layout.streams[row.stream]
    later = [r for rows, _ in session.passes[number + 1 :] for r in rows if r.stream == row.stream]
    marker, close = layout.token(stream.name, "marker"), layout.token(stream.name, "close")
    if not later or (stream.fresh and later[0].tick != row.tick):
        return close if close >= 0 else MOVE
    return close if later[0].id == marker else later[0].id


def test_the_plan_of_an_episode_is_what_the_live_cursor_did(layout):
    """Rows, stored flags and answers of a live session come out of its ticks alone."""
    session = episode(layout, seed=3, ticks=20)
    ticks, answers = as_ticks(layout, session)
    plan = write(layout, ticks, SYSTEM)
    assert plan.rows == session.rows
    assert list(plan.stored) == session.stored
    for some, said in zip(plan.passes[1:], answers, strict=True):
        wanted = [said.get(layout.streams[row.stream].name, -1) for row in some.rows]
        assert list(some.targets) == wanted


def test_targets_stand_where_the_scores_of_their_slot_stand():
    """Per slot (sessions, asked tokens), in the order in which the network scores them; -1 where it is padding."""
    one = write(LAYOUT, [TickPlan(said={"heard": [5, 6], "act": [MOVE]})], first_tick=1)
    two = write(LAYOUT, [TickPlan(said={"say": [9], "act": [MOVE]})] * 2)
    tokens = gather(LAYOUT, [one.rows, two.rows], [one.stored, two.stored])
    wanted = targets_of(LAYOUT, tokens, [one.targets, two.targets])
    blank, silence = LAYOUT.token("heard", "nothing"), LAYOUT.token("say", "nothing")
    assert wanted["heard"].tolist() == [[5, 6], [blank, blank]]
    assert wanted["say"].tolist() == [[silence, -1, -1], [9, 9, silence]]
    assert wanted["act"].tolist() == [[MOVE, -1], [MOVE, MOVE]]
    assert wanted["act"].dtype == torch.int64


def test_every_slot_row_has_a_target_and_no_other(layout):
    plan = sample(layout)
    for row, target in zip(plan.rows, plan.targets, strict=True):
        assert (target >= 0) == layout.streams[row.stream].is_slot
    assert all(set(asked(layout, some.rows)) for some in plan.passes[1:])


def test_a_plan_may_begin_hours_into_a_session():
    plan = write(LAYOUT, [TickPlan(said={"act": [MOVE]})], [3], first_tick=180_000, first_text=50)
    assert (plan.rows[0].tick, plan.rows[0].text) == (180_000, 50)


# Bad input


def refused(text, **tick):
    with pytest.raises(StrettoError, match=text):
        write(LAYOUT, [TickPlan(**{"said": {"act": [MOVE]}, **tick})])


@pytest.mark.parametrize("slot", ["heard", "say"])
def test_more_than_a_slot_can_say_is_refused(slot):
    refused(f"'{slot}'.*1 of the 2 tokens it says in tick 0.*at most 1", said={"act": [MOVE], slot: [5, 6]})
    with pytest.raises(StrettoError, match=f"'{slot}'.*1 of the 3 tokens it says in tick 1.*at most 2"):
        write(LAYOUT, [TickPlan(said={"act": [MOVE], slot: [5, 6, 7]})], first_tick=1)


def test_what_comes_after_the_end_of_an_utterance_is_refused():
    close = LAYOUT.token("say", "close")
    refused("'say'.*none after the end of an utterance", said={"act": [MOVE], "say": [close, 7]})


def test_a_slot_that_is_never_silent_must_say_something():
    refused("'act'.*no token for nothing: tick 0", said={})


def test_silence_and_numbers_of_no_token_are_refused():
    refused("'say' cannot say token 64", said={"act": [MOVE], "say": [LAYOUT.token("say", "nothing")]})
    refused("'act' cannot say token 99", said={"act": [99]})


def test_a_fed_stream_says_nothing_and_an_unknown_one_is_not_there():
    refused("'speech'.*says nothing: give it as content", said={"speech": [5]})
    refused("Did you mean 'heard'", said={"herd": [5]})


# For a person


def test_a_plan_is_printed_a_line_a_pass():
    ticks = [TickPlan(content={"speech": 2}, said={"act": [MOVE], "say": [FIRST + 3]}), TickPlan(said={"act": [MOVE]})]
    plan = write(LAYOUT, ticks, [1, FIRST])
    lines = printed(LAYOUT, plan, lambda token: WORDS[token - FIRST]).splitlines()
    assert lines[1].split() == "0 0 0-1 1 system+ <|im_start|> open".split()
    assert lines[2].split() == (
        "0 1 2 0-1 speech+ ×2 | heard <heard> -> <blank> | act+ <act> -> <move> | say+ <say> -> Okay".split()
    )
    assert lines[3].split()[:4] == "1 2 3 3".split()
    assert lines[3].endswith("| act+ <move> -> <move> | say Okay -> <silence>")
    assert len(lines) == 4
    assert "say Okay" not in printed(LAYOUT, plan)
    assert f"say #{FIRST + 3}" in printed(LAYOUT, plan)


def test_the_table_tells_each_streams_expert_counter_retention_and_sight():
    rows = {line.split()[0]: line for line in table(Tick200.Config().build()).splitlines()}
    assert rows["system"].split() == "system language text 32 1 for ever - system".split()
    assert rows["act"].split()[:8] == "act action time 1 1 0 ticks act".split()
    assert rows["act"].endswith("all")
    assert rows["heard"].split() == "heard language text 1-2 1 127 tokens text system typed speech heard".split()


def test_a_layouts_page_has_its_streams_and_three_ticks(layout):
    told = page(layout)
    assert all(name in told for name in layout.index)
    assert "-> Okay" in told
    assert ("-> drawer" in told) == ("heard" in layout.index)


@pytest.mark.parametrize("name", ["tick200", "ellsa", "listener200"])
def test_show_prints_a_layout(name, capsys):
    assert main(["show", "layout", name]) == 0
    told = capsys.readouterr().out
    assert "Settings:" in told
    assert "expert" in told
    assert "Three ticks" in told
