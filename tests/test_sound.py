"""WAV files as people have them, and the errors for those that cannot be used."""

import os
import struct

import numpy as np
import pytest
import soundfile

from stretto.core.errors import StrettoError
from stretto.core.signals import Sound
from stretto.core.sound import at_rate, level_dbfs, mix, pad, read_sound, resample, silence, write_sound


def tone(rate=16_000, seconds=1.0, hertz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def refused(path, *parts):
    with pytest.raises(StrettoError) as caught:
        read_sound(path)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_common_wav_is_read(tmp_path, rate, subtype):
    """Rates of 8 to 48 kHz and all sample formats come out as mono at 16 kHz with their length, level and pitch."""
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype=subtype)
    sound = read_sound(tmp_path / "a.wav")
    assert sound.rate == 16_000
    assert abs(sound.seconds - 1.0) < 0.01
    assert abs(level_dbfs(sound.samples) + 9.03) < 0.3
    assert abs(np.abs(np.fft.rfft(sound.samples)).argmax() / sound.seconds - 440) < 5


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64"])
def test_stereo_and_extensible_headers_are_read(tmp_path, format):
    """Two channels become their mean, under plain, extensible and 64-bit headers."""
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], 1), 16_000, format=format)
    assert np.allclose(read_sound(tmp_path / "a.wav").samples, tone() / 2, atol=1e-3)


def test_channels_that_cancel_out_are_not_silence(tmp_path):
    """A channel and its negative give the channel, not nothing."""
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -tone()], 1), 16_000)
    assert level_dbfs(read_sound(tmp_path / "a.wav").samples) > -10


def test_a_streamed_wav_of_unknown_length_is_read(tmp_path):
    """A header written to a pipe, with 0xFFFFFFFF for its length, gives what is there."""
    data = (tone() * 32767).astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE") + fmt + struct.pack("<4sI", b"data", 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(head + data)
    assert abs(read_sound(tmp_path / "a.wav").seconds - 1) < 0.01


def test_a_missing_file_offers_the_nearest_name(tmp_path):
    """The nearest file of the folder is named."""
    soundfile.write(tmp_path / "question.wav", tone(), 16_000)
    refused(tmp_path / "qestion.wav", "no file", "Did you mean", "question.wav")
    refused(tmp_path / "no" / "x.wav", "does not exist")


def test_folders_and_empty_files_are_refused(tmp_path):
    """A folder and a file of 0 bytes are named as such."""
    (tmp_path / "a.wav").touch()
    refused(tmp_path, "folder")
    refused(tmp_path / "a.wav", "empty")


def test_truncated_files_are_refused(tmp_path):
    """A file cut anywhere (in the sound, in the header) says that it is truncated."""
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    whole = (tmp_path / "a.wav").read_bytes()
    for length in (20_000, 30, 10):
        (tmp_path / "b.wav").write_bytes(whole[:length])
        refused(tmp_path / "b.wav", "truncated")
    (tmp_path / "b.wav").write_bytes(whole[:44])
    refused(tmp_path / "b.wav", "without a single sample")


def test_what_is_not_a_wav_is_refused(tmp_path):
    """Text and other sound formats are named as not WAV, with the command that converts them."""
    (tmp_path / "a.wav").write_text("hello, this is a letter and no sound")
    refused(tmp_path / "a.wav", "not a WAV", "ffmpeg")
    soundfile.write(tmp_path / "a.flac", tone(), 16_000)
    refused(tmp_path / "a.flac", "not a WAV")


def test_a_three_hour_file_is_refused_without_reading_it(tmp_path, monkeypatch):
    """The length is known from the header; no sample is read."""
    count = 3 * 3600 * 16_000 * 2
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", count + 36, b"WAVE") + fmt + struct.pack("<4sI", b"data", count)
    (tmp_path / "a.wav").write_bytes(head)
    os.truncate(tmp_path / "a.wav", len(head) + count)

    def read(*args, **kwargs):
        raise AssertionError("samples were read")

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    refused(tmp_path / "a.wav", "3 h 0 min 0 s", "limit is 10 min 0 s")


def test_silent_and_broken_samples_are_refused(tmp_path):
    """Digital silence, noise below -70 dBFS and NaN are named, NaN with its time."""
    soundfile.write(tmp_path / "a.wav", 0 * tone(), 16_000)
    refused(tmp_path / "a.wav", "silent")
    soundfile.write(tmp_path / "a.wav", tone(peak=1e-4), 16_000, subtype="FLOAT")
    refused(tmp_path / "a.wav", "silent", "-80 dBFS")
    broken = tone()
    broken[8_000:8_003] = np.nan
    soundfile.write(tmp_path / "a.wav", broken, 16_000, subtype="FLOAT")
    refused(tmp_path / "a.wav", "3 samples that are not numbers", "0.500 s")


def test_loud_float_files_are_scaled_down(tmp_path):
    """A float file whose peak is 4 comes back inside [-1, 1] without clipping."""
    soundfile.write(tmp_path / "a.wav", 8 * tone(), 16_000, subtype="FLOAT")
    assert np.allclose(read_sound(tmp_path / "a.wav").samples, 2 * tone(), atol=1e-3)


def test_writing_and_reading_gives_the_same_sound(tmp_path):
    """16-bit files lose less than one step, and no part file stays behind."""
    write_sound(tmp_path / "a.wav", Sound(samples=tone(), rate=16_000))
    assert np.abs(read_sound(tmp_path / "a.wav").samples - tone()).max() < 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]
    with pytest.raises(StrettoError, match="no folder"):
        write_sound(tmp_path / "no" / "a.wav", Sound(samples=tone(), rate=16_000))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """When writing fails midway the file that was there is whole and no part file stays."""
    write_sound(tmp_path / "a.wav", Sound(samples=tone(), rate=16_000))
    before = (tmp_path / "a.wav").read_bytes()

    def full(out, *args, **kwargs):
        out.write(b"RIFF")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(StrettoError, match="No space"):
        write_sound(tmp_path / "a.wav", Sound(samples=0 * tone(), rate=16_000))
    assert (tmp_path / "a.wav").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_mix_pad_and_resample_keep_time():
    """Parts start at their second, rates must agree, and the sum is clipped."""
    part = Sound(samples=np.full(100, 0.8, np.float32), rate=100)
    mixed = mix([(0.0, part), (0.5, part)])
    assert mixed.seconds == 1.5
    assert mixed.samples[49] == pytest.approx(0.8)
    assert mixed.samples[60] == 1.0
    assert mix([(0.5, part)], seconds=1.0).seconds == 1.0
    assert pad(part, 0.1, 0.2).seconds == pytest.approx(1.3)
    assert silence(0.25).seconds == 0.25
    assert at_rate(part, 200).seconds == pytest.approx(1.0)
    assert len(resample(tone(22_050), 22_050, 16_000)) == 16_000
    with pytest.raises(StrettoError, match="one rate"):
        mix([(0.0, part), (0.0, silence(1.0))])
    with pytest.raises(StrettoError, match="0 s or later"):
        mix([(-1.0, part)])
