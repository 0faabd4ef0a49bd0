"""The flow head: times, committed prefixes, steps spread over ticks, who sees whom, and that it learns."""

import math
import pickle

import pytest
import torch
import torch.nn.functional as F

from stretto.act.heads.flow import FlowHead, action_times
from stretto.act.protocols import ActionHead
from stretto.core.errors import StrettoError
from stretto.nn.flow import LONGEST, SHORTEST, time_embedding

torch.set_num_threads(1)

TINY = FlowHead.Config.tiny()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def opened(config=TINY, dtype=torch.float32):
    """A head whose gates are open, so that every part of it has a say."""
    torch.manual_seed(0)
    head = config.build()
    for parameter in head.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return head.to(dtype)


def inputs(batch=3, tokens=5, config=TINY, seed=1):
    """Context, mask with holes, actions, prefixes 0, 1, 2 …"""
    generator = seeded(seed)
    context = torch.randn(batch, tokens, config.context_width, generator=generator)
    mask = torch.rand(batch, tokens, generator=generator) < 0.7
    mask[:, 0] = True
    actions = torch.randn(batch, config.horizon, config.actions, generator=generator)
    return context, mask, actions, torch.arange(batch) % (config.longest_prefix + 1)


def test_the_embedding_of_flow_time_is_its_formula():
    time = torch.tensor([[0.0, 0.3], [0.7, 1.0]])
    embedded = time_embedding(time, 6, torch.float64)
    periods = [LONGEST, math.sqrt(LONGEST * SHORTEST), SHORTEST]
    for row in range(2):
        for column in range(2):
            angles = [2 * math.pi * float(time[row, column]) / period for period in periods]
            expected = [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
            assert embedded[row, column].tolist() == pytest.approx(expected, abs=1e-9)


def test_the_embedding_in_bfloat16_is_the_exact_one_rounded():
    time = torch.linspace(0, 1, 11)
    assert torch.equal(time_embedding(time, 16, torch.bfloat16), time_embedding(time, 16, torch.float64).bfloat16())


@pytest.mark.parametrize("width", [7, 2])
def test_an_embedding_without_room_for_its_waves_is_refused(width):
    with pytest.raises(StrettoError, match="even width"):
        time_embedding(torch.zeros(1), width)


def test_committed_actions_are_at_one_and_the_others_go_together():
    times = action_times(torch.tensor([[0.25], [0.5]]), torch.tensor([2, 0]), 4)
    assert times.tolist() == [[[1.0, 1.0, 0.25, 0.25]], [[0.5, 0.5, 0.5, 0.5]]]


def test_a_flow_head_fulfils_the_protocol():
    assert isinstance(TINY.build(), ActionHead)


@pytest.mark.parametrize("split", [(5,), (1, 1, 1, 1, 1), (2, 3), (0, 4, 1), (3, 9)])
def test_a_chunk_spread_over_ticks_is_the_same_to_the_bit(split):
    head, batch = opened(), inputs()
    state = head.begin(*batch, seeded())
    for n in split:
        state = head.advance(state, n)
    assert torch.equal(head.chunk(state), head.sample(*batch, seeded()))


def test_a_state_can_be_kept_forked_and_saved():
    head = opened()
    kept = head.advance(head.begin(*inputs(), seeded()), 2)
    before = pickle.dumps(kept)
    first = head.chunk(head.advance(kept, 3))
    assert pickle.dumps(kept) == before
    assert torch.equal(head.chunk(head.advance(pickle.loads(before), 3)), first)


def test_an_unfinished_chunk_is_refused():
    head = opened()
    with pytest.raises(StrettoError, match=r"step 2 of 5. Call advance\(state, 3\)"):
        head.chunk(head.advance(head.begin(*inputs(), seeded()), 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_prefix_comes_out_unchanged_and_what_stands_behind_it_does_not_matter(dtype):
    head = opened(dtype=dtype)
    context, mask, actions, prefix = inputs(9)
    chunk = head.sample(context, mask, actions, prefix, seeded())
    behind = torch.arange(TINY.horizon) >= prefix[:, None]
    assert torch.equal(chunk[~behind], actions[~behind])
    assert not torch.isclose(chunk, actions)[behind].any()
    other = actions.masked_fill(behind[..., None], torch.nan)
    assert torch.equal(head.sample(context, mask, other, prefix, seeded()), chunk)
    assert chunk.dtype == torch.float32


def test_what_follows_depends_on_the_prefix():
    head = opened()
    context, mask, actions, _ = inputs()
    prefix = torch.full((3,), 4)
    assert not torch.allclose(
        head.sample(context, mask, actions, prefix, seeded())[:, 4:],
        head.sample(context, mask, -actions, prefix, seeded())[:, 4:],
    )


def test_steps_go_from_noise_to_the_action_that_the_velocity_points_to(monkeypatch):
    head = TINY.build()
    context, mask, actions, prefix = inputs()

    def straight(noised, timing, _):
        left = 1 - timing.time[..., None]
        return torch.where(left > 0, (actions[:, None] - noised) / left, 0.0)

    monkeypatch.setattr(head, "velocity", straight)
    for steps in (1, 3, 7):
        assert torch.allclose(head.sample(context, mask, actions, prefix, seeded(), steps), actions, atol=1e-5)


def test_without_noise_every_draw_is_the_same_chunk():
    head, batch = opened(), inputs()
    assert not torch.equal(head.sample(*batch, seeded(1)), head.sample(*batch, seeded(2)))
    assert torch.equal(head.sample(*batch, seeded(1), noise=0), head.sample(*batch, seeded(2), noise=0))


def test_the_loss_asks_for_action_minus_noise_on_the_straight_path_behind_the_prefix(monkeypatch):
    head = TINY.build()
    context, mask, actions, _ = inputs()
    prefix = torch.tensor([0, 3, 8])
    seen = {}

    def still(noised, timing, _):
        seen.update(noised=noised, time=timing.time[..., None])
        return torch.zeros_like(noised)

    monkeypatch.setattr(head, "velocity", still)
    loss, terms = head.loss(context, mask, actions, prefix, seeded(), repeats=6)
    free = seen["time"].expand(-1, -1, -1, 7) < 1
    assert torch.equal(free.all((1, 3)), torch.arange(TINY.horizon) >= prefix[:, None])
    target = actions[:, None].expand(-1, 6, -1, -1)
    assert torch.equal(seen["noised"][~free], target[~free])
    noise = (seen["noised"] - seen["time"] * target) / (1 - seen["time"])
    assert float(loss) == pytest.approx(float((target - noise)[free].square().mean()), rel=1e-4)
    assert float(terms["flow"]) == float(loss)
    assert min(terms["flow_noisy"], terms["flow_clean"]) < loss < max(terms["flow_noisy"], terms["flow_clean"])


def test_the_copies_of_a_chunk_are_noised_evenly_and_more_near_the_noise_with_a_bias():
    even, biased = FlowHead.Config(width=16, noise_bias=1).build(), FlowHead.Config(width=16, noise_bias=1.5).build()
    times = even._progress(50, 4, seeded(), torch.zeros(1))
    assert torch.equal((times * 4).floor().long().sort(1).values, torch.arange(4).expand(50, 4))
    assert biased._progress(500, 4, seeded(), torch.zeros(1)).mean() == pytest.approx(1 - 0.6, abs=0.01)


def test_gradients_reach_every_parameter_and_the_context():
    head = opened()
    context, mask, actions, prefix = inputs()
    context.requires_grad_()
    head.loss(context, mask, actions, prefix, seeded())[0].backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert torch.equal(context.grad.abs().sum(-1) > 0, mask)


def test_a_new_head_starts_with_closed_gates():
    head, other = TINY.build(), inputs(seed=7)[0]
    context, mask, actions, prefix = inputs()
    assert torch.equal(
        head.sample(context, mask, actions, prefix, seeded()), head.sample(other, mask, actions, prefix, seeded())
    )


def test_hidden_context_has_no_say_and_visible_context_has():
    head = opened(dtype=torch.float64)
    context, mask, actions, prefix = inputs()
    chunk = head.sample(context, mask, actions, prefix, seeded())
    noisy = torch.where(mask[..., None], context, context + 5)
    assert torch.equal(head.sample(noisy, mask, actions, prefix, seeded()), chunk)
    moved = context.clone()
    moved[:, 0] *= -1
    assert not torch.isclose(head.sample(moved, mask, actions, prefix, seeded()), chunk)[:, -1].any()


def test_copies_and_samples_do_not_see_each_other():
    head = opened(dtype=torch.float64)
    context, mask, _, _ = inputs()
    noised = torch.randn(3, 4, 16, 7, generator=seeded(), dtype=torch.float64)
    time = torch.rand(3, 4, 16, generator=seeded(2), dtype=torch.float64)
    together = head.velocity(noised, head.timing(time), head.remember(context, mask))
    for i in range(3):
        for j in range(4):
            one = slice(i, i + 1), slice(j, j + 1)
            alone = head.velocity(noised[one], head.timing(time[one]), head.remember(context[one[0]], mask[one[0]]))
            assert torch.allclose(alone, together[one], rtol=0, atol=1e-12)


def test_attention_is_the_scaled_dot_product_of_the_textbook():
    head = opened(dtype=torch.float64)
    context, mask, _, _ = inputs(2)
    layer, memory = head.layers[1], head.remember(context, mask)
    x = torch.randn(2, 3, 16, 16, generator=seeded(), dtype=torch.float64)

    def heads(tokens):
        return tokens.unflatten(-1, (2, 8)).transpose(-2, -3)

    query, key, value = (heads(part) for part in layer.qkv(x).chunk(3, -1))
    seen = F.scaled_dot_product_attention(query, key, value).transpose(-2, -3).flatten(-2)
    assert torch.allclose(layer._among(x), layer.mix(seen), rtol=0, atol=1e-12)
    both = head.context_kv(head.context_norm(context.double())).chunk(4, -1)
    key, value, shown = heads(both[2])[:, None], heads(both[3])[:, None], mask[:, None, None, None]
    seen = F.scaled_dot_product_attention(heads(layer.query(x)), key, value, shown).transpose(-2, -3).flatten(-2)
    across = layer._across(x, memory.keys[1], memory.values[1], memory.bias)
    assert torch.allclose(across, layer.read(seen), rtol=0, atol=1e-12)


def test_every_action_has_a_time_of_its_own_and_all_actions_see_each_other():
    head = opened(dtype=torch.float64)
    context, mask, _, _ = inputs(1)
    noised = torch.randn(1, 1, 16, 7, generator=seeded(), dtype=torch.float64)
    time = torch.full((1, 1, 16), 0.5, dtype=torch.float64)
    memory = head.remember(context, mask)
    before = head.velocity(noised, head.timing(time), memory)
    time[..., 9] = 0.75
    moved = (head.velocity(noised, head.timing(time), memory) - before).abs().sum(-1)[0, 0]
    assert (moved > 0).all()
    assert moved.argmax() == 9


def test_bfloat16_weights_draw_nearly_the_same_chunk():
    batch = inputs()
    exact, rounded = (opened(dtype=dtype).sample(*batch, seeded()) for dtype in (torch.float32, torch.bfloat16))
    assert (exact - rounded).abs().mean() < 0.05 * exact.abs().mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_live_head_draws_the_chunk_of_its_weights(dtype):
    head, batch = opened(dtype=dtype), inputs()
    expected = head.float().sample(*batch, seeded())
    live = opened(dtype=dtype).live()
    assert torch.allclose(live.sample(*batch, seeded()), expected, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in live.parameters())
    assert live.layers[0].qkv.weight.t().is_contiguous()


def test_it_learns_two_ways_to_act_and_continues_the_one_that_was_begun():
    """The target is all 0.8 or all -0.8 at random: a mean would be 0, a flow keeps both."""
    torch.manual_seed(0)
    config = FlowHead.Config(width=16, layers=1, heads=2, context_width=4, horizon=4, actions=2, longest_prefix=2)
    head, generator = config.build(), seeded()
    optimiser = torch.optim.Adam(head.parameters(), 2e-2)
    context, mask = torch.zeros(64, 1, 4), torch.ones(64, 1, dtype=torch.bool)
    for _ in range(50):
        target = 0.8 * (torch.randint(0, 2, (32, 1, 1), generator=generator) * 2.0 - 1).expand(32, 4, 2)
        prefix = torch.randint(0, 3, (32,), generator=generator)
        optimiser.zero_grad()
        head.loss(context[:32], mask[:32], target, prefix, generator)[0].backward()
        optimiser.step()
    drawn = head.sample(context, mask, torch.zeros(64, 4, 2), torch.zeros(64, dtype=torch.long), generator, steps=10)
    assert (drawn.abs() - 0.8).abs().mean() < 0.3
    assert 0.15 < (drawn.mean((1, 2)) > 0).float().mean() < 0.85
    begun = torch.cat([torch.full((32, 4, 2), 0.8), torch.full((32, 4, 2), -0.8)])
    continued = head.sample(context, mask, begun, torch.full((64,), 2), generator, steps=10)
    assert (continued - begun).abs().mean() < 0.1
    assert (continued.sign() == begun.sign()).float().mean() > 0.95


WRONG = {
    "context": (torch.zeros(3, 5, 15), r"expected context \(batch, tokens, 16\), got \(3, 5, 15\)"),
    "mask": (torch.ones(3, 4, dtype=torch.bool), r"expected mask \(3, 5\) of torch.bool, got \(3, 4\)"),
    "actions": (torch.zeros(3, 12, 7), r"expected actions \(3, 16, 7\), got \(3, 12, 7\)"),
    "prefix": (torch.zeros(3), r"expected prefix \(3,\) of integers, got \(3,\) of torch.float32"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_shape_is_named_with_what_was_expected(name):
    arguments = dict(zip(WRONG, inputs(), strict=True)) | {name: WRONG[name][0]}
    for call in (TINY.build().loss, TINY.build().begin):
        with pytest.raises(StrettoError, match=WRONG[name][1]):
            call(*arguments.values(), seeded())


def test_impossible_requests_are_refused():
    head, (context, mask, actions, prefix) = TINY.build(), inputs()
    with pytest.raises(StrettoError, match="prefixes of 0 to 8"):
        head.begin(context, mask, actions, prefix + 7, seeded())
    with pytest.raises(StrettoError, match="at least one context token"):
        head.begin(context, mask & False, actions, prefix, seeded())
    with pytest.raises(StrettoError, match="at least 1 Euler step"):
        head.begin(context, mask, actions, prefix, seeded(), steps=0)
    with pytest.raises(StrettoError, match="at least 1 repeat"):
        head.loss(context, mask, actions, prefix, seeded(), repeats=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"heads": 3}, "3 heads divide"), ({"layers": 0}, "layers"), ({"longest_prefix": 16}, "below the horizon")],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(StrettoError, match=words):
        FlowHead.Config(**settings).build()
