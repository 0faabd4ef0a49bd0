"""What the language model expects: the state of the last word that it read, and how much that says of the next one."""

import pytest
import torch

from stretto.agents.expected import Expected, opinion_of
from stretto.agents.hearing import Hearing
from stretto.agents.sizes import size

WORDS = (5, 9)


class Told(Hearing):
    """Hears what it is told to at each ask, then nothing, and keeps the states in which the last word was read."""

    def __init__(self, network, told):
        super().__init__(network)
        self.told, self.seen = list(told), []

    def pick(self, scores, sounds, tick, since, read):
        self.seen.append(read)
        return (self.told.pop(0) if self.told else self.nothing), since


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return size("debug-listener").build()


@pytest.fixture
def reading(monkeypatch):
    """A random language model has no opinion by itself; here it has."""
    monkeypatch.setattr(Expected, "of", classmethod(lambda cls, network: cls(network, "read")))


def ticks(hearing, count, batch=1):
    state = hearing.start(batch, [1, 7])
    ear = hearing.network.ear.config
    for _ in range(count):
        _, state = hearing.step(torch.zeros(batch, ear.embeddings_per_tick, ear.features), state)
    return state


def test_a_word_is_expected_after_the_last_one_was_read_and_not_before(network, reading):
    """The first tick has pictures and one ask, the second one two."""
    nothing = network.layout.token("heard", "nothing")
    hearing = Told(network, [nothing, WORDS[0], nothing])
    ticks(hearing, 4)
    *before, one, other = hearing.seen
    assert before == [None] * 3, "nothing was read yet"
    assert torch.equal(one, other), "and until the next word it stays"
    expected = hearing.expected
    opinion = expected.opinion(one, [3, 4, 5])
    scores = network.tables["text"].logits(one)[:6]
    assert opinion.max() == 0.0
    assert torch.allclose(torch.from_numpy(opinion), scores[3:] - scores[3:].max(), atol=1e-5)


def test_after_the_end_of_a_turn_nothing_is_expected(network, reading):
    nothing, close = (network.layout.token("heard", kind) for kind in ("nothing", "close"))
    hearing = Told(network, [WORDS[0], nothing, close])
    ticks(hearing, 4)
    assert [read is None for read in hearing.seen] == [True, False, False, True]


def test_sessions_of_a_batch_expect_what_each_would_alone(network, reading):
    nothing = network.layout.token("heard", "nothing")
    together = Told(network, [*WORDS, nothing, nothing])
    both = ticks(together, 2, batch=2).read
    for word, read in zip(WORDS, both, strict=True):
        alone = Told(network, [word, nothing])
        assert torch.allclose(read, ticks(alone, 2).read[0], atol=1e-5)
    assert not torch.allclose(*both)


def test_whoever_reads_nothing_expects_nothing(network):
    assert Expected.of(network) is None, "its language model is random"
    assert Expected.of(size("debug").build()) is None
    assert opinion_of(None, torch.zeros(3)) is None
