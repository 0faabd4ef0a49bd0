"""Image encoders: shapes, types, refusals, and that the tokens can tell where a thing is."""

import numpy as np
import pytest
import torch

from stretto.core.errors import StrettoError
from stretto.look.encoders.conv import ConvTokens


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads of tiny work wait for each other far longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return ConvTokens.Config.tiny().build()


def pictures(*shape, size=32, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (*shape, 3, size, size), dtype=np.uint8))


def test_a_picture_becomes_sixteen_tokens_of_the_experts_width():
    encoder = ConvTokens.Config().build()
    assert encoder(pictures(2, size=128)).shape == (2, 16, 256)
    assert sum(p.numel() for p in encoder.parameters()) < 1_500_000


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (2, 1, 2), (0,)])
def test_any_number_of_leading_dimensions_gives_the_same_tokens(tiny, batch):
    images = pictures(*batch)
    one_by_one = [tiny(image) for image in images.reshape(-1, 3, 32, 32)]
    tokens = tiny(images)
    assert tokens.shape == (*batch, 16, 16)
    if one_by_one:
        assert torch.allclose(tokens.reshape(-1, 16, 16), torch.stack(one_by_one), atol=1e-6)


def test_bytes_and_fractions_of_one_picture_give_the_same_tokens(tiny):
    images = pictures(2)
    assert torch.allclose(tiny(images), tiny(images / 255), atol=1e-5)


def test_a_cameras_own_memory_layout_is_taken_as_it_is(tiny):
    images = pictures(2)
    rows = images.permute(0, 2, 3, 1).contiguous()
    assert torch.allclose(tiny(rows.permute(0, 3, 1, 2)), tiny(images), atol=1e-6)


def test_in_bfloat16_the_tokens_stay_near(tiny):
    images = pictures(4)
    with torch.no_grad():
        full = tiny(images)
        half = tiny.to(torch.bfloat16)(images)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).norm() < 0.03 * full.norm()


def test_two_cells_that_see_the_same_differ_by_their_place(tiny):
    with torch.no_grad():
        tokens = tiny(torch.full((3, 32, 32), 128, dtype=torch.uint8))
        seen = tokens - tiny.cell
    assert torch.cdist(tokens, tokens)[~torch.eye(16, dtype=bool)].min() > 0.01
    assert torch.allclose(seen[10], seen[11], atol=1e-3)


def test_every_weight_gets_a_gradient(tiny):
    tiny(pictures(2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tiny.parameters())


def test_the_tokens_learn_where_a_square_is(tiny):
    """A linear readout finds a bright 6 px square to within 2 px after sixty steps; a guess is off by 6."""
    rng = np.random.default_rng(0)
    readout = torch.nn.Linear(256, 2)
    optimiser = torch.optim.Adam([*tiny.parameters(), *readout.parameters()], 5e-3)

    def miss(n):
        places = rng.integers(0, 26, (n, 2))
        images = np.full((n, 3, 32, 32), 60, np.uint8)
        for image, (row, column) in zip(images, places, strict=True):
            image[:, row : row + 6, column : column + 6] = 220
        return 26 * (readout(tiny(torch.from_numpy(images)).flatten(1)) - torch.from_numpy(places).float() / 26)

    for _ in range(60):
        optimiser.zero_grad()
        miss(16).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        assert miss(100).abs().mean() < 2.0


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (pictures(2, size=64), "64"),
        (pictures(2).permute(0, 2, 3, 1), "channels first"),
        (torch.zeros(32, 32), "channels first"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int64), "int64"),
        (torch.zeros(3, 32, 32, dtype=torch.bool), "bool"),
    ],
)
def test_pictures_of_another_size_or_type_are_refused(tiny, images, words):
    with pytest.raises(StrettoError, match=words):
        tiny(images)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tokens": 15}, "square"),
        ({"tokens": 0}, "square"),
        ({"size": 96}, "128 px"),
        ({"tokens": 4}, "64 px"),
        ({"channels": (24, 48, 96, 192, 250)}, "multiples of 8"),
        ({"size": 4, "channels": ()}, "at least one stage"),
    ],
)
def test_a_configuration_that_does_not_fit_says_what_would(wrong, words):
    with pytest.raises(StrettoError, match=words):
        ConvTokens.Config(**wrong)
