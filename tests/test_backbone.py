"""The backbone: equal to itself written naively, streamed exactly, and bounded by its layout."""

from dataclasses import replace

import pytest
import torch

from backbone_reference import (
    asked,
    built,
    episode,
    inputs,
    naive,
    sees,
    step,
    stepped,
    vectors,
    whole,
    worst,
)
from stretto.core.errors import StrettoError
from stretto.think.backbone import Backbone
from stretto.think.expert import ExpertConfig
from stretto.think.layouts.ellsa import Ellsa
from stretto.think.layouts.listener200 import Listener200
from stretto.think.layouts.tick200 import Tick200
from stretto.think.memory import Whole
from stretto.think.tokens import Tokens, gather
from stretto.think.visibility import Rule

HOURS = 180_000
"""Ten hours of ticks: a multiple of the period of the tick's embedding."""

LAYOUTS = {
    "tick200": Tick200.Config.tiny(),
    "ellsa": Ellsa.Config.tiny(),
    "listener200": Listener200.Config.tiny(),
    "adapted": replace(Listener200.Config.tiny(), adapted=True),
}
LONG = {"tick200": 34, "ellsa": 11, "listener200": 34}
"""Ticks after which every ring has been overwritten twice."""

LANGUAGE = {"system", "typed", "speech", "heard"}

UNLIKE = {
    "language": ExpertConfig(depth=5, width=24, heads=3, kv_heads=1, head=8, ffn=40, theta=10_000.0),
    "action": ExpertConfig(depth=2, width=16, heads=2, kv_heads=1, head=8, ffn=24, theta=500.0, joins=(1, 2)),
}
DEEPER = {"language": ExpertConfig(depth=2, width=24, heads=3), "action": ExpertConfig(depth=4, theta=1_000.0)}
EQUAL = {"language": ExpertConfig(kv_heads=2), "action": ExpertConfig(kv_heads=2)}
SHAPES = {"default": None, "unlike": UNLIKE, "deeper action": DEEPER, "equal depth": EQUAL}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param].build()


def backbone_of(layout, shape="default"):
    experts = SHAPES[shape] or dict(Backbone.Config().experts)
    if "listening" in layout.experts:
        listening = ExpertConfig(width=20, theta=700.0, kv_heads=experts["language"].kv_heads)
        experts = {**experts, "listening": listening}
    for name, of in (("speaking", "language"), ("deciding", "action")):
        if name in layout.experts:
            experts = {**experts, name: experts[of].adapted(of, 3)}
    backbone = built(layout, experts=experts)
    with torch.no_grad():
        for name, weight in backbone.named_parameters():
            if name.endswith(".up"):
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(len(name)))
    return backbone


# The rule


def test_the_rule_is_that_of_every_pair_of_tokens(layout):
    session = episode(layout, seed=4, ticks=14)
    tokens = gather(layout, [session.rows], [session.stored])
    memory = Whole()
    columns = memory.place(tokens)
    mask = Rule(layout)(columns, columns)[0]
    rows, order = session.rows, columns.source[0].tolist()
    wanted = torch.tensor([[sees(layout, rows, session.stored, q, k) for k in order] for q in order])
    assert torch.equal(mask, wanted)
    assert 0 < wanted.float().mean() < 1


def test_nothing_that_was_not_said_is_seen_after_its_tick(layout):
    """A silence leaves no trace: no later tick sees the marker that asked for it."""
    session = episode(layout, seed=4, ticks=14)
    columns = Whole().place(gather(layout, [session.rows], [session.stored]))
    mask = Rule(layout)(columns, columns)[0]
    later = columns.tick[0][:, None] > columns.tick[0][None, :]
    assert not (mask & later & ~columns.stored[0]).any()


