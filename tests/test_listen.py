"""Voice activity keeps its state outside, turns end by silence, Whisper reads finished utterances."""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from stretto.core.errors import StrettoError
from stretto.core.signals import Sound
from stretto.core.sound import at_rate, mix, pad, silence
from stretto.data.voices import speaker
from stretto.listen import vad as vad_module
from stretto.listen.turns.cues import Cues
from stretto.listen.turns.fixed_silence import FixedSilence
from stretto.listen.vad import FRAME, FRAME_S, Silero
from stretto.listen.whisper import Whisper


def spoken(text="Put the bowl on the plate.", name="flite-rms"):
    return at_rate(speaker(name).speak(text).sound)


def follow(probabilities, piece=FRAME, **config):
    """Feeds frames whose samples are their own number / 1000, `piece` samples at a time; turns and last state."""
    turns = FixedSilence.Config(**config).build()
    state, found, judged = turns.start(), [], 0
    samples = np.repeat(np.arange(len(probabilities)), FRAME).astype(np.float32) / 1000
    for begin in range(0, len(samples), piece):
        part = samples[begin : begin + piece]
        ready = (begin + len(part)) // FRAME
        now = np.array(probabilities[judged:ready], np.float32)
        judged = ready
        turn, state = turns.decide(Cues(t=100 + (begin + len(part)) / 16_000, samples=part, probabilities=now), state)
        found.append(turn)
    return found, state


def events(found):
    return [t for turn in found for t in turn.started], [heard for turn in found for heard in turn.ended]


def test_vad_in_pieces_equals_vad_in_one():
    """Any cutting of the samples gives the same probabilities, bit for bit."""
    vad = Silero.Config().build()
    samples = spoken().samples
    whole, last = vad.step(samples, vad.start())
    pieces, state = [], vad.start()
    for part in np.array_split(samples, [100, 700, 701, 5_000, 9_999]):
        found, state = vad.step(part, state)
        pieces.append(found)
    assert np.array_equal(np.concatenate(pieces), whole)
    assert np.array_equal(state.hidden, last.hidden)
    assert len(state.rest) == len(samples) % FRAME


