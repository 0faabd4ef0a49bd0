"""The lexicon of sounds says what the voices' phonemes say."""

from stretto.core.rng import generator
from stretto.speak.phonemes import word_phonemes
from stretto.think.sounds import SOUNDS, lexicon, simple, sounds_of, whole_words
from stretto.train import sounds as made
from stretto.train.sounds import WEAK, write_sounds


def test_every_word_has_sounds_that_are_told_apart():
    assert len(set(SOUNDS)) == len(SOUNDS)
    assert all(word == word.strip().lower() and set(sounds) <= set(SOUNDS) for word, sounds in lexicon().items())
    assert all(lexicon().values())


def test_the_lexicon_says_what_the_robots_voice_is_told_to_speak():
    places = generator(0, "sounds").integers(len(lexicon()), size=40).tolist()
    words = tuple(sorted({list(lexicon())[place] for place in places} - set(WEAK)))
    assert [sounds_of(word) for word in words] == [simple(ipa) for ipa in word_phonemes(words)]
    assert sounds_of(" To") == "tə", "as it is said among other words"


def test_a_lexicon_is_written_of_training_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(made, "common", lambda flat, most: (("busy",), None))
    monkeypatch.setattr(made, "lines", lambda split: asked.append(split) or ("Plans change, don't they?",))
    monkeypatch.setattr(made.talk_facts, "facts", lambda split: asked.append(split) or ())
    monkeypatch.setattr(made, "load_text", lambda name: Tokens())
    path = write_sounds(tmp_path / "sounds.txt.gz")
    assert set(asked) == {"train"}
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    monkeypatch.setattr("stretto.think.sounds.LEXICON", path)
    lexicon.cache_clear()
    whole_words.cache_clear()
    try:
        assert set(lexicon()) == {"a", "busy", "change", "don't", "plans", "stove", "they", "to"}
        assert set(lexicon()) - set(whole_words()) == {"stove"}, "a token of which nobody says that it is a word"
    finally:
        lexicon.cache_clear()
        whole_words.cache_clear()


class Tokens:
    """A word list of three: a word, a number, a piece of a character."""

    size = 3

    def bytes_of(self, token):
        return (b" Stove", b"12", b"\xc3")[token]
