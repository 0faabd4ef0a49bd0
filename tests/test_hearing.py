"""Hearing: labels, shards, what is fed back, stepping, training that resumes, and a future that is never seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from stretto.agents.checkpoint import digest, from_pretrained
from stretto.agents.duplex import Duplex
from stretto.agents.hearing import Hearing
from stretto.agents.reader import Reader, Written
from stretto.agents.sizes import size
from stretto.bench import hearing as hearing_card
from stretto.bench import hearing_language
from stretto.cli.main import main
from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound, Speech, Word
from stretto.core.sound import level_dbfs
from stretto.data import speech_cache
from stretto.data.clip_plan import Plans
from stretto.data.clips import Clip
from stretto.data.corpus import make
from stretto.data.hearing import Heard, written
from stretto.data.hearing import Sessions as Packed
from stretto.data.hearing_score import errors_of, matched
from stretto.data.hearing_shards import Scale, Shard
from stretto.data.talk_style import spoken_words
from stretto.listen.encoders.grains import GrainAdapter
from stretto.listen.encoders.settled import Settled
from stretto.listen.encoders.sound_readout import SoundReadout
from stretto.look.encoders.conv import ConvTokens
from stretto.recipes.hear import HearTraining
from stretto.think.layout import TextTable
from stretto.think.plan import TickPlan, write
from stretto.think.sounds import SOUNDS
from stretto.think.spelling import FEATURES
from stretto.think.tokens import gather
from stretto.train.device import Device
from stretto.train.hear import LISTENING, Hear, is_trained, run_freely
from stretto.train.hear_batches import PATIENCE, Batches, Sessions
from stretto.train.hear_features import Job, Maker, make_shards
from stretto.train.hear_sounds import loss_of_quiet, loss_of_sounds, spoken
from stretto.train.hear_style import restyled, towards
from test_duplex_agent import context, observation

SIZES = ("debug", "debug-listener")


class Beeping:
    """No engine: a word is a tone of 0.3 s, the same word the same tone."""

    def speak(self, text, seed=0):
        words, pieces, t = [], [], 0.0
        for word in spoken_words(text):
            times = np.arange(round(0.3 * HEARING_RATE)) / HEARING_RATE
            tone = 200 + 40 * (sum(map(ord, word.lower())) % 50)
            pieces += [0.3 * np.sin(2 * np.pi * tone * times), np.zeros(round(0.05 * HEARING_RATE))]
            words.append(Word(word, round(t, 4), round(t + 0.3, 4)))
            t += 0.35
        sound = Sound(samples=np.concatenate(pieces).astype(np.float32), rate=HEARING_RATE)
        return Speech(text=text, sound=sound, words=tuple(words), speaker="beeps")


@pytest.fixture
def voices(monkeypatch):
    monkeypatch.setattr(speech_cache, "speaker", lambda name, still, **settings: Beeping())


def job_of(folder, corpora, **changes):
    given = {
        "corpora": tuple((str(corpus.root), corpus.name) for corpus in corpora),
        "sessions": Packed.Config.tiny(),
        "ear": size("debug").ear,
        "language": "",
        "size": 61,
        "close": 2,
        "delay": 1,
        "bits": 8,
        "folder": folder,
    }
    return Job(**{**given, **changes})


@pytest.fixture
def shards(tmp_path, voices):
    """A minute of beeps as shards, and the corpus they are of."""
    corpus = make(Plans.Config(split="train"), tmp_path / "talk", 0.01, workers=1)
    job = job_of(tmp_path / "shards", [corpus])
    return job, corpus, make_shards(job, job.sessions.build([corpus]), 1, lambda text: None)


def made(shards, kind="debug-listener", **config):
    """Network, sessions and batches at debug size."""
    torch.manual_seed(0)
    network = size(kind).build()
    sessions = Sessions(shards[2])
    return network, sessions, Batches.Config(size=3, **config).build(network.layout, sessions, [1, 7])


# What should be written


def test_words_are_written_at_their_ends_and_marks_when_it_is_clear_that_a_sentence_is_over():
    words = [Word(text, at, at + 0.5) for at, text in enumerate(("No", "stop", "Put", "it", "down"))]
    pieces = written("No, stop. Put it down.", words, closing_s=0.3)
    assert "".join(what for what, _ in pieces) == " No stop. Put it down."
    assert pieces[2] == (".", 2.5), "with the first word of the next sentence"
    assert pieces[-2:] == ((".", 4.8), ("", 4.8))


def test_a_voice_that_spoke_other_words_than_were_written_still_ends_with_a_mark():
    assert written("What now?", [Word("what", 0, 1)])[-2:] == (("?", 1.4), ("", 1.4))
    assert written("", []) == ()


def test_sessions_hold_each_clip_once_a_pass_and_some_are_silent(tmp_path, voices):
    corpus = make(Plans.Config(split="train"), tmp_path, 0.02, workers=1)
    sessions = Packed.Config(seconds=6.0, quiet=0.3, passes=2).build([corpus])
    items = [(item.at, item.again) for some in sessions.packed for item in some]
    assert sorted(items) == sorted((at, again) for at in range(len(corpus)) for again in (0, 1))
    silent = next(number for number, some in enumerate(sessions.packed) if not some)
    assert sessions.session(silent).pieces == ()
    first = next(number for number, some in enumerate(sessions.packed) if some)
    one, two = sessions.session(first), sessions.session(first)
    assert np.array_equal(one.samples, two.samples)
    assert one.samples.shape == (6 * HEARING_RATE,)
    assert all(when < 6.0 for _, when in one.pieces)


def test_a_speaker_is_heard_once_more_without_room_and_noise(tmp_path, voices):
    corpus = make(Plans.Config(split="train", noisy=1.0, snr_low=0.0, snr_high=5.0), tmp_path, 0.05, workers=1)
    name = "piper-joe"
    sessions = Packed.Config(seconds=6.0, quiet=0.0, bedded=0.0, clear=name).build([corpus])
    items = [item.at for some in sessions.packed for item in some]
    assert sorted(items) == [at for at, row in enumerate(corpus.rows) if row["speaker"] == name]
    ends = [corpus.clip(items[0], clear=clear).sound.samples[-1_600:] for clear in (True, False)]
    assert level_dbfs(ends[0]) < -55 < level_dbfs(ends[1])
    with pytest.raises(StrettoError, match="Did you mean 'piper-joe'"):
        Packed.Config(clear="piper-jo").build([corpus])
    with pytest.raises(StrettoError, match="speaker of training 'festival-slt'"):
        HearTraining.Config(clear="festival-slt")
    with pytest.raises(StrettoError, match="often of at least 1, got 0.0 and 0"):
        HearTraining.Config(often=0)
    with pytest.raises(StrettoError, match="english, spoken, strings, changed, home, passages, natural of at least 0"):
        HearTraining.Config(home=-1.0)


def test_no_session_of_training_has_a_voice_or_a_wording_of_the_test(tmp_path, voices):
    """By construction: corpora are drawn by split, and a recipe's training reads corpora of split train alone."""
    told = []
    recipe = replace(HearTraining.Config.tiny(), english=0.003, spoken=0.003).build()
    for split, mixes in (("train", ("robot", "english", "spoken")), ("dev", ("robot", "english"))):
        corpora = recipe.corpora(tmp_path, split, mixes, told.append)
        assert len({corpus.name for corpus in corpora}) == len(mixes)
        for corpus in corpora:
            assert corpus.config["split"] == split
            assert {row["split"] for row in corpus.rows} == {split}
            assert not {row["speaker"] for row in corpus.rows} & {"festival-slt", "festival-ked"}


