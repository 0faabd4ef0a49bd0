"""A language model that writes many lines at once writes each as if it were alone."""

import numpy as np
import pytest
import torch

from stretto.core.errors import StrettoError
from stretto.think.writer import MOST, Writer
from stretto.train import lines as written
from stretto.train.lines import PROMPTS, write_lines

PROMPT = "Capitals.\n- The capital of France is Paris.\n- The capital of Spain is Madrid.\n-"


@pytest.fixture(scope="module")
def surely():
    return Writer("smollm2-135m", temperature=1e-4, longest=10)


def test_lines_written_together_are_those_written_alone(surely):
    begun = [" The", " Rome", " London"]
    together = surely.lines(PROMPT, begun, np.random.default_rng(0))
    assert together == [surely.lines(PROMPT, [one], np.random.default_rng(0))[0] for one in begun]
    assert all(line.startswith(one.strip()) for line, one in zip(together, begun, strict=True))
    assert "capital of" in together[0]


@torch.no_grad()
def test_reading_word_by_word_is_reading_at_once(surely):
    ids = torch.tensor([surely.text.encode("The capital of France is")])
    whole = surely.read(ids, surely._room(1, ids.shape[1]), 0)
    past = surely._room(1, ids.shape[1] + 30)
    for at in range(ids.shape[1]):
        stepped = surely.read(ids[:, at : at + 1], past, at)
    assert torch.allclose(stepped, whole, atol=2e-3)
    assert surely.text.decode([int(whole.argmax())]).strip() == "Paris"


def test_a_line_that_does_not_end_is_none(surely):
    assert surely._line([5, 6]) == ""


def test_tokens_are_drawn_by_their_shares_and_never_from_the_tail(surely):
    scores = torch.full((2_000, 2 * MOST), -20.0)
    scores[:, 7], scores[:, 9] = 0.0, -1e-4
    drawn = surely.drawn(scores, np.random.default_rng(0))
    assert drawn.unique().tolist() == [7, 9]


class Parrot:
    """A dummy writer: every third of its lines fits, half of them twice."""

    def __init__(self, model):
        self.text, self.asked = self, 0

    def encode(self, text):
        return [1]

    def lines(self, prompt, begun, rng):
        assert prompt.endswith("\n-")
        self.asked += 1
        names = ("north", "south", "east", "west", "left", "right")
        return [f"We go {names[k % 6]} at {names[k // 6 % 6]} again." if k % 3 == 0 else "nothing" for k in range(60)]


def test_only_lines_that_fit_are_kept_and_each_once(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr(written, "Writer", Parrot)
    said = []
    path = write_lines(tmp_path / "lines.txt.gz", 8, 0, said.append)
    kept = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert len(kept) == len(set(kept)) == 8
    assert "0 min left" in said[-1]
    assert [each.name for each in tmp_path.iterdir()] == ["lines.txt.gz"]
    assert all(len(shown) > 6 for shown in PROMPTS)
    with pytest.raises(StrettoError, match="at least 1 line, got 0"):
        write_lines(tmp_path / "none.txt.gz", 0, 0, said.append)
