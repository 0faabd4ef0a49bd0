"""Scenes without sound: answers are what the simulator says of the very picture, and what lacks is refused."""

from dataclasses import replace

import numpy as np
import pytest

from stretto.data import questions
from stretto.sessions import scene as asked
from stretto.train.duplex.labels import ANY, labels_of
from stretto.train.duplex.scenes import Scenes

KIND_OF = {text: kind for kind in asked.KINDS for text in questions.scene(kind, "train")}


@pytest.fixture(scope="module")
def scenes():
    made = Scenes.Config().build()
    yield made
    made.close()


def under(scenes, **settings):
    scenes.config = replace(Scenes.Config(), **settings)
    return scenes


def test_an_answer_is_where_things_were_put(scenes):
    under(scenes, hidden=0.0, elsewhere=1.0, typed=1.0, moments=1)
    told = 0
    for seed in range(12):
        (line,) = scenes.session(seed).lines
        order, kind = scenes.world.arrangement, KIND_OF[line.text]
        assert line.says in asked.KINDS[kind].sentences.values()
        thing = {"where_bowl": "bowl", "where_cheese": "cream cheese", "where_bottle": "wine bottle"}.get(kind, "")
        if thing in order.at:
            told += 1
            assert line.says.split()[-1] == f"{order.at[thing]}."
        if kind == "open_drawer":
            told += 1
            assert line.says == f"The {order.opened} drawer is open."
    assert told >= 4


def test_what_cannot_be_done_without_the_hidden_thing_is_refused_and_the_rest_is_not(scenes):
    under(scenes, hidden=1.0, impossible=0.0, moments=4)
    said = []
    for seed in range(4):
        session = scenes.session(seed)
        (hidden,) = scenes.world.arrangement.hidden
        for line in session.lines:
            said.append(line.role)
            assert line.says == (f"I cannot do that, there is no {hidden} here." if line.role == "defective" else "")
            assert line.moves == (line.role == "instruct")
        nexts = [*(line.start for line in session.lines[1:]), session.ticks * session.tick_s]
        moved = [(line.end, later) for line, later in zip(session.lines, nexts, strict=True) if line.moves]
        for (end, later), over in zip(moved, session.finished, strict=True):
            assert end < over < later
    assert {*said} == {"defective", "instruct"}


def test_what_can_be_met_nowhere_is_refused_in_sight_of_the_table(scenes):
    session = under(scenes, hidden=1.0, impossible=1.0, moments=4).session(0)
    assert session.pictured
    assert len({line.text for line in session.lines}) > 1
    for line in session.lines:
        assert (line.role, line.moves) == ("defective", False)
        assert "cannot" in line.says


def test_the_arm_goes_on_between_two_questions_and_the_same_seed_gives_the_same(scenes):
    under(scenes, hidden=0.0, moments=2, between=60)
    one, two = scenes.session(3), scenes.session(3)
    assert one.jpegs == two.jpegs
    assert one.lines == two.lines
    assert not np.allclose(one.proprio[0, :3], one.proprio[-1, :3], atol=0.01)
    assert len(one.jpegs) == 2 * len(one.pictured) == 2 * len(one.proprio)
    assert one.pictures(one.pictured[0]).shape == (2, 128, 128, 3)


def test_a_line_is_answered_when_it_was_heard_and_the_session_lasts_long_enough(scenes):
    session = under(scenes, hidden=0.0).session(5)
    assert session.features.shape[:2] == (session.ticks, 0)
    closes = [int(line.end / session.tick_s) + 1 for line in session.lines]
    labels = labels_of(session.lines, session.finished, closes, session.ticks, session.tick_s)
    assert [text for _, text in labels.say] == [line.says for line in session.lines if line.says]
    assert ANY not in labels.act
