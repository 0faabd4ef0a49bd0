"""The acting half of the duplex agent, alone: a typed instruction in, chunks of actions out. Hears and says nothing.

The same network, layout and code as the duplex agent, with the streams of hearing and saying left out of its passes;
what is left sees none of them, so a chunk is the same in both (card policy-goal, `transplant_difference`). It knows the
task only through the language model's keys and values of the words, and the world only through two cameras and the
robot's own joints.

Needs a trained checkpoint: `stretto train policy_goal`, or the one that is shipped.
"""

from dataclasses import dataclass

from stretto.agents.checkpoint import find_weights, from_pretrained
from stretto.agents.duplex import Duplex
from stretto.agents.network import Network

WEIGHTS = "weights/policy_goal"
"""Where the shipped checkpoint lies."""
RECIPE = "policy_goal"
"""The recipe that makes it."""


class Policy(Duplex):
    """Looks and acts."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Duplex.Config):
        """`weights`: directory of a checkpoint."""

        weights: str = WEIGHTS

    mute = ("speech", "heard", "say")

    def __init__(self, config: Config, network: Network | None = None) -> None:
        super().__init__(config, network or from_pretrained(find_weights(config.weights, RECIPE)))
