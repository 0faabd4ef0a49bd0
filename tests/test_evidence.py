"""Tokens held against sounds: what fits is chosen among what is likely, and where words begin and end is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stretto.agents.evidence import Evidence, Since, aligned, words_of
from stretto.agents.sizes import size
from stretto.think.layout import TextTable
from stretto.think.sounds import SOUNDS, numbered
from stretto.think.text import load_text

TOKENS = (b" lay", b" leave", b" way", b"er", b".", b" stop", b" m", b"ug")
NOTHING = len(TOKENS)


def evidence(words=(), **config):
    """`words`: those of several tokens, as (tokens, sounds)."""
    begun = {}
    for tokens, sounds in words:
        ids = tuple(map(TOKENS.index, tokens))
        begun |= {ids[:count]: [numbered(sounds)] for count in range(1, len(ids) + 1)}
    return Evidence.Config(among=len(TOKENS), **config).build(TOKENS, begun)


def frames(sounds, each=2, ticks=6):
    """Chances of a row of sounds, `each` frames long, "-" for none, at the end of some ticks of ten frames."""
    row = [0 if sound == "-" else 1 + SOUNDS.index(sound) for sound in sounds for _ in range(each)]
    kinds = torch.tensor([0] * (10 * ticks - len(row)) + row)
    return torch.nn.functional.one_hot(kinds, 1 + len(SOUNDS)).mul(0.9).add(0.1 / 50).log().view(ticks, 10, -1)


def scores(**told):
    found = torch.full((NOTHING + 1,), -5.0)
    for name, score in told.items():
        found[NOTHING if name == "nothing" else [token.strip() for token in TOKENS].index(name.encode())] = score
    return found


def test_among_likely_tokens_that_which_was_heard_is_chosen():
    likely = scores(leave=2.0, lay=1.0, way=1.5)
    assert evidence().choose(likely, frames("--leɪ--"), 9, Since())[0] == TOKENS.index(b" lay")
    assert evidence().choose(likely, frames("--weɪ--"), 9, Since())[0] == TOKENS.index(b" way")
    assert evidence(weight=0.0).choose(likely, frames("--leɪ--"), 9, Since())[0] == TOKENS.index(b" leave")


def test_whether_something_was_said_is_left_to_the_scores():
    for best in ("nothing", "."):
        told, since = evidence().choose(scores(**{best: 9.0, "lay": 8.0}), frames("leɪ"), 9, Since(ended=40))
        assert told == (NOTHING if best == "nothing" else TOKENS.index(b"."))
        assert since == Since(ended=40)


def test_the_next_word_is_looked_for_behind_the_last_one():
    """Ticks 4 to 9 hold frames 40 to 99; "lay" takes 80 to 85, "way" and the silence behind it the rest."""
    both = frames("leɪweɪ----")
    first, since = evidence().choose(scores(lay=1.0, way=0.5), both, 9, Since())
    assert (first, since.ended) == (TOKENS.index(b" lay"), 86)
    second, after = evidence().choose(scores(lay=1.0, way=0.5), both, 9, since)
    assert (second, after.began, after.ended) == (TOKENS.index(b" way"), 86, 100)


def test_who_follows_what_another_chose_knows_where_each_word_ended():
    both, lay, way = frames("leɪweɪ----"), TOKENS.index(b" lay"), TOKENS.index(b" way")
    since = evidence().follow(lay, both, 9, Since())
    assert since == evidence().choose(scores(lay=1.0, way=0.5), both, 9, Since())[1]
    assert evidence().follow(NOTHING, both, 9, since) == since
    assert evidence().follow(way, both, 9, since).ended == 100


def test_a_token_that_goes_on_is_aligned_behind_its_word():
    told = frames("leɪɜ----")
    _, since = evidence().choose(scores(lay=1.0), told, 5, Since())
    second, after = evidence().choose(scores(er=1.0, lay=3.0), told, 5, since)  # "lay" was said once
    assert TOKENS[second] == b"er"
    assert after.began == since.began
    assert after.tokens == (TOKENS.index(b" lay"), TOKENS.index(b"er"))


def test_a_piece_of_a_word_is_held_against_the_words_that_it_begins():
    """ " m" by itself is "ɛm"."""
    likely, told = scores(m=1.0, way=9.0), frames("--mʌɡ--")
    assert evidence().choose(likely, told, 9, Since())[0] == TOKENS.index(b" way")
    knows = evidence([((b" m", b"ug"), "mʌɡ")])
    first, since = knows.choose(likely, told, 9, Since())
    assert (first, since.tokens, since.ended) == (TOKENS.index(b" m"), (TOKENS.index(b" m"),), 100)
    assert knows.choose(scores(ug=1.0, way=13.0), told, 9, since)[0] == TOKENS.index(b"ug")


def test_tokens_that_make_no_word_together_are_at_a_disadvantage():
    told, since = frames("leɪɜ----"), Since(began=20, ended=66, tokens=(TOKENS.index(b" lay"),))
    likely = scores(er=2.0, stop=1.0)
    stop, layer = ((b" stop",), "stɑp"), ((b" lay", b"er"), "leɪɜ")
    assert evidence([stop], weight=0.0).choose(likely, told, 5, since)[0] == TOKENS.index(b" stop")
    assert evidence([stop, layer], weight=0.0).choose(likely, told, 5, since)[0] == TOKENS.index(b"er")
    assert evidence([layer], weight=0.0, unknown=0.5).choose(likely, told, 5, since)[0] == TOKENS.index(b"er")


def test_the_words_of_a_tokenizer_are_known_by_their_pieces():
    text = load_text("smollm2-135m")
    words = words_of(text)
    mug = tuple(text.heard("mug"))
    assert len(mug) == 2
    assert set(words[mug]) == {numbered("mʌɡ"), numbered("mʌɡz")}
    assert set(words[mug]) < set(words[mug[:1]])
    assert words[tuple(text.heard("Finland"))] == [numbered("fɪnlənd")], "with its capital one token, without two"


def test_a_fit_is_at_most_zero_and_a_frame_beside_the_word_costs():
    rows = frames("--ab--").flatten(0, 1).numpy()[-12:]
    word = np.array([1 + SOUNDS.index("a"), 1 + SOUNDS.index("b")])
    fits, ends = aligned(rows, [word], 0.6)
    assert fits[0] == pytest.approx(0.0, abs=1e-5), "what is blank may belong to the word"
    assert ends[0] == 12
    assert aligned(rows, [word[:1]], 0.6)[0][0] == pytest.approx(-0.6 * 6, abs=1e-5), "all behind it"
    assert aligned(rows[:0], [word, word[:1]], 0.6)[1].tolist() == [0, 0], "no frames, no difference"


def test_a_network_without_sounds_or_spelling_has_none():
    assert Evidence.of(size("debug").build()) is None
    assert Evidence.of(size("debug-listener").build()) is None
    table = TextTable(spelled=(b" a",) * TextTable().size)
    assert Evidence.of(replace(size("debug-listener"), table=table).build()) is not None


def test_what_is_expected_counts_among_words_that_sound_alike():
    """ " leave" and " lay" are as likely, " lay" sounds a little better, and the language model would be surprised."""
    likely, heard = scores(leave=2.0, lay=2.0), frames("--leɪ--")

    def doubts(tokens):
        return np.array([0.0 if token == TOKENS.index(b" leave") else -90.0 for token in tokens])

    assert evidence().choose(likely, heard, 9, Since())[0] == TOKENS.index(b" lay")
    assert evidence().choose(likely, heard, 9, Since(), doubts)[0] == TOKENS.index(b" leave")
    assert evidence(expected=0.0).choose(likely, heard, 9, Since(), doubts)[0] == TOKENS.index(b" lay")
    assert evidence().choose(scores(nothing=9.0, lay=8.0), heard, 9, Since(), doubts)[0] == NOTHING


def test_chances_of_answers_add_up_and_sounds_tell_which_token_it_is():
    """A word is as likely as the scores have it, all its tokens together; which one it is, the sounds say as well."""
    likely, heard = scores(nothing=1.0, leave=2.0, lay=1.0, way=1.5, **{".": 0.5}), frames("--leɪ--")
    found = evidence().chances(likely, heard, 9, Since(), sounding=len(TOKENS), others=2)
    chance = {token: told for token, _, told in found}
    assert max(chance, key=chance.get) == TOKENS.index(b" lay") == evidence().choose(likely, heard, 9, Since())[0]
    assert sum(map(np.exp, chance.values())) == pytest.approx(1.0, abs=1e-5)
    right = likely.log_softmax(-1)
    assert chance[NOTHING] == pytest.approx(float(right[NOTHING]))
    assert chance[TOKENS.index(b".")] == pytest.approx(float(right[TOKENS.index(b".")]))
    since = {token: since for token, since, _ in found}
    assert since[NOTHING] == Since()
    assert since[TOKENS.index(b" lay")] == evidence().choose(likely, heard, 9, Since())[1]


def test_where_a_word_is_hardly_due_no_word_is_looked_for():
    found = evidence().chances(scores(nothing=9.0, lay=4.0), frames("leɪ"), 9, Since())
    assert NOTHING in [token for token, _, _ in found]
    assert not any(evidence().audible(token) for token, _, _ in found)
    assert evidence().chances(scores(nothing=9.0, lay=8.0), frames("leɪ"), 9, Since())[0][0] == TOKENS.index(b" lay")
