"""Clips and their corpus: word times survive everything, sentences are spoken once, a cut corpus goes on the same."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stretto.bench.talk_page import write_page
from stretto.cli.main import main
from stretto.core.errors import StrettoError
from stretto.core.signals import Sound, Speech, Word
from stretto.core.sound import level_dbfs
from stretto.data import clip_plan, corpus, speech_cache
from stretto.data.clip_plan import Plans
from stretto.data.clips import NOISES, Scene, in_scene, paused
from stretto.data.corpus import Corpus, make, words_of
from stretto.data.speech_cache import SpeechCache, speech_key
from stretto.data.talk_style import Pause, plain, spoken_words
from stretto.data.talk_wide import commands_in
from stretto.data.voices import SPEAKERS, speakers

RATE = 16_000
OTHERS = [Sound(samples=np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32), rate=RATE)]


def beeps(count=4):
    """A word is 0.3 s of a tone of its own, then 0.1 s of nothing."""
    times = np.arange(round(0.3 * RATE)) / RATE
    gap = np.zeros(round(0.1 * RATE))
    parts = [np.concatenate([0.3 * np.sin(2 * np.pi * 300 * (k + 1) * times), gap]) for k in range(count)]
    words = tuple(Word(f"w{k}", round(0.4 * k, 4), round(0.4 * k + 0.3, 4)) for k in range(count))
    sound = Sound(samples=np.concatenate(parts).astype(np.float32), rate=RATE)
    return Speech(text=" ".join(word.text for word in words), sound=sound, words=words, speaker="beeps")


def pitch(samples):
    """The loudest frequency."""
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)


@pytest.fixture
def voices(monkeypatch):
    """No engine: every speaker beeps its words, and counts how often it was asked."""
    asked = []

    class Beeping:
        def speak(self, text, seed=0):
            asked.append(text)
            words = spoken_words(text)
            beeped = beeps(len(words))
            named = tuple(Word(text, word.start, word.end) for text, word in zip(words, beeped.words, strict=True))
            return Speech(text=text, sound=beeped.sound, words=named, speaker="beeps")

    monkeypatch.setattr(speech_cache, "speaker", lambda name, still, **settings: Beeping())
    return asked


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0.05, 1.5)), max_size=3, unique_by=lambda pause: pause[0]),
    st.floats(0.8, 1.25),
    st.floats(0, 1),
    st.sampled_from([None, 0.3]),
    st.sampled_from([None, *NOISES]),
)
@settings(max_examples=40, deadline=None)
def test_every_word_is_where_its_time_says(pauses, speed, lead, rt60, noise):
    """After pauses, speed, lead, room and noise, each word's own tone sounds between its start and its end."""
    speech = paused(beeps(), [Pause(*pause) for pause in pauses])
    scene = Scene(speed=speed, lead_s=lead, tail_s=0.3, rt60_s=rt60, direct_db=9, noise=noise, snr_db=15.0)
    clip = in_scene(speech, scene, 3, OTHERS)
    assert [word.text for word in clip.words] == ["w0", "w1", "w2", "w3"]
    for k, word in enumerate(clip.words):
        inside = clip.sound.samples[round(word.start * RATE) : round(word.end * RATE)]
        assert pitch(inside) == pytest.approx(300 * (k + 1) * speed, rel=0.03)
    silent = sum(seconds for after, seconds in pauses if after < 3)
    assert clip.sound.seconds == pytest.approx((1.6 + silent) / speed + lead + 0.3, abs=0.002)


def test_pauses_are_silent_and_stand_between_words():
    """A pause of half a second adds half a second of silence before the next word and nothing elsewhere."""
    speech = paused(beeps(), [Pause(1, 0.5), Pause(3, 9.0)])
    assert speech.sound.seconds == pytest.approx(2.1)
    assert [word.start for word in speech.words] == pytest.approx([0.0, 0.4, 1.3, 1.7])
    assert not np.abs(speech.sound.samples[round(0.76 * RATE) : round(1.24 * RATE)]).max() > 0


@pytest.mark.parametrize("noise", NOISES)
def test_the_ratio_is_that_of_the_words(noise):
    """However long the silence around them, noise is as far below the words as asked."""
    quiet = Scene(lead_s=3.0, tail_s=3.0, level=-30.0, floor=-90.0)
    noisy = Scene(lead_s=3.0, tail_s=3.0, level=-30.0, floor=-90.0, noise=noise, snr_db=10.0)
    clean, heard = (in_scene(beeps(), scene, 1, OTHERS).sound.samples for scene in (quiet, noisy))
    assert level_dbfs(heard - clean) == pytest.approx(-40, abs=0.2)
    words = np.concatenate([clean[round((3 + 0.4 * k) * RATE) :][: round(0.3 * RATE)] for k in range(4)])
    assert level_dbfs(words) == pytest.approx(-30, abs=0.2)


