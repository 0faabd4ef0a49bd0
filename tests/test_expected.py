"""What the language model expects: the state of the last word that it read, and how much that says of the next one."""

import numpy as np
import pytest
import torch

from stretto.agents.duplex import Duplex
from stretto.agents.evidence import Evidence
from stretto.agents.expected import Expected
from stretto.agents.hearing import Hearing
from stretto.agents.sizes import size
from stretto.core.clock import VirtualClock
from stretto.core.protocols import Context
from stretto.core.signals import Image, Observation, Sound
from stretto.runtime.delays import NoDelays
from stretto.runtime.jobs import DrawnJobs

WORDS, AMONG = (5, 9), (3, 4, 5)


class Told(Hearing):
    """Hears what it is told to at each ask, then nothing, and keeps its opinions on some tokens."""

    def __init__(self, network, told):
        super().__init__(network)
        self.told, self.seen = list(told), []

    def pick(self, scores, sounds, tick, since, opinion=None):
        self.seen.append(opinion and opinion(AMONG).tolist())
        return (self.told.pop(0) if self.told else self.nothing), since


class Silent(Duplex):
    """Says nothing, so that what it reads stands where it stands in hearing alone."""

    mute = ("say",)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return size("debug-listener").build()


@pytest.fixture
def reading(monkeypatch):
    """Random networks have no opinion by themselves; here they have."""
    monkeypatch.setattr(Evidence, "of", classmethod(lambda cls, network: cls.Config().build(())))
    monkeypatch.setattr(Expected, "of", classmethod(lambda cls, network: cls(network, "read")))


def ticks(hearing, count, batch=1, system=(1, 7)):
    state = hearing.start(batch, system)
    ear = hearing.network.ear.config
    for _ in range(count):
        _, state = hearing.step(torch.zeros(batch, ear.embeddings_per_tick, ear.features), state)
    return state


def observation(tick):
    sound = Sound(samples=np.zeros(3_200, np.float32), rate=16_000)
    pixels = np.zeros((32, 32, 3), np.uint8)
    images = tuple(Image(camera=name, t=0.2 * tick, pixels=pixels) for name in ("front", "wrist"))
    numbers = {"proprio": np.zeros(19, np.float32), "action": np.zeros(7, np.float32)}
    return Observation(t=0.2 * tick, tick=tick, images=images, sound=sound, **numbers)


def test_a_word_is_expected_after_the_last_one_was_read_and_not_before(network, reading):
    """The first tick has pictures and one ask, the second one two."""
    nothing = network.layout.token("heard", "nothing")
    hearing = Told(network, [nothing, WORDS[0], nothing])
    ticks(hearing, 4)
    *before, one, other = hearing.seen
    assert before == [None] * 3, "nothing was read yet"
    assert one == other, "and until the next word it stays"
    assert max(one) == 0.0
    assert min(one) < -0.1


def test_an_opinion_is_the_language_models_score_of_the_next_word(network, reading):
    hearing = Told(network, [WORDS[0]])
    state = ticks(hearing, 2)
    scores = network.tables["text"].logits(state.read[0])[list(AMONG)]
    told = hearing.expected.after(state.read[0], state.cursors[0])(AMONG)
    assert torch.allclose(torch.from_numpy(told), scores - scores.max(), atol=1e-5)


def test_after_the_end_of_a_turn_nothing_is_expected(network, reading):
    nothing, close = (network.layout.token("heard", kind) for kind in ("nothing", "close"))
    hearing = Told(network, [WORDS[0], nothing, close])
    ticks(hearing, 4)
    assert [opinion is None for opinion in hearing.seen] == [True, False, False, True]


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
    assert Hearing(network).expected is None


def test_the_agent_weighs_the_same_opinions(network, reading):
    nothing = network.layout.token("heard", "nothing")
    agent, told, seen = Silent(Duplex.Config(live=False), network), list(WORDS), []

    def choose(scores, sounds, tick, since, opinion):
        seen.append(opinion and opinion(AMONG).tolist())
        return (told.pop(0) if told else nothing), since

    agent.evidence.choose = choose
    jobs = DrawnJobs(VirtualClock(), NoDelays())
    state = agent.start(Context(tasks=(), tick_s=0.2, control_hz=20.0, actions=7, seed=3, jobs=jobs))
    for tick in range(4):
        _, state = agent.step(observation(tick), state)
    hearing = Told(network, WORDS)
    ticks(hearing, 4, system=())
    assert [opinion is None for opinion in seen] == [True, False, True, False, False]
    for one, other in zip(seen, hearing.seen, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
