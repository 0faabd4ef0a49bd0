"""Sound in and out: WAV files of any kind a person may have, resampling, mixing, levels.

A file is judged by its header before a sample of it is read, so a three-hour recording is refused at once and a
truncated one is named as such instead of being read short. Inside the program all sound is mono float32 in [-1, 1].

Source: the RIFF/WAVE layout; decoding by libsndfile (`soundfile`), resampling by `soxr`. Needs: numpy.
"""

import difflib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from stretto.core.errors import StrettoError
from stretto.core.signals import HEARING_RATE, Sound

LONGEST_S = 600.0
"""Files longer than this are refused."""

SILENCE_DBFS = -70.0
"""A file in which no sample is louder than this is silent."""

RATES = (8_000, 192_000)
"""Lowest and highest sample rate of a file."""

_STREAMED = 0x7FFF0000
"""Programs that write to a pipe do not know the length and put 0 or something at least this large in the header."""


def read_sound(path: str | os.PathLike[str], rate: int = HEARING_RATE) -> Sound:
    """The WAV file at `path` as mono sound at `rate` samples per second.

    Raises StrettoError when there is no such file, or it is a folder, empty, not a WAV, truncated, longer than
    `LONGEST_S`, silent, or holds values that are not numbers.
    """
    file = _existing(Path(path))
    _check_header(file)
    try:
        with soundfile.SoundFile(str(file)) as opened:
            _check_length(file, opened.frames, opened.samplerate)
            channels = opened.read(dtype="float32", always_2d=True)
            found = int(opened.samplerate)
    except soundfile.LibsndfileError as error:
        raise StrettoError(f"Cannot decode '{file}': {error}. Convert it to 16-bit PCM WAV.") from error
    _check_samples(file, channels, found)
    return Sound(samples=resample(_mono(channels), found, rate), rate=rate)


def write_sound(path: str | os.PathLike[str], sound: Sound) -> Path:
    """Writes a 16-bit mono WAV and returns its path. A reader sees the old file or the whole new one, never a part.

    Samples outside [-1, 1] are clipped. Raises StrettoError when the folder does not exist, the sound holds values
    that are not numbers, or the disk refuses.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise StrettoError(f"Cannot write '{file}': there is no folder '{file.parent}'. Make it first.")
    if file.is_dir():
        raise StrettoError(f"Cannot write '{file}': it is a folder. Give the name of a file.")
    if not np.isfinite(sound.samples).all():
        raise StrettoError(f"Cannot write '{file}': the sound holds values that are not numbers.")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as out:
            soundfile.write(out, np.clip(sound.samples, -1, 1), sound.rate, subtype="PCM_16", format="WAV")
        os.replace(part, file)
    except (OSError, soundfile.LibsndfileError) as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write '{file}': {error}.") from error
    return file


def resample(samples: Float32[np.ndarray, " before"], old: int, new: int) -> Float32[np.ndarray, " after"]:
    """`samples` taken at `old` per second as they would be at `new` per second, inside [-1, 1]."""
    if old == new or not len(samples):
        return samples
    return np.clip(soxr.resample(samples, old, new), -1.0, 1.0).astype(np.float32)


def at_rate(sound: Sound, rate: int = HEARING_RATE) -> Sound:
    """The same sound at another rate."""
    return sound if sound.rate == rate else Sound(samples=resample(sound.samples, sound.rate, rate), rate=rate)


def silence(seconds: float, rate: int = HEARING_RATE) -> Sound:
    """Digital silence."""
    return Sound(samples=np.zeros(round(seconds * rate), np.float32), rate=rate)


def pad(sound: Sound, before_s: float = 0.0, after_s: float = 0.0) -> Sound:
    """The sound with silence before and after it."""
    widths = (round(before_s * sound.rate), round(after_s * sound.rate))
    return Sound(samples=np.pad(sound.samples, widths), rate=sound.rate)


def mix(parts: Iterable[tuple[float, Sound]], seconds: float | None = None) -> Sound:
    """The sum of sounds, each starting at its own second (0 or later), clipped to [-1, 1].

    The result lasts `seconds`, or until the last part has ended. Raises StrettoError when the rates differ or nothing
    is given.
    """
    listed = list(parts)
    rates = {sound.rate for _, sound in listed}
    if len(rates) != 1:
        raise StrettoError(f"Expected sounds of one rate to mix, got rates {sorted(rates)}. Resample them first.")
    rate = rates.pop()
    starts = [round(start * rate) for start, _ in listed]
    if min(starts) < 0:
        raise StrettoError("Expected every sound to start at 0 s or later.")
    ends = [start + len(sound.samples) for start, (_, sound) in zip(starts, listed, strict=True)]
    total = np.zeros(max(ends) if seconds is None else round(seconds * rate), np.float32)
    for start, (_, sound) in zip(starts, listed, strict=True):
        part = sound.samples[: max(0, len(total) - start)]
        total[start : start + len(part)] += part
    return Sound(samples=np.clip(total, -1, 1), rate=rate)


def level_dbfs(samples: Float32[np.ndarray, " samples"]) -> float:
    """Root mean square in dB of full scale; -inf for digital silence or no samples.

    >>> round(level_dbfs(np.full(100, 0.1, np.float32)))
    -20
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return float(10 * np.log10(power)) if power > 0 else float("-inf")


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise StrettoError(f"Expected a WAV file, got the folder '{path}'. Give the name of a file in it.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StrettoError(_missing(path)) from error
    if not path.is_file():
        raise StrettoError(f"Expected a WAV file, but '{path}' is not a regular file.")
    if size == 0:
        raise StrettoError(f"'{path}' is empty (0 bytes). Record or export it again.")
    return path


def _missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no file '{path}': the folder '{path.parent}' does not exist."
    names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.4)
    wavs = [name for name in names if name.lower().endswith(".wav")][:5]
    hint = f" Did you mean '{path.parent / close[0]}'?" if close else ""
    hint = hint or (f" WAV files there: {', '.join(wavs)}." if wavs else " There is no WAV file in that folder.")
    return f"There is no file '{path}'.{hint}"


