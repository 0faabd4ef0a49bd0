"""The page of a card: what was run, the table of rows, plots, the worst cases and the commands that repeat them.

One self-contained file (inline SVG, no script, light and dark by the reader's setting), small enough to be committed.
Plots: a histogram for rows of numbers, one bar with its Wilson interval for each arm (and task) of yes/no rows.
"""

import html
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from stretto.bench.page_plots import bars, histogram
from stretto.bench.stats import summarise, summary, yes_no

Rows = Sequence[Mapping[str, Any]]
MOST_PLOTS = 60
MOST_BARS = 40
WORST = 5
SPLIT_BY = ("task", "scenario", "part", "kind")
"""Fields by which yes/no rows are also shown, the first that a row has."""
HIGH_IS_BAD = ("error", "lost", "false", "late", "early", "difference", "over_floor", "travel", "share")
UNITS = {"_s": "s", "_ms": "ms", "_cm": "cm", "_mb": "MB", "_minutes": "min"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #667079; --paper: #fff; --line: #d8dde2; --mark: #2f6fb3;
  --soft: #a9c7e6; --bad: #b3362f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --dim: #97a1ab; --paper: #14171a; --line: #343a41;
  --mark: #6fa8e0; --soft: #2d4a68; --bad: #ea8078; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 500; } td.n, th.n { text-align: right; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; } .bad { color: var(--bad); }
.dim { color: var(--dim); } .wide { overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(27rem, 1fr)); gap: 1.2rem 2rem; }
figure { margin: 0; } figcaption { font-weight: 500; margin-bottom: .2rem; } svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .dim { fill: var(--dim); }
svg .axis { stroke: var(--line); } svg .bar { fill: var(--soft); } svg .mark { stroke: var(--mark); stroke-width: 2; }
svg .dot { fill: var(--mark); }
"""


def render(card: Mapping[str, Any], rows: Rows, extra: str = "") -> str:
    """The whole page as HTML text. `card` is the content of NAME.json, `rows` those of NAME.rows.jsonl.

    `extra`: HTML of the benchmark's own. A smoke run's page has no table and no plots: too little was run for shares.
    """
    name = html.escape(str(card["name"]))
    parts = [f"<h1>{name}</h1>", _facts(card)]
    if card.get("smoke"):
        parts.append(f"<p>A smoke run of {card.get('trials')} trials: it shows that everything runs, no shares.</p>")
    else:
        parts += ["<h2>Rows</h2>", _table(card.get("summary") or summary(rows)), "<h2>Plots</h2>", _plots(rows)]
    parts += [extra, "<h2>Worst cases</h2>", _worst(str(card["name"]), rows)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}: card</title>'
    body = "".join(parts)
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>\n'


def number(value: int | float) -> str:
    """Three significant digits without an exponent where it reads well: 0.0123, 1.50, 312."""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def unit_of(row: str) -> str:
    """The unit that the end of a row's name says: `stop_latency_s` is in s; empty where it says none."""
    return next((unit for end, unit in UNITS.items() if row.endswith(end)), "")


def result(entry: Mapping[str, Any]) -> str:
    """One entry of a card's summary in words: `95.0 % [88.8, 97.8]` or `p50 0.310 s, p95 0.520 s`."""
    if entry["kind"] == "yes/no":
        share, low, high = (100 * entry[key] for key in ("mean", "low", "high"))
        return f"{share:.1f} % [{low:.1f}, {high:.1f}]"
    unit = unit_of(entry["row"])
    middle, tail = (f"{number(entry[key])} {unit}".strip() for key in ("p50", "p95"))
    return f"p50 {middle}, p95 {tail}"


def _facts(card: Mapping[str, Any]) -> str:
    warnings = []
    if card.get("dirty"):
        warnings.append("made on a tree with uncommitted changes")
    if card.get("code_changed_meanwhile"):
        warnings.append("the code changed while it ran")
    if card.get("failed"):
        warnings.append(f"{len(card['failed'])} trials failed: {', '.join(list(card['failed'])[:8])}")
    facts = {
        "Command": f"<code>{html.escape(str(card['command']))}</code>",
        "Commit": f"<code>{html.escape(str(card['commit']))}</code>",
        "Date": html.escape(str(card["date"])),
        "Machine": html.escape(str(card["hardware"])),
        "Time it took": f"{float(card['wall_s']) / 60:.1f} min",
        "Clock": html.escape(str(card.get("clock") or "none: time plays no part")),
        "Seeds": html.escape(", ".join(map(str, card.get("seeds", [])[:20]))),
        "Trials": str(card.get("trials", "")),
        "Warnings": f'<span class="bad">{html.escape("; ".join(warnings))}</span>' if warnings else "",
    }
    lines = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in facts.items() if value)
    return f"<table>{lines}</table>"


