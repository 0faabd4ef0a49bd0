"""The acting half of the duplex agent, alone: a typed instruction in, chunks of actions out. Hears and says nothing.

The same network, layout and code as the duplex agent, with the streams of hearing and saying left out of its passes;
what is left sees none of them, so a chunk is the same in both (card policy-goal, `transplant_difference`). It knows the
task only through the language model's keys and values of the words, and the world only through two cameras and the
robot's own joints.

Needs a trained checkpoint: `stretto train policy_goal`, or the one that is shipped.
"""

from dataclasses import dataclass
from pathlib import Path

from stretto.agents.checkpoint import from_pretrained
from stretto.agents.duplex import Duplex
from stretto.agents.network import Network
from stretto.core.errors import StrettoError

WEIGHTS = "weights/policy_goal"
"""Where the shipped checkpoint lies: in the folder one stands in, else in the checkout."""


def find_weights(name: str) -> str:
    """The directory of a checkpoint. Raises StrettoError with the command that trains one when it is not there."""
    checkout = Path(__file__).resolve().parents[3]
    for path in (Path(name).expanduser(), checkout / name):
        if (path / "config.json").is_file():
            return str(path)
    raise StrettoError(
        f"There is no trained policy in '{name}': expected a directory that save_pretrained wrote. "
        f"Train one: stretto train policy_goal, then --set weights=out/policy_goal/policy."
    )


class Policy(Duplex):
    """Looks and acts."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Duplex.Config):
        """`weights`: directory of a checkpoint."""

        weights: str = WEIGHTS

    mute = ("speech", "heard", "say")

    def __init__(self, config: Config, network: Network | None = None) -> None:
        super().__init__(config, network or from_pretrained(find_weights(config.weights)))


__all__ = ["Policy", "find_weights"]
