"""Print what the learned agent hears, word by word, as it comes: each line a tick in which something was heard.

A file is read as fast as the machine can; its times are those at which a word stood in the stream. A microphone is read
by `arecord` (ALSA), in time; `-` takes 16-bit mono samples at 16 kHz from standard input. No recogniser takes part.
Three readings are carried on side by side, so a word in doubt comes a tick later; `--one` keeps to the likeliest, as
the agent does in its tick, at half the cost.

examples:
  stretto listen sentence.wav
  stretto listen sentence.wav --reference "Put the bowl on the plate."
  stretto listen --mic
  stretto listen sentence.wav --one
  stretto listen --weights out/hear/listener/weights sentence.wav
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

WEIGHTS = "weights/hear"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("file", nargs="?", help="a WAV file, or - for samples on standard input")
    parser.add_argument("--mic", action="store_true", help="listen to the microphone until Ctrl-C")
    parser.add_argument("--weights", default=WEIGHTS, help=f"checkpoint of `stretto train hear` (default {WEIGHTS})")
    parser.add_argument("--reference", default="", help="what was said: prints the word error at the end")
    parser.add_argument("--one", action="store_true", help="one reading at a time, as the agent hears")
    parser.add_argument("--bias", type=float, default=0.0, help="added to the score of hearing nothing (default 0)")


def run(options: argparse.Namespace) -> int:
    """Listen. Raises StrettoError without anything to listen to, and for a checkpoint that is not there."""
    from stretto.agents.checkpoint import find_weights, from_pretrained
    from stretto.agents.reader import Reader
    from stretto.core.errors import StrettoError

    if bool(options.file) == options.mic:
        raise StrettoError("Expected a WAV file, or --mic. For instance: stretto listen sentence.wav")
    weights = find_weights(WEIGHTS, "hear") if options.weights == WEIGHTS else options.weights
    reader = Reader(from_pretrained(weights).live(), options.bias, beam=not options.one)
    heard = _print(reader, _ticks(options, reader.samples))
    if options.reference:
        _compare(heard, options.reference)
    return 0


def _print(reader: Any, ticks: Iterator[Any]) -> str:
    """One line for each tick in which something is heard; the whole text."""
    text = ""
    for tick, pieces in enumerate(reader.read(ticks), start=1):
        if not pieces:
            continue
        line = "".join("\n" if closes else piece for piece, closes in pieces)
        text += line
        shown = line.replace("\n", "  (turn over)")
        print(f"{tick * reader.network.layout.tick_s:7.1f} s  {shown}", flush=True)
    return text


def _ticks(options: argparse.Namespace, samples: int) -> Iterator[Any]:
    import numpy as np

    from stretto.core.sound import read_sound

    if options.mic or options.file == "-":
        yield from _streamed(samples, options.mic)
        return
    sound = read_sound(options.file).samples
    for start in range(0, len(sound) + 5 * samples, samples):  # a second of silence, so that the last word is read
        piece = sound[start : start + samples].astype(np.float32)
        yield np.pad(piece, (0, samples - len(piece)))


def _streamed(samples: int, mic: bool) -> Iterator[Any]:
    """Ticks from the microphone or from standard input, as they come."""
    import shutil
    import subprocess

    import numpy as np

    from stretto.core.errors import StrettoError

    source: Any = sys.stdin.buffer
    if mic:
        if shutil.which("arecord") is None:
            raise StrettoError("A microphone is read by `arecord`, which is not installed (Debian: alsa-utils).")
        command = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", "16000", "-c", "1"]
        source = subprocess.Popen(command, stdout=subprocess.PIPE).stdout
    while len(data := source.read(2 * samples)) == 2 * samples:
        yield np.frombuffer(data, "<i2").astype(np.float32) / 32_768


def _compare(heard: str, reference: str) -> None:
    from stretto.data.hearing_score import errors_of
    from stretto.data.talk_style import plain

    meant, said = plain(reference).split(), plain(heard).split()
    edits = errors_of(said, meant)
    print(f"said    {' '.join(meant)}\nheard   {' '.join(said)}\nword error {edits / max(1, len(meant)):.1%}")
