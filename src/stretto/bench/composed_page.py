"""The page of composed sessions: how much of what there is, and some of them to watch and hear.

Hours, terms, speakers, lines by what is to be done about them, and overlaps: seconds in which somebody speaks while the
arm moves, and in which two speak at once. Under it the films of the first sessions (the person left, the robot right),
with what was said and what should be done.

Needs LIBERO, the split's voices and, for the films, a renderer. Does not know networks.
"""

import html
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stretto.bench.page import STYLE
from stretto.core.signals import Kind
from stretto.data.speech_cache import SpeechCache
from stretto.sessions import measures
from stretto.sessions.composer.compose import Composed, Composer, Line
from stretto.sessions.film import write_film

FILM_HZ = 5
_MORE = """
video { width: 100%; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1.4rem; }
.films li { margin: .1rem 0; } .films ul { padding-left: 1.1rem; }
"""

Row = Mapping[str, Any]


def make_page(folder: Path, count: int, split: str, first: int, say: Callable[[str], None]) -> Path:
    """Play sessions `first` to `first + count` that are not there yet, with films, and write the page of all."""
    folder.mkdir(parents=True, exist_ok=True)
    left = [seed for seed in range(first, first + count) if not (folder / f"{split}-{seed}.json").is_file()]
    if left:
        composer = Composer.Config(split=split, film_hz=FILM_HZ).build(SpeechCache(folder / "speech"))
        try:
            for done, seed in enumerate(left, 1):
                composed = composer.play(seed)
                write_film(composed.trace, folder / f"{split}-{seed}.mp4", FILM_HZ)
                (folder / f"{split}-{seed}.json").write_text(json.dumps(row_of(composed)))
                say(f"{split} session {seed}: {', '.join(composed.plot.terms) or 'nothing'}; {len(left) - done} left")
        finally:
            composer.close()
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return write_page(folder / "composed.html", rows)


def row_of(composed: Composed) -> dict[str, Any]:
    """What the page tells of a session."""
    trace = composed.trace
    starts = np.array([step.t for step in trace.steps])
    moving = np.array([not measures.is_zero(step) for step in trace.steps])
    heard = _inside(starts, [(line.start, line.end) for line in composed.lines])
    begun = [event.t for event in trace.events if event.kind is Kind.SPEECH_STARTED]
    ended = [event.t for event in trace.events if event.kind in (Kind.SPEECH_STOPPED, Kind.SPEECH_CUT)]
    voice = _inside(starts, list(zip(begun, [*ended, trace.seconds], strict=False)))
    period = measures.period(trace.steps)
    return {
        "name": f"{trace.split}-{composed.seed}",
        "split": trace.split,
        "seconds": trace.seconds,
        "terms": list(composed.plot.terms),
        "goal": composed.plot.goal,
        "speakers": sorted({line.speaker for line in composed.lines if line.speaker}),
        "lines": [[line.role, line.text, due(line), round(line.start, 1)] for line in composed.lines],
        "person while the arm moves": float(period * (heard & moving).sum()),
        "robot while the arm moves": float(period * (voice & moving).sum()),
        "both at once": float(period * (voice & heard).sum()),
        "arm moves": float(period * moving.sum()),
    }


def due(line: Line) -> str:
    """What should be done about a line, in words."""
    if line.halts_at is not None:
        return "halt"
    return f"say: {line.says}" if line.says else "act" if line.moves else "nothing"


def _inside(times: np.ndarray, spans: Sequence[tuple[float, float]]) -> np.ndarray:
    found = np.zeros(len(times), bool)
    for start, end in spans:
        found |= (times >= start) & (times < end)
    return found


def write_page(path: Path, rows: Sequence[Row]) -> Path:
    """The page of some sessions."""
    hours = sum(row["seconds"] for row in rows) / 3600
    overlaps = ("arm moves", "person while the arm moves", "robot while the arm moves", "both at once")
    body = [
        "<h1>Composed sessions</h1>",
        f"<p>{len(rows)} sessions, {60 * hours:.1f} minutes; {sum(len(row['lines']) for row in rows)} lines.</p>",
        _table("Seconds", {name: round(sum(row[name] for row in rows), 1) for name in overlaps}),
        _table("Terms", Counter(term for row in rows for term in row["terms"])),
        _table(
            "What is to be done about a line", Counter(line[2].split(":")[0] for row in rows for line in row["lines"])
        ),
        _table("Speakers, in how many sessions", Counter(name for row in rows for name in row["speakers"])),
        _table("Splits", Counter(row["split"] for row in rows)),
        "<h2>Sessions</h2><div class='films'>",
        *(_film(row, path.parent) for row in rows),
        "</div>",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Composed sessions</title>'
    page = f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}{_MORE}</style></head><body>{"".join(body)}'
    path.write_text(page + "</body></html>\n", encoding="utf-8")
    return path


def _table(title: str, counts: Mapping[str, float]) -> str:
    lines = "".join(
        f'<tr><td>{html.escape(name)}</td><td class="n">{value}</td></tr>'
        for name, value in sorted(counts.items(), key=lambda pair: -pair[1])
    )
    return f"<h2>{title}</h2><table>{lines}</table>"


def _film(row: Row, folder: Path) -> str:
    said = "".join(
        f"<li>{at} s: {html.escape(text or role)} <i>→ {html.escape(what)}</i></li>"
        for role, text, what, at in row["lines"]
    )
    there = (folder / f"{row['name']}.mp4").is_file()
    film = f'<video src="{row["name"]}.mp4" controls preload="metadata"></video>' if there else ""
    return f"<div>{film}<b>{row['name']}</b>: {', '.join(row['terms'])}<ul>{said}</ul></div>"
