"""Statistics of cards: means, percentiles, Wilson intervals, paired differences with bootstrap intervals.

    percentile([1, 2, 3, 4], 50) == 2.5
    wilson([True] * 95 + [False] * 5) == (0.888, 0.978)
    paired_difference({"u1": [1.0]}, {"u1": [0.5]}).mean == 0.5

Intervals are 95 %. The bootstrap draws units (what arms share: an init state, a clip), not single trials, because
trials of one unit are not independent. Sources: Wilson 1927; Efron 1979.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stretto.core.rng import generator

Z = 1.96
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, its 95 % interval, and how many values (or pairs) it is of."""

    mean: float
    low: float
    high: float
    n: int


def mean(values: Sequence[int | float]) -> float:
    """Arithmetic mean of at least one value."""
    return float(np.mean(values))


def percentile(values: Sequence[int | float], q: int | float) -> float:
    """Percentile `q` (0 to 100), linear between neighbours."""
    return float(np.percentile(values, q))


def wilson(values: Sequence[int | float]) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; `values` are true/false, or numbers from 0 to 1."""
    n, p = len(values), mean([float(value) for value in values])
    centre = p + Z * Z / (2 * n)
    spread = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return max(0.0, (centre - spread) / (1 + Z * Z / n)), min(1.0, (centre + spread) / (1 + Z * Z / n))


def bootstrap_mean(by_unit: Mapping[Any, Sequence[int | float]], seed: int = 0) -> Estimate:
    """Mean of all values with the interval of a bootstrap over units (the keys of `by_unit`)."""
    sums = np.array([float(np.sum(values)) for values in by_unit.values()])
    counts = np.array([len(values) for values in by_unit.values()])
    total = float(sums.sum() / counts.sum())
    rng, means = generator(seed, "bootstrap"), np.empty(DRAWS)
    for k in range(DRAWS):
        drawn = rng.integers(0, len(sums), len(sums))
        means[k] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(mean=total, low=float(low), high=float(high), n=int(counts.sum()))


def paired_difference(
    ours: Mapping[Any, Sequence[int | float]], theirs: Mapping[Any, Sequence[int | float]], seed: int = 0
) -> Estimate:
    """Mean of (ours - theirs) over the units both have, with a bootstrap interval over units.

    Per unit the means of both arms are compared. Raises ValueError when no unit is shared.
    """
    shared = [unit for unit in ours if unit in theirs]
    if not shared:
        raise ValueError("Expected arms that share units, got none. Give rows of both arms the same `unit`.")
    return bootstrap_mean({unit: [mean(ours[unit]) - mean(theirs[unit])] for unit in shared}, seed)


def yes_no(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every value of these rows is true/false."""
    return all(isinstance(row["value"], bool) for row in rows)


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Statistics of rows of one kind: `n`, `mean`, its interval `low`, `high`; for numbers p05 to p99, min, max too."""
    values = [float(row["value"]) for row in rows]
    if yes_no(rows):
        low, high = wilson(values)
        return {"kind": "yes/no", "n": len(rows), "mean": mean(values), "low": low, "high": high}
    by_unit: dict[Any, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        by_unit.setdefault(row["unit"], []).append(value)
    estimate = bootstrap_mean(by_unit)
    out = {"kind": "number", "n": len(rows), "mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    out.update({f"p{q:02d}": percentile(values, q) for q in (5, 50, 95, 99)})
    return {**out, "min": min(values), "max": max(values)}


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each (row, arm, delays, part) that occurs, in the order of first occurrence."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["row"], row.get("arm", ""), row.get("delays"), row.get("part")), []).append(row)
    return [
        {"row": name, "arm": arm}
        | ({} if delays is None else {"delays": delays})
        | ({} if part is None else {"part": part})
        | summarise(group)
        for (name, arm, delays, part), group in groups.items()
    ]
