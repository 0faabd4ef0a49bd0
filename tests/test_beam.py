"""Several readings of what was heard: what follows decides, in time, and each has the past that it would have had."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from stretto.agents.beam import Beam
from stretto.agents.evidence import Evidence
from stretto.agents.hearing import Hearing
from stretto.agents.reader import Reader
from stretto.agents.sizes import size
from stretto.core.errors import StrettoError

LIKELY, RIVAL, NEXT, OTHER, MARK = 11, 12, 13, 14, 20
AT_A_LOSS = {NEXT: 0.2, OTHER: 0.2, 15: 0.2, 16: 0.2}
"""What follows a word that was not said."""


class Script(Evidence):
    """In place of evidence: what may be heard next, by what a reading has heard: {(): {11: 0.6, 12: 0.3}}; else, and
    in what is missing, nothing. `at_2` is what may be heard in tick 2."""

    def __init__(self, nothing, **said):
        self.nothing, self.said, self.seen = nothing, said, []

    def audible(self, token):
        return token not in (self.nothing, MARK)

    def chances(self, scores, sounds, tick, since, opinion=None):
        self.seen.append((tick, since.tokens, scores.clone()))
        told = self.said.get(f"at_{tick}", {}).get(since.tokens, {})
        after = [
            (token, replace(since, tokens=(*since.tokens, token)), math.log(chance)) for token, chance in told.items()
        ]
        rest = 1 - sum(told.values())
        return [*after, (self.nothing, since, math.log(rest) if rest > 0 else -90.0)]


class Reads:
    """In place of the language model: has read the last word, and knows how likely some tokens are."""

    streams = ()

    def __init__(self, likely):
        self.likely = likely

    def read(self, states, tokens, last):
        return [torch.zeros(1)] * len(last)

    def after(self, last, cursor):
        return lambda among: np.zeros(len(among))

    def chances(self, last):
        found = torch.full((64,), -9.0)
        for token, chance in self.likely.items():
            found[token] = chance
        return found


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return size("debug-listener").build()


def features(network, tick):
    ear = network.ear.config
    generator = torch.Generator().manual_seed(tick)
    return torch.randn(1, ear.embeddings_per_tick, ear.features, generator=generator)


def beam_of(network, config=None, **said):
    hearing = Hearing(network)
    return Beam(config or Beam.Config(), hearing, Script(hearing.nothing, **said))


def told(beam, ticks=4, system=(1, 7)):
    """What is told in each tick, and at the end."""
    state, found = beam.start(system), []
    for tick in range(ticks):
        said, state = beam.step(features(beam.hearing.network, tick), state)
        found.append(said[0])
    return [*found, beam.rest(state)]


def test_what_nobody_doubts_is_told_at_once(network):
    assert told(beam_of(network, at_1={(): {LIKELY: 0.99}})) == [[], [LIKELY], [], [], []]


def test_the_word_that_what_follows_fits_better_is_told_a_tick_later(network):
    doubt = {(): {LIKELY: 0.6, RIVAL: 0.3}}
    after = {(LIKELY,): AT_A_LOSS, (RIVAL,): {NEXT: 0.95}}
    beam = beam_of(network, at_1=doubt, at_2=after, at_3={(LIKELY,): {NEXT: 1.0}})
    assert told(beam) == [[], [], [RIVAL, NEXT], [], []]
    assert told(beam_of(network, at_1=doubt)) == [[], [], [LIKELY], [], []], "when nothing follows the likely one is"


def test_a_word_waits_no_longer_than_it_may(network):
    """Its rival fits what is heard in the third tick; without more time nobody will know."""
    script = {"at_1": {(): {LIKELY: 0.5, RIVAL: 0.4}}, "at_3": {(LIKELY,): AT_A_LOSS, (RIVAL,): {NEXT: 0.99}}}
    assert told(beam_of(network, **script))[:3] == [[], [], [LIKELY]]
    assert told(beam_of(network, Beam.Config(late=2), **script)) == [[], [], [], [RIVAL, NEXT], []]
    assert told(beam_of(network, Beam.Config(late=0), **script))[:2] == [[], [LIKELY]]
    assert told(beam_of(network, Beam.Config(width=1), **script))[:2] == [[], [LIKELY]]


def test_a_reading_much_worse_than_the_best_is_given_up(network):
    script = {"at_1": {(): {LIKELY: 0.6, RIVAL: 0.3}}, "at_2": {(LIKELY,): AT_A_LOSS, (RIVAL,): {NEXT: 0.95}}}
    assert told(beam_of(network, Beam.Config(margin=0.5), **script))[1] == [LIKELY], "within a tick"
    assert told(beam_of(network, Beam.Config(sure=0.5), **script))[1] == [LIKELY], "at its end"


def test_a_text_is_carried_on_once(network):
    """Heard in one tick or in the next it is the same word."""
    beam = beam_of(network, at_1={(): {LIKELY: 0.5}}, at_2={(): {LIKELY: 0.9}})
    state = beam.start((1, 7))
    for tick in range(3):
        _, state = beam.step(features(network, tick), state)
        texts = [reading.tokens for reading in state.readings if reading]
        assert len(set(texts)) == len(texts) == (2 if tick == 1 else 1)


def test_what_is_added_to_the_score_of_nothing_counts(network):
    seen = {}
    for bias in (0.0, 3.0):
        beam = beam_of(network)
        beam.hearing.bias = bias
        told(beam, 1)
        seen[bias] = beam.evidence.seen[0][2]
    nothing = beam.hearing.nothing
    assert float(seen[3.0][nothing] - seen[0.0][nothing]) == pytest.approx(3.0, abs=1e-5)
    assert torch.equal(seen[3.0][:nothing], seen[0.0][:nothing])


def test_what_still_waits_at_the_end_is_the_best_readings(network):
    assert told(beam_of(network, at_3={(): {LIKELY: 0.5, RIVAL: 0.4}})) == [[], [], [], [], [LIKELY]]


@torch.no_grad()
def test_each_reading_has_the_past_that_it_would_have_had_alone(network):
    """The scores of the reading that split off, behind its word, are those of a session that heard nothing else."""
    beam = beam_of(
        network, at_1={(): {LIKELY: 0.5, RIVAL: 0.4}}, at_2={(LIKELY,): AT_A_LOSS, (RIVAL,): {NEXT: 0.4, OTHER: 0.4}}
    )
    told(beam, 5)

    class Told(Hearing):
        def __init__(self, network, at):
            super().__init__(network)
            self.at, self.seen = at, []

        def pick(self, scores, sounds, tick, since, opinion=None):
            self.seen.append((tick, scores))
            said = [token for token, when in self.at if when == tick and token not in since.tokens]
            token = said[0] if said else self.nothing
            return token, (replace(since, tokens=(*since.tokens, token)) if said else since)

    for at in ([(LIKELY, 1)], [(RIVAL, 1)], [(RIVAL, 1), (OTHER, 2)]):
        alone = Told(network, at)
        state = alone.start(1, (1, 7))
        for tick in range(5):
            _, state = alone.step(features(network, tick), state)
        last = tuple(token for token, _ in at)
        ours = {tick: scores for tick, tokens, scores in beam.evidence.seen if tokens == last}
        theirs = {tick: scores for tick, scores in alone.seen if tick > at[-1][1]}
        shared = [tick for tick in theirs if tick in ours]
        assert shared, f"{last} went on for a tick"
        for tick in shared:
            assert torch.allclose(ours[tick], theirs[tick], atol=1e-5)
    assert not torch.allclose(
        *[next(s for t, tokens, s in beam.evidence.seen if t == 2 and tokens == (first,)) for first in (LIKELY, RIVAL)]
    ), "what was heard makes a difference"


def test_what_the_language_model_finds_likely_counts_among_readings(network):
    """Two words as likely as each other, behind one that it has read."""
    script = {"at_0": {(): {NEXT: 0.999}}, "at_2": {(NEXT,): {LIKELY: 0.5, RIVAL: 0.4}}}
    beam = beam_of(network, **script)
    assert told(beam)[3] == [LIKELY]

    beam.hearing.expected = Reads({RIVAL: -2.0})
    assert told(beam)[2] == [RIVAL], "so much likelier that the other is given up"
    beam = beam_of(network, at_0={(): {NEXT: 0.999}}, at_2={(NEXT,): {LIKELY: 0.6, MARK: 0.3}})
    beam.hearing.expected = Reads({LIKELY: -5.0, MARK: 0.0})
    assert told(beam)[3] == [LIKELY], "marks have no chance of their own there"


def test_only_a_network_that_reads_sounds_has_readings_and_a_reader_may_have_one(network, monkeypatch):
    assert Beam.of(Hearing(network)) is None
    hearing = Hearing(network)
    hearing.evidence = Script(hearing.nothing)
    assert Beam.of(hearing).config == Beam.Config()
    monkeypatch.setattr(network, "text", Letters())
    monkeypatch.setattr(Evidence, "of", classmethod(lambda cls, network: Script(hearing.nothing)))
    assert Reader(network).beam is not None
    assert Reader(network, beam=False).beam is None


class Letters:
    """A tokenizer of numbers."""

    def encode(self, text, special=False):
        return [1]

    def decode(self, ids):
        return "".join(f" w{token}" for token in ids)


def test_a_reader_says_at_the_end_what_has_waited(network, monkeypatch):
    monkeypatch.setattr(network, "text", Letters())
    reader = Reader(network)
    assert reader.beam is None
    reader.beam = beam_of(network, at_1={(): {LIKELY: 0.99}}, at_3={(LIKELY,): {NEXT: 0.5, OTHER: 0.4}})
    words = reader.words(np.zeros(4 * 3_200, np.float32))
    assert [(word.text, word.t) for word in words] == [("w11", 0.4), ("w13", 1.0)]
    assert Reader(network, beam=False).words(np.zeros(3_200, np.float32)) is not None


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("late", -1), ("margin", -0.1), ("sure", -1.0)])
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(StrettoError, match=f"Expected Beam.Config.{name} of at least"):
        Beam.Config(**{name: value})