def test_vad_agrees_with_the_networks_own_batch_form():
    """Frame by frame equals the package's second file, which takes all frames with their contexts at once."""
    vad = Silero.Config().build()
    samples = spoken().samples
    samples = samples[: len(samples) // FRAME * FRAME]
    file = Path(importlib.util.find_spec("silero_vad").origin).parent / "data" / "silero_vad_16k_sequence.onnx"
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    padded = np.concatenate([np.zeros(64, np.float32), samples])
    frames = np.stack([padded[start : start + 576] for start in range(0, len(samples), FRAME)])
    zeros = np.zeros((1, 1, 128), np.float32)
    reference = session.run(None, {"input": frames, "h": zeros, "c": zeros})[0]
    assert np.abs(vad.step(samples, vad.start())[0] - reference).max() < 1e-3


def test_vad_tells_speech_from_silence_and_noise():
    """Speech is above 0.5 in most frames, silence and faint noise in none."""
    vad = Silero.Config().build()
    noise = np.random.default_rng(0).normal(0, 0.01, 16_000).astype(np.float32)
    assert np.mean(vad.step(spoken().samples, vad.start())[0] > 0.5) > 0.6
    assert vad.step(noise, vad.start())[0].max() < 0.5
    assert vad.step(silence(1.0).samples, vad.start())[0].max() < 0.5


def test_vad_does_not_change_a_state_it_was_given():
    """A state can be forked: stepping from it twice gives the same."""
    vad = Silero.Config().build()
    _, state = vad.step(spoken().samples[:8_000], vad.start())
    first, _ = vad.step(spoken().samples[8_000:], state)
    second, _ = vad.step(spoken().samples[8_000:], state)
    assert np.array_equal(first, second)


def test_a_turn_opens_and_closes_with_its_times():
    """Twenty voiced frames after ten silent ones: start and end to the frame, and the pre-roll in the sound."""
    found, _ = follow([0.0] * 10 + [0.9] * 20 + [0.0] * 30, pre_roll_s=0.064)
    started, ended = events(found)
    assert started == [pytest.approx(100 + 10 * FRAME_S)]
    assert len(ended) == 1
    assert ended[0].start == pytest.approx(100 + 10 * FRAME_S)
    assert ended[0].end == pytest.approx(100 + 30 * FRAME_S)
    assert ended[0].sound.samples[0] == pytest.approx(0.008)
    assert ended[0].sound.samples[-1] == pytest.approx(0.039)
    assert [turn.speaking for turn in found].index(True) == 12
    assert sum(turn.speaking for turn in found) == 18 + 9


def test_short_utterances_end_sooner():
    """After "stop" the turn is over at the short silence, after a sentence at the long one."""
    for voiced, wait in ((10, 10), (32, 16)):
        found, _ = follow([0.0] * 5 + [0.9] * voiced + [0.0] * 40)
        closed = next(index for index, turn in enumerate(found) if turn.ended)
        assert closed + 1 - 5 - voiced == wait


def test_clicks_open_no_turn_and_short_gaps_close_none():
    """Two voiced frames are a click; a pause below the silence stays inside the utterance."""
    assert events(follow([0.0] * 5 + [0.9] * 2 + [0.0] * 40)[0]) == ([], [])
    started, ended = events(follow([0.9] * 20 + [0.0] * 9 + [0.9] * 20 + [0.0] * 40)[0])
    assert len(started) == len(ended) == 1
    assert ended[0].end - ended[0].start == pytest.approx(49 * FRAME_S)


def test_a_voiced_frame_may_weaken():
    """Between release and threshold a frame goes on but does not begin."""
    assert events(follow([0.4] * 50)[0]) == ([], [])
    _, ended = events(follow([0.9] * 5 + [0.4] * 20 + [0.0] * 40)[0])
    assert ended[0].end - ended[0].start == pytest.approx(25 * FRAME_S)


def test_turns_do_not_depend_on_how_the_sound_is_cut():
    """Pieces of a tick, of a frame or of odd size give the same utterances."""
    pattern = ([0.0] * 7 + [0.9] * 25 + [0.0] * 22 + [0.8] * 6 + [0.0] * 30) * 2
    reference = events(follow(pattern)[0])
    for piece in (160, 333, 3_200, 16_000):
        started, ended = events(follow(pattern, piece=piece)[0])
        assert started == pytest.approx(reference[0])
        for mine, theirs in zip(ended, reference[1], strict=True):
            assert (mine.start, mine.end) == pytest.approx((theirs.start, theirs.end))
            assert np.array_equal(mine.sound.samples, theirs.sound.samples)


def test_memory_stays_bounded():
    """Silence keeps the pre-roll only, and endless speech is cut at `longest_s`."""
    _, state = follow([0.0] * 500)
    assert len(state.kept) <= 0.3 * 16_000 + FRAME
    found, state = follow([0.9] * 500, longest_s=4.0)
    assert len(events(found)[1]) == 4
    assert len(state.kept) < 5 * 16_000


def test_wrong_settings_are_refused():
    """A release above the threshold and a silence below one frame are errors."""
    with pytest.raises(StrettoError, match="release"):
        FixedSilence.Config(release=0.9).build()
    with pytest.raises(StrettoError, match="one frame"):
        FixedSilence.Config(short_silence_s=0.01).build()


def test_missing_models_name_their_package(monkeypatch):
    """Without the package the error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    vad_module._load.cache_clear()
    with pytest.raises(StrettoError, match="pip install"):
        Silero.Config().build()
    with pytest.raises(StrettoError, match="pip install"):
        Whisper.Config(compute="float32", threads=3).build()
    vad_module._load.cache_clear()


def test_silence_is_not_recognised_as_words():
    """Digital silence and sound below -60 dBFS give the empty string without a pass of the network."""
    whisper = Whisper.__new__(Whisper)
    whisper.config = Whisper.Config()
    assert whisper.recognise(silence(1.0)) == ""
    assert whisper.recognise(Sound(samples=np.full(16_000, 1e-4, np.float32), rate=16_000)) == ""
    assert whisper.recognise(silence(0.0)) == ""


@pytest.mark.slow
def test_whisper_reads_what_was_said():
    """A sentence of a clear voice comes back word for word, at any rate of its sound."""
    whisper = Whisper.Config().build()
    speech = speaker("festival-slt").speak("Put the bowl on the plate.")
    assert whisper.recognise(speech.sound) == "Put the bowl on the plate."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["festival-slt", "festival-ked", "piper-joe", "flite-kal"])
@pytest.mark.parametrize("text", ["Stop!", "Stop now.", "Stop right there."])
def test_stop_is_heard(name, text):
    """The whole way: sound in ticks, voice activity, turn, words. The turn is over within 0.8 s of the word's end."""
    vad, turns = Silero.Config().build(), FixedSilence.Config().build()
    whisper = Whisper.Config().build()
    speech = speaker(name, still=True).speak(text)
    heard = mix([(0.0, silence(4.0)), (1.0, pad(at_rate(speech.sound), 0.0, 0.0))])
    vad_state, turn_state, found = vad.start(), turns.start(), []
    for tick in range(20):
        samples = heard.samples[tick * 3_200 : (tick + 1) * 3_200]
        probabilities, vad_state = vad.step(samples, vad_state)
        cues = Cues(t=(tick + 1) * 0.2, samples=samples, probabilities=probabilities)
        turn, turn_state = turns.decide(cues, turn_state)
        found += [(cues.t, utterance) for utterance in turn.ended]
    assert len(found) == 1
    t, utterance = found[0]
    assert abs(utterance.end - 1.0 - speech.end) < 0.25
    assert t - 1.0 - speech.end < 0.8
    assert "stop" in whisper.recognise(utterance.sound).lower()
