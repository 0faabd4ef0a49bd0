import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Word
from stretto.data import corpus
from stretto.data.clips import Clip
from stretto.data.talk_style import plain
from stretto.data.talk_wide import COMMANDS, draw
from stretto.listen.spotter import embedding
from stretto.listen.spotter.features import BANDS, FRAME, KEPT, PER_STEP, SILENCE, STEP_S, bank, mel, step
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
    network(torch.randn(4, 40 * PER_STEP, BANDS), network.blank(4))
    network.eval()
    return network, to_onnx(network, tmp_path / "tiny.onnx", {"words": "stop,hold on", "threshold": "0.001"})


# -- features


def whole_of(sound):
    return step(sound[: len(sound) // FRAME * FRAME], np.zeros(KEPT, np.float32))[0]


def test_features_in_pieces_equal_the_whole():
    sound = noise(2.4)
    whole = whole_of(sound)
    before, pieces = np.zeros(KEPT, np.float32), []
    for begin in range(0, len(sound), 3 * FRAME):
        some, before = step(sound[begin : begin + 3 * FRAME], before)
        pieces.append(some)
    assert whole.shape == (60 * PER_STEP, BANDS)
    assert np.array_equal(np.concatenate(pieces), whole)


def test_bands_are_triangles_of_equal_area_from_60_hertz_to_3800():
    heights = bank().sum(axis=0) * 16_000 / 512
    assert heights[10:] == pytest.approx(np.ones(22), rel=0.1)
    hertz = np.flatnonzero(bank().sum(axis=1)) * 16_000 / 512
    assert hertz[0] > 60
    assert hertz[-1] < 3_800


def test_ten_decibels_more_are_one_more():
    sound = noise(1.0, gain=0.01)
    assert mel(sound * 10**0.5) - mel(sound) == pytest.approx(1.0, abs=1e-3)


def test_silence_is_what_it_is_said_to_be():
    assert mel(np.zeros(1_000, np.float32)) == pytest.approx(SILENCE)


# -- embedding


@pytest.mark.slow
def test_the_packaged_front_end_and_embedding_are_repeated_number_by_number():
    """openwakeword's two files on the same sound: its bands over ten plus two are ours, its window of 76 our state."""
    import onnxruntime

    sound = noise(2.0)
    path = embedding._packaged()
    bands = onnxruntime.InferenceSession(path.replace("embedding_model", "melspectrogram"))
    theirs = bands.run(None, {"input": (sound * 32_767)[None]})[0][0, 0] / 10 + 2
    ours = mel(sound)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    network = embedding.pretrained().eval()
    with torch.no_grad():
        steps, _ = network(torch.from_numpy(ours[: len(ours) // PER_STEP * PER_STEP])[None], network.start())
    packaged = onnxruntime.InferenceSession(path)
    for number in (18, 25, 30):
        window = ours[None, PER_STEP * (number + 1) - 76 : PER_STEP * (number + 1), :, None]
        (wanted,) = packaged.run(None, {"input_1": window})
        np.testing.assert_allclose(steps[0, number], wanted.ravel(), atol=1e-3)


def test_a_file_without_the_embedding_is_refused(tmp_path, tiny):
    with pytest.raises(StrettoError, match="does not hold the speech embedding"):
        embedding.pretrained(str(tiny[1]))
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(StrettoError, match="no ONNX file"):
        embedding.pretrained(str(tmp_path / "broken.onnx"))


# -- network


def test_the_network_in_steps_equals_the_whole(tiny):
    network, _ = tiny
    features = torch.randn(2, 50 * PER_STEP, BANDS)
    with torch.no_grad():
        whole, _ = network(features, network.start(2))
        state, pieces = network.start(2), []
        for at in range(0, 50 * PER_STEP, PER_STEP):
            out, state = network(features[:, at : at + PER_STEP], state)
            pieces.append(out)
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


def test_the_file_computes_what_the_network_does(tiny):
    network, path = tiny
    sound = noise(2.0)
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(whole_of(sound))[None], network.start())[0])[0].numpy()
    got = Spotter.Config(weights=str(path)).build().probabilities(sound)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_past_beyond_the_window_is_forgotten(tiny):
    """What was heard two seconds ago changes nothing: an hour does not tire it."""
    network, _ = tiny
    one, two = torch.randn(1, 100 * PER_STEP, BANDS), torch.randn(1, 100 * PER_STEP, BANDS)
    two[:, 50 * PER_STEP :] = one[:, 50 * PER_STEP :]
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
    assert np.diff(times) == pytest.approx(REST * STEP_S)


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
    labels = label(clip, ("stop", "wait"), 100)
    ends = (np.arange(100) + 1) * STEP_S
    ones = ends[labels.steps[:, 0] == 1]
    assert 2.37 <= ones[0] < 2.41
    assert ones[-1] <= 2.4 + 0.13 + 1e-6
    assert not (labels.steps[:, 1] == 1).any()
    assert (labels.steps[(ends > 0.65) & (ends < 1.3), 0] == UNSAID).all(), "a form of the word is not judged"
    assert (labels.steps[ends > 3.0] == 0).all()
    assert [word for word, _, _ in labels.ends] == [0]


def test_shards_come_back_as_they_were(tmp_path):
    source = np.random.default_rng(0)
    clip = Clip(sound=Sound(samples=np.zeros(32_000, np.float32), rate=16_000), words=(Word("stop", 0.5, 0.9),))
    ones = [
        Heard(
            features=source.standard_normal((steps * PER_STEP, BANDS)).astype(np.float16),
            labels=label(clip, ("stop",), steps),
        )
        for steps in (40, 50)
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
    config = replace(SpotterTraining.Config.tiny(), steps=90)
    clip = Clip(sound=Sound(samples=np.zeros(64_000, np.float32), rate=16_000), words=(Word("stop", 1.6, 2.0),))
    features = source.standard_normal((100 * PER_STEP, BANDS)).astype(np.float16)
    data = [Heard(features=features, labels=label(clip, ("stop",), 100))]
    network = SpotterNetwork.Config(words=1, width=16).build()
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
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
