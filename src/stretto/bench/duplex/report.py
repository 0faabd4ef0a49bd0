"""What the exam's cards say, as the tables of docs/exam.md: who passes what, and where the cascades are weak."""

from collections.abc import Mapping, Sequence
from typing import Any

from stretto.bench.page import number, unit_of
from stretto.bench.stats import mean, percentile, wilson, yes_no

Rows = Sequence[Mapping[str, Any]]

BOUNDS = ("scripted", "zero")
CASCADES = ("cascade", "cascade_smart_turn")
WEAK = {
    "instruct": ("moved_early", "first_motion_s"),
    "silence": ("spoke_in_silence_s",),
    "ask_general": ("general_answer", "first_audio_s"),
    "ask_scene": ("scene_answer", "success_while_asked"),
    "stop": ("stopped", "stopped_600ms", "stop_latency_s", "travel_over_floor_cm", "dropped"),
    "pause_resume": ("paused", "pause_latency_s", "resume_s", "success_after_pause"),
    "switch_early": ("began_first", "switch_success", "switch_s"),
    "switch_mid": ("began_first", "switch_success", "switch_s"),
    "switch_late": ("began_first", "switch_success", "switch_s"),
    "correct": ("correct_success",),
    "defective": ("refused", "refused_aloud", "moved_cm"),
    "twin": ("refused_twin", "twin_goal"),
    "backchannel": ("false_stop", "false_answer"),
    "side_talk": ("false_stop", "false_answer"),
    "noise": ("false_stop", "false_answer"),
    "echo": ("answered", "false_stop", "false_answer"),
    "two_instructions": ("first_success", "second_success"),
}
"""Which rows tell why a scenario was not passed."""


def markdown(scorers: Rows, cascade: Rows) -> str:
    """The tables from the rows of the cards "duplex-scorers" and "duplex-cascade"; either may be empty."""
    parts = []
    columns = [(arm, scorers) for arm in BOUNDS] + [(arm, cascade) for arm in CASCADES]
    columns = [(arm, _real(rows, arm)) for arm, rows in columns]
    columns = [(arm, rows) for arm, rows in columns if rows]
    if columns:
        parts.append("Passed, with the 95 % Wilson interval (bounds on development, cascades on test placements).\n")
        parts.append(_passed(columns))
    weak = [(arm, rows) for arm, rows in columns if arm in CASCADES]
    if weak:
        parts.append("\nWhat lies behind it: shares, or the median and 95th percentile.\n")
        parts.append(_behind(weak))
        parts += _scaled(cascade)
    return "\n".join(parts) if parts else "No card of the exam has been made yet."


def _real(rows: Rows, arm: str) -> list[Mapping[str, Any]]:
    """An arm's rows at the measured delays."""
    return [row for row in rows if row.get("arm") == arm and row.get("delays") == 1.0 and "scenario" in row]


def _passed(columns: Sequence[tuple[str, Rows]]) -> str:
    lines = _head("scenario", [arm for arm, _ in columns])
    for scenario in WEAK:
        lines.append(_line(f"`{scenario}`", [_cell(_values(rows, scenario, "passed")) for _, rows in columns]))
    return "\n".join(lines)


def _behind(columns: Sequence[tuple[str, Rows]]) -> str:
    lines = _head("scenario, row", [arm for arm, _ in columns])
    for scenario, names in WEAK.items():
        for name in names:
            cells = [_cell(_values(rows, scenario, name), name) for _, rows in columns]
            lines.append(_line(f"`{scenario}` {name.replace('_', ' ')}", cells))
    return "\n".join(lines)


def _scaled(rows: Rows) -> list[str]:
    """Instructions and stops at other delays."""
    found = sorted({row["delays"] for row in rows if row.get("arm") == "cascade" and "delays" in row})
    if len(found) < 2:
        return []
    lines = _head("`cascade`, delays", [f"× {factor:g}" for factor in found])
    for scenario, name in (("instruct", "passed"), ("instruct", "first_motion_s"), ("stop", "stop_latency_s")):
        values = [
            _values([r for r in rows if r.get("arm") == "cascade" and r.get("delays") == f], scenario, name)
            for f in found
        ]
        lines.append(_line(f"`{scenario}` {name.replace('_', ' ')}", [_cell(each, name) for each in values]))
    return ["", *lines]


def _values(rows: Rows, scenario: str, name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["row"] == name and row.get("scenario") == scenario]


def _cell(rows: Rows, name: str = "") -> str:
    """`90 % [74, 97]` with an interval for what was passed, else without; `1.2 s, 1.9 s` for numbers."""
    values = [row["value"] for row in rows]
    if not values:
        return "–"
    if yes_no(rows):
        share = f"{100 * mean(values):.0f} %"
        low, high = wilson(values)
        return share if name else f"{share} [{100 * low:.0f}, {100 * high:.0f}]"
    middle, tail = percentile(values, 50), percentile(values, 95)
    return f"{number(middle)}, {number(tail)} {unit_of(name)}".strip()


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [_line(first, [f"`{column}`" for column in columns]), "|---" * (len(columns) + 1) + "|"]


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | " + " | ".join(cells) + " |"
