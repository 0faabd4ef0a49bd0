"""The agent that does nothing: the floor of every benchmark."""

from dataclasses import dataclass

from stretto.core.config import Config as BaseConfig
from stretto.core.config import Configurable
from stretto.core.protocols import Context
from stretto.core.signals import Observation, Output


class Zero(Configurable):
    """Hears, sees, and neither speaks nor moves."""

    @dataclass(frozen=True, kw_only=True)
    class Config(BaseConfig):
        """Nothing to set."""

    privileged = False

    def __init__(self, config: Config | None = None) -> None:
        del config

    def start(self, context: Context) -> None:
        """No state."""

    def step(self, obs: Observation, state: None) -> tuple[Output, None]:
        """Nothing."""
        return Output(), None
