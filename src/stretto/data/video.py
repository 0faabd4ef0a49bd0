"""Pictures and sound into files and back, through PyAV: H.264 in MP4, FLAC.

Frame k stands at k / fps exactly; every second frame is a key frame, so that any frame is reached by decoding two. FLAC
keeps 16 bits; H.264 keeps colour at half the resolution of brightness. Both raise OSError when there is no room.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from stretto.core.signals import Sound

CODEC, PIXELS = "h264", "yuv420p"
KEY_EVERY = 2
Picture = UInt8[np.ndarray, "height width 3"]


def write_video(path: Path, frames: Iterable[Picture], size: tuple[int, int], fps: int, crf: int = 18) -> None:
    """Writes RGB `frames` of `size` (height, width; both even) as MP4. A lower `crf` is better and larger."""
    options = {"crf": str(crf), "g": str(KEY_EVERY), "bf": "0", "preset": "veryfast", "threads": "1"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = PIXELS
        stream.codec_context.time_base = Fraction(1, fps)
        for k, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_video(path: Path) -> list[Picture]:
    """All frames of a film, RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write_sound(path: Path, sound: Sound) -> None:
    """Writes mono sound as FLAC of 16 bits."""
    values = np.clip(np.round(sound.samples * 32768.0), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=sound.rate, layout="mono", format="s16")
        for start in range(0, len(values), 4096):
            block = np.ascontiguousarray(values[None, start : start + 4096])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = sound.rate, start, Fraction(1, sound.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_sound(path: Path) -> Sound:
    """Mono sound from a FLAC file, as float32 in [-1, 1]."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        blocks: Sequence[np.ndarray] = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
    return Sound(samples=(samples / 32768.0).astype(np.float32), rate=rate)