# Shards


@pytest.mark.parametrize(("bits", "worst"), [(8, 0.04), (4, 0.25)])
def test_a_shard_gives_back_its_features_to_within_half_a_level(tmp_path, bits, worst):
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(2, 5, 2, 32)) * rng.uniform(0.1, 5, 32) + rng.normal(size=32)).astype(np.float32)
    scale = Scale.of(features, bits)
    shard = Shard(codes=scale.pack(features), scale=scale, labels=[[(3, 7)], []], words=[[("a", 0, 1)], []], facts={})
    shard.save(tmp_path / "one.npz")
    found = Shard.load(tmp_path / "one.npz")
    error = np.abs(found.scale.unpack(found.codes) - features) / scale.spread
    inside = np.abs(features - scale.shift) < 2.6 * scale.spread
    assert error[inside].max() < worst
    assert (found.labels, found.words) == ([[(3, 7)], []], [[["a", 0, 1]], []])


@pytest.mark.parametrize(("low", "exact", "near"), [(None, 1e-5, 0.04), (torch.bfloat16, 2e-2, 0.08)])
def test_features_of_a_shard_are_what_the_streaming_ear_hears(shards, low, exact, near):
    """To the level in float32; nearly in the low precision of a GPU or of AMX."""
    job, _, files = shards
    maker, shard = Maker(job), Shard.load(files[0])
    maker.device = Device("cpu", low, "for this test")
    heard = maker.sessions.session(0)
    state, steps = maker.ear.start(), []
    for tick in np.split(heard.samples, round(job.sessions.seconds / 0.2)):
        features, state = maker.ear.step(tick, state)
        steps.append(features.numpy())
    features = maker.features(heard)
    assert np.abs(np.stack(steps) - features).max() < exact
    error = np.abs(shard.scale.unpack(shard.scale.pack(features)) - np.stack(steps)) / shard.scale.spread
    assert np.quantile(error, 0.95) < near


def test_shards_hold_the_features_of_their_sessions(shards):
    maker, shard = Maker(shards[0]), Shard.load(shards[2][0])
    assert np.array_equal(shard.codes[0], shard.scale.pack(maker.features(maker.sessions.session(0))))


def test_making_shards_goes_on_where_it_was_cut_and_refuses_other_settings(shards):
    job, corpus, files = shards
    before = files[0].read_bytes()
    files[-1].unlink()
    assert make_shards(job, job.sessions.build([corpus]), 1, lambda text: None) == files
    assert Shard.load(files[0]).labels == Shard.load(files[0]).labels
    assert len(files) > 1 or files[0].read_bytes() == before
    with pytest.raises(Exception, match="delay 1 \\(now 2\\)"):
        make_shards(replace(job, delay=2), job.sessions.build([corpus]), 1, lambda text: None)
    with pytest.raises(StrettoError, match="'window_s': 0.8"):
        make_shards(
            replace(job, ear=replace(job.ear, window_s=0.8)), job.sessions.build([corpus]), 1, lambda text: None
        )


