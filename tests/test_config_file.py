"""Configurations in files and on command lines come back as they were, and say why they cannot."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stretto.agents.duplex import Duplex
from stretto.agents.network import Network
from stretto.agents.sizes import SIZES, size
from stretto.core.config import assignments, override
from stretto.core.config_file import from_json, to_json
from stretto.core.errors import StrettoError
from stretto.think.layout import TextTable


@pytest.mark.parametrize("name", SIZES)
def test_a_configuration_comes_back_from_its_file_as_it_was(name):
    assert from_json(json.loads(json.dumps(to_json(size(name))))) == size(name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seeed": 1}, "Unknown field of Network.Config.*Did you mean 'seed'"),
        ({"seed": "one"}, "Network.Config.seed in F to be of type int, got 'one'"),
        ({"is": "os:system"}, "expected a configuration"),
        ({"is": "notimported.layouts:Mine"}, "not of Stretto.*import notimported.layouts first"),
        ({"is": "stretto.agents.network:Gone.Config"}, "not there.*another version"),
    ],
)
def test_a_configuration_that_cannot_be_read_says_why(change, told):
    with pytest.raises(StrettoError, match=told):
        from_json(to_json(size("debug")) | change, "F")


def test_a_value_that_json_does_not_hold_is_refused():
    with pytest.raises(StrettoError, match="got .* of PosixPath"):
        to_json({"path": Path("x")})


def test_assignments_make_the_configuration_again():
    config = Duplex.Config(weights="some dir", live=False, temperature=0.25, committed=5)
    given = assignments(config)
    assert given == ["weights=some dir", "live=false", "committed=5", "temperature=0.25"]
    assert override(Duplex.Config(), given) == config
    assert assignments(Duplex.Config()) == []
    network = Network.Config()
    assert assignments(replace(network, eye=replace(network.eye, width=32))) == ["eye.width=32"]
    with pytest.raises(StrettoError, match="'table' cannot be written"):
        assignments(replace(network, table=TextTable()))


def test_a_sequence_is_set_by_values_between_commas():
    from stretto.recipes.policy_goal import PolicyGoal

    config = override(PolicyGoal.Config(), ["shares=0.5,0.5,0,0,0,0,0,0,0,0"])
    assert config.shares == (0.5, 0.5, *[0.0] * 8)
    with pytest.raises(StrettoError, match="'shares' expects float, got 'much'"):
        override(config, ["shares=0.5,much"])
    with pytest.raises(StrettoError, match="ten shares of tasks that sum to 1"):
        override(config, ["shares=0.5,0.5"])
