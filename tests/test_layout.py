"""The tick as data: what a layout says, and which layouts are refused."""

import subprocess
import sys
from dataclasses import replace

import pytest

from stretto.core.errors import StrettoError
from stretto.think.layout import PINNED, TEXT, TIME, Layout, Stream, TextTable, Vocabulary
from stretto.think.layouts.ellsa import Ellsa
from stretto.think.layouts.listener200 import Listener200
from stretto.think.layouts.tick200 import Tick200


def layout_of(*streams, **vocabularies):
    words = Vocabulary(expert="language", names=("<say>", "<silence>"), table=TextTable())
    return Layout(name="mine", tick_s=0.2, steps=2, streams=streams, vocabularies={"text": words, **vocabularies})


SOUND = Stream(name="sound", expert="language", counter=TIME, sees=("sound",), tokens=2, keep=3)
SAY = Stream(
    name="say", expert="language", counter=TEXT, sees=("sound", "say"), tokens=2, keep=5,
    predicts="text", marker="<say>", nothing="<silence>", close="<|im_end|>",
)  # fmt: skip


def refused(text, *streams, **vocabularies):
    with pytest.raises(StrettoError, match=text):
        layout_of(*streams, **vocabularies)


def test_only_a_slot_may_be_held_to_one_token():
    refused("once >= 0, and 0 for what is no slot", replace(SOUND, once=2))


# What a layout says


def test_special_tokens_have_names_and_the_layout_their_numbers():
    layout = layout_of(SOUND, SAY)
    assert layout.token("say", "marker") == 61
    assert layout.token("say", "nothing") == 62
    assert layout.token("say", "close") == 2
    assert layout.vocabularies["text"].size == 63
    with pytest.raises(StrettoError, match="Did you mean '<silence>'"):
        layout.vocabularies["text"].id("<silense>")


def test_the_default_tick_is_that_of_the_design():
    layout = Tick200.Config().build()
    assert (layout.name, layout.tick_s, layout.experts) == ("tick200", 0.2, ("language", "action"))
    assert [slot.name for slot in layout.slots] == ["heard", "act", "say"]
    assert (layout["speech"].tokens, layout["heard"].tokens, layout["say"].tokens, layout["act"].tokens) == (2, 2, 2, 1)
    assert (layout["image"].tokens, layout["image"].every, layout["chunk"].every) == (32, 2, 2)
    assert layout["system"].keep == PINNED
    assert layout.vocabularies["act"].names == ("<act>", "<halt>", "<move>")


@pytest.mark.parametrize("name", ["system", "typed", "speech", "heard"])
def test_hearing_cannot_be_reached_from_pictures_by_any_path(name):
    """Neither directly nor through a stream that has seen them."""
    layout = Tick200.Config().build()
    reach, todo = set(), [name]
    while todo:
        reach.add(todo[-1])
        todo = [seen for some in reach for seen in layout[some].sees if seen not in reach]
    assert reach <= {"system", "typed", "speech", "heard"}


@pytest.mark.parametrize("layout", [Tick200, Listener200])
@pytest.mark.parametrize("name", ["image", "proprio", "chunk"])
def test_the_arm_follows_what_was_told_and_seen_and_not_what_is_said(layout, name):
    layout = layout.Config().build()
    reach, todo = set(), [name]
    while todo:
        reach.add(todo[-1])
        todo = [seen for some in reach for seen in layout[some].sees if seen not in reach]
    assert {"system", "typed", "image", "proprio"} < reach
    assert not reach & {"say", "playback", "act"}


@pytest.mark.parametrize("layout", [Tick200, Listener200])
def test_whether_to_move_is_decided_on_everything(layout):
    layout = layout.Config().build()
    assert set(layout["act"].sees) >= set(layout.index) - {"read"}


def test_ellsa_has_blocks_of_a_second_and_every_stream_sees_every_other():
    layout = Ellsa.Config().build()
    assert (layout.tick_s, layout["speech"].tokens, layout["say"].tokens, layout["image"].tokens) == (1.0, 5, 8, 32)
    assert layout["image"].keep == layout["action"].keep == 1
    assert layout["action"].fresh
    assert all(set(s.sees) == set(layout.index) for s in layout.streams if s.name != "system")


def test_settings_change_the_streams():
    layout = Tick200.Config(speech=7, pictures=5, camera_tokens=4, cameras=1, every=3).build()
    assert (layout["speech"].keep, layout["image"].keep, layout["image"].tokens, layout["chunk"].every) == (7, 5, 4, 3)


def test_rings_hold_the_worst_case():
    assert SOUND.capacity == 8
    assert replace(SOUND, every=2).capacity == 4
    assert replace(SOUND, keep=PINNED).capacity == 2
    assert SAY.capacity == 6
    assert replace(SAY, predicts="").capacity == 7


def test_tokens_of_an_expert_lie_text_first():
    layout = Tick200.Config.tiny().build()
    names = [layout.streams[place].name for place in layout.order("language")]
    assert names == ["system", "typed", "heard", "say", "speech"]


def test_a_signature_is_plain_data_and_tells_layouts_apart():
    import json

    one, two = (Tick200.Config(speech=n).build().signature() for n in (50, 51))
    assert one != two
    assert one == Tick200.Config().build().signature()
    assert json.loads(json.dumps(one)) == one


def test_layouts_and_cursors_import_no_torch():
    code = (
        "import sys, stretto.think.plan, stretto.think.layouts.tick200, stretto.think.layouts.ellsa\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# What is refused


def test_two_streams_of_one_name_are_refused():
    refused("names a stream twice: sound, say, sound", SOUND, SAY, SOUND)


def test_a_stream_that_sees_an_unknown_one_is_refused_with_the_nearest():
    refused("'sond'.*Did you mean 'sound'", SOUND, replace(SAY, sees=("sond", "say")))


def test_a_layout_that_predicts_what_it_never_shows_is_refused():
    refused("predicts 'text' but never shows it", SOUND, replace(SAY, tokens=0))
    refused("does not see itself.*Add 'say'", SOUND, replace(SAY, sees=("sound",)))


def test_a_stream_without_a_place_is_refused():
    refused("'sound'.*has no place", replace(SOUND, tokens=0), SAY)


def test_a_slot_without_a_marker_or_a_vocabulary_is_refused():
    refused("no marker to ask with", SOUND, replace(SAY, marker=""))
    refused("'txt'.*Did you mean 'text'", SOUND, replace(SAY, predicts="txt"))
    refused("special token '<sey>'.*Did you mean '<say>'", SOUND, replace(SAY, marker="<sey>"))


def test_a_slot_on_another_expert_than_its_vocabulary_is_refused():
    refused("expert 'language' but predicts 'acts', a vocabulary of expert 'action'",
            SOUND, replace(SAY, predicts="acts"), acts=Vocabulary(expert="action", names=("<a>",)))  # fmt: skip


@pytest.mark.parametrize("wrong", [{"counter": 2}, {"every": 0}, {"keep": -1}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    refused("Expected counter TEXT or TIME, every >= 1 and keep >= 0", replace(SOUND, **wrong), SAY)


def test_an_unknown_stream_is_asked_for_with_the_nearest():
    with pytest.raises(StrettoError, match="Did you mean 'speech'"):
        Tick200.Config().build()["spech"]