def test_a_label_is_due_a_tick_after_the_words_end(shards):
    maker = Maker(shards[0])
    heard = Heard(samples=np.zeros(64_000, np.float32), pieces=(("One", 0.39), ("", 0.81)), words=())
    assert maker.labels(heard) == [(2, maker.encode("One")[0]), (5, 2)]


# What is fed back


def plan_of(layout, asks, ticks, close, marker):
    """The same session written by the cursor."""
    said = [[] for _ in range(ticks)]
    rows = asks.rows
    for number, row in enumerate(rows):
        if row[7]:
            after = rows[number + 1] if number + 1 < len(rows) else None
            begins_anew = after is None or after[5] == 0 or (layout["heard"].counter and after[2] == marker)
            said[row[0]].append(close if begins_anew else int(after[2]))
    halt = layout.vocabularies["act"].id("<halt>")
    plan = [TickPlan(content={"speech": 2}, said={"heard": some, "act": [halt]}) for some in said]
    return write(layout, plan, system=[1, 7])


@pytest.mark.parametrize("kind", SIZES)
def test_batches_are_what_the_cursor_writes_and_gather_makes(shards, kind):
    network, sessions, batches = made(shards, kind, dropped=0.0)
    layout, close = network.layout, batches.close
    rng = np.random.default_rng(3)
    for number in range(2):
        labels = [*sessions.labels[number], (sessions.ticks - 1, close)]
        asks = batches.asks(labels, sessions.ticks, rng)
        plan = plan_of(layout, asks, sessions.ticks, close, batches.marker)
        theirs = gather(layout, [plan.rows], [plan.stored])[batches.expert]
        theirs = theirs.take_where(torch.isin(theirs.stream, torch.tensor([layout.index[n] for n in batches.names])))
        ours = batches._tokens([asks])
        on_text = layout["heard"].counter == 0
        for name in ("stream", "index", "id", "tick", "number", "rank", "ordinal", "open", "stored", "valid"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        assert torch.equal(ours.at[..., 1], theirs.at[..., 1])
        if on_text:
            assert torch.equal(ours.at[..., 0], theirs.at[..., 0])
        for name in batches.names:
            place = layout.index[name]
            assert torch.equal(ours.counts[..., place], theirs.counts[..., place]), name


def test_the_target_is_what_is_due_and_not_yet_heard_whatever_is_fed_back(shards):
    """Read back from what was fed: a token is a target until it, or something in its place, has been heard, or it is
    too late for it."""
    _, sessions, batches = made(shards, late=0.4, wrong=0.0, missed=0.0, early=0.4, extra=0.0, dropped=0.0, clean=0.0)
    late = early = 0
    for number, labels in enumerate(sessions.labels[:4]):
        at = 0
        for tick, _, _, _, _, _, _, spoke, target, _ in batches.asks(labels, 20, np.random.default_rng(number)).rows:
            while at < len(labels) and labels[at][0] + PATIENCE <= tick and labels[at][1] != batches.close:
                at += 1
            due = at < len(labels) and labels[at][0] <= tick
            assert target == (labels[at][1] if due else batches.nothing)
            late, early = late + (due and not spoke), early + (spoke and not due)
            at += int(spoke)
    assert late
    assert early


def test_a_word_that_is_left_out_is_due_for_some_ticks_and_then_the_next_one(shards):
    _, _, batches = made(shards, late=0.0, wrong=0.0, missed=1.0, early=0.0, extra=0.0, clean=0.0)
    rows = batches.asks([(3, 11), (5, 12), (6, batches.close)], 14, np.random.default_rng(0)).rows
    due = [(int(tick), int(target)) for tick, *_, target, _ in rows if target != batches.nothing]
    assert due == [(tick, 11) for tick in range(3, 7)] + [(tick, 12) for tick in range(7, 9)] + [(9, batches.close)]
    assert next(int(row[7]) for row in rows if row[0] == 9) == 1, "the end of a turn is always written"


def test_the_same_step_has_the_same_batch_and_an_epoch_every_session_once(shards):
    _, sessions, batches = made(shards)
    one, two = batches(3, 0), batches(3, 0)
    assert torch.equal(one.tokens.id, two.tokens.id)
    assert torch.equal(one.features, two.features)
    assert sorted(batches._drawn(visit) for visit in range(len(sessions))) == list(range(len(sessions)))


# The network


class Forced(Hearing):
    """Hears what it is told to, then nothing, and keeps the scores."""

    def __init__(self, network, forced=(), written=()):
        """`written`: at each ask the frame behind the last word."""
        super().__init__(network)
        self.forced, self.written, self.seen = list(forced), list(written[1:]), []

    def pick(self, scores, sounds, tick, since, opinion=None):
        self.seen.append(scores)
        since = replace(since, ended=self.written.pop(0)) if self.written else since
        return (self.forced.pop(0) if self.forced else self.nothing), since


@pytest.mark.parametrize("kind", SIZES)
@torch.no_grad()
def test_streaming_equals_the_whole_masked_sequence(shards, kind):
    network, sessions, batches = made(shards, kind)
    network = network.double()
    stage = stage_of(network, sessions, batches)
    sessions.features = lambda rows: Sessions.features(sessions, rows).double()
    batches._ends = lambda labels, words: [10 * due - 7 for due, _ in labels]  # a tick has ten frames
    batch = batches.of([0], None)
    forced, written = batch.targets[0].tolist(), batch.written[0].tolist()
    assert sum(token != batches.nothing for token in forced) > 5, "tokens are heard"
    assert len(set(written)) > 5, "and what is written moves on"
    hearing = Forced(network, forced, written)
    run_freely(hearing, sessions, [0], [1, 7])
    speech, chances = stage.hear(batch.features)
    given = {"speech": speech} | stage.shown(batch, chances)
    assert ("heard" in given) == bool(network.config.grain)
    whole = stage.scores(batch.tokens, stage.states(batch.tokens, given, stage.sights(batch.tokens)))[0]
    stepped = torch.stack(hearing.seen)
    said = torch.isfinite(whole[0])
    assert stepped.shape == whole.shape
    assert float((stepped - whole)[:, said].abs().max()) < 1e-9
    assert float((whole[0] - whole[-1])[said].abs().max()) > 1e-3


@pytest.mark.parametrize("kind", SIZES)
@torch.no_grad()
def test_what_sounds_later_changes_nothing_before(shards, kind):
    network, _, _ = made(shards, kind)
    maker = Maker(shards[0])
    heard = maker.sessions.session(0)
    changed = heard.samples.copy()
    changed[10 * 3_200 :] = np.random.default_rng(0).normal(0, 0.3, len(changed) - 32_000)
    seen = []
    for samples in (heard.samples, changed):
        hearing, ear = Forced(network), maker.ear.start()
        state = hearing.start(1, [1, 7])
        for tick in np.split(samples.astype(np.float32), 20):
            features, ear = maker.ear.step(tick, ear)
            _, state = hearing.step(features[None], state)
        seen.append(torch.stack(hearing.seen))
    assert torch.equal(seen[0][:10], seen[1][:10])
    assert all(not torch.equal(one, two) for one, two in zip(seen[0][10:], seen[1][10:], strict=True))


def stage_of(network, sessions, batches, **config):
    return replace(Hear.Config.tiny(), **config).build(network, batches, sessions, "cpu")


@pytest.mark.parametrize("kind", SIZES)
def test_the_loss_reaches_the_hearing_half_and_nothing_else(shards, kind):
    network, sessions, batches = made(shards, kind)
    stage = stage_of(network, sessions, batches)
    loss, told = stage.loss(stage.batch(0, 0), torch.Generator().manual_seed(0))
    loss.backward()
    reached = {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert reached
    assert reached <= set(stage.parameters())
    places = {"states", "grains"} if network.config.grain else {"states"}
    assert {"recall", "precision"} | {f"sounds_{place}" for place in places} <= set(told)
    assert stage.sounds.out.weight.grad.any()
    if kind == "debug-listener":
        assert not any(name.startswith(("backbone.experts.language", "tables.text")) for name in reached)
        assert any(name.startswith("backbone.experts.listening") for name in reached)


def nobody(sessions, kinds):
    """Draws sessions that nobody spoke: token 9 at tick 4, by one sound that lasts."""

    def drawn(rng):
        chances = torch.zeros(10 * sessions.ticks, 1 + kinds)
        chances[:30, 1] = 9.0
        return [(4, 9), (8, 2)], [("nine", 0.4, 0.7)], chances.log_softmax(-1)

    return drawn


def test_sessions_that_nobody_spoke_are_learned_by_their_sounds_alone(shards):
    network, sessions, batches = made(shards, late=0.0, wrong=0.0, early=0.0, extra=0.0, unspoken=0.5)
    batches.unspoken = nobody(sessions, network.unwritten.config.kinds)
    stage = stage_of(network, sessions, batches, deaf=0.0)
    batch = next(b for b in (stage.batch(step, 0) for step in range(20)) if b.unspoken.any() and not b.unspoken.all())
    due = [row[(row >= 0) & (row != batches.nothing)].tolist() for row in batch.targets]
    assert [some == [9, 2] for some in due] == batch.unspoken.tolist()
    assert not any(one.unspoken.any() for one in (batches.of([0, 1], None),)), "development is spoken"
    louder = replace(batch, features=batch.features + 1)
    for row, nobody_spoke in enumerate(batch.unspoken.tolist()):
        embedded = [stage.hear(some.features, stage._deaf(some, torch.Generator()))[0][row] for some in (batch, louder)]
        assert torch.equal(*embedded) == nobody_spoke
        told = stage.shown(batch, torch.zeros_like(batch.chances))["heard"][row]
        assert bool(told.any()) == nobody_spoke
    loss, _ = stage.loss(batch, torch.Generator().manual_seed(0))
    loss.backward()
    assert network.unwritten.out.weight.grad.any()


def test_scoring_some_tokens_is_scoring_all_and_choosing(shards):
    network, sessions, batches = made(shards)
    stage = stage_of(network, sessions, batches, negatives=4, blur=0.0, own=0.0)
    batch = stage.batch(0, 0)
    among, targets = stage._among(batch.targets, torch.Generator().manual_seed(1))
    assert len(among) < stage.size
    due = batch.targets[(batch.targets >= 0) & (batch.targets < stage.size)]
    assert torch.isin(due, among).all()
    given = {"speech": stage.hear(batch.features)[0]}
    states = stage.states(batch.tokens, given, stage.sights(batch.tokens))
    some, every = stage.scores(batch.tokens, states, among), stage.scores(batch.tokens, states)
    columns = torch.cat([among, torch.arange(stage.size, every.shape[-1])])
    assert torch.allclose(some, every[..., columns])
    asked = batch.targets >= 0
    assert torch.equal(columns[targets[asked]], batch.targets[asked])


def test_shards_of_other_corpora_may_be_trained_on_together_each_in_its_own_scale(tmp_path):
    paths, facts = [], {"bits": 8, "close": 2}
    for name, size_of in (("one", 1.0), ("two", 50.0)):
        features = size_of * np.random.default_rng(0).normal(size=(1, 4, 2, 6)).astype(np.float32)
        scale = Scale.of(features, 8)
        shard = Shard(
            codes=scale.pack(features), scale=scale, labels=[[]], words=[[]], facts={**facts, "corpora": [name]}
        )
        paths.append(shard.save(tmp_path / f"{name}.npz"))
    found = Sessions(paths).features([0, 1])
    assert torch.allclose(found[1], 50 * found[0], atol=1.0)
    assert float(found[1].abs().max()) > 50
    assert Sessions([*paths, paths[1], paths[1]]).visits.tolist() == [0, 1, 1, 1]
    other = replace(Shard.load(paths[0]), facts={**facts, "close": 3}).save(tmp_path / "other.npz")
    with pytest.raises(StrettoError, match="Shards of different kinds"):
        Sessions([paths[0], other])


def test_sounds_are_read_where_the_ear_knows_what_followed():
    """Of a tick of ten frames it hands on the one before, too, so a word from 0.2 to 0.4 s is read in tick 2."""
    frames = Settled.of(size("debug").ear)
    assert (frames.each, frames.settled, frames.behind) == (10, 1, 10)
    grains = Settled.of(size("debug").ear, grains=2)
    assert (grains.each, grains.states, grains.settled, grains.behind) == (5, 4, 2, 10)
    assert frames.span(0.2, 0.4) == (20, 10)
    plainly = Settled.of(replace(size("debug").ear, behind_s=0.0))
    assert (plainly.each, plainly.settled, plainly.span(0.2, 0.41)) == (5, 2, (10, 11))


@torch.no_grad()
def test_the_loss_of_sounds_is_of_those_of_a_word_in_its_own_time():
    frames, count = Settled(each=10, states=2, settled=1, behind=10), 1 + len(SOUNDS)
    sounds = SoundReadout.Config(width=10 * count, settled=1, each=10, kinds=len(SOUNDS)).build()
    sounds.out.weight.copy_(torch.eye(10 * count))
    sounds.out.bias.zero_()
    states = torch.zeros(1, 6, 10 * count)
    states.view(1, 3, 2, 10, count)[..., 0] = 20.0
    place = states.view(1, 3, 2, 10, count)[0, 1, 0]
    for frame, sound in ((2, "n"), (4, "o"), (6, "ʊ")):
        place[frame, 0], place[frame, 1 + SOUNDS.index(sound)] = 0.0, 20.0
    here, later, alike = (
        float(loss_of_sounds(sounds(states.unflatten(1, (3, 2))).flatten(1, 2), spoken([[word]], frames, 3)))
        for word in (("No!", 0.02, 0.16), ("No", 0.2, 0.3), ("know", 0.02, 0.16))
    )
    assert here == alike < 0.01 < 5 < later
    assert not len(spoken([[("no", 0.3, 0.5), ("7", 0.0, 0.1)]], frames, 3).first), "cut off, and of no known sound"
    assert float(loss_of_sounds(sounds(states.unflatten(1, (3, 2))).flatten(1, 2), spoken([[]], frames, 3))) == 0


@torch.no_grad()
def test_nobody_speaks_beside_words_whether_or_not_their_sounds_are_known():
    frames = Settled(each=10, states=2, settled=1, behind=10)
    words = spoken([[("no", 0.4, 0.6), ("7", 1.0, 1.2)], []], frames, 8)
    quiet = torch.nonzero(words.quiet[0])[:, 0].tolist()
    assert quiet == [*range(30 - 3), *range(40 + 3, 60 - 3)], "and what follows the last word may be one that was cut"
    assert words.quiet[1].all()
    chances = torch.full((2, 80, 4), -5.0)
    chances[..., 0] = torch.where(words.quiet, -0.5, -9.0)
    assert float(loss_of_quiet(chances, words)) == 0.5


@pytest.mark.parametrize("kind", SIZES)
@torch.no_grad()
def test_sounds_of_a_word_are_read_before_it_can_be_fed_back(shards, kind):
    network, sessions, batches = made(shards, kind)
    stage = stage_of(network, sessions, batches)
    batch, heard = batches.of([0], None), network.layout.index["heard"]
    speech = batch.tokens.stream == network.layout.index["speech"]
    embedded = stage.hear(batch.features)[0]
    words = spoken(batch.words, stage.frames, sessions.ticks)
    assert len(words.first) > 3
    seen = []
    for shift in (0, 1):
        other = replace(
            batch.tokens, id=torch.where(batch.tokens.stream == heard, batch.tokens.id + shift, batch.tokens.id)
        )
        seen.append(stage.sounds_of(stage.states(other, {"speech": embedded}, stage.sights(other))[:, speech])[0])
    changed = (seen[0] != seen[1]).any(-1)
    first = int(torch.nonzero(changed)[0])
    over = int(words.first[0] + words.frames[0])
    assert first >= over, "what is fed back of the first word comes behind its last frame"


def test_a_listening_expert_learns_a_minute_of_beeps(shards):
    network, sessions, batches = made(shards)
    stage = stage_of(network, sessions, batches, own=0.0)
    first = None
    optimizer = torch.optim.Adam(stage.parameters().values(), lr=1e-2)
    for step in range(30):
        loss, _ = stage.loss(stage.batch(step, 0), torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = loss.detach() if first is None else first
    assert float(loss.detach()) < 0.8 * float(first)


def test_channels_go_part_of_the_way_to_anothers_statistics():
    mine, other = torch.randn(3, 40, 5), 3.0 + 2.0 * torch.randn(3, 40, 5)
    stayed, half, went = towards(mine, other, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(stayed, mine[0], atol=1e-3)
    assert torch.allclose(half.mean(0), (mine[1].mean(0) + other[1].mean(0)) / 2, atol=1e-3)
    assert torch.allclose(went.std(0), other[2].std(0), atol=1e-3)
    assert all(np.corrcoef(went[:, channel], mine[2, :, channel])[0, 1] > 0.999 for channel in range(5))


def test_only_sessions_with_words_sound_as_another(shards):
    _, sessions, batches = made(shards)
    batch = batches.of([0, 1, 2], np.random.default_rng(0))
    words = [batch.words[0], [], batch.words[2]]
    assert words[0]
    found = restyled(batch.features, words, sessions, 1.0, torch.Generator().manual_seed(0))
    changed = [not torch.allclose(one, two, atol=1e-3) for one, two in zip(found, batch.features, strict=True)]
    assert changed == [bool(said) for said in words]
    assert torch.equal(restyled(batch.features, words, sessions, 0.0, torch.Generator()), batch.features)


@pytest.mark.parametrize("name", ["own", "owned", "styled", "deaf"])
def test_a_share_of_a_stage_that_is_none_is_refused(name):
    with pytest.raises(StrettoError, match=f"Hear.Config.{name} as a share, got 3"):
        Hear.Config(**{name: 3.0})


def test_a_stage_hears_its_share_of_sessions_as_another(shards):
    for share in (0.0, 1.0):
        stage = stage_of(*made(shards), blur=0.0, styled=share)
        batch = stage.batch(0, 0)
        heard = stage._features(batch, torch.Generator().manual_seed(0))
        assert torch.allclose(heard, batch.features, atol=1e-3) == (share == 0)


@pytest.mark.parametrize("apart", [False, True])
def test_a_readout_apart_learns_without_changing_what_it_reads(shards, apart):
    grads = []
    for weight in (0.0, 9.0):
        torch.manual_seed(0)
        stage = stage_of(*made(shards), own=0.0, sounds=weight, quiet=0.0, apart=apart)
        loss, _ = stage.loss(stage.batch(0, 0), torch.Generator().manual_seed(0))
        loss.backward()
        grads.append((stage.network.place["speech"].grad, stage.sounds.out.weight.grad))
    assert not torch.allclose(grads[0][1], grads[1][1])
    assert torch.allclose(grads[0][0], grads[1][0], atol=1e-6) == apart


def test_letters_and_sounds_of_a_token_are_learned_in_their_places(shards):
    """Where tokens are spelled; nothing is lost where they are not."""
    words = tuple(bytes([97 + n % 26, 97 + n * 7 % 26, 97 + n * 3 % 26]) for n in range(TextTable().size))
    network = replace(size("debug-listener"), table=TextTable(spelled=words), spelled=True).build()
    sessions = Sessions(shards[2])
    batches = Batches.Config(size=3, clean=1.0).build(network.layout, sessions, [1, 7])
    stage = stage_of(network, sessions, batches, signs=1.0, deaf=0.0)
    optimizer, lost = torch.optim.Adam(stage.parameters().values(), lr=1e-2), []
    for step in range(120):
        loss, told = stage.loss(stage.batch(step, 0), torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lost.append(float(told["signs"]))
    assert np.mean(lost[-10:]) < 0.8 * lost[0]
    plain = stage_of(*made(shards)).loss(stage.batch(0, 0), torch.Generator().manual_seed(0))[1]
    assert float(plain["signs"]) == 0


# The recipe


def curve(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_training_is_spoken_at_other_speeds_and_development_is_not(tmp_path, voices):
    recipe = HearTraining.Config.tiny().build()
    train, dev = (recipe.corpora(tmp_path, split, ("robot",), lambda text: None)[0] for split in ("train", "dev"))
    assert train.config["other"] > 0
    assert dev.config["other"] == 0


def test_an_epoch_visits_natural_voices_often(tmp_path, voices):
    recipe = replace(HearTraining.Config.tiny(), natural=0.01, often=3).build()
    train, _ = recipe.sessions(tmp_path, recipe.network_config(), lambda text: None)
    natural = json.loads((tmp_path / "shards" / "natural" / "shards.json").read_text())["sessions"]
    assert natural
    assert len(train.visits) == len(train) + 2 * natural


def test_training_begins_with_what_another_checkpoint_hears(tmp_path, voices, monkeypatch):
    built, make = [], Hear.__init__

    def noted(stage, config, *rest, **told):
        built.append(config.apart)
        make(stage, config, *rest, **told)

    monkeypatch.setattr(Hear, "__init__", noted)
    config = HearTraining.Config.tiny()
    first = config.build().run(tmp_path / "first")
    more = replace(config, begin=str(first), seed=1, loop=replace(config.loop, steps=1, lr=1e-9))
    again = from_pretrained(more.build().run(tmp_path / "more")).state_dict()
    for name, weight in from_pretrained(first).state_dict().items():
        if name.startswith(LISTENING) and not name.endswith("bias"):
            assert torch.allclose(again[name], weight, atol=1e-2), name
    assert built == [False, True], "only the second has a readout that its checkpoint does not"
    with pytest.raises(StrettoError, match="its layout is listener200, expected tick200"):
        replace(more, way="language").build().run(tmp_path / "other")
    with pytest.raises(StrettoError, match="There is no checkpoint"):
        replace(more, begin=str(tmp_path / "none")).build().run(tmp_path / "other")
    assert not (tmp_path / "other" / "talk").exists(), "refused before anything is spoken"


def test_a_blend_is_the_mean_of_what_it_began_with_and_what_was_learned(tmp_path, voices):
    config = HearTraining.Config.tiny()
    first = config.build().run(tmp_path / "first")
    more = replace(config, begin=str(first), seed=1, loop=replace(config.loop, lr=0.05, ema=0.0))
    learned = more.build().run(tmp_path / "more")
    mean = replace(more, blend=0.5).build().run(tmp_path / "mean")
    old, new, half = (from_pretrained(path).state_dict() for path in (first, learned, mean))
    name = "place.heard"
    assert not torch.allclose(old[name], new[name], atol=2e-3)
    assert torch.allclose(half[name], (old[name] + new[name]) / 2, atol=5e-4)
    with pytest.raises(StrettoError, match="only with a checkpoint to begin with"):
        replace(config, blend=0.5)


@pytest.mark.parametrize("way", ["listener", "language"])
def test_training_resumes_with_the_same_curve_and_ends_in_a_checkpoint(tmp_path, voices, way):
    config = replace(HearTraining.Config.tiny(), way=way)
    whole = config.build().run(tmp_path / "whole")
    short = replace(config, loop=replace(config.loop, steps=6))
    stopped = short.build()
    stage_folder = tmp_path / "cut"
    stopped.run(stage_folder, until=4)
    weights = short.build().run(stage_folder)
    assert curve(stage_folder / way) == curve(tmp_path / "whole" / way)
    assert digest(weights) == digest(whole)
    assert from_pretrained(weights).layout.name == ("listener200" if way == "listener" else "tick200")


# Scores


def test_edits_and_matched_words():
    assert errors_of("put the bowl down".split(), "put bowl down".split()) == 1
    assert matched("put a bowl".split(), "put the bowl".split()) == [(0, 0), (2, 2)]


# What people use


class Spelled:
    """A tokenizer of five tokens."""

    tokens = ("", "", "", " Put", " the", " bo", "wl", ".")

    def encode(self, text, special=False):
        return [1]

    def decode(self, ids):
        return "".join(self.tokens[token] for token in ids)


def test_a_word_stands_when_its_last_token_does_and_marks_change_no_time(shards):
    network, _, batches = made(shards)
    network.text = Spelled()
    reader = Reader(network)
    nothing = reader.hearing.nothing
    reader.hearing = Forced(network, [nothing, 3, nothing, 4, 5, 6, nothing, 7, batches.close, 3])
    words = reader.words(np.zeros(7 * 3_200 - 5, np.float32))
    assert [(word.text, word.t) for word in words[:3]] == [("Put", 0.4), ("the", 0.6), ("bowl.", 0.8)]
    assert (words[3].closes, words[3].t) == (True, 1.2)
    assert words[4].text == "Put"


def test_either_way_of_reading_learns_from_the_sounds_that_are_not_written():
    heard = size("debug-listener")
    for kind, lora in (("debug-listener", 0), ("debug", 2)):
        network = replace(size(kind), ear=heard.ear, grain=heard.grain, lora=lora).build()
        assert is_trained(network, "unwritten.out.weight")
        assert not is_trained(network, "proprio.out.weight")


def test_a_network_without_words_cannot_be_listened_to():
    with pytest.raises(StrettoError, match="Expected a network with a language model"):
        Reader(size("debug-listener").build())


def test_listen_refuses_nothing_and_names_a_checkpoint_that_is_not_there(capsys):
    assert main(["listen"]) == 2
    assert "--mic" in capsys.readouterr().err
    assert main(["listen", "one.wav", "--weights", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_agent_with_a_listening_expert_reads_what_it_hears(shards):
    """What the heard slot says in a tick is text of the language expert in the next, in a turn of its own."""
    layout = size("debug-listener").layout.build()
    words, close = [11, 12], layout.token("heard", "close")
    ticks = [TickPlan(said={"heard": words, "act": [2]}), TickPlan(said={"heard": [close], "act": [2]})]
    plan = write(layout, [*ticks, TickPlan(said={"act": [2]})], system=[1], first_tick=1)
    read = [(row.tick, row.id) for row in plan.rows if row.stream == layout.index["read"]]
    names = ("<|im_start|>", "user", "<line>", "<|im_end|>")
    begin, user, line, end = (layout.vocabularies["text"].id(name) for name in names)
    assert read == [(2, begin), (2, user), (2, line), (2, 11), (2, 12), (3, end), (3, line)]
    places = [row.text for row in plan.rows if row.stream == layout.index["read"]]
    assert places == list(range(1, 8)), "one after the other, whatever was heard meanwhile"


def test_a_stream_that_repeats_is_fed_by_nobody():
    layout = size("debug-listener").layout.build()
    with pytest.raises(StrettoError, match="Stream 'read' repeats 'heard' by itself"):
        write(layout, [TickPlan(content={"read": [5]}, said={"act": [2]})])


def test_the_card_compares_words_as_people_would_and_counts_a_tick_of_computing():
    clip = Clip(sound=Sound(samples=np.zeros(16_000, np.float32), rate=16_000), words=(Word("Put", 0.1, 0.4),))
    rows = hearing_card.delays([Written("Put", 0.8), Written("it", 1.0)], clip, {"unit": "quiet/0", "seed": 0})
    assert [row["value"] for row in rows] == [pytest.approx(0.6)]
    assert hearing_card.normal("It's 21!") == ["it's", "twenty", "one"]
    assert len(hearing_card.wordless(4)) == 180 * 16_000


def test_the_cards_page_tells_errors_by_voice_and_by_who_heard_them(tmp_path):
    told = {"row": "word_error", "engine": "piper"}
    values = {"heard": (0.0, 0.5), "whisper_whole": (0.25, 0.25)}
    rows = [{**told, "arm": arm, "unit": unit, "value": some[unit]} for arm, some in values.items() for unit in (0, 1)]
    page = hearing_card.HearingCard().appendix(rows, tmp_path, False)
    assert page.count("<table>") == 1, "of what was not measured there is no table"
    assert "<td>piper</td>" in page
    assert "0.250 [0.000, 0.500] of 2" in page
    assert "0.250 [0.250, 0.250] of 2" in page


@pytest.mark.slow
def test_the_cards_trials_are_of_test_speakers_and_its_questions_have_four_answers():
    keys = [trial.key for trial in hearing_card.HearingCard().trials(2)]
    assert len(set(keys)) == len(keys) == 6 + 6 + 2 + 2 + 1
    found = hearing_language.choices(200)
    assert len(found) == 200
    assert all(len(set(answers)) == 4 for _, answers in found)


def test_all_that_is_trained_fits_into_36_megabytes():
    """The experts in 8 bits, the rest in bfloat16, as shipped; what is left out has a few ten thousand numbers."""
    config = size("tiny-listener")
    experts = config.backbone.experts

    def body(name):
        e = experts[name]
        each = e.width * (e.heads + 2 * e.kv_heads) * e.head + e.heads * e.head * e.width + 3 * e.width * e.ffn
        return e.depth * (each + 2 * e.width) + e.width

    grains = GrainAdapter.Config(width=config.grain, width_out=experts["listening"].width)
    parts = [config.head.build(), config.eye.build(), grains.build()]
    others = sum(weight.numel() for part in parts for weight in part.parameters())
    lent = experts["listening"].width * (2 * experts["language"].width + FEATURES)
    assert body("listening") + body("action") + 2 * (others + lent + 100_000) < 36e6


def test_the_whole_agent_steps_and_forks_with_a_listening_expert():
    config = size("debug-listener")
    eye = ConvTokens.Config(size=16, tokens=4, width=16, channels=(8, 8, 16))
    network = replace(config, eye=eye, proprio=7, layout=replace(config.layout, camera_tokens=4)).build()
    with torch.no_grad():
        network.tables["heard"].bias[1] = -20.0  # it cannot keep silent
    agent = Duplex(Duplex.Config(size="debug-listener", live=False), network)
    state = agent.start(context())
    for tick in range(4):
        _, state = agent.step(observation(tick), state)
    counts = dict(zip(network.layout.index, state.cursor.counts, strict=True))
    assert counts["heard"] == 6, "one beside pictures, else two"
    assert counts["read"] == 3 + 4, "the beginning of a turn, and all that was heard but in this tick"
    forked = agent.fork(state)
    one, _ = agent.step(observation(4), state)
    two, _ = agent.step(observation(4), forked)
    assert np.array_equal(one.chunk.values, two.chunk.values)
