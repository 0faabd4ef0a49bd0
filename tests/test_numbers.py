"""Physical numbers as an embedding: what is small in its own unit is not small to the network."""

import torch

from stretto.nn.numbers import FAR, NumberEmbedding


def measured(numbers=2):
    torch.manual_seed(0)
    embedding = NumberEmbedding(numbers, 16)
    embedding.measure(torch.randn(1000, numbers) * torch.tensor([0.01, 1.0]) + torch.tensor([0.02, 5.0]))
    return embedding


def test_a_deviation_is_the_same_step_in_every_unit():
    embedding = measured()
    base = torch.tensor([0.02, 5.0])
    small, large = (
        embedding(base + step) - embedding(base) for step in (torch.tensor([0.01, 0]), torch.tensor([0, 1.0]))
    )
    assert 0.3 < small.norm() / large.norm() < 3


def test_statistics_pass_through_a_checkpoints_bfloat16_unchanged():
    for buffer in (measured().centre, measured().scale):
        assert torch.equal(buffer, buffer.bfloat16().float())


def test_an_arm_that_was_thrown_off_is_cut_and_does_not_count():
    embedding, base = measured(), torch.tensor([[0.02, 5.0]])
    far = base + torch.tensor([[0.0, 2 * FAR]])
    assert torch.equal(embedding(far), embedding(far + torch.tensor([[0.0, 100.0]])))
    scale = embedding.scale.clone()
    thrown = torch.cat([torch.randn(1000, 2) * torch.tensor([0.01, 1.0]) + base, base + torch.tensor([[0.0, 1e3]])])
    embedding.measure(thrown)
    assert torch.allclose(embedding.scale, scale, rtol=0.1)


def test_a_number_that_never_changes_is_no_division_by_zero():
    embedding = NumberEmbedding(1, 8)
    embedding.measure(torch.ones(10, 1))
    assert torch.isfinite(embedding(torch.ones(1, 1))).all()
