"""Shared layers, each against what it is said to be."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stretto.core.errors import StrettoError
from stretto.nn.attention import HIDDEN, attend, bias_of
from stretto.nn.lora import LoRA, adapt, adapters
from stretto.nn.norm import RMSNorm
from stretto.nn.quantise import FEW, GROUP, Int4Linear, Int8Linear, go_live, levels, on_grid, quantised
from stretto.nn.ring import KeyValues
from stretto.nn.rope import interleaved, turn, turns
from stretto.nn.swiglu import SwiGLU


def rand(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def far(one, two):
    return float((one.detach() - two.detach()).abs().max())


# Attention


def torch_attention(query, key, value, visible):
    """torch's own, over (batch, tokens, heads, size) and (batch, tokens, kv, size)."""
    query, key, value = (some.transpose(1, 2) for some in (query, key, value))
    mask = visible[:, None]
    read = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    return read.transpose(1, 2).flatten(2)


@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (6, 2), (3, 1)])
def test_attention_is_that_of_torch(heads, kv):
    sizes = ((5, heads), (7, kv), (7, kv))
    query, key, value = (rand(2, *size, 8, seed=s, dtype=torch.float64) for s, size in enumerate(sizes))
    visible = rand(2, 5, 7, seed=4) > -0.5
    visible[..., 0] = True
    bias = bias_of(visible, torch.float64)
    ours = attend([(query * 8**-0.5, slice(0, 7))], key.permute(0, 2, 3, 1), value.transpose(1, 2), bias)
    assert far(ours, torch_attention(query, key, value, visible)) < 1e-12


def test_columns_of_two_frames_are_one_softmax_over_both():
    query, other = rand(1, 3, 4, 8, seed=1), rand(1, 3, 4, 8, seed=5)
    key, value = rand(1, 6, 2, 8, seed=2), rand(1, 6, 2, 8, seed=3)
    visible = torch.ones(1, 3, 6, dtype=torch.bool)
    ours = attend(
        [(query, slice(0, 2)), (other, slice(2, 6))], key.permute(0, 2, 3, 1), value.transpose(1, 2), bias_of(visible)
    )
    scores = torch.cat(
        [
            torch.einsum("bthd,bchd->bhtc", some, key[:, columns].repeat_interleave(2, 2))
            for some, columns in ((query, slice(0, 2)), (other, slice(2, 6)))
        ],
        dim=-1,
    )
    wanted = torch.einsum("bhtc,bchd->bthd", scores.softmax(-1), value.repeat_interleave(2, 2)).flatten(2)
    assert far(ours, wanted) < 1e-6


def test_a_hidden_key_has_no_weight_at_all_whatever_its_score():
    key, value = torch.ones(1, 1, 4, 2), torch.tensor([[[[1.0] * 4, [7.0] * 4]]])
    key[..., 1] = 1e3
    bias = bias_of(torch.tensor([[[True, False]]]))
    assert torch.equal(attend([(torch.ones(1, 1, 1, 4), slice(0, 2))], key, value, bias), torch.ones(1, 1, 4))


def test_a_query_that_sees_nothing_is_finite():
    bias = bias_of(torch.zeros(1, 1, 3, dtype=torch.bool))
    read = attend([(rand(1, 1, 2, 4), slice(0, 3))], rand(1, 1, 4, 3), rand(1, 1, 3, 4, seed=2), bias)
    assert bool(torch.isfinite(read).all())
    assert float(bias.max()) == pytest.approx(HIDDEN)


# Rotary positions


def test_a_score_depends_on_the_difference_of_positions_alone():
    query, key = rand(1, 8, dtype=torch.float64), rand(1, 8, seed=1, dtype=torch.float64)

    def score(q, k):
        at = turns(torch.tensor([q, k]), 8, 10_000.0, dtype=torch.float64)
        return float((turn(query, at[:1]) * turn(key, at[1:])).sum())

    near = score(5, 2)
    assert abs(score(900_005, 900_002) - near) < 1e-9
    assert abs(score(6, 2) - near) > 1e-3
    assert abs(score(2, 5) - near) > 1e-3


def test_angles_are_taken_in_float64_even_for_float32_weights():
    """At ten hours an angle in float32 is off by 0.01 rad; ours is as exact as float32 can hold a cosine."""
    at = torch.tensor([360_001])
    powers = torch.arange(0, 8, 2).double() / 8
    exact = torch.polar(torch.ones(4, dtype=torch.float64), at.double() * 10_000.0**-powers)
    ours = turns(at, 8, 10_000.0)
    assert ours.dtype == torch.complex64
    assert far(torch.view_as_real(ours.to(torch.complex128)[0]), torch.view_as_real(exact)) < 1e-7
    coarse = at.float() * 10_000.0 ** -powers.float()
    assert float((coarse.cos() - exact.real).abs().max()) > 1e-4


def test_turning_keeps_the_length_and_scales_by_what_is_asked():
    x = rand(3, 2, 8)
    at = turns(torch.tensor([1, 70, 9_000]), 8, 500.0, scale=0.25)[:, None]
    assert far(turn(x, at).norm(dim=-1), 0.25 * x.norm(dim=-1)) < 1e-6


