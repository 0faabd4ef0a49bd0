"""Checks what `stretto demo` made: picture, both voices in the sound track, score, events.

The left channel (the person) and the right one (the robot) are cut at their pauses and transcribed by Whisper-tiny;
what was said, by events.jsonl, must come out with a word error of at most 20 %, or with all its content words.

    python tools/check_demo.py [out/demo]
"""

import json
import re
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

from stretto.core.signals import HEARING_RATE, Sound
from stretto.core.sound import resample
from stretto.listen.turns.cues import Cues
from stretto.listen.turns.fixed_silence import FixedSilence
from stretto.listen.vad import Silero
from stretto.listen.whisper import Whisper

SMALL = frozenset(
    "a an the i is are am was it to of on in at and or you your my me will that this so do does no".split(" ")
)


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def channels(path: Path) -> tuple[np.ndarray, int]:
    """The sound track, (2, samples), and its rate."""
    with av.open(str(path)) as film:
        pieces = [frame.to_ndarray() for frame in film.decode(audio=0)]
        return np.concatenate(pieces, axis=1), film.streams.audio[0].rate


def transcript(samples: np.ndarray, rate: int) -> str:
    """What one channel says, cut at its pauses."""
    heard = resample(np.ascontiguousarray(samples, dtype=np.float32), rate, HEARING_RATE)
    heard = np.concatenate([heard, np.zeros(HEARING_RATE, np.float32)])
    vad, turns, whisper = Silero.Config().build(), FixedSilence.Config().build(), Whisper.Config().build()
    probabilities, _ = vad.step(heard, vad.start())
    cues = Cues(t=len(heard) / HEARING_RATE, samples=heard, probabilities=probabilities)
    turn, _ = turns.decide(cues, turns.start())
    said = [Sound(samples=piece.sound.samples, rate=HEARING_RATE) for piece in turn.ended]
    return " ".join(whisper.recognise(sound) for sound in said)


def agrees(expected: str, got: str) -> tuple[bool, str]:
    """Word error at most 20 %, or every content word is there."""
    want, have = words(expected), words(got)
    error = Levenshtein.distance(want, have) / max(1, len(want))
    missing = sorted(set(want) - SMALL - set(have))
    return error <= 0.2 or not missing, f"word error {error:.0%}, missing {missing or 'nothing'}"


def main(folder: Path) -> int:
    """Print one line per check; 0 when all hold."""
    film, score, log = folder / "session.mp4", folder / "score.png", folder / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    head, events = lines[0], lines[1:]
    kinds = {event["kind"] for event in events}
    user = " ".join(event["text"] for event in events if event["kind"] == "user started")
    robot = " ".join(_robot(events))
    sound, rate = channels(film)
    with av.open(str(film)) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
    moved = float(np.abs(frames[0].astype(int) - frames[len(frames) // 2].astype(int)).mean())
    heard_user, heard_robot = transcript(sound[0], rate), transcript(sound[1], rate)
    user_ok, user_text = agrees(user, heard_user)
    robot_ok, robot_text = agrees(robot, heard_robot)
    told = {"action started", "action halted", "action resumed", "action completed", "speech started", "user started"}
    size = Image.open(score).size
    checks = [
        (len(frames) > 50 and moved > 1, f"picture: {len(frames)} frames, changing by {moved:.1f} grey levels"),
        (abs(sound.shape[1] / rate - head["seconds"]) < 1, f"sound as long as the session, {head['seconds']:.1f} s"),
        (user_ok, f"the person: {user_text}\n         said  {user}\n         heard {heard_user}"),
        (robot_ok, f"the robot: {robot_text}\n         said  {robot}\n         heard {heard_robot}"),
        (min(size) > 400, f"score: {size[0]} x {size[1]} pixels"),
        (told <= kinds, f"events: {len(events)}; missing kinds {sorted(told - kinds) or 'none'}"),
    ]
    for good, text in checks:
        print("ok    " if good else "FAILED", text)
    return 0 if all(good for good, _ in checks) else 1


def _robot(events: list[dict]) -> list[str]:
    """What the robot said to its end; of a sentence that was cut off, what was heard of it."""
    return [event["text"] for event in events if event["kind"] in ("speech stopped", "speech cut")]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")))
