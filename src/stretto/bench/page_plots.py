"""Plots as SVG text, without a library: histograms and bars with intervals. Colours come from the page's style."""

import html
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Number = int | float
WIDTH, HEIGHT = 440, 170
LEFT, BOTTOM = 8, 22
MOST_BINS = 30
BAR, LABEL, COUNT = 24, 176, 92


def histogram(values: Sequence[Number], marks: Mapping[str, Number], unit: str, text: Callable[[Number], str]) -> str:
    """A histogram of `values` with a line and a label at each of `marks`; `text` writes a number."""
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, bins=min(MOST_BINS, max(5, round(len(values) ** 0.5) * 2)), range=(low, high))
    step, floor, top = (WIDTH - 2 * LEFT) / len(counts), HEIGHT - BOTTOM, 30
    parts = []
    for k, count in enumerate(counts):
        tall = (floor - top) * count / counts.max()
        if count:
            parts.append(_rect(LEFT + k * step + 0.5, floor - tall, step - 1, tall))
    parts.append(_line(LEFT, floor, WIDTH - LEFT, floor, "axis"))
    for k, (name, value) in enumerate(marks.items()):
        x = LEFT + (WIDTH - 2 * LEFT) * (value - low) / (high - low)
        y = 12 + 14 * (k % 2)
        parts.append(_line(x, y + 3, x, floor, "mark"))
        parts.append(_text(x, y, f"{name} {text(value)}", _anchor(x)))
    parts.append(_text(LEFT, HEIGHT - 6, f"{text(low)} {unit}".strip(), "start", "dim"))
    parts.append(_text(WIDTH / 2, HEIGHT - 6, f"n = {len(values)}", "middle", "dim"))
    parts.append(_text(WIDTH - LEFT, HEIGHT - 6, f"{text(high)} {unit}".strip(), "end", "dim"))
    return _svg(HEIGHT, parts)


def bars(entries: Sequence[tuple[str, Number, Number, Number, int]]) -> str:
    """Horizontal bars from 0 to 1 of (label, share, low, high, n), each with its interval."""
    span, parts = WIDTH - LABEL - COUNT, []
    for k, (label, share, low, high, n) in enumerate(entries):
        y = k * BAR + 4
        middle = y + (BAR - 8) / 2
        short = label if len(label) <= 26 else f"{label[:8]}…{label[-17:]}"
        parts.append(f"<g><title>{html.escape(label)}</title>" + _text(LABEL - 8, middle + 4, short, "end") + "</g>")
        parts.append(_rect(LABEL, y, max(span * share, 0.5), BAR - 8))
        parts.append(_line(LABEL + span * low, middle, LABEL + span * high, middle, "mark"))
        parts.append(f'<circle class="dot" cx="{LABEL + span * share:.1f}" cy="{middle:.1f}" r="3.5"/>')
        parts.append(_text(LABEL + span + 8, middle + 4, f"{100 * share:.0f} % of {n}", "start"))
    tall = len(entries) * BAR + 4
    parts += [_line(LABEL + span * x, 0, LABEL + span * x, tall, "axis") for x in (0, 0.5, 1)]
    parts += [_text(LABEL + span * x, tall + 14, f"{100 * x:.0f} %", "middle", "dim") for x in (0, 0.5, 1)]
    return _svg(tall + 20, parts)


def _anchor(x: Number) -> str:
    return "start" if x < 60 else "end" if x > WIDTH - 60 else "middle"


def _svg(height: Number, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'


def _rect(x: Number, y: Number, width: Number, height: Number) -> str:
    return f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _line(x1: Number, y1: Number, x2: Number, y2: Number, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: Number, y: Number, words: str, anchor: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text{mark} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'
