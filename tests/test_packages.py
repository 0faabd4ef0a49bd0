"""Files inside installed packages, and the mel bands that three networks share."""

import numpy as np
import pytest

from stretto.core.errors import StrettoError
from stretto.core.packages import packaged
from stretto.listen import slaney


def test_a_file_of_a_package_is_found_without_importing_it():
    assert packaged("silero_vad", "data", "silero_vad.onnx", missing="?").is_file()


def test_a_package_that_is_not_there_is_told_in_the_callers_words():
    with pytest.raises(StrettoError, match="pip install it"):
        packaged("no_such_package", "data", missing="pip install it")


def test_every_triangle_has_an_area_of_one_and_lies_within_the_range():
    bank = slaney.bank(32, 60.0, 3_800.0, 8_192)
    assert bank.sum(axis=0) * 16_000 / 8_192 == pytest.approx(np.ones(32), rel=0.02)
    hertz = np.flatnonzero(bank.sum(axis=1)) * 16_000 / 8_192
    assert hertz[0] > 60
    assert hertz[-1] < 3_800