def _table(entries: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    names = [entry["row"] for entry in entries]
    for entry in sorted(entries, key=lambda entry: (names.index(entry["row"]), str(entry.get("arm", "")))):
        yes = entry["kind"] == "yes/no"
        scale = 100 if yes else 1
        cells = [f"{scale * entry[key]:.1f}" if yes else number(entry[key]) for key in ("mean", "low", "high")]
        tail = ["", "", ""] if yes else [number(entry[key]) for key in ("p50", "p95", "max")]
        words = [
            " ".join([entry["row"], entry.get("part", "")]).strip(),
            entry.get("arm", ""),
            f"×{entry['delays']:g}" if "delays" in entry else "",
        ]
        unit = "%" if yes else unit_of(entry["row"])
        figures = [str(entry["n"]), cells[0], f"{cells[1]} – {cells[2]}", *tail, unit]
        lines.append(
            "<tr>"
            + "".join(f"<td>{html.escape(str(word))}</td>" for word in words)
            + "".join(f'<td class="n">{figure}</td>' for figure in figures)
            + "</tr>"
        )
    heads = ("row", "arm", "delays", "n", "mean", "95 % interval", "p50", "p95", "max", "unit")
    right = ' class="n"'
    head = "".join(f"<th{right if k > 2 else ''}>{head}</th>" for k, head in enumerate(heads))
    return (
        f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div><p class="dim">Intervals: Wilson for '
        "yes/no rows, bootstrap over units for means of numbers. delays: factor on the delays of the latency card.</p>"
    )


def _groups(rows: Rows, *fields: str) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    out: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        out.setdefault(tuple("" if row.get(field) is None else str(row[field]) for field in fields), []).append(row)
    return out


def _plots(rows: Rows) -> str:
    figures = []
    for (name,), group in _groups(rows, "row").items():
        if yes_no(group):
            figures += _bar_figures(name, group)
        else:
            figures += [
                (f"{name} · {arm or 'all'}{f' · delays ×{float(delays):g}' if delays else ''}", _histogram(name, some))
                for (arm, delays), some in _groups(group, "arm", "delays").items()
            ]
    more = f'<p class="dim">{len(figures) - MOST_PLOTS} more plots left out.</p>' if len(figures) > MOST_PLOTS else ""
    shown = (
        f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}</figure>" for title, svg in figures[:MOST_PLOTS]
    )
    return f'<div class="plots">{"".join(shown)}</div>{more}'


def _histogram(name: str, rows: Rows) -> str:
    values = [float(row["value"]) for row in rows]
    stats = summarise(rows)
    return histogram(values, {"p50": stats["p50"], "p95": stats["p95"]}, unit_of(name), number)


def _bar_figures(name: str, rows: Rows) -> list[tuple[str, str]]:
    split = next((field for field in SPLIT_BY if any(row.get(field) is not None for row in rows)), None)
    figures = [(f"{name} by arm", _bars(rows, "arm", "delays"))]
    measured = [row for row in rows if row.get("delays", 1.0) == 1.0]
    if split:
        groups = _groups(measured, "arm").items()
        figures += [(f"{name} by {split} · {arm or 'all'}", _bars(some, split)) for (arm,), some in groups]
    return figures


def _bars(rows: Rows, *fields: str) -> str:
    entries = []
    for names, some in sorted(_groups(rows, *fields).items())[:MOST_BARS]:
        stats = summarise(some)
        label = names[0] or "all"
        label += f" ×{float(names[1]):g}" if len(names) > 1 and names[1] else ""
        entries.append((label, stats["mean"], stats["low"], stats["high"], stats["n"]))
    return bars(entries)


def _worst(name: str, rows: Rows) -> str:
    lines = []
    for (row_name, arm), group in _groups(rows, "row", "arm").items():
        for row in worst_cases(row_name, group):
            value = str(row["value"]).lower() if isinstance(row["value"], bool) else number(float(row["value"]))
            command = f"stretto bench {name} --only {shlex.quote(str(row.get('trial', '')))}"
            cells = (row_name, arm, f"{value} {unit_of(row_name)}", row.get("unit", ""), row.get("seed", ""))
            lines.append(
                "<tr>"
                + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells)
                + f"<td><code>{html.escape(command)}</code></td></tr>"
            )
    if not lines:
        return "<p>None: every yes/no row holds, and there are no rows of numbers.</p>"
    heads = "".join(f"<th>{head}</th>" for head in ("row", "arm", "value", "unit", "seed", "repeat it"))
    return f'<div class="wide"><table><tr>{heads}</tr>{"".join(lines)}</table></div>'


def worst_cases(name: str, rows: Rows) -> list[Mapping[str, Any]]:
    """At most five rows that went worst: the bad answers of yes/no rows, the extreme values of numbers.

    High is bad for names that end in a unit of time, length or memory or speak of errors or losses; else low.
    """
    high = bool(unit_of(name)) or any(word in name for word in HIGH_IS_BAD)
    if yes_no(rows):
        return [row for row in rows if bool(row["value"]) is high][:WORST]
    return sorted(rows, key=lambda row: float(row["value"]), reverse=high)[:WORST]