def test_a_sentence_is_spoken_once(tmp_path, voices):
    """The second time it comes from disk, with its words; another setting is another file; a broken file is mended."""
    cache = SpeechCache(tmp_path)
    first = cache.speak("Put it down.", "flite-rms", pace=1.1)
    again = SpeechCache(tmp_path).speak("Put it down.", "flite-rms", pace=1.1)
    assert voices == ["Put it down."]
    assert again.words == first.words
    assert np.array_equal(again.sound.samples, first.sound.samples)
    key = speech_key("Put it down.", "flite-rms", pace=1.1)
    file = tmp_path / key[:2] / f"{key}.flac"
    file.write_bytes(file.read_bytes()[:200])
    assert cache.speak("Put it down.", "flite-rms", pace=1.1).words == first.words
    assert len(voices) == 2
    assert speech_key("Put it down.", "flite-rms", pace=1.2) != key
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(StrettoError, match="not in"):
        cache.read("0" * 24)


def test_sounds_people_make_are_spoken_and_not_spelled(tmp_path, voices):
    """An engine gets "umhum" for "mm-hm", and the word comes back as it was written."""
    speech = SpeechCache(tmp_path).speak("Mm-hm, put the, hm, bowl down.", "flite-rms")
    assert voices == ["umhum, put the, hum, bowl down."]
    assert [word.text for word in speech.words] == ["Mm-hm", "put", "the", "hm", "bowl", "down"]


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_only_speakers_of_the_split_speak(split):
    """Also in babble; the robot's own voice is over others only, and no babble holds a command."""
    plans = Plans.Config(split=split, noisy=1.0).build()
    drawn = [plans.plan(number) for number in range(400)]
    assert {plan.speaker for plan in drawn} - {""} == set(speakers(split))
    for plan in drawn:
        babble = plan.others if plan.scene.noise == "babble" else ()
        assert {name for _, name, _ in babble} <= set(speakers(split))
        assert not [text for text, _, _ in babble if commands_in(spoken_words(text))]
        assert plan.scene.noise != "robot" or plan.speaker != clip_plan.ROBOT_VOICE
        assert bool(plan.others) == (plan.scene.noise in ("babble", "robot"))
    assert {plan.scene.noise for plan in drawn} >= {"white", "pink", "hum", "music", "babble"}


def test_one_voice_may_say_more_of_a_corpus_than_its_share():
    plain, more = (Plans.Config(voiced=voiced).build() for voiced in (0.0, 0.8))
    said = {name: [plans.plan(number) for number in range(100)] for name, plans in (("plain", plain), ("more", more))}
    joe = {name: sum(plan.speaker == "piper-joe" for plan in plans) for name, plans in said.items()}
    assert joe["more"] > joe["plain"] + 20
    assert [plan.saying for plan in said["plain"]] == [plan.saying for plan in said["more"]]
    assert not any("pitch" in plan.settings for plan in said["more"] if plan.speaker == "piper-joe")
    two = Plans.Config(voiced=1.0, voices=("kokoro-kumo", "flite-rms"), silence=0.0).build()
    said = [two.plan(number).speaker for number in range(60)]
    assert set(said) == {"kokoro-kumo", "flite-rms"}
    assert 15 < said.count("flite-rms") < 45
    with pytest.raises(StrettoError, match=r"speaker of dev 'piper-joe'"):
        Plans.Config(split="dev", voiced=0.5)
    with pytest.raises(StrettoError, match="at least one of the voices"):
        Plans.Config(voiced=0.5, voices=())


def test_other_speeds_change_a_share_of_the_clips_and_nothing_else():
    plain_plans, quick = (Plans.Config(split="train", silence=0.0, other=share).build() for share in (0.0, 0.4))
    pairs = [(plain_plans.plan(number), quick.plan(number)) for number in range(200)]
    others = [new.scene for old, new in pairs if new.scene.speed != old.scene.speed]
    assert 0.3 < len(others) / len(pairs) < 0.5
    low, high = clip_plan.SPEEDS
    assert all(low <= scene.speed <= high for scene in others)
    assert np.std([scene.speed for scene in others]) > 0.05
    assert all(replace(new, scene=replace(new.scene, speed=old.scene.speed)) == old for old, new in pairs)


def test_a_corpus_can_be_cut_and_goes_on_the_same(tmp_path, voices):
    """Made in two goes, with a broken last line between, it is what one go makes; rows and clips agree."""
    config = Plans.Config(mix="tame", silence=0.2)
    whole = make(config, tmp_path / "a", 0.1, workers=2)
    make(config, tmp_path / "b", 0.01, workers=1)
    with open(tmp_path / "b" / "train.jsonl", "a") as index:
        index.write('{"number": 99, "int')
    parts = make(config, tmp_path / "b", 0.1, workers=1)
    assert parts.rows == whole.rows
    assert sum(row["seconds"] for row in whole.rows) >= 360
    for at in range(0, len(whole), 9):
        row, clip = whole.rows[at], whole.clip(at)
        assert clip.words == words_of(row)
        assert clip.sound.seconds == pytest.approx(row["seconds"], abs=0.001)
        assert np.array_equal(clip.pcm, parts.clip(at).pcm)
        assert bool(row["words"]) == (row["intent"] != "silence")
    asked = len(voices)
    make(config, tmp_path / "a", 0.1)
    assert len(voices) == asked


