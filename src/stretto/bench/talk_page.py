"""The page of a talk corpus: how much of what there is, how it is spread, and samples to listen to.

One self-contained file: tables of clips, hours and words by intent, engine, speaker, noise and signal-to-noise ratio,
histograms, and ten clips of every split with their sound inside (MP3), words and times under each. Samples are drawn by
a seed, one of each intent first, so they are not the ten best.

Needs: the corpora (data/corpus.py). Does not know models.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stretto.bench.page import STYLE
from stretto.bench.page_plots import histogram
from stretto.core.rng import generator
from stretto.data.clips import Clip
from stretto.data.corpus import Corpus

SAMPLES = 10
Row = Mapping[str, Any]

_MORE = """
audio { width: 100%; height: 2.2rem; } .said { margin: .1rem 0 .2rem; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1.2rem 1.6rem; }
.cards { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; } .cards b { font-size: 1.5rem; display: block; }
"""

_SPLITS_BY: dict[str, Callable[[Row], str]] = {
    "intent": lambda row: str(row["intent"]),
    "engine": lambda row: str(row["engine"] or "nobody"),
    "speaker": lambda row: str(row["speaker"] or "nobody"),
    "noise": lambda row: str(row["noise"] or "none"),
    "signal-to-noise ratio": lambda row: snr_band(row["snr_db"]),
    "room": lambda row: "none" if row["rt60_s"] is None else f"{row['rt60_s']:.1f} s",
}


def write_page(path: Path, corpora: Sequence[Corpus], seed: int = 0) -> Path:
    """Writes the page of some corpora, one after the other, and returns its path."""
    body = ["<h1>What people say to a robot</h1>", _lead()]
    for corpus in corpora:
        body += [f"<h2>{html.escape(corpus.name)}</h2>", *section(corpus, seed)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Talk: statistics</title>'
    text = f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}{_MORE}</style></head><body>{"".join(body)}'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "</body></html>\n", encoding="utf-8")
    return path


def section(corpus: Corpus, seed: int) -> list[str]:
    """Figures, samples, histograms and tables of one corpus, as HTML."""
    rows = corpus.rows
    if not rows:
        return ["<p>It has no clips yet.</p>"]
    drawn = ", ".join(f"{key} {value}" for key, value in corpus.config.items())
    parts = [f'<p class="dim">Drawn with: {html.escape(drawn)}.</p>', _figures(rows)]
    parts.append('<h3>Ten samples</h3><div class="samples">')
    parts += [_sample(rows[at], corpus.clip(at)) for at in samples(rows, seed)]
    parts.append('</div><div class="plots">')
    parts += [f"<figure><figcaption>{title}</figcaption>{plot}</figure>" for title, plot in _plots(rows)]
    parts.append("</div>")
    parts.append('<div class="plots">')
    parts += [f"<div>{_table(title, rows, of)}</div>" for title, of in _SPLITS_BY.items()]
    return [*parts, "</div>"]


def snr_band(snr_db: float | None) -> str:
    """The row of the table in which a ratio is counted.

    >>> snr_band(12.3)
    '10 to 15 dB'
    """
    if snr_db is None:
        return "no noise"
    low = int(np.floor(snr_db / 5) * 5)
    return f"{low} to {low + 5} dB"


def samples(rows: Sequence[Row], seed: int) -> list[int]:
    """Ten places of a corpus, drawn, as many intents among them as can be."""
    order = generator(seed, "samples").permutation(len(rows))
    first: dict[str, int] = {}
    for at in order:
        first.setdefault(str(rows[at]["intent"]), int(at))
    chosen = list(first.values())[:SAMPLES]
    rest = [int(at) for at in order if int(at) not in chosen]
    return sorted([*chosen, *rest[: SAMPLES - len(chosen)]])


def _lead() -> str:
    return (
        "<p>Synthetic speech of our own generator (<code>stretto data talk</code>). Wordings and speakers are of one "
        "split each; Piper alone speaks in training and in test, with wordings that do not meet.</p>"
    )


def _figures(rows: Sequence[Row]) -> str:
    spoken = [row for row in rows if row["words"]]
    paused = sum(1 for row in spoken if row["pauses"])
    figures = {
        "hours": f"{sum(row['seconds'] for row in rows) / 3_600:.2f}",
        "clips": f"{len(rows):,}",
        "words": f"{sum(len(row['words']) for row in rows):,}",
        "different sentences": f"{len({row['text'] for row in spoken}):,}",
        "different words": f"{len({word for row in spoken for word in row['plain'].split()}):,}",
        "with a pause inside": f"{100 * paused / max(len(spoken), 1):.0f} %",
    }
    cells = "".join(f"<span><b>{value}</b>{key}</span>" for key, value in figures.items())
    return f'<p class="cards">{cells}</p>'


def _plots(rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    """(title, SVG) of each histogram."""
    spoken = [row for row in rows if row["words"]]
    wanted: dict[str, tuple[list[float], str]] = {
        "Length of a clip": ([row["seconds"] for row in rows], "s"),
        "Words in a clip": ([len(row["words"]) for row in spoken], ""),
        "Words a second, pauses included": (
            [len(row["words"]) / max(row["words"][-1][2] - row["words"][0][1], 0.1) for row in spoken],
            "",
        ),
        "Pace of the engine": ([row["settings"]["pace"] for row in spoken], ""),
        "Signal-to-noise ratio": ([row["snr_db"] for row in rows if row["snr_db"] is not None], "dB"),
        "Level of the words": ([row["level"] for row in spoken], "dBFS"),
        "Length of a pause": ([seconds for row in spoken for _, seconds in row["pauses"]], "s"),
    }
    for title, (values, unit) in wanted.items():
        if values:
            yield title, histogram(values, {"median": float(np.median(values))}, unit, lambda value: f"{value:.1f}")


def _table(title: str, rows: Sequence[Row], of: Callable[[Row], str]) -> str:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row)
    lines = []
    for name, some in sorted(groups.items(), key=lambda item: _order(item[0])):
        seconds, words = sum(row["seconds"] for row in some), sum(len(row["words"]) for row in some)
        cells = (f"{len(some):,}", f"{seconds / 3_600:.2f}", f"{words:,}", f"{100 * len(some) / len(rows):.1f} %")
        figures = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        lines.append(f"<tr><td>{html.escape(name)}</td>{figures}</tr>")
    heads = "".join(f'<th class="n">{head}</th>' for head in ("clips", "hours", "words", "share"))
    return f"<h3>By {title}</h3><table><tr><th>{title}</th>{heads}</tr>{''.join(lines)}</table>"


def _order(name: str) -> tuple[float, str]:
    """Bands by their number, names by the alphabet after them."""
    first = name.split(" ")[0]
    return (float(first), "") if first.lstrip("-").replace(".", "", 1).isdigit() else (1e9, name)


def _sample(row: Row, clip: Clip) -> str:
    """One clip: its sound, its words with their times, what lies around it."""
    data = io.BytesIO()
    soundfile.write(data, clip.sound.samples, clip.sound.rate, format="MP3")
    sound = base64.b64encode(data.getvalue()).decode()
    times = " ".join(
        f'<span title="{word.start:.2f} to {word.end:.2f} s">{html.escape(word.text)}</span>' for word in clip.words
    )
    noise = "no noise" if row["noise"] is None else str(row["noise"])
    noise += "" if row["snr_db"] is None else f" at {row['snr_db']:.0f} dB"
    room = "" if row["rt60_s"] is None else f", room of {row['rt60_s']:.2f} s"
    about = f"{row['intent']}, {row['speaker'] or 'nobody'}, {noise}{room}, clip {row['number']}"
    said = html.escape(row["text"]) or "nobody speaks"
    return (
        f'<div><audio controls preload="none" src="data:audio/mpeg;base64,{sound}"></audio>'
        f'<p class="said">{said}</p><p class="dim said">{html.escape(about)}<br>{times}</p></div>'
    )
