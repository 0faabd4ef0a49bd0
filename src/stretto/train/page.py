"""The curves of a training as a page of its own: `training.html` beside `metrics.jsonl`, no script, no library."""

import html
import json
from pathlib import Path

WIDTH, HEIGHT, EDGE = 420, 180, 34
COLOURS = {"train": "#4878a8", "held": "#c8553d", "sample": "#3a7d44", "drive": "#8a5aa8"}


def write_page(folder: Path) -> Path | None:
    """Write the page from the folder's metrics; None where there are none."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return None
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        kind, step = row.pop("kind"), row.pop("step")
        for name, value in row.items():
            if isinstance(value, int | float):
                curves.setdefault(name, {}).setdefault(kind, []).append((step, value))
    plots = "\n".join(_plot(name, kinds) for name, kinds in curves.items())
    legend = " ".join(f'<b style="color:{colour}">{kind}</b>' for kind, colour in COLOURS.items())
    page = folder / "training.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(folder.name)}</title>'
        f"<style>body{{font:14px sans-serif;margin:20px}}figure{{display:inline-block;margin:8px}}</style>"
        f"<h1>{html.escape(folder.name)}</h1><p>{legend}</p>{plots}\n"
    )
    return page


def _plot(name: str, kinds: dict[str, list[tuple[float, float]]]) -> str:
    points = [point for curve in kinds.values() for point in curve]
    steps, values = [x for x, _ in points], [y for _, y in points]
    left, right, low, high = min(steps), max(steps), min(values), max(values)

    def at(x: float, y: float) -> str:
        across = EDGE + (x - left) / max(right - left, 1e-9) * (WIDTH - EDGE - 8)
        return f"{across:.1f},{HEIGHT - 20 - (y - low) / max(high - low, 1e-9) * (HEIGHT - 32):.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{COLOURS.get(kind, "#444")}" points="{" ".join(at(*p) for p in curve)}"/>'
        for kind, curve in kinds.items()
    )
    ticks = f'<text x="0" y="16">{high:.3g}</text><text x="0" y="{HEIGHT - 22}">{low:.3g}</text>'
    below = f'<text x="{EDGE}" y="{HEIGHT - 4}">{left:g}</text><text x="{WIDTH - 50}" y="{HEIGHT - 4}">{right:g}</text>'
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" font-size="11">{lines}{ticks}{below}</svg>'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
    )