def test_interleaved_projections_give_the_scores_of_rotate_half():
    """Rows in the order of checkpoints that pair x_i with x_(i + D/2) score as those checkpoints do."""
    head, width, theta = 8, 12, 10_000.0
    w_query, w_key, x = (
        rand(*s, seed=i, dtype=torch.float64) for i, s in enumerate(((2 * head, width), (2 * head, width), (5, width)))
    )
    at = torch.tensor([0, 1, 4, 9, 300])
    angles = at.double()[:, None] * theta ** (-torch.arange(0, head, 2).double() / head)
    cos, sin = (torch.cat([f, f], dim=-1)[:, None] for f in (angles.cos(), angles.sin()))

    def halves(weight):
        y = (x @ weight.T).view(5, 2, head)
        return y * cos + torch.cat([-y[..., head // 2 :], y[..., : head // 2]], dim=-1) * sin

    def ours(weight):
        by = turns(at, head, theta, dtype=torch.float64)[:, None]
        return turn((x @ interleaved(weight, head).T).view(5, 2, head), by)

    wanted = torch.einsum("qhd,khd->hqk", halves(w_query), halves(w_key))
    assert far(torch.einsum("qhd,khd->hqk", ours(w_query), ours(w_key)), wanted) < 1e-10


# Norm and feed-forward


def test_the_norm_is_that_of_torch_and_live_it_is_the_same():
    norm, x = RMSNorm(16, eps=1e-3), rand(4, 16) * torch.tensor([[1.0], [1e-3], [0.0], [30.0]])
    norm.weight.data = rand(16, seed=3)
    wanted = x / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * norm.weight
    assert far(norm(x), wanted) < 1e-5
    norm.go_live()
    with torch.no_grad():
        assert far(norm(x), wanted) < 1e-5


def test_the_feed_forward_is_that_of_llama():
    ffn, x = SwiGLU(6, 10), rand(3, 6)
    gate, up = ffn.gate_up.weight[:10], ffn.gate_up.weight[10:]
    assert far(ffn(x), (functional.silu(x @ gate.T) * (x @ up.T)) @ ffn.down.weight.T) < 1e-6


# Adapters


def adapted(dtype=torch.float32, bias=False):
    linear = nn.Linear(12, 8, bias=bias).to(dtype)
    adapter = LoRA(linear, rank=3, alpha=6.0)
    adapter.up.data = rand(8, 3, seed=2)
    return adapter


def test_an_adapter_begins_as_the_layer_it_adapts():
    linear, x = nn.Linear(12, 8, bias=False), rand(5, 12)
    before = linear(x)
    assert torch.equal(LoRA(linear, 2)(x), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_merging_computes_the_same_and_unmerging_brings_back_the_very_bits(dtype):
    adapter, x = adapted(dtype), rand(5, 12, dtype=dtype)
    before, beside = adapter.base.weight.detach().clone(), adapter(x)
    adapter.merge()
    adapter.merge()
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.2, torch.float64: 1e-12}[dtype]
    assert far(adapter(x), beside) < tolerance
    assert not torch.equal(adapter.base.weight, before)
    adapter.unmerge()
    assert torch.equal(adapter.base.weight, before)
    assert torch.equal(adapter(x), beside)
    assert not adapter.merged


def test_only_the_adapter_learns():
    adapter = adapted()
    adapter(rand(5, 12)).sum().backward()
    assert {name for name, weight in adapter.named_parameters() if weight.grad is not None} == {"down", "up"}


def test_adapters_go_to_the_layers_named_and_nowhere_twice():
    ffn = nn.Sequential(SwiGLU(6, 8), nn.Linear(6, 6))
    assert len(adapt(ffn, 2)) == 2
    assert adapt(ffn, 2) == []
    assert len(list(adapters(ffn))) == 2
    assert isinstance(ffn[1], nn.Linear)


def test_an_adapter_needs_a_rank():
    with pytest.raises(StrettoError, match="rank of at least 1, got 0"):
        LoRA(nn.Linear(2, 2), 0)


# The live backend


def grid_weight(outer=64, inner=64, seed=0):
    """A weight on a 4-bit grid of groups of 32, its scales and offsets exact in bfloat16."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randint(0, 16, (outer, inner // GROUP, GROUP), generator=generator).float()
    level[..., 0], level[..., 1] = 0, 15
    scale = 2.0 ** torch.randint(-6, -3, (outer, inner // GROUP, 1), generator=generator)
    return (level * scale - 8 * scale).flatten(1)


@pytest.mark.parametrize("inner", [8, 20, 24, 40])
def test_a_width_that_the_kernel_cannot_read_is_computed_all_the_same(inner):
    weight, x = rand(48, inner), rand(2, inner, seed=1)
    assert torch.equal(Int8Linear(weight)(x), x @ weight.T.contiguous())


def test_eight_bits_compute_their_own_dequantised_weight():
    weight, x = rand(48, 64), rand(3, 64, seed=1).to(torch.bfloat16)
    live = Int8Linear(weight)
    own = live.int8.float() * live.scale.float()[:, None]
    assert float((own - weight).abs().max()) < float(weight.abs().max()) / 80
    wanted = x.float() @ own.T
    assert far(live(x).float(), wanted) < 0.01 * float(wanted.abs().max())


def test_above_few_rows_the_weight_itself_is_used():
    weight, x = rand(48, 64), rand(FEW + 1, 64, seed=1)
    assert torch.equal(Int8Linear(weight)(x), x @ weight.T.contiguous())
    assert Int8Linear(weight)(x[:FEW]).dtype == torch.bfloat16


def test_four_bits_compute_their_own_dequantised_weight_whatever_the_rows():
    weight = grid_weight()
    live = Int4Linear(weight)
    for rows in (1, 3, 20):
        x = rand(rows, 64, seed=rows).to(torch.bfloat16)
        wanted = x.float() @ weight.T
        assert far(live(x).float(), wanted) < 0.01 * float(wanted.abs().max())


def test_a_row_does_not_depend_on_the_rows_beside_it():
    x = rand(4, 64, seed=1)
    x[1:] *= 1e3
    for live in (Int4Linear(grid_weight()), Int8Linear(rand(64, 64))):
        assert torch.equal(live(x)[0], live(x[:1])[0])


def test_a_weight_is_told_apart_from_one_that_is_on_the_grid():
    weight = grid_weight()
    assert on_grid(weight)
    assert not on_grid(weight + 1e-3 * rand(64, 64))
    assert not on_grid(rand(64, 64))
    assert not on_grid(grid_weight()[:, :48])
    assert not on_grid(grid_weight()[:40])
    assert isinstance(quantised(weight), Int4Linear)
    assert isinstance(quantised(rand(64, 64)), Int8Linear)
    level, scale, low = levels(weight)
    assert torch.equal((level * scale[..., None] + low[..., None]).flatten(1), weight)


def test_going_live_replaces_norms_and_layers_without_bias_and_nothing_else():
    module = nn.ModuleDict({"ffn": SwiGLU(32, 32), "norm": RMSNorm(32), "biased": nn.Linear(32, 4)})
    go_live(module)
    assert isinstance(module["ffn"].gate_up, Int8Linear)
    assert module["norm"].scaled is not None
    assert isinstance(module["biased"], nn.Linear)


def test_adapters_on_four_bits_stay_beside_and_others_are_merged():
    module = nn.ModuleDict({"a": nn.Linear(64, 64, bias=False), "b": nn.Linear(64, 64, bias=False)})
    module["a"].weight.data = grid_weight()
    for adapter in adapt(module, 2, ("a", "b")):
        adapter.up.data = 0.1 * rand(64, 2, seed=4)
    x = rand(2, 64, seed=6)
    wanted = {name: module[name](x) for name in "ab"}
    go_live(module)
    assert isinstance(module["a"].base, Int4Linear)
    assert isinstance(module["b"], Int8Linear)
    for name in "ab":
        assert far(module[name](x).float(), wanted[name]) < 0.02 * float(wanted[name].detach().abs().max())


# Rings of keys and values


@pytest.mark.parametrize("batch", [1, 3])
def test_a_ring_holds_what_was_put_and_where(batch):
    rings = KeyValues([6, 4], batch, kv_heads=2, head=4)
    columns = torch.tensor([[5, 0], [1, 2], [3, 4]])[:batch]
    keys, values = rand(batch, 2, 2, 4, seed=1), rand(batch, 2, 2, 4, seed=2)
    rings.put(0, columns, keys, values)
    got_keys, got_values = rings.get(0)
    for b in range(batch):
        for token, column in enumerate(columns[b].tolist()):
            assert torch.equal(got_keys[b, :, :, column], keys[b, token])
            assert torch.equal(got_values[b, :, column], values[b, token])
    assert int((got_keys != 0).sum()) == keys.numel()
    assert not rings.get(1)[0].any()


@pytest.mark.parametrize("batch", [1, 2])
def test_a_ring_is_overwritten_in_place_and_its_copy_is_not(batch):
    rings = KeyValues([3], batch, kv_heads=1, head=4)
    columns = torch.zeros(batch, 1, dtype=torch.int64)
    rings.put(0, columns, torch.ones(batch, 1, 1, 4), torch.ones(batch, 1, 1, 4))
    copy, buffer = rings.clone(), rings.get(0)[0].data_ptr()
    rings.put(0, columns, 2 * torch.ones(batch, 1, 1, 4), torch.ones(batch, 1, 1, 4))
    assert rings.get(0)[0].data_ptr() == buffer
    assert float(rings.get(0)[0].max()) == 2
    assert float(copy.get(0)[0].max()) == 1


def test_sessions_of_a_batch_may_be_taken_twice():
    rings = KeyValues([2], 2, kv_heads=1, head=2)
    rings.put(0, torch.tensor([[0], [1]]), rand(2, 1, 1, 2), rand(2, 1, 1, 2, seed=1))
    taken = rings.clone([1, 1, 0])
    for b, source in enumerate((1, 1, 0)):
        assert torch.equal(taken.get(0)[0][b], rings.get(0)[0][source])
