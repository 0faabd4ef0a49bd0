import re

import numpy as np
import pytest
import torch

from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Word
from stretto.data import corpus
from stretto.data.clips import Clip
from stretto.data.talk_style import plain
from stretto.data.talk_wide import COMMANDS, draw
from stretto.listen.spotter.features import BANDS, FRAME, INPUTS, FeatureState, mel, normalise, step
from stretto.listen.spotter.network import SpotterNetwork, to_onnx
from stretto.listen.spotter.runner import REST, WEIGHTS, Spotter
from stretto.train.spotter import SpotterTraining, crops, objective
from stretto.train.spotter_data import UNSAID, Heard, label, load, save
from stretto.train.spotter_text import unsure, utterance


def noise(seconds=2.0, seed=0, gain=0.1):
    return (gain * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


@pytest.fixture
def tiny(tmp_path):
    """A network of random weights that has seen a batch, and its file."""
    torch.manual_seed(0)
    network = SpotterNetwork.Config(words=2, width=16).build()
    network(torch.randn(4, 40, INPUTS), network.start(4))
    network.eval()
    return network, to_onnx(network, tmp_path / "tiny.onnx", {"words": "stop,hold on", "threshold": "0.001"})


# -- features


def test_features_in_pieces_equal_the_whole():
    sound = noise()[: 60 * FRAME]
    whole, _ = step(sound, FeatureState())
    state, pieces = FeatureState(), []
    for begin in range(0, len(sound), 3 * FRAME):
        some, state = step(sound[begin : begin + 3 * FRAME], state)
        pieces.append(some)
    assert whole.shape == (60, INPUTS)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_level_and_microphone_fall_away():
    """Forty times the level, or a microphone that halves all bands, leaves nearly the same features."""
    energies = mel(noise(3.0)) + 1e-4
    quiet, _ = normalise(energies, energies[0])
    loud, _ = normalise(1_600 * energies, 1_600 * energies[0])
    assert np.abs(quiet - loud)[20:].mean() < 0.2 * quiet[20:].mean()


def test_white_noise_is_as_strong_in_all_bands():
    energies = mel(noise(8.0)).mean(axis=0)
    assert energies.shape == (BANDS,)
    assert energies.max() / energies.min() < 1.4


# -- network


def test_the_network_in_steps_equals_the_whole(tiny):
    network, _ = tiny
    features = torch.randn(2, 50, INPUTS)
    with torch.no_grad():
        whole, _ = network(features, network.start(2))
        state, pieces = network.start(2), []
        for at in range(50):
            out, state = network(features[:, at : at + 1], state)
            pieces.append(out)
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


def test_the_file_computes_what_the_network_does(tiny):
    network, path = tiny
    sound = noise(2.0)
    values, _ = step(sound[: len(sound) // FRAME * FRAME], FeatureState())
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(values)[None], network.start())[0])[0].numpy()
    got = Spotter.Config(weights=str(path)).build().probabilities(sound)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_past_beyond_the_window_is_forgotten(tiny):
    """What was heard two seconds ago changes nothing: an hour does not tire it."""
    network, _ = tiny
    one, two = torch.randn(1, 120, INPUTS), torch.randn(1, 120, INPUTS)
    two[:, 60:] = one[:, 60:]
    with torch.no_grad():
        ends = [network(each, network.start())[0][:, -1] for each in (one, two)]
    assert torch.equal(*ends)


# -- runner


def test_words_are_the_same_however_the_sound_is_cut(tiny):
    _, path = tiny
    spotter = Spotter.Config(weights=str(path), voice=0.0).build()
    sound = noise(3.0)
    whole, _ = spotter.step(sound, spotter.start())
    state, pieces = spotter.start(), []
    for begin in range(0, len(sound), 777):
        found, state = spotter.step(sound[begin : begin + 777], state)
        pieces += found
    assert whole
    assert [(each.word, each.t) for each in pieces] == [(each.word, each.t) for each in whole]


def test_after_a_word_none_counts_for_half_a_second(tiny):
    _, path = tiny
    spotter = Spotter.Config(weights=str(path), voice=0.0, threshold=1e-6).build()
    found, _ = spotter.step(noise(3.0), spotter.start())
    times = [each.t for each in found]
    assert np.diff(times) == pytest.approx(REST * FRAME / 16_000)


def test_without_a_voice_no_word_counts(tiny):
    _, path = tiny
    spotter = Spotter.Config(weights=str(path), threshold=1e-6).build()
    found, _ = spotter.step(noise(2.0, gain=1e-3), spotter.start())
    assert found == ()


def test_what_is_no_spotter_is_refused(tmp_path):
    with pytest.raises(StrettoError, match="stretto train spotter"):
        Spotter.Config(weights=str(tmp_path / "none.onnx")).build()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(StrettoError, match="not a spotter"):
        Spotter.Config(weights=str(broken)).build()


def test_the_weights_of_the_package_are_small_and_know_their_words():
    assert WEIGHTS.stat().st_size <= 2e6
    assert Spotter.Config().build().words == COMMANDS


# -- what it learns from


def test_what_is_spoken_in_training_is_no_wording_of_the_test():
    held = {
        plain(draw(intent, seed, "test", hesitation=0.0).text)
        for intent in ("stop", "pause", "hard", "go_on")
        for seed in range(120)
    }
    phrases = {plain(each) for number in range(250) for each in re.split(r"(?<=[.?!]) ", utterance(number))}
    assert len(phrases) > 500
    assert not phrases & held


def test_every_word_of_the_list_is_spoken_in_many_neighbourhoods():
    texts = [plain(utterance(number)) for number in range(80)]
    for word in COMMANDS:
        assert sum(f" {word} " in f" {text} " for text in texts) >= 8, word


def test_forms_and_homophones_are_neither_right_nor_wrong():
    assert unsure("stopped", COMMANDS)
    assert unsure("freezing", COMMANDS)
    assert unsure("weight", COMMANDS)
    assert not unsure("stock", COMMANDS)
    assert not unsure("stop", COMMANDS)


def test_labels_stand_at_the_end_of_the_word():
    words = (Word("the", 0.5, 0.6), Word("stops", 0.6, 1.0), Word("Stop", 2.0, 2.4), Word("now", 2.4, 2.7))
    clip = Clip(sound=Sound(samples=np.zeros(64_000, np.float32), rate=16_000), words=words)
    labels = label(clip, ("stop", "wait"), 125)
    ends = (np.arange(125) + 1) * 0.032
    ones = ends[labels.steps[:, 0] == 1]
    assert 2.4 <= ones[0] < 2.44
    assert ones[-1] <= 2.4 + 0.13 + 1e-6
    assert not (labels.steps[:, 1] == 1).any()
    assert (labels.steps[(ends > 0.65) & (ends < 1.3), 0] == UNSAID).all(), "a form of the word is not judged"
    assert (labels.steps[ends > 3.0] == 0).all()
    assert [word for word, _, _ in labels.ends] == [0]


def test_shards_come_back_as_they_were(tmp_path):
    source = np.random.default_rng(0)
    clip = Clip(sound=Sound(samples=np.zeros(32_000, np.float32), rate=16_000), words=(Word("stop", 0.5, 0.9),))
    ones = [
        Heard(features=source.standard_normal((steps, INPUTS)).astype(np.float16), labels=label(clip, ("stop",), steps))
        for steps in (50, 62)
    ]
    save(ones, tmp_path / "0-0.npz")
    for one, back in zip(ones, load(tmp_path / "0-0.npz"), strict=True):
        assert np.array_equal(one.features, back.features)
        assert np.array_equal(one.labels.steps, back.labels.steps)
        assert one.labels.ends == back.labels.ends


def test_a_batch_is_learned():
    """A hundred steps on four crops bring the loss down: the word is found, the rest is not."""
    torch.manual_seed(0)
    source = np.random.default_rng(0)
    config = SpotterTraining.Config.tiny()
    clip = Clip(sound=Sound(samples=np.zeros(64_000, np.float32), rate=16_000), words=(Word("stop", 1.0, 1.4),))
    features = source.standard_normal((110, INPUTS)).astype(np.float16)
    data = [Heard(features=features, labels=label(clip, ("stop",), 110))]
    network = SpotterNetwork.Config(words=1, width=16).build()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for at in range(60):
        batch = crops(data, config, np.random.default_rng(at), 1)
        loss = objective(network(batch.features, network.start(config.batch))[0], batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])


# -- the recipe


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(StrettoError, match="words in lower case"):
        SpotterTraining.Config(words="stop, wait")
    with pytest.raises(StrettoError, match="above 0"):
        SpotterTraining.Config(minutes=0.0)


@pytest.mark.slow
def test_the_recipe_runs_resumes_and_refuses_another_list(tmp_path, monkeypatch):
    """At debug size: weights that run, a page, numbers; a second run goes on; other words need another folder."""
    monkeypatch.setattr(corpus, "BLOCK", 3)
    config = SpotterTraining.Config.tiny()
    told = []
    weights = config.build().run(tmp_path, told.append)
    assert Spotter.Config(weights=str(weights)).build().words == ("stop",)
    assert (tmp_path / "spotter.html").stat().st_size > 1_000
    shards = sorted(file.stat().st_mtime_ns for file in (tmp_path / "shards").iterdir())
    config.build().run(tmp_path, told.append)
    assert shards == sorted(file.stat().st_mtime_ns for file in (tmp_path / "shards").iterdir())
    assert any("left" in line for line in told)
    with pytest.raises(StrettoError, match="other settings: words"):
        SpotterTraining.Config(**{**vars(config), "words": "wait"}).build().run(tmp_path)
