"""A folder keeps to the settings it was begun with."""

import pytest

from stretto.core.begun import same_settings
from stretto.core.errors import StrettoError


def test_other_settings_are_refused_by_name_and_value(tmp_path):
    file = tmp_path / "settings.json"
    assert not same_settings(file, {"seed": 0, "words": ("stop", "wait")}, "It")
    assert same_settings(file, {"seed": 0, "words": ("stop", "wait")}, "It")
    with pytest.raises(StrettoError, match=r"It was begun with other settings: seed 0 \(now 1\)\. Give another name"):
        same_settings(file, {"seed": 1, "words": ["stop", "wait"]}, "It")


def test_a_setting_more_or_less_is_another_one(tmp_path):
    same_settings(tmp_path / "a.json", {"seed": 0}, "It")
    with pytest.raises(StrettoError, match=r"hours None \(now 2\.0\)"):
        same_settings(tmp_path / "a.json", {"seed": 0, "hours": 2.0}, "It")
    with pytest.raises(StrettoError, match=r"seed 0 \(now None\)"):
        same_settings(tmp_path / "a.json", {}, "It")
