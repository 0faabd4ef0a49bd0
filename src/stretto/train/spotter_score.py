"""How good a spotter is on the development voice: recall, false alarms an hour, and the threshold between them.

The development voice (flite kal) says development wordings, in rooms and noise: sentences with words of the list, and
clean ones without. The threshold is the lowest at which the clean ones give at most two alarms an hour: nobody talks
half of the time. Voice activity is left out here; in life it only takes alarms away.

Needs: onnxruntime, matplotlib, the voice. Does not know the network.
"""

import base64
import html
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from stretto.data.clip_plan import Plans
from stretto.data.corpus import Corpus, make
from stretto.data.talk_wide import commands_in
from stretto.listen.spotter.features import STEP_S
from stretto.listen.spotter.runner import REST, Spotter
from stretto.train.spotter_text import unsure

matplotlib.use("agg")
from matplotlib import pyplot as plt

ALARMS = 2.0
"""False alarms an hour at the chosen threshold."""
_SURE = (0.925, 0.95, 0.97, 0.98, 0.99, 0.993, 0.995, 0.997, 0.998, 0.999, 0.9995)
THRESHOLDS = (*(round(0.05 * k, 2) for k in range(1, 19)), *_SURE)
EARLY_S, LATE_S = 0.25, 0.5
"""A word counts as heard when an alarm comes at most so long before or after its end."""

Report = dict[str, Any]


def measure(weights: Path, words: tuple[str, ...], out: Path, hours: float, seed: int = 0) -> Report:
    """Recall and alarms at every threshold, and the threshold chosen. Makes the sentences once, in `out`/dev."""
    spotter = Spotter.Config(weights=str(weights), threshold=0.5, voice=0.0).build()
    spoken = make(Plans.Config(split="dev", mix="reflex", seed=seed), out / "dev", hours / 2, "spoken")
    clean = make(Plans.Config(split="dev", mix="tame", seed=seed), out / "dev", hours, "clean")
    said = list(_words(spotter, spoken, words))
    peaks, heard_hours = _alarms(spotter, clean, words)
    rates = [sum(_count(row, threshold) for row in peaks) / max(heard_hours, 1e-9) for threshold in THRESHOLDS]
    fit = [threshold for threshold, rate in zip(THRESHOLDS, rates, strict=True) if rate <= ALARMS]
    threshold = min(fit, default=THRESHOLDS[-1])
    return {
        "words": list(words),
        "threshold": threshold,
        "clean_hours": round(heard_hours, 3),
        "thresholds": list(THRESHOLDS),
        "false_alarms_per_hour": [round(rate, 3) for rate in rates],
        "recall": [_recall(said, each) for each in THRESHOLDS],
        "by_word": {word: _recall([each for each in said if each["word"] == word], threshold) for word in words},
        "by_snr": {name: _recall([each for each in said if each["snr"] == name], threshold) for name in SNRS},
        "delay_s": _delays(said, threshold),
        "sayings": len(said),
    }


SNRS = ("clean", "over 20 dB", "10 to 20 dB", "below 10 dB")


def _words(spotter: Spotter, corpus: Corpus, words: tuple[str, ...]) -> Iterable[Report]:
    """Each word of the list that was said: its probability near its end, step by step."""
    for row, clip in corpus.clips():
        said = [word.text for word in clip.words]
        for name, _, last in commands_in(said, words):
            end = clip.words[last].end
            column = spotter.probabilities(clip.sound.samples)[:, words.index(name)]
            times = (np.arange(len(column)) + 1) * STEP_S
            near = (times > end - EARLY_S) & (times < end + LATE_S)
            yield {"word": name, "snr": _level(row), "near": column[near], "times": times[near] - end}


def _level(row: Report) -> str:
    if row["snr_db"] is None:
        return SNRS[0]
    return SNRS[1] if row["snr_db"] > 20 else SNRS[2] if row["snr_db"] >= 10 else SNRS[3]


def _alarms(spotter: Spotter, corpus: Corpus, words: tuple[str, ...]) -> tuple[list[np.ndarray], float]:
    """The highest probability of each step of each clip without a word of the list, and how long they last."""
    rows, seconds = [], 0.0
    for at, row in enumerate(corpus.rows):
        if row["commands"] or any(unsure(word[0], words) for word in row["words"]):
            continue
        clip = corpus.clip(at)
        if commands_in([word.text for word in clip.words], words):
            continue
        rows.append(spotter.probabilities(clip.sound.samples).max(axis=1))
        seconds += clip.sound.seconds
    return rows, seconds / 3_600


def _count(probabilities: np.ndarray, threshold: float) -> int:
    """How often the reflex would have halted."""
    count, last = 0, -REST
    for frame in np.flatnonzero(probabilities >= threshold):
        if frame - last >= REST:
            count, last = count + 1, int(frame)
    return count


def _recall(said: list[Report], threshold: float) -> float | None:
    return round(float(np.mean([(each["near"] >= threshold).any() for each in said])), 4) if said else None


def _delays(said: list[Report], threshold: float) -> dict[str, float]:
    """Seconds from a word's end to the step in which it counted: median and 95th percentile."""
    delays = [each["times"][np.argmax(each["near"] >= threshold)] for each in said if (each["near"] >= threshold).any()]
    return {f"p{q}": round(float(np.percentile(delays, q)), 3) for q in (50, 95)} if delays else {}


def write(report: Report, out: Path) -> Path:
    """Writes spotter.json and spotter.html; returns the page."""
    (out / "spotter.json").write_text(json.dumps(report, indent=1) + "\n")
    rows = [*report["by_word"].items(), *report["by_snr"].items()]
    table = "".join(
        f"<tr><td>{html.escape(name)}<td>{'none said' if value is None else f'{100 * value:.1f} %'}"
        for name, value in rows
    )
    head = (
        f"<p>Threshold {report['threshold']}; {report['sayings']} words of the list said by the development voice, "
        f"{report['clean_hours']} h of clean speech; made in {report.get('minutes', '?')} minutes. From a word's end "
        f"to the step in which it counts: {report['delay_s']}.</p>"
    )
    page = out / "spotter.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8><title>Spotter</title>"
        "<style>body{font:16px system-ui;max-width:60em;margin:2em auto}td{padding:.2em 1em}</style>"
        f"<h1>Spotter: {html.escape(', '.join(report['words']))}</h1>{head}"
        f"<img alt='Recall against false alarms' src='data:image/png;base64,{_curve(report)}'>"
        f"<h2>Recall at the threshold</h2><table>{table}</table>"
    )
    return page


def _curve(report: Report) -> str:
    """Recall against false alarms an hour, as PNG in base64."""
    figure, axes = plt.subplots(figsize=(7, 4.5), constrained_layout=True)
    rates = np.maximum(report["false_alarms_per_hour"], 0.1)
    axes.semilogx(rates, [value or 0.0 for value in report["recall"]], "o-")
    for threshold, rate, value in zip(report["thresholds"], rates, report["recall"], strict=True):
        if threshold in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, report["threshold"]):
            axes.annotate(f"{threshold:g}", (rate, value or 0.0), xytext=(4, -10), textcoords="offset points")
    axes.set_xlabel("false alarms an hour of clean speech (none: drawn at 0.1)")
    axes.set_ylabel("recall, development voice, all noise")
    axes.grid(alpha=0.3)
    with io.BytesIO() as data:
        figure.savefig(data, format="png", dpi=110)
        plt.close(figure)
        return base64.b64encode(data.getvalue()).decode()