def test_another_epoch_sounds_otherwise(tmp_path, voices):
    """`again` gives the same words in other surroundings, the same ones each time."""
    made = make(Plans.Config(mix="tame"), tmp_path, 0.05)
    at = next(k for k, row in enumerate(made.rows) if row["words"])
    first, second = made.clip(at), made.clip(at, again=1)
    assert [word.text for word in first.words] == [word.text for word in second.words]
    assert not np.array_equal(first.pcm[:8_000], second.pcm[:8_000])
    assert np.array_equal(second.pcm, made.clip(at, again=1).pcm)


def test_an_index_that_was_drawn_otherwise_is_refused(tmp_path, voices):
    """Another seed in the same file, no such file, and settings that make no sense are named."""
    make(Plans.Config(mix="tame"), tmp_path, 0.001)
    with pytest.raises(StrettoError, match="seed 0 \\(now 1\\)"):
        make(Plans.Config(mix="tame", seed=1), tmp_path, 0.001)
    with pytest.raises(StrettoError, match="Did you mean 'train'"):
        Corpus(tmp_path, "trian")
    with pytest.raises(StrettoError, match="more than 0 and at most"):
        make(Plans.Config(), tmp_path, 0.0)
    with pytest.raises(StrettoError, match="shares"):
        Plans.Config(noisy=2.0)
    with pytest.raises(StrettoError, match="Unknown mix"):
        Plans.Config(mix="robots")


def test_one_process_at_a_time_makes_an_index(tmp_path, voices):
    """While somebody holds the index, another one is told so."""
    SpeechCache(tmp_path)
    with corpus._alone(tmp_path / "train.jsonl"), pytest.raises(StrettoError, match="Another process"):
        make(Plans.Config(mix="tame"), tmp_path, 0.001)


def test_a_row_says_where_its_commands_are(tmp_path, voices):
    """The words of a row from first to last are the command that it names."""
    made = make(Plans.Config(mix="reflex", silence=0.0), tmp_path, 0.05)
    found = [(row, command) for row in made.rows for command in row["commands"]]
    assert len(found) > 10
    for row, (command, first, last) in found:
        assert plain(" ".join(text for text, _, _ in row["words"][first : last + 1])) == command


def test_an_engine_that_merges_words_loses_its_pauses_only(tmp_path, voices, monkeypatch):
    """Where a voice did not speak as many words as were written, no pause is put at an unsure place."""
    monkeypatch.setattr(corpus, "spoken_words", lambda text: ["one"])
    made = make(Plans.Config(mix="tame"), tmp_path, 0.01)
    assert not any(row["pauses"] for row in made.rows)


@pytest.mark.slow
def test_real_voices_make_a_corpus(tmp_path):
    """Every engine of training and test speaks; a row tells everything and nothing else is needed to read it."""
    for split in ("train", "test"):
        made = make(Plans.Config(split=split), tmp_path, 0.02)
        assert json.loads((tmp_path / f"{split}.json").read_text())["split"] == split
        for row, clip in made.clips():
            assert clip.words == words_of(row)
            assert row["engine"] in {SPEAKERS[name].voice for name in speakers(split)} | {""}
            if row["words"]:
                assert len(row["words"]) >= 0.8 * len(spoken_words(row["text"]))


def test_the_page_tells_and_plays(tmp_path, voices):
    """Every intent of the corpus has a line, ten samples have their sound inside, and no script is needed."""
    made = make(Plans.Config(), tmp_path, 0.05)
    text = write_page(tmp_path / "talk.html", [made]).read_text()
    assert {row["intent"] for row in made.rows} <= set(re.findall(r"<tr><td>([^<]+)</td>", text))
    assert text.count("<audio") == 10
    assert f"<b>{len(made)}</b>clips" in text
    assert "<script" not in text


def test_the_command_makes_a_corpus_and_refuses_what_it_does_not_know(tmp_path, voices, capsys):
    """`stretto data talk` writes index and page, goes on when asked for more, and says what is wrong."""
    out = str(tmp_path / "talk")
    assert main(["data", "talk", "--hours", "0.01", "--mix", "tame", "--out", out, "--set", "noisy=0.5"]) == 0
    assert main(["data", "talk", "--hours", "0.05", "--mix", "tame", "--out", out, "--set", "noisy=0.5"]) == 0
    assert "clips a minute" in capsys.readouterr().out
    assert (tmp_path / "talk" / "talk.html").exists()
    assert len(Corpus(tmp_path / "talk", "train")) == 2 * corpus.BLOCK
    for wrong, told in ((["--mix", "tmae"], "Did you mean 'tame'"), (["--split", "tset"], "Unknown split")):
        assert main(["data", "talk", *wrong, "--out", out]) == 2
        assert told in capsys.readouterr().err
    assert main(["data", "walk"]) == 2
    assert main(["data", "talk", "--page", "--out", str(tmp_path / "none")]) == 2
