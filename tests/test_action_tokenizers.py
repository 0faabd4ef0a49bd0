"""Action tokenizers: what they promise of ranges, errors, files and wrong input."""

import json

import numpy as np
import pytest

from stretto.act.protocols import ActionTokenizer
from stretto.act.tokenizers.bins import Bins
from stretto.act.tokenizers.fast import Fast, _read, _spell
from stretto.act.tokenizers.normalise import QuantileNormaliser
from stretto.core.errors import StrettoError

KINDS = [Bins, Fast]


def motions(count=200, horizon=16, seed=0):
    """Smooth chunks of three dimensions with ranges of their own and a gripper that is -1 or 1."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, horizon)[None, :, None]
    waves = np.sin(2 * np.pi * (t * rng.uniform(0.1, 1, (count, 1, 3)) + rng.uniform(0, 1, (count, 1, 3))))
    gripper = np.where(rng.random((count, 1, 1)) < 0.5, -1.0, 1.0) * np.ones((1, horizon, 1))
    return np.concatenate([waves * [0.9, 0.02, 3.0] + [0.0, 0.5, -1.0], gripper], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    return {kind: kind.Config.tiny().build().fit(motions()) for kind in KINDS}


def test_the_quantiles_become_minus_one_and_one_and_return():
    values = np.random.default_rng(0).normal(3.0, 2.0, (5000, 2))
    normaliser = QuantileNormaliser.fit(values)
    unit = normaliser.normalise(values)
    assert np.quantile(unit, (0.01, 0.99), axis=0) == pytest.approx(np.array([[-1, -1], [1, 1]]))
    assert np.abs(unit).max() > 1.2
    assert normaliser.denormalise(unit) == pytest.approx(values)


def test_a_constant_dimension_becomes_zero_and_keeps_its_unit():
    values = np.tile([0.25, 7.0], (50, 1)) + np.random.default_rng(0).normal(0, 1e-9, (50, 2))
    normaliser = QuantileNormaliser.fit(values)
    assert normaliser.normalise(values) == pytest.approx(np.zeros((50, 2)), abs=1e-6)
    assert normaliser.denormalise(np.zeros(2)) == pytest.approx([0.25, 7.0])
    assert normaliser.normalise(np.array([0.75, 7.0])) == pytest.approx([0.5, 0.0], abs=1e-6)


def test_a_dimension_that_moves_once_in_a_while_is_no_constant():
    gripper = np.zeros((1000, 1))
    gripper[3], gripper[4] = -1, 1
    normaliser = QuantileNormaliser.fit(gripper)
    assert (normaliser.low, normaliser.high) == ((-1.0,), (1.0,))


@pytest.mark.parametrize("wrong", [np.zeros((0, 3)), np.array([[0.0, np.nan]])])
def test_fitting_to_nothing_or_to_nan_is_refused(wrong):
    with pytest.raises(StrettoError, match="finite actions"):
        QuantileNormaliser.fit(wrong)


def test_a_normaliser_refuses_another_number_of_dimensions():
    with pytest.raises(StrettoError, match=r"actions of 2 numbers, got shape \(4, 3\)"):
        QuantileNormaliser(low=(0.0, 0.0), high=(1.0, 1.0)).normalise(np.zeros((4, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_action_tokenizer_fulfils_the_protocol(kind):
    assert isinstance(kind.Config.tiny().build(), ActionTokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_new_chunks_return_within_the_declared_error(fitted, kind):
    tokenizer = fitted[kind]
    low, high = tokenizer.fitted.normaliser.low, tokenizer.fitted.normaliser.high
    for chunk in motions(100, seed=1).clip(low, high).astype(np.float32):
        ids = tokenizer.encode(chunk)
        assert all(0 <= i < tokenizer.size for i in ids)
        restored = tokenizer.decode(ids)
        assert restored.dtype == np.float32
        assert (np.abs(restored - chunk) <= tokenizer.error_bound + 1e-6).all()
        assert tokenizer.encode(restored) == ids


def test_bins_return_both_ends_and_the_middle_exactly(fitted):
    tokenizer = fitted[Bins]
    ends = np.array(
        [tokenizer.fitted.normaliser.low, tokenizer.fitted.normaliser.middle, tokenizer.fitted.normaliser.high]
    )
    chunk = np.resize(ends, (16, 4)).astype(np.float32)
    assert tokenizer.decode(tokenizer.encode(chunk)) == pytest.approx(chunk)
    assert set(tokenizer.encode(chunk)) == {0, 7, 14}


def test_bins_beyond_the_range_become_its_ends(fitted):
    assert set(fitted[Bins].encode(np.full((16, 4), 1e6, np.float32))) == {14}


def test_fast_keeps_chunks_that_were_never_seen_however_wild(fitted):
    tokenizer = fitted[Fast]
    wild = np.random.default_rng(5).normal(0, 3, (16, 4)).astype(np.float32) * tokenizer.fitted.normaliser.half
    restored = tokenizer.decode(tokenizer.encode(wild.astype(np.float32)))
    assert (np.abs(restored - wild) <= tokenizer.error_bound + 1e-5).all()


def test_fast_spends_far_fewer_ids_than_bins_on_smooth_motion():
    tokenizer = Fast.Config().build().fit(motions(500))
    assert np.mean([len(tokenizer.encode(chunk)) for chunk in motions(50, seed=2)]) < 0.4 * 16 * 4


def test_fast_lays_out_low_frequencies_first(fitted):
    still = np.tile(np.array([0.4, 0.5, 1.0, 1.0], np.float32), (16, 1))
    integers = fitted[Fast]._integers(fitted[Fast].fitted.normalised(still))
    assert integers.ravel()[:4].any()
    assert not integers.ravel()[4:].any()


@pytest.mark.parametrize(("integer", "letters"), [(3, [3]), (4, [4, 0]), (-9, [-4, -4, -1]), (0, [0])])
def test_integers_beyond_reach_are_spelled_as_sums(integer, letters):
    text = _spell([integer], reach=4)
    assert [ord(character) - ord(_spell([0], 4)) for character in text] == letters
    assert _read(text, reach=4) == ([integer], False)


def test_fitting_twice_gives_the_same_file(tmp_path):
    for name in ("one.json", "two.json"):
        Fast.Config.tiny().build().fit(motions()).save(tmp_path / name)
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_the_same_with_its_ranges(fitted, kind, tmp_path):
    fitted[kind].save(tmp_path / "actions.json")
    loaded = kind.load(tmp_path / "actions.json")
    assert [path.name for path in tmp_path.iterdir()] == ["actions.json"]
    assert (loaded.config, loaded.size) == (fitted[kind].config, fitted[kind].size)
    assert loaded.fitted == fitted[kind].fitted
    for chunk in motions(10, seed=3):
        ids = fitted[kind].encode(chunk)
        assert loaded.encode(chunk) == ids
        assert (loaded.decode(ids) == fitted[kind].decode(ids)).all()


def test_a_file_that_is_missing_foreign_damaged_or_of_another_kind_is_refused(fitted, tmp_path):
    path = tmp_path / "actions.json"
    with pytest.raises(StrettoError, match="Cannot read"):
        Fast.load(path)
    path.write_text("{")
    with pytest.raises(StrettoError, match="not a saved action tokenizer"):
        Fast.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(StrettoError, match="expected the format"):
        Fast.load(path)
    fitted[Bins].save(path)
    with pytest.raises(StrettoError, match="holds a 'bins' tokenizer, not 'fast'"):
        Fast.load(path)
    data = json.loads(path.read_text())
    data["fitted"]["horizon"] = 8
    path.write_text(json.dumps(data))
    with pytest.raises(StrettoError, match="changed or cut"):
        Bins.load(path)


def test_a_folder_that_does_not_exist_is_named(fitted, tmp_path):
    with pytest.raises(StrettoError, match="Cannot write the action tokenizer to '.*nowhere"):
        fitted[Fast].save(tmp_path / "nowhere" / "actions.json")


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_and_too_many_ids_are_refused_unless_told_otherwise(fitted, kind):
    tokenizer = fitted[kind]
    chunk = motions(1, seed=4)[0]
    ids = tokenizer.encode(chunk)
    for wrong in ([], ids[:-1], [*ids, ids[0]]):
        with pytest.raises(StrettoError, match="strict=False"):
            tokenizer.decode(wrong)
        assert tokenizer.decode(wrong, strict=False).shape == (16, 4)
    assert (tokenizer.decode([*ids, *ids], strict=False) == tokenizer.decode(ids)).all()
    assert tokenizer.decode([], strict=False) == pytest.approx(np.tile(tokenizer.fitted.normaliser.middle, (16, 1)))


def test_a_sum_that_does_not_end_is_refused(fitted):
    tokenizer = fitted[Fast]
    more = tokenizer.merges.bpe.token_to_id(_spell([tokenizer.merges.reach], tokenizer.merges.reach)[0])
    ids = tokenizer.encode(motions(1, seed=4)[0])
    with pytest.raises(StrettoError, match="one that does not end"):
        tokenizer.decode([*ids, more])
    assert (tokenizer.decode([*ids, more], strict=False) == tokenizer.decode(ids)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [-1, 10_000])
def test_unknown_ids_are_refused_even_when_not_strict(fitted, kind, wrong):
    with pytest.raises(StrettoError, match="Expected ids from 0 to"):
        fitted[kind].decode([0, wrong], strict=False)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_another_shape_and_nan_are_refused(fitted, kind):
    with pytest.raises(StrettoError, match=r"shape \(16, 4\), got \(8, 4\)"):
        fitted[kind].encode(np.zeros((8, 4), np.float32))
    with pytest.raises(StrettoError, match="NaN"):
        fitted[kind].encode(np.full((16, 4), np.nan, np.float32))


def test_fast_refuses_what_is_no_motion_of_this_robot(fitted):
    with pytest.raises(StrettoError, match="robot units"):
        fitted[Fast].encode(np.full((16, 4), 1e9, np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_that_saw_no_data_says_so(kind, tmp_path):
    empty = kind.Config.tiny().build()
    for call in (lambda: empty.encode(motions(1)[0]), lambda: empty.decode([0]), lambda: empty.save(tmp_path / "x")):
        with pytest.raises(StrettoError, match="fit"):
            call()


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(StrettoError, match="at least 2 bins"):
        Bins.Config(bins=1).build()
    with pytest.raises(StrettoError, match="scale above 0"):
        Fast.Config(scale=0).build()
    with pytest.raises(StrettoError, match="need a vocabulary of at least"):
        Fast.Config(scale=1000).build().fit(motions(20))
    with pytest.raises(StrettoError, match="quantile"):
        Bins.Config(quantile=0.5).build().fit(motions(20))
