"""The score of a session: listen, look, speak and act as four lanes on one time axis.

Overlap, stops and latencies are seen at a glance: a stop is drawn from the end of the stop word to the first zero
command, with its length in milliseconds.
"""

import functools
import os
from pathlib import Path

import matplotlib
import numpy as np

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Kind, Sound
from stretto.sessions import measures
from stretto.sessions.film import arm_states
from stretto.sessions.trace import Trace

matplotlib.use("agg")
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

YOU, ROBOT, ARM, STOP, GREY = "#1f77b4", "#d98c00", "#2a7f3f", "#c62828", "#8a8a8a"
GOALS = ("#d7ecd9", "#dce6f5", "#f3e6d0", "#eadcf0")


def stops(trace: Trace) -> list[tuple[float, float]]:
    """(end of the stop word, first zero command) of every spoken stop that was obeyed."""
    found = []
    for said in trace.utterances:
        if said.speech is None or said.intent not in ("stop", "pause"):
            continue
        end = said.t + stop_word_end(said.speech.words, said.speech.end)
        start = measures.first_stand(trace.steps, end)
        if start is not None and start - end < measures.NEVER_STOPPED_S:
            found.append((end, start))
    return found


def stop_word_end(words: tuple, default: float) -> float:
    """End of the first stop word of a sentence, seconds from its start; `default` when it has none."""
    listed = {"stop", "wait", "pause", "freeze", "halt", "hold"}
    ends = [word.end for word in words if word.text.strip(".,!?").lower() in listed]
    return ends[0] if ends else default


def draw_score(trace: Trace, path: Path) -> Path:
    """Draw the score to `path` (.png). Raises StrettoError when the disk refuses."""
    with matplotlib.rc_context({"text.parse_math": False}):
        return _draw(trace, path)


def _draw(trace: Trace, path: Path) -> Path:
    width = float(np.clip(0.42 * trace.seconds, 14, 60))
    figure, axes = plt.subplots(
        4, 1, figsize=(width, 9), sharex=True, height_ratios=(1.1, 1.5, 1.1, 1.6), constrained_layout=True
    )
    said = [(u.t, u.speech.text if u.speech else f"[types] {u.typed}") for u in trace.utterances]
    spoken = [(e.t, e.text) for e in trace.of(Kind.SPEECH_STARTED)]
    _sound_lane(axes[0], trace.microphone, said, YOU, "listen")
    _look_lane(axes[1], trace, pictures=max(4, round(width / 2.4)))
    _sound_lane(axes[2], trace.voice, spoken, ROBOT, "speak")
    _cuts(axes[2], trace.of(Kind.SPEECH_CUT))
    _act_lane(axes[3], trace)
    for word_end, stand in stops(trace):
        for lane in axes:
            lane.axvspan(word_end, stand, color=STOP, alpha=0.25, lw=0)
        axes[3].annotate(
            f"stop {1000 * (stand - word_end):.0f} ms",
            (stand, axes[3].get_ylim()[1] * 0.9),
            xytext=(6, 0),
            textcoords="offset points",
            color=STOP,
            fontweight="bold",
        )
    axes[3].set_xlim(0, trace.seconds)
    axes[3].set_xlabel("session time, s")
    axes[3].xaxis.set_major_locator(matplotlib.ticker.MultipleLocator(5))
    late = sum(tick.late(trace.tick_s) for tick in trace.ticks)
    kind = "privileged" if trace.privileged else "no simulator state"
    figure.suptitle(
        f"{trace.agent} ({kind}) · seed {trace.seed} · {trace.clock} clock · {late} of {len(trace.ticks)} ticks late",
        fontsize=11,
    )
    part = path.with_name(f".{path.stem}.part.png")
    try:
        figure.savefig(part, dpi=90)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"The score could not be written to {path}: {error}.") from error
    finally:
        plt.close(figure)
    return path


def drawable(text: str) -> str:
    """Text on one line, with a box for every character that the font lacks: an untrained agent says anything."""
    glyphs = _glyphs()
    return "".join(each if ord(each) in glyphs else "\u25a1" for each in " ".join(text.split()))


@functools.lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return frozenset(font.get_charmap())


def _sound_lane(lane: Axes, sound: Sound | None, texts: list[tuple[float, str]], colour: str, name: str) -> None:
    lane.set_ylabel(name, fontsize=13, fontweight="bold")
    lane.set_yticks([])
    lane.set_ylim(-1, 1.9)
    if sound is not None and len(sound.samples):
        block = max(1, sound.rate // 50)
        n = len(sound.samples) // block
        peaks = np.abs(sound.samples[: n * block]).reshape(n, block).max(axis=1)
        times = (np.arange(n) + 0.5) * block / sound.rate
        lane.fill_between(times, -peaks, peaks, color=colour, lw=0)
    for index, (t, text) in enumerate(texts):
        lane.text(t, 1.02 + 0.42 * (index % 2), drawable(text), color=colour, fontsize=9, va="bottom", clip_on=True)


def _cuts(lane: Axes, cuts: list[Event]) -> None:
    for event in cuts:
        lane.axvline(event.t, color=STOP, lw=1.2)
        lane.text(event.t, -0.95, f" cut; heard: “{drawable(event.text[-40:])}”", color=STOP, fontsize=8)


def _look_lane(lane: Axes, trace: Trace, pictures: int) -> None:
    """Thumbnails of the first camera along the time axis, as many as keep their shape."""
    lane.set_ylabel("look", fontsize=13, fontweight="bold")
    lane.set_yticks([])
    lane.set_ylim(0, 1)
    camera = trace.film[0].camera if trace.film else None
    frames = [image for image in trace.film if image.camera == camera]
    if not frames:
        lane.text(0.5, 0.5, "no pictures were taken", transform=lane.transAxes, ha="center", color=GREY)
        return
    step = trace.seconds / pictures
    for start in np.arange(pictures) * step:
        nearest = min(frames, key=lambda image: abs(image.t - start))
        lane.imshow(nearest.pixels[::2, ::2], extent=(start, start + 0.96 * step, 0.02, 0.98), aspect="auto")


def _act_lane(lane: Axes, trace: Trace) -> None:
    """Speed of the end-effector; what the arm is about as coloured ground; halts hatched."""
    lane.set_ylabel("act", fontsize=13, fontweight="bold")
    times = np.array([step.t for step in trace.steps])
    speed = 100 * measures.speeds(trace.steps)
    lane.plot(times, speed, color=ARM, lw=1.2)
    top = max(30.0, float(speed.max(initial=0)) * 1.35)
    lane.set_ylim(0, top)
    lane.set_title("end-effector, cm/s", loc="left", fontsize=8, color=GREY, pad=2)
    states = [*arm_states(trace), (trace.seconds, "")]
    colours: dict[str, str] = {}
    for (start, name), (end, _) in zip(states, states[1:], strict=False):
        if name == "waiting":
            continue
        if name == "halted":
            lane.axvspan(start, end, facecolor="#f6d5d5", hatch="//", edgecolor=STOP, alpha=0.5, lw=0)
            lane.text(start, top * 0.04, " halted", color=STOP, fontsize=9)
            continue
        colours.setdefault(name, GOALS[len(colours) % len(GOALS)])
        lane.axvspan(start, end, color=colours[name], lw=0)
        lane.text(start, top * 0.80, f" {name}", fontsize=9, color=ARM)
    for tick in trace.ticks:
        if tick.late(trace.tick_s):
            lane.plot(tick.t, 0, marker="v", color=STOP, clip_on=False)
