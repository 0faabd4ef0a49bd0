"""The gallery of worst cases: clips of five seconds with picture and sound, one for each scenario that went wrong.

The trial is played again with a film (it repeats bit for bit), and the five seconds around what decided it are cut out:
from a second before the last thing the person said. Clips lie beside the card in NAME.clips/.
"""

import html
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stretto.bench.duplex.play import Exam, Played
from stretto.core.signals import Sound
from stretto.sessions.film import write_film
from stretto.sessions.trace import Tick, Trace

CLIP_S = 5.0
BEFORE_S = 1.0
FPS = 10
MOST = 17

Rows = Sequence[Mapping[str, Any]]


def worst(rows: Rows, most: int = MOST) -> list[Mapping[str, Any]]:
    """Failed trials: those of each (arm, scenario) by turns, the arm that could have done better first."""
    failed = [row for row in rows if row["row"] == "passed" and not row["value"] and row.get("arm") != "zero"]
    picked: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    for row in failed:
        if row.get("scenario") and row.get("delays") == 1.0:
            picked.setdefault((row["scenario"], row["arm"]), row)
    scenarios = list(dict.fromkeys(scenario for scenario, _ in picked))
    firsts = [next(row for (name, _), row in picked.items() if name == scenario) for scenario in scenarios]
    others = [row for row in picked.values() if row not in firsts]
    return [*firsts, *others][:most]


def decisive(played: Played) -> float:
    """Where the five seconds begin: a second before the last thing said, or the middle when nothing was."""
    said = played.episode.said
    start = said[-1].start - BEFORE_S if said else played.episode.seconds / 2 - CLIP_S / 2
    return float(max(0.0, min(start, played.episode.seconds - CLIP_S)))


def cut(trace: Trace, start: float, seconds: float = CLIP_S) -> Trace:
    """The part of a trace in [start, start + seconds], its times counted from its own start. For films."""
    end = min(trace.seconds, start + seconds)

    def piece(sound: Sound | None) -> Sound:
        assert sound is not None
        first, last = (round(t * sound.rate) for t in (start, end))
        return Sound(samples=np.ascontiguousarray(sound.samples[first:last]), rate=sound.rate)

    def shifted(items: Sequence[Any]) -> list[Any]:
        return [replace(item, t=item.t - start) for item in items]

    film = [image for image in trace.film if start - 0.15 <= image.t < end]
    return replace(
        trace,
        film=shifted(film),
        events=shifted([event for event in trace.events if event.t < end]),
        utterances=shifted([said for said in trace.utterances if said.t < end]),
        ticks=[
            Tick(tick.t - start, tick.begun - start, tick.delivered - start) for tick in trace.ticks if tick.t <= end
        ],
        microphone=piece(trace.microphone),
        voice=piece(trace.voice),
    )


def gallery(name: str, rows: Rows, folder: Path, exam_of: Mapping[str, Exam], most: int = MOST) -> str:
    """Writes the clips into `folder`/NAME.clips and returns the gallery as HTML."""
    clips, cells = folder / f"{name}.clips", []
    chosen = worst(rows, most)
    if chosen:
        clips.mkdir(parents=True, exist_ok=True)
    for row in chosen:
        split = str(row["split"])
        played = exam_of[split].play(row["scenario"], row["seed"], row["arm"], row["delays"], film_hz=FPS)
        if not played.trace.film:
            continue
        path = clips / f"{row['scenario']}-{row['arm']}-{row['seed']}.mp4".replace(":", "-")
        write_film(cut(played.trace, decisive(played)), path, FPS)
        cells.append(_cell(name, row, played, f"{clips.name}/{path.name}"))
    if not cells:
        return "<h2>Gallery of the worst cases</h2><p>No trial failed.</p>"
    return f'<h2>Gallery of the worst cases</h2><div class="plots">{"".join(cells)}</div>'


def _cell(name: str, row: Mapping[str, Any], played: Played, source: str) -> str:
    said = " / ".join(f"“{said.text}”" for said in played.episode.said) or "(nothing was said)"
    why = f" {row['fault']}" if row.get("fault") else ""
    title = html.escape(f"{row['scenario']} · {row['arm']} · {row['unit']}")
    command = html.escape(f"stretto bench {name} --only {shlex.quote(str(row.get('trial', '')))}")
    return (
        f'<figure><figcaption>{title}</figcaption><video controls preload="none" width="384" src="{source}"></video>'
        f'<p class="dim">{html.escape(said + why)}<br><code>{command}</code></p></figure>'
    )