def test_rows_that_nobody_of_the_first_call_sees_may_be_called_later(layout):
    """What follows from the act slot in a second call: the same states as in one."""
    backbone, session = backbone_of(layout), episode(layout, seed=4, ticks=14)
    tokens = gather(layout, [session.rows], [session.stored])
    given = inputs(tokens, vectors(backbone, [session]), [0])
    later, found, memory = torch.tensor(layout.behind(["act"])), {}, Whole()
    together = backbone(given, tokens)
    for here in (~later, later):
        some = {name: here[each.stream] for name, each in tokens.items() if here[each.stream].any()}
        states = backbone(
            {name: given[name][:, kept] for name, kept in some.items()},
            {name: tokens[name].take_where(kept) for name, kept in some.items()},
            memory,
        )
        for name, kept in some.items():
            torch.testing.assert_close(states[name], together[name][:, kept])
            found[name] = found.get(name, 0) + int(kept.sum())
    assert found == {name: len(each.stream) for name, each in tokens.items()}


# Equal to the naive one


@pytest.mark.parametrize("shape", SHAPES)
def test_two_experts_equal_the_naive_reference(layout, shape):
    """Each expert on all tokens, then select: the same outputs and the same gradients."""
    backbone, sessions = backbone_of(layout, shape), [episode(layout, seed=s, ticks=8 + s) for s in (0, 3)]
    given = vectors(backbone, sessions)
    probe = torch.Generator().manual_seed(5)
    loss = {"ours": 0.0, "naive": 0.0}
    found = whole(backbone, layout, sessions, given)
    for b, session in enumerate(sessions):
        wanted = naive(backbone, layout, session, {name: some[b] for name, some in given.items()})
        assert worst([found[b]], [wanted]) < 1e-12
        for ours, theirs in zip(found[b], wanted, strict=True):
            weight = torch.randn(ours.shape, generator=probe, dtype=torch.float64)
            loss["ours"] += (ours * weight).sum()
            loss["naive"] += (theirs * weight).sum()
    weights = list(backbone.parameters())
    ours, theirs = (torch.autograd.grad(some, weights, retain_graph=True) for some in loss.values())
    for one, two in zip(ours, theirs, strict=True):
        assert float((one - two).abs().max()) < 1e-10 * max(1.0, float(two.abs().max()))
        assert float(two.abs().max()) > 0


# Stepping


@pytest.mark.parametrize("shape", ["default", "deeper action"])
@torch.no_grad()
def test_stepping_equals_the_whole_sequence(layout, shape):
    """Three sessions out of step, after every ring has been overwritten at least twice over."""
    backbone = backbone_of(layout, shape)
    sessions = [episode(layout, seed=s, ticks=LONG[layout.name] + s) for s in range(3)]
    for session in sessions:
        gone = session.evictions(layout)
        assert all(count >= 2 * layout[name].capacity for name, count in gone.items()), gone
    given = vectors(backbone, sessions)
    assert worst(stepped(backbone, layout, sessions, given), whole(backbone, layout, sessions, given)) < 1e-9


@torch.no_grad()
def test_a_session_is_the_same_alone_and_in_company(layout):
    backbone, sessions = backbone_of(layout), [episode(layout, seed=s, ticks=3 + s) for s in range(3)]
    given = vectors(backbone, sessions)
    company = stepped(backbone, layout, sessions, given)
    for b, session in enumerate(sessions):
        alone = stepped(backbone, layout, [session], {name: [some[b]] for name, some in given.items()})
        assert worst(alone, [company[b]]) < 1e-12


