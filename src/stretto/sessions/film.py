"""A session as a film: both cameras side by side, captions of what is said, both voices in the sound track.

H.264 and AAC are written by PyAV's own libraries. Frames come from `Trace.film`; the microphone is the left channel,
the agent's voice the right one. What the person says is captioned while it is said, and so is the agent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Kind
from stretto.core.sound import resample
from stretto.sessions.trace import Trace

PANEL = 132
"""Height of the caption panel in pixels."""
RATE = 44_100
INK, PAPER, YOU, ROBOT, STOP = "#e8e6e3", "#16181d", "#7ec8ff", "#ffcf70", "#ff6b6b"


@dataclass(frozen=True)
class Caption:
    """One line of text and the time in which it stands."""

    start: float
    end: float
    who: str
    text: str


def captions(trace: Trace, linger_s: float = 0.8) -> list[Caption]:
    """What was said (or typed), by whom and when."""
    lines = []
    for said in trace.utterances:
        text = said.speech.text if said.speech else f"[types] {said.typed}"
        end = said.t + (said.speech.sound.seconds if said.speech else 2.5)
        lines.append(Caption(said.t, end + linger_s, "you", text))
    started: Event | None = None
    for event in trace.of(Kind.SPEECH_STARTED, Kind.SPEECH_STOPPED, Kind.SPEECH_CUT):
        if event.kind is Kind.SPEECH_STARTED:
            started = event
        elif started is not None:
            cut = event.kind is Kind.SPEECH_CUT
            text = f"{event.text} —" if cut else started.text
            lines.append(Caption(started.t, event.t + linger_s, "robot", text))
            started = None
    if started is not None:
        lines.append(Caption(started.t, trace.seconds, "robot", started.text))
    return sorted(lines, key=lambda line: line.start)


def arm_states(trace: Trace) -> list[tuple[float, str]]:
    """What the arm is about, from each time on: the goals of whoever has them, a skill in the world or the agent; and
    whether it is halted, as the world did it.
    """
    goals = (Kind.ACTION_STARTED, Kind.ACTION_SWITCHED)
    states, goal = [(0.0, "waiting")], ""
    for event in trace.of(*goals, Kind.ACTION_HALTED, Kind.ACTION_RESUMED, Kind.ACTION_COMPLETED):
        if event.kind in (Kind.ACTION_HALTED, Kind.ACTION_RESUMED) and event.source != "world":
            continue
        if event.kind in goals:
            goal = event.text
        if event.kind is Kind.ACTION_COMPLETED:
            goal = ""
        name = "halted" if event.kind is Kind.ACTION_HALTED else goal or "waiting"
        if name != states[-1][1]:
            states.append((event.t, name))
    return states


def sound_track(trace: Trace, rate: int = RATE) -> np.ndarray:
    """The person on the left, the robot on the right, (2, samples) float32 at `rate`."""
    assert trace.microphone is not None
    assert trace.voice is not None
    sides = [resample(sound.samples, sound.rate, rate) for sound in (trace.microphone, trace.voice)]
    out = np.zeros((2, max(len(side) for side in sides)), np.float32)
    for channel, side in enumerate(sides):
        out[channel, : len(side)] = np.clip(side, -1, 1)
    return out


def write_film(trace: Trace, path: Path, fps: int) -> Path:
    """Write the film to `path` (.mp4). Raises StrettoError when the session was not filmed or the disk refuses."""
    frames = _timeline(trace, fps)
    if not frames:
        raise StrettoError("This session was not filmed: run it with a world whose film_hz is above 0.")
    part = path.with_name(f".{path.stem}.part.mp4")
    try:
        with av.open(str(part), "w", format="mp4") as out:
            _write_streams(out, trace, frames, fps)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"The film could not be written to {path}: {error}. Is the disk full?") from error
    return path


def _write_streams(out: av.container.OutputContainer, trace: Trace, frames: list, fps: int) -> None:
    painter = _Painter(trace, frames[0][1])
    video = out.add_stream("libx264", rate=fps, options={"crf": "23", "preset": "veryfast"})
    video.width, video.height, video.pix_fmt = painter.width, painter.height, "yuv420p"
    audio = out.add_stream("aac", rate=RATE, layout="stereo")
    for t, cameras in frames:
        frame = av.VideoFrame.from_ndarray(painter.paint(t, cameras), format="rgb24")
        out.mux(video.encode(frame))
    out.mux(video.encode(None))
    sound, block = sound_track(trace), 1024
    for start in range(0, sound.shape[1], block):
        piece = sound[:, start : start + block]
        piece = np.ascontiguousarray(np.pad(piece, ((0, 0), (0, block - piece.shape[1]))))
        heard = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        heard.sample_rate, heard.pts = RATE, start
        out.mux(audio.encode(heard))
    out.mux(audio.encode(None))


def _timeline(trace: Trace, fps: int) -> list[tuple[float, list[np.ndarray]]]:
    """(t, the newest picture of each camera) at an even rate; cameras may have been rendered by turns."""
    images = sorted(trace.film, key=lambda image: image.t)
    cameras = list(dict.fromkeys(image.camera for image in images))
    newest = {camera: next(image for image in images if image.camera == camera) for camera in cameras}
    frames, seen = [], 0
    for number in range(round(trace.seconds * fps) if images else 0):
        t = number / fps
        while seen < len(images) and images[seen].t <= t + 1e-6:
            newest[images[seen].camera] = images[seen]
            seen += 1
        frames.append((t, [newest[camera].pixels for camera in cameras]))
    return frames


class _Painter:
    """Pictures above, captions below."""

    def __init__(self, trace: Trace, cameras: list[np.ndarray]) -> None:
        self.lines, self.states = captions(trace), arm_states(trace)
        self.width = sum(picture.shape[1] for picture in cameras) // 2 * 2
        self.height = (cameras[0].shape[0] + PANEL) // 2 * 2
        self.font, self.small = _font(17), _font(14)

    def paint(self, t: float, cameras: list[np.ndarray]) -> np.ndarray:
        canvas = Picture.new("RGB", (self.width, self.height), PAPER)
        canvas.paste(Picture.fromarray(np.concatenate(cameras, axis=1)), (0, 0))
        draw, top = ImageDraw.Draw(canvas), cameras[0].shape[0]
        state = next(text for start, text in reversed(self.states) if start <= t)
        colour = STOP if state == "halted" else INK
        draw.text((10, top + 8), f"{t:5.1f} s   arm: {state}", font=self.small, fill=colour)
        y = top + 32
        for line in [line for line in self.lines if line.start <= t < line.end][-2:]:
            colour = YOU if line.who == "you" else ROBOT
            for row in _wrap(f"{line.who}: {line.text}", self.font, self.width - 20)[:2]:
                draw.text((10, y), row, font=self.font, fill=colour)
                y += 23
        return np.asarray(canvas)


def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    rows: list[str] = []
    for word in text.split():
        if rows and font.getlength(f"{rows[-1]} {word}") <= width:
            rows[-1] = f"{rows[-1]} {word}"
        else:
            rows.append(word)
    return rows


def film_seconds(path: Path) -> tuple[float, float, int]:
    """(seconds of picture, seconds of sound, frames) of a film; 0 where a stream is missing."""
    with av.open(str(path)) as film:
        picture = [frame.time for frame in film.decode(video=0)] if film.streams.video else []
    with av.open(str(path)) as film:
        sound = _decoded(film.decode(audio=0)) if film.streams.audio else 0.0
    return (picture[-1] if picture else 0.0), sound, len(picture)


def _decoded(frames: Iterable[av.AudioFrame]) -> float:
    return sum(frame.samples / frame.sample_rate for frame in frames)