def _check_header(file: Path) -> None:
    """Walks the chunks: refuses what is not a WAV and what holds less sound than its header promises."""
    size = file.stat().st_size
    try:
        with open(file, "rb") as opened:
            head = opened.read(12)
            if len(head) < 12 and b"RIFF".startswith(head[:4]):
                raise StrettoError(f"'{file}' is truncated: {size} bytes are less than the header of a WAV.")
            if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
                raise StrettoError(
                    f"'{file}' is not a WAV file (it starts with {head[:4]!r}). "
                    "Convert it first, for example: ffmpeg -i INPUT -ar 16000 -ac 1 OUTPUT.wav"
                )
            while len(chunk := opened.read(8)) == 8:
                name, promised = struct.unpack("<4sI", chunk)
                if name == b"data":
                    return _check_data(file, promised, size - opened.tell(), head[:4] == b"RF64")
                opened.seek(promised + promised % 2, os.SEEK_CUR)
    except OSError as error:
        raise StrettoError(f"Cannot read '{file}': {error.strerror}.") from error
    raise StrettoError(f"'{file}' is truncated: its header ends before the sound begins. Copy or export it again.")


def _check_data(file: Path, promised: int, there: int, rf64: bool) -> None:
    streamed = promised == 0 or promised >= _STREAMED or rf64
    if there <= 0 or (promised == 0 and there == 0):
        raise StrettoError(f"'{file}' is a WAV without a single sample. Record or export it again.")
    if not streamed and promised > there:
        raise StrettoError(
            f"'{file}' is truncated: its header promises {promised} bytes of sound and {there} are there. "
            "Copy or export it again."
        )


def _check_length(file: Path, frames: int, rate: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise StrettoError(f"Expected {RATES[0]} to {RATES[1]} samples per second, got {rate} in '{file}'.")
    if frames == 0:
        raise StrettoError(f"'{file}' is a WAV without a single sample. Record or export it again.")
    if frames / rate > LONGEST_S:
        raise StrettoError(
            f"'{file}' lasts {_clock(frames / rate)}; the limit is {_clock(LONGEST_S)}. Cut out the part you want, "
            "for example: ffmpeg -i INPUT.wav -ss 0 -t 60 OUTPUT.wav"
        )


def _check_samples(file: Path, channels: np.ndarray, rate: int) -> None:
    wrong = np.flatnonzero(~np.isfinite(channels).all(axis=1))
    if len(wrong):
        raise StrettoError(
            f"'{file}' holds {len(wrong)} samples that are not numbers (NaN or infinite), the first at "
            f"{wrong[0] / rate:.3f} s. Export it again."
        )
    peak = float(np.abs(channels).max()) if channels.size else 0.0
    if peak < 10 ** (SILENCE_DBFS / 20):
        shown = f"{20 * np.log10(peak):.0f} dBFS" if peak > 0 else "digital silence"
        raise StrettoError(
            f"'{file}' is silent: its loudest sample is {shown}, and sound begins at {SILENCE_DBFS:.0f} dBFS. "
            "Check the microphone and record it again."
        )


def _mono(channels: np.ndarray) -> np.ndarray:
    """The mean of the channels, or the loudest one where they cancel out; scaled down if it exceeds 1."""
    mono = channels.mean(axis=1)
    if np.abs(mono).max() < 0.05 * np.abs(channels).max():
        mono = channels[:, np.abs(channels).max(axis=0).argmax()]
    return np.ascontiguousarray(mono / max(1.0, float(np.abs(mono).max())), np.float32)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds: 10 min 0 s."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, whole = divmod(rest, 60)
    return (f"{hours} h " if hours else "") + f"{minutes} min {whole} s"