@torch.no_grad()
def test_moving_a_session_by_ten_hours_changes_nothing(layout):
    """The same episode with its ticks 180 000 later and its text counter a million further."""
    backbone = backbone_of(layout)
    early = [episode(layout, seed=s, ticks=LONG[layout.name] // 2) for s in range(2)]
    late = [episode(layout, seed=s, ticks=LONG[layout.name] // 2, tick0=HOURS, text0=1_000_000) for s in range(2)]
    assert late[0].rows[-1].time - early[0].rows[-1].time == HOURS * layout.steps
    given = vectors(backbone, early)
    assert worst(stepped(backbone, layout, late, given), stepped(backbone, layout, early, given)) < 1e-9


@torch.no_grad()
def test_forked_sessions_go_their_own_ways_and_disturb_nobody(layout):
    backbone, session = backbone_of(layout), episode(layout, seed=1, ticks=8)
    given = vectors(backbone, [session])
    wanted = stepped(backbone, layout, [session], given)
    other = {name: [-some[0]] for name, some in given.items()}
    rings, found, strange = backbone.rings(), [[None] * len(session.rows)], [[None] * len(session.rows)]
    first = [0]
    half = len(session.passes) // 2
    for number, now in enumerate(session.passes):
        if number == half:
            fork = rings.fork()
        step(backbone, layout, rings, [now], given, first, found)
        if number >= half:
            step(backbone, layout, fork, [now], other, first, strange)
        first[0] += len(now[0])
    assert worst(found, wanted) == 0
    begun = sum(len(rows) for rows, _ in session.passes[:half])
    assert worst([strange[0][begun:]], [wanted[0][begun:]]) > 1e-3


@torch.no_grad()
def test_one_session_forked_into_a_batch_gives_every_branch_the_same_past(layout):
    backbone, session = backbone_of(layout), episode(layout, seed=1, ticks=12)
    given = vectors(backbone, [session])
    both = {name: [some[0], some[0]] for name, some in given.items()}
    rings, first = backbone.rings(), [0]
    found = [[None] * len(session.rows)]
    for now in session.passes[:-1]:
        step(backbone, layout, rings, [now], given, first, found)
        first[0] += len(now[0])
    twice = rings.fork([0, 0])
    step(backbone, layout, rings, session.passes[-1:], given, first, found)
    branches = [[None] * len(session.rows), [None] * len(session.rows)]
    step(backbone, layout, twice, [session.passes[-1]] * 2, both, first * 2, branches)
    for branch in branches:
        assert worst([branch[first[0] :]], [found[0][first[0] :]]) < 1e-12


@torch.no_grad()
def test_a_session_that_goes_on_as_another_has_its_past_and_its_pass(layout):
    """Taken over in the middle of a pass, before it is known what of it stays."""
    backbone, sessions = backbone_of(layout), [episode(layout, seed=s, ticks=12) for s in (1, 2)]
    given = vectors(backbone, sessions)
    alone = {name: [some[0]] for name, some in given.items()}
    wanted = stepped(backbone, layout, sessions[:1], alone)
    both = {name: [some[0], some[0]] for name, some in given.items()}
    rings, first = backbone.rings(2), [0, 0]
    found = [[None] * len(session.rows) for session in sessions]
    half = len(sessions[0].passes) // 2
    for one, other in zip(sessions[0].passes[: half - 1], sessions[1].passes, strict=False):
        step(backbone, layout, rings, [one, other], given, first, found)
        first = [first[0] + len(one[0]), first[1] + len(other[0])]
    rows, stored = sessions[0].passes[half - 1]
    tokens = gather(layout, [rows, ()])
    backbone(inputs(tokens, both, first), tokens, rings)
    rings.take([0, 0])
    rings.keep([stored, stored])
    first = [first[0] + len(rows)] * 2
    branches = [[None] * len(sessions[0].rows) for _ in range(2)]
    begun = first[0]
    for now in sessions[0].passes[half:]:
        step(backbone, layout, rings, [now, now], both, first, branches)
        first = [first[0] + len(now[0])] * 2
    for branch in branches:
        assert worst([branch[begun:]], [wanted[0][begun:]]) < 1e-12


@torch.no_grad()
def test_a_question_without_an_answer_leaves_no_trace(layout):
    """Whatever a marker held that was not followed by anything: no other token of any tick is another one for it."""
    backbone, session = backbone_of(layout), episode(layout, seed=1, ticks=12)
    given = vectors(backbone, [session])
    other = {name: [some[0].clone()] for name, some in given.items()}
    silent = [k for k, row in enumerate(session.rows) if not session.stored[k] and not row.open]
    assert silent
    for some in other.values():
        some[0][silent] += 1
    one, two = (stepped(backbone, layout, [session], some)[0] for some in (given, other))
    assert {k for k in range(len(one)) if not torch.equal(one[k], two[k])} == set(silent)


# Who depends on whom


@torch.no_grad()
def test_speech_and_heard_tokens_do_not_change_when_pixels_do():
    layout = Tick200.Config.tiny().build()
    backbone, session = backbone_of(layout), episode(layout, seed=1, ticks=8)
    given = vectors(backbone, [session])
    images = [k for k, row in enumerate(session.rows) if layout.streams[row.stream].name == "image"]
    other = {name: [some[0].clone()] for name, some in given.items()}
    other["action"][0][images] += 1
    one, two = (stepped(backbone, layout, [session], some)[0] for some in (given, other))
    moved = dict.fromkeys(layout.index, 0.0)
    for k, row in enumerate(session.rows):
        name = layout.streams[row.stream].name
        moved[name] = max(moved[name], float((one[k] - two[k]).abs().max()))
    assert {name for name, far in moved.items() if far == 0} == LANGUAGE
    assert min(moved[name] for name in ("say", "act", "chunk", "proprio")) > 1e-6


def reached(backbone, layout, session, name):
    """Weights that a loss on the states of one stream's tokens reaches."""
    given = vectors(backbone, [session])
    states = whole(backbone, layout, [session], given)[0]
    here = [states[k] for k, row in enumerate(session.rows) if layout.streams[row.stream].name == name]
    loss = sum((state * torch.arange(1, len(state) + 1)).sin().sum() for state in here)
    backbone.zero_grad()
    loss.backward()
    return {weight for weight, value in backbone.named_parameters() if value.grad is not None and value.grad.any()}


def test_a_loss_on_what_was_heard_reaches_every_language_weight_and_no_other():
    layout = Tick200.Config.tiny().build()
    backbone = backbone_of(layout)
    wanted = {name for name, _ in backbone.named_parameters() if name.startswith("experts.language.")}
    assert reached(backbone, layout, episode(layout, ticks=8), "heard") == wanted


def test_a_loss_on_the_chunk_reaches_both_experts_as_far_as_the_chunk_reads_them():
    """All of the action expert; of the language expert what makes the keys and values that the last join reads."""
    layout = Tick200.Config.tiny().build()
    backbone = backbone_of(layout)
    found = reached(backbone, layout, episode(layout, ticks=8), "chunk")
    names = [name for name, _ in backbone.named_parameters()]
    unread = {f"experts.language.layers.3.{part}.weight" for part in ("out", "norm2", "ffn.gate_up", "ffn.down")}
    unread |= {"experts.language.norm.weight"}
    assert found == set(names) - unread
    last = backbone.experts["language"].layers[3].qkv.weight.grad
    queries = backbone.config.experts["language"].heads * backbone.config.experts["language"].head
    assert not last[:queries].any()
    assert last[queries:].any(dim=1).all()


def test_no_token_is_computed_twice(layout):
    """Each expert's layers get the tokens of its own streams and no others."""
    backbone, session = backbone_of(layout), episode(layout, ticks=6)
    tokens = gather(layout, [session.rows], [session.stored])
    counted = {}
    for name, expert in backbone.experts.items():
        expert.layers[0].ffn.register_forward_hook(
            lambda _, given, out, name=name: counted.setdefault(name, []).append(out.shape[1])
        )
    backbone(inputs(tokens, vectors(backbone, [session]), [0]), tokens)
    own = {e: sum(layout.streams[row.stream].expert == e for row in session.rows) for e in layout.experts}
    assert counted == {name: [count] for name, count in own.items()}


def test_without_gradients_weights_are_read_once_and_the_states_stay_what_they_are():
    """What speaks and decides goes through the layers behind what it adapts."""
    layout = LAYOUTS["adapted"].build()
    backbone, session = backbone_of(layout), episode(layout, ticks=6)
    given, read = vectors(backbone, [session]), []
    apart = whole(backbone, layout, [session], given)
    layers = [layer for name in ("language", "action") for layer in backbone.experts[name].layers]
    for layer in layers:
        layer.ffn.down.register_forward_hook(lambda layer, given, out: read.append(layer))
    with torch.no_grad():
        assert worst(whole(backbone, layout, [session], given), apart) < 1e-12
    assert len(read) == len(layers)


def test_a_pass_of_language_alone_runs_without_action_tokens(layout):
    """A second word in a tick asks one slot: the other expert is not computed, and its keys are still read."""
    session = episode(layout, seed=6, ticks=60)
    some = [rows for rows, _ in session.passes if asked(layout, rows) == ["say"]]
    assert some
    assert set(gather(layout, [some[0]])) == {layout["say"].expert}


def test_memory_stays_the_same_however_long_a_session_lasts(layout):
    backbone, rings = backbone_of(layout), None
    sizes = set()
    for ticks in (2, 8):
        session = episode(layout, ticks=ticks)
        rings = backbone.rings()
        stepped(backbone, layout, [session], vectors(backbone, [session]), rings=rings)
        sizes.add((sum(part.numel() for part in rings.buffers.keys), rings.columns.id.shape))
    assert len(sizes) == 1


def test_a_layer_holds_no_more_columns_than_its_experts_need():
    """Where only the language expert stands, the ring ends with the language expert's streams."""
    layout = Tick200.Config.tiny().build()
    rings = backbone_of(layout).rings()
    alone, joined = rings.buffers.keys[0].shape[-1], rings.buffers.keys[1].shape[-1]
    language = sum(s.capacity for s in layout.streams if s.expert == "language")
    everything = sum(s.capacity for s in layout.streams)
    assert (alone, joined) == (language + 1, everything + 2)


# Bad input


def refused(text, layout=None, **experts):
    with pytest.raises(StrettoError, match=text):
        Backbone.Config(experts=experts).build(layout or Tick200.Config.tiny().build())


def test_experts_of_different_keys_and_values_are_refused():
    refused("language 1 x 8, action 2 x 4.*kv_heads", language=ExpertConfig(), action=ExpertConfig(kv_heads=2, head=4))


def test_joins_that_do_not_fit_the_depth_are_refused():
    for joins in ((0,), (1, 0), (2, 4), (-1, 2)):
        refused(
            "'action' has 2 layers.*rising layers of 0 … 3",
            language=ExpertConfig(depth=4),
            action=ExpertConfig(depth=2, joins=joins),
        )


def test_query_heads_that_cannot_be_grouped_are_refused():
    refused(
        "3 query heads do not divide by 2",
        language=ExpertConfig(heads=3, kv_heads=2),
        action=ExpertConfig(heads=2, kv_heads=2),
    )


def test_a_layout_whose_experts_are_missing_is_refused():
    refused("wants the experts action, language, got language", language=ExpertConfig())


def test_an_even_spread_ends_with_the_deepest_layer():
    assert ExpertConfig(depth=10).places(30) == tuple(range(2, 30, 3))
    assert ExpertConfig(depth=4).places(4) == (0, 1, 2, 3)
    assert ExpertConfig(depth=8).places(24)[-1] == 23


def test_tokens_side_by_side_are_cut_where_they_were_joined(layout):
    session = episode(layout, ticks=5)
    parts = list(gather(layout, [session.rows], [session.stored]).values())
    joined = Tokens.cat(parts)
    again = joined.take(slice(0, len(parts[0].stream)))
    assert torch.equal(again.rank, parts[0].rank)
    assert torch.equal(again.counts, parts[0].counts)
