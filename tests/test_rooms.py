"""Rooms, noise, level and speed change what they say and nothing else."""

import numpy as np
import pytest

from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Speech, Word
from stretto.core.sound import level_dbfs
from stretto.data.rooms import NOISES, Surroundings, bed, heard_in, level, noise, room, speed

RATE = 16_000


def tone(seconds=1.0, hertz=400.0):
    return Sound(
        samples=(0.2 * np.sin(2 * np.pi * hertz * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32),
        rate=RATE,
    )


def test_a_room_keeps_the_onset_and_decays_by_60_db():
    """The direct sound of a click stays at its sample, the echoes fall by 60 dB in the reverberation time."""
    click = Sound(samples=np.eye(1, 1_600, 100, dtype=np.float32)[0], rate=RATE)
    wet = room(click, 0.5, direct_db=6.0, seed=1).samples
    assert wet[100] == wet.max()
    assert not wet[:100].round(6).any()
    assert level_dbfs(wet[200:1_000]) - level_dbfs(wet[7_000:7_800]) == pytest.approx(51, abs=3)
    echoes = float(np.square(wet[101:]).sum())
    assert 10 * np.log10(wet[100] ** 2 / echoes) == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_the_ratio_asked_for_and_its_seed(kind):
    """What was added is as far below the sound as asked; the same seed adds the same."""
    others = (tone(0.3, 300.0), tone(0.7, 210.0))
    clean = tone()
    noisy = noise(clean, kind, 10.0, 3, others)
    added = noisy.samples - clean.samples
    assert level_dbfs(clean.samples) - level_dbfs(added) == pytest.approx(10, abs=0.2)
    assert np.array_equal(noisy.samples, noise(clean, kind, 10.0, 3, others).samples)
    assert not np.array_equal(noisy.samples, noise(clean, kind, 10.0, 4, others).samples)


def test_pink_noise_falls_with_frequency():
    """An octave higher has 3 dB less power per hertz."""
    hiss = noise(tone(4.0), "pink", -40.0, 0).samples
    power = np.abs(np.fft.rfft(hiss)) ** 2
    hertz = np.fft.rfftfreq(len(hiss), 1 / RATE)
    low, high = (power[(hertz > edge) & (hertz < 1.3 * edge)].mean() for edge in (1_000, 4_000))
    assert 10 * np.log10(low / high) == pytest.approx(6, abs=1)


def test_level_is_set_and_never_clips():
    """The level comes out as asked unless the peak would exceed 1."""
    assert level_dbfs(level(tone(), -30.0).samples) == pytest.approx(-30, abs=0.1)
    assert np.abs(level(tone(), 20.0).samples).max() <= 1.0
    silent = Sound(samples=np.zeros(10, np.float32), rate=RATE)
    assert level(silent, -20.0) == silent


def test_speed_moves_pitch_pace_and_word_times_together():
    """Half as fast is twice as long, an octave lower, and its words come twice as late."""
    slow = speed(tone(), 0.5)
    assert slow.seconds == pytest.approx(2.0, abs=0.01)
    assert abs(np.abs(np.fft.rfft(slow.samples)).argmax() / slow.seconds - 200) < 2
    speech = Speech(text="hm", sound=tone(), words=(Word("hm", 0.2, 0.6),), speaker="x")
    heard = heard_in(speech, Surroundings(speed=0.5, rt60_s=0.3, noise="white", level=-25.0), seed=2)
    assert heard.words == (Word("hm", 0.4, 1.2),)
    assert level_dbfs(heard.sound.samples) == pytest.approx(-25, abs=0.1)


def test_nothing_around_changes_nothing():
    """Without settings the very samples come back."""
    speech = Speech(text="hm", sound=tone(), words=(), speaker="x")
    assert np.array_equal(heard_in(speech, Surroundings()).sound.samples, speech.sound.samples)


def test_wrong_settings_are_refused():
    """Unknown noises, babble of nobody, and impossible rooms and speeds are named."""
    with pytest.raises(StrettoError, match="'pink'"):
        noise(tone(), "pinc", 10.0)
    with pytest.raises(StrettoError, match="others"):
        noise(tone(), "babble", 10.0)
    with pytest.raises(StrettoError, match="reverberation"):
        room(tone(), 9.0)
    with pytest.raises(StrettoError, match="speed"):
        speed(tone(), 3.0)


def test_music_has_pitch_and_rhythm():
    """A few frequencies hold most of its power, unlike noise, and it repeats."""
    played = bed("music", 10 * RATE, RATE, seed=5)
    power = np.sort(np.abs(np.fft.rfft(played)) ** 2)[::-1]
    hiss = np.sort(np.abs(np.fft.rfft(bed("white", 10 * RATE, RATE, seed=5))) ** 2)[::-1]
    assert power[:800].sum() / power.sum() > 0.5 > 4 * hiss[:800].sum() / hiss.sum()
    assert len(played) == 10 * RATE
