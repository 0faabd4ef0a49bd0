"""Voices speak with word times, refuse what cannot be spoken, and name the package of a missing engine."""

import numpy as np
import pytest

from stretto.core import registry
from stretto.core.errors import StrettoError
from stretto.core.sound import level_dbfs
from stretto.data.voices import SPEAKERS, SPLITS, speaker, speakers
from stretto.speak import align, base

ENGINES = ["piper-joe", "flite-rms", "flite-kal", "espeak-m3", "festival-slt", "festival-ked", "kokoro-kumo-alpha"]


def loud(speech):
    """First and last second at which the sound is louder than a twentieth of its peak."""
    samples = np.abs(speech.sound.samples)
    places = np.flatnonzero(samples > samples.max() / 20)
    return places[0] / speech.sound.rate, places[-1] / speech.sound.rate


@pytest.mark.parametrize("name", ENGINES)
def test_words_are_timed(name):
    """Every written word comes back in order, inside the sound, and the last one ends where the sound does."""
    speech = speaker(name).speak("Put the bowl on the plate, please.")
    assert [word.text for word in speech.words] == ["Put", "the", "bowl", "on", "the", "plate", "please"]
    edges = [edge for word in speech.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= speech.sound.seconds + 1e-6
    first, last = loud(speech)
    assert abs(speech.words[0].start - first) < 0.15
    assert abs(speech.end - last) < 0.2
    assert 1.2 < speech.sound.seconds < 3.5


@pytest.mark.parametrize("name", ["piper-joe", "kokoro-kumo"])
def test_words_of_a_second_sentence_stand_behind_the_first(name):
    """With a pause between them, and the last one ends where the sound does."""
    speech = speaker(name).speak("Put it down. Thank you.")
    edges = [edge for word in speech.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0.1 < speech.words[3].start - speech.words[2].end < 0.8
    assert abs(speech.end - loud(speech)[1]) < 0.2


@pytest.mark.parametrize("name", ENGINES)
def test_pace_and_level_are_obeyed(name):
    """Twice the pace is about half as long; the level is the one asked for."""
    text = "Put the bowl on the plate."
    slow, fast = (speaker(name, still=True, **told).speak(text) for told in ({}, {"pace": 2.0, "level": -30.0}))
    assert 0.35 < fast.end / slow.end < 0.7
    assert abs(level_dbfs(fast.sound.samples) + 30) < 0.5


@pytest.mark.parametrize("name", ["flite-awb", "flite-kal", "espeak-m3", "festival-ked"])
def test_pitch_changes_the_sound_and_not_the_words(name):
    """A voice with a pitch speaks the same words in about the same time, as another sound."""
    low, high = speaker(name).speak("Put it down."), speaker(name, pitch=4.0).speak("Put it down.")
    assert abs(low.end - high.end) < 0.1
    count = min(len(low.sound.samples), len(high.sound.samples))
    assert np.abs(low.sound.samples[:count] - high.sound.samples[:count]).max() > 0.01


@pytest.mark.parametrize("name", ["flite-rms", "espeak-m3", "festival-ked", "kokoro-kumo"])
def test_engines_without_noise_repeat(name):
    """The same text gives the same samples."""
    first, second = speaker(name).speak("Stop."), speaker(name).speak("Stop.")
    assert np.array_equal(first.sound.samples, second.sound.samples)


def test_piper_repeats_only_without_noise():
    """With both noise scales 0 two calls are equal; with its own noise they differ."""
    quiet = registry.build("voice", "piper", noise=0.0, noise_width=0.0)
    assert np.array_equal(quiet.speak("Stop.").sound.samples, quiet.speak("Stop.").sound.samples)
    noisy = registry.build("voice", "piper")
    assert not np.array_equal(noisy.speak("Stop.").sound.samples, noisy.speak("Stop.").sound.samples)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("text", ['Say "stop" (now) \\ or 5% & don’t\x07\n -- [[x]] wait…', "-v", "25 bowls"])
def test_odd_text_is_spoken(name, text):
    """Quotes, brackets, control characters, leading dashes and digits neither break an engine nor reach its options."""
    speech = speaker(name).speak(text)
    assert speech.words
    assert speech.sound.seconds > 0.2


@pytest.mark.parametrize("text", ["", "  \n", "...", "\x00\x01"])
def test_empty_text_is_refused(text):
    """Nothing to say is an error, not silence."""
    with pytest.raises(StrettoError, match="Expected words to speak"):
        speaker("flite-rms").speak(text)


def test_long_text_is_refused_and_the_limit_named():
    """More than 2 000 characters are refused before any engine runs."""
    with pytest.raises(StrettoError, match="at most 2000 characters"):
        speaker("espeak-m3").speak("a " * 1_001)


@pytest.mark.parametrize(
    ("name", "package"), [("flite-rms", "flite"), ("espeak-m3", "espeak-ng"), ("festival-slt", "festival")]
)
def test_a_missing_engine_names_its_package(name, package, monkeypatch):
    """Without the program the error says which Debian package to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StrettoError, match=f"apt-get install {package}"):
        speaker(name).speak("A sentence that was not spoken before.")


def test_a_missing_voice_of_festival_names_its_package(monkeypatch):
    """Festival without the voice says which Debian package holds it."""
    monkeypatch.setattr("stretto.speak.festival._VOICES", {"slt": ("nobody", "festvox-us-slt-hts")})
    with pytest.raises(StrettoError, match="apt-get install festvox-us-slt-hts"):
        speaker("festival-slt").speak("Stop.")


def test_a_sentence_too_long_for_the_network_is_refused():
    """Nothing of it is left out in silence."""
    with pytest.raises(StrettoError, match="at most 510 sounds"):
        speaker("kokoro-kumo").speak("bowl and " * 120)


def test_two_voices_mix_into_another():
    """A mix has the spectrum of neither; the same voice has the same twice."""
    kumo, again, alpha, mix = (
        _spectrum(registry.build("voice", "kokoro", **told).speak("Put it down."))
        for told in ({"voice": "kumo"}, {"voice": "kumo"}, {"voice": "alpha"}, {"voice": "kumo", "other": "alpha"})
    )
    assert np.array_equal(kumo, again)
    assert np.abs(mix - kumo).mean() > 0.2
    assert np.abs(mix - alpha).mean() > 0.2
    with pytest.raises(StrettoError, match="Did you mean 'kumo'"):
        registry.build("voice", "kokoro", voice="kumu")


def _spectrum(speech):
    """Logarithms of the level in bands of 50 Hz up to 4 kHz."""
    levels = np.abs(np.fft.rfft(speech.sound.samples, 48_000))[:8_000]
    return np.log(levels.reshape(-1, 100).mean(1) + 1e-6)


def test_unknown_names_offer_the_nearest():
    """Speakers, voices, variants and splits that do not exist are answered with the nearest that does."""
    with pytest.raises(StrettoError, match="'flite-rms'"):
        speaker("flite-rmz")
    with pytest.raises(StrettoError, match="'awb'"):
        registry.build("voice", "flite", voice="awp")
    with pytest.raises(StrettoError, match="Unknown variant"):
        registry.build("voice", "espeak", variant="nobody").speak("Stop.")
    with pytest.raises(StrettoError, match="Unknown split"):
        speakers("tset")
    with pytest.raises(StrettoError, match="no pitch"):
        registry.build("voice", "festival", pitch=1.0)
    with pytest.raises(StrettoError, match="pace"):
        registry.build("voice", "flite", pace=9.0)


def test_speakers_of_the_splits_do_not_meet():
    """Only Piper speaks in two splits, and no speaker of the test exists in another engine of training."""
    train, dev, test = (set(speakers(split)) for split in SPLITS)
    assert train & test == {"piper-joe"}
    assert not dev & (train | test)
    assert {SPEAKERS[name].voice for name in test} == {"festival", "piper"}
    used = [(entry.settings.get("voice"), entry.settings.get("other")) for entry in SPEAKERS.values()]
    used = [names for names in used if names[0]]
    assert len(used) == len(set(used))
    mixed = {name for entry in SPEAKERS.values() if entry.voice == "kokoro" and "train" in entry.splits
             for name in entry.settings.values()}  # fmt: skip
    assert not mixed & {SPEAKERS[name].settings["voice"] for name in dev}


def test_units_are_shared_out_to_words():
    """Merged, missing and extra units keep the words in order and leave nothing out."""
    assert align.spans([["on"], ["the", "x"]], ["on", "x"]) == [(0, 1), (1, 2)]
    assert align.spans([["a"], ["b"]], ["a", "q", "q", "b"]) == [(0, 3), (3, 4)]
    assert align.spans([], []) == []


def test_finish_moves_words_with_the_trim():
    """Cutting the silence before the first word moves all words by the same time."""
    samples = np.zeros(16_000, np.float32)
    samples[8_000:12_000] = 0.5
    speech = base.finish("hm", samples, 16_000, [base.Word("hm", 0.5, 0.75)], -20.0, "nobody")
    assert speech.words[0].start == pytest.approx(0.04)
    assert speech.end == pytest.approx(0.29)
    assert speech.sound.seconds == pytest.approx(0.41)
