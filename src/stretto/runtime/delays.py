"""What each part costs, drawn from the latency card: seeded, so that a scored run reproduces on any machine.

`stretto bench latency` measures the parts live with the simulator beside them; a run on the virtual clock draws from
its rows, at a factor (0.5, 1, 2).
"""

import json
from collections.abc import Iterable
from pathlib import Path

from stretto.core.errors import StrettoError
from stretto.core.rng import generator

CARD = Path("results/latency.rows.jsonl")
BESIDE = ("reflex-costs", "tick", "tick-trained")
"""Cards with further parts: the spotter and short looks; the learned agent's step, at its size untrained, and as it is
shipped and in conversation, which counts where it was measured.
"""


class Delays:
    """Seeded draws of seconds per part; `factor` scales all of them."""

    def __init__(self, table: dict[str, list[float]], factor: float = 1.0, seed: int = 0) -> None:
        self.table, self.factor, self.seed = table, factor, seed
        self._rng = {part: generator(seed, "delay", part) for part in table}

    def draw(self, parts: str | Iterable[str]) -> float:
        """Seconds for one part, or for several after each other. Raises StrettoError for a part nobody measured."""
        parts = [parts] if isinstance(parts, str) else list(parts)
        return self.factor * sum(self._one(part) for part in parts)

    def _one(self, part: str) -> float:
        if part not in self.table:
            known = ", ".join(sorted(self.table)) or "none"
            raise StrettoError(
                f"No delay was measured for part '{part}' (measured: {known}). Run `stretto bench latency` "
                f"(duplex_step: `stretto bench tick-trained`; spotter, glance: `stretto bench reflex-costs`)."
            )
        return float(self._rng[part].choice(self.table[part]))


class NoDelays(Delays):
    """Every part costs nothing."""

    def __init__(self) -> None:
        super().__init__({})

    def draw(self, parts: str | Iterable[str]) -> float:
        """Zero."""
        return 0.0


def find_card() -> Path:
    """The latency card: of the folder one stands in, else of the checkout that the package was installed from."""
    checkout = Path(__file__).resolve().parents[3] / CARD
    for path in (CARD, checkout):
        if path.is_file():
            return path
    raise StrettoError(f"There is no latency card ({CARD}). Make one with `stretto bench latency`, about 8 minutes.")


def from_card(path: Path | None = None, factor: float = 1.0, seed: int = 0) -> Delays:
    """Delays drawn from the rows of the latency card at `path` (default: where it is kept), and of the `BESIDE` it."""
    card = path or find_card()
    table: dict[str, list[float]] = {}
    for file in (card, *(card.with_name(f"{name}.rows.jsonl") for name in BESIDE)):
        parts: dict[str, list[float]] = {}
        for line in file.read_text().splitlines() if file.is_file() else ():
            row = json.loads(line)
            if row["row"] == "delay_s":
                parts.setdefault(row["part"], []).append(float(row["value"]))
        table |= parts
    return Delays(table, factor, seed)
