"""What the heard slot has still to write, and sessions that nobody spoke."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stretto.agents.sizes import size
from stretto.core.errors import StrettoError
from stretto.listen.encoders.settled import Settled
from stretto.think.sounds import SOUNDS, sounds_of
from stretto.think.text import load_text
from stretto.think.unwritten import Unwritten
from stretto.train import unspoken
from stretto.train.hear_batches import Batches, ends_of
from stretto.train.unspoken import Unspoken

TICKS, CLOSE = 100, 2


def shower(**config):
    """Three places, two kinds "a" and "b", sounds of the last three ticks of four frames."""
    return replace(Unwritten.Config.tiny(), ticks=3, **config).build()


def chances(sounds):
    """A certain reading: "-" for none."""
    return F.one_hot(torch.tensor(["-ab".index(sound) for sound in sounds])[None], 3).float().clamp(min=1e-9).log()


def told(sounds, written, tick, **config):
    """What is shown, as ("a", ticks ago)."""
    shown = shower(**config).told(chances(sounds), torch.tensor([[written]]), torch.tensor([[tick]]))
    places = shown.view(-1, 2 + 3)
    return [("ab"[int(row[:2].argmax())], int(row[2:].argmax())) for row in places if row.any()]


def test_a_run_is_one_sound_and_the_first_that_is_not_written_stands_first():
    assert told("-aa-bba-----", 0, 2) == [("a", 2), ("b", 1), ("a", 1)]
    assert told("-aa-bba-----", 3, 2) == [("b", 1), ("a", 1)]
    assert told("-aa-bba-----", 2, 2) == [("b", 1), ("a", 1)], "what began before is written"
    assert told("-aa-bba-----", 12, 2) == []
    assert told("abababab----", 0, 2) == [("a", 2), ("b", 2), ("a", 2)], "as many as there are places"


def test_what_is_too_old_or_not_yet_heard_is_not_shown():
    assert told("a---b---a---b---", 0, 3) == [("b", 2), ("a", 1), ("b", 0)]
    assert told("a---b---a---b---", 0, 1) == [("a", 1), ("b", 0)]


def test_in_step_the_same_is_shown_as_in_the_whole():
    part = shower(places=4)
    kinds = torch.randint(3, (2, 40), generator=torch.Generator().manual_seed(0))
    whole = (5 * F.one_hot(kinds, 3)).float().log_softmax(-1)
    silence = torch.tensor([1.0, 0.0, 0.0]).log().expand(2, 16, 3)
    for tick in range(10):
        last = torch.cat([silence, whole], 1)[:, 4 * tick + 4 : 4 * tick + 20].unflatten(1, (4, 4))
        for written in (0, 4 * tick - 9, 4 * tick - 3, 4 * tick + 4):
            behind, now = torch.full((2,), max(0, written)), torch.full((2,), tick)
            stepped = part.now(last, now, behind)
            assert torch.equal(stepped, part(whole, behind[:, None], now[:, None])), (tick, written)


def test_nothing_is_learned_through_the_chances():
    part, read = shower(), chances("-aa-bba-----").requires_grad_()
    part(read, torch.tensor([[0]]), torch.tensor([[2]])).sum().backward()
    assert read.grad is None
    assert part.out.weight.grad.any()


def test_sizes_below_one_are_refused():
    with pytest.raises(StrettoError, match=r"Unwritten.Config.places of at least 1, got 0"):
        shower(places=0)


# Sessions that nobody spoke


@pytest.fixture
def text():
    return load_text("smollm2-135m")


def drawer(text, delay=1, **config):
    frames = Settled.of(size("tiny-listener").ear)
    return Unspoken.Config(**config).build(text, frames, ticks=TICKS, close=CLOSE, tick_s=0.2, delay=delay)


def read(chances):
    """The likeliest sounds, those that repeat once."""
    return once("".join("-"[kind:] or SOUNDS[kind - 1] for kind in chances.argmax(1).tolist()).replace("-", ""))


def once(sounds):
    return "".join(one for before, one in zip(" " + sounds, sounds, strict=False) if before != one)


def test_the_sounds_of_a_session_are_those_of_its_words_in_their_order(text, monkeypatch):
    for name in ("MISSING", "TAKEN", "ADDED", "LONGER"):
        monkeypatch.setattr(unspoken, name, 0.0)
    monkeypatch.setattr(unspoken, "SOUND_S", 0.2)  # slowly, so that no two fall together
    for seed in range(4):
        _, words, chances = drawer(text)(np.random.default_rng(seed))
        spoken = "".join(sounds_of(word) for word, _, _ in words)
        assert read(chances).startswith(once(spoken)), "a word at the end may sound without being due"
        assert chances.shape == (10 * TICKS, 1 + len(SOUNDS))


def test_what_nobody_spoke_is_misread_now_and_then(text):
    _, words, chances = drawer(text)(np.random.default_rng(0))
    assert not read(chances).startswith(once("".join(sounds_of(word) for word, _, _ in words)))
    assert float(chances.exp().max()) <= 1


@pytest.mark.parametrize("delay", [1, 2])
def test_words_are_due_some_ticks_after_the_one_in_which_they_end(text, delay):
    frames, spelled = Settled.of(size("tiny-listener").ear), [text.bytes_of(token) for token in range(text.size)]
    for seed in range(6):
        labels, words, _ = drawer(text, delay)(np.random.default_rng(seed))
        assert labels == sorted(labels, key=lambda label: label[0])
        begins = [due for due, token in labels if spelled[token][:1] == b" "]
        assert begins == [int(end / 0.2) + delay for _, _, end in words]
        assert max(ends_of(labels, words, spelled, frames)) > 0, "every word has its labels"
        assert {token for _, token in labels} >= {CLOSE, text.encode(".")[0]}


def test_the_same_draw_is_the_same_session_and_settings_say_of_what(text):
    one, two = (drawer(text)(np.random.default_rng(5)) for _ in range(2))
    assert one[:2] == two[:2]
    assert torch.equal(one[2], two[2])
    known = set(drawer(text).vocabulary)
    strings = drawer(text, strings=1.0)(np.random.default_rng(5))
    assert {word for word, _, _ in strings[1]} <= known


def test_what_is_no_share_is_refused(text):
    with pytest.raises(StrettoError, match="strings and changed as shares"):
        drawer(text, strings=1.5)
    with pytest.raises(StrettoError, match=r"Batches.Config.unspoken as a share, got 1.5"):
        Batches.Config(unspoken=1.5)
