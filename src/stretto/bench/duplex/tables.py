"""The exam's own part of a card's page: shares by scenario and arm, paired comparisons, faults.

Comparisons are paired by (unit, seed): both arms met the same placement, voice, wording and onset.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.bench.stats import Estimate, mean, paired_difference, wilson

Rows = Sequence[Mapping[str, Any]]


def tables(rows: Rows, quick: bool = False) -> str:
    """HTML; a smoke run shows only what passed, trial by trial, and faults."""
    passed = [row for row in rows if row["row"] == "passed" and row.get("delays") == 1.0 and row.get("scenario")]
    if quick:
        return _trials(passed) + _faults(rows)
    return _shares(passed) + _pairs(passed) + _faults(rows)


def _shares(rows: Rows) -> str:
    arms, scenarios = _names(rows, "arm"), _names(rows, "scenario")
    head = "".join(f'<th class="n">{html.escape(arm)}</th>' for arm in arms)
    lines = []
    for scenario in scenarios:
        cells = []
        for arm in arms:
            values = [bool(row["value"]) for row in rows if (row["arm"], row["scenario"]) == (arm, scenario)]
            cells.append(f'<td class="n">{_share(values)}</td>')
        lines.append(f"<tr><td>{scenario}</td>{''.join(cells)}</tr>")
    return (
        f'<h2>Passed, by scenario</h2><div class="wide"><table><tr><th></th>{head}</tr>{"".join(lines)}</table></div>'
    )


def _share(values: list[bool]) -> str:
    if not values:
        return "–"
    low, high = wilson(values)
    return f"{100 * mean(values):.0f} % [{100 * low:.0f}, {100 * high:.0f}] of {len(values)}"


def paired_arms(rows: Rows, one: str, other: str, scenario: str = "") -> Estimate | None:
    """How much more often `one` passes than `other` on the trials that both have; None when there are none."""
    sides: list[dict[Any, list[float]]] = []
    for arm in (one, other):
        side: dict[Any, list[float]] = {}
        for row in rows:
            if row["arm"] == arm and scenario in ("", row["scenario"]):
                side.setdefault((row["unit"], row["seed"]), []).append(float(row["value"]))
        sides.append(side)
    if not set(sides[0]) & set(sides[1]):
        return None
    return paired_difference(sides[0], sides[1])


def _pairs(rows: Rows) -> str:
    arms = [arm for arm in _names(rows, "arm") if arm != "zero"]
    lines = []
    for k, one in enumerate(arms):
        for other in arms[k + 1 :]:
            for scenario in ("", *_names(rows, "scenario")):
                found = paired_arms(rows, other, one, scenario)
                if found is not None:
                    text = f"{100 * found.mean:+.0f} points [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"
                    lines.append(
                        f"<tr><td>{other} minus {one}</td><td>{scenario or 'all scenarios'}</td>"
                        f'<td class="n">{text}</td><td class="n">{found.n}</td></tr>'
                    )
    if not lines:
        return ""
    return f"<h2>Paired comparisons</h2><table>{''.join(lines)}</table>"


def _trials(rows: Rows) -> str:
    lines = "".join(
        f"<tr><td>{row['arm']}</td><td>{row['unit']}</td><td>{'passed' if row['value'] else 'not passed'}</td></tr>"
        for row in rows
    )
    return f"<h2>Trials</h2><table>{lines}</table>"


def _faults(rows: Rows) -> str:
    faults = {(row["arm"], row["unit"]): str(row["fault"]) for row in rows if row.get("fault")}
    if not faults:
        return ""
    lines = "".join(
        f"<tr><td>{arm}</td><td>{unit}</td><td>{html.escape(fault[:300])}</td></tr>"
        for (arm, unit), fault in faults.items()
    )
    return f"<h2>Agents that broke</h2><p>Scored as they were up to the fault.</p><table>{lines}</table>"


def _names(rows: Rows, field: str) -> list[str]:
    return list(dict.fromkeys(str(row[field]) for row in rows))
