"""What is left of a session for a person: events.jsonl, session.mp4, score.png, and a few printed lines."""

import json
import os
from pathlib import Path

from stretto.core.errors import StrettoError
from stretto.core.signals import Event, Kind
from stretto.runtime.observers import Latencies
from stretto.sessions import measures
from stretto.sessions.film import write_film
from stretto.sessions.log import line
from stretto.sessions.score import draw_score, stops
from stretto.sessions.trace import Trace


def write_session(trace: Trace, folder: Path) -> list[Path]:
    """Write the session's files into `folder`; each appears whole or not at all. Returns their paths."""
    paths = [write_events(trace, folder / "events.jsonl"), draw_score(trace, folder / "score.png")]
    if not trace.film:
        (folder / "session.mp4").unlink(missing_ok=True)  # the film of an earlier session is not of this one
    else:
        paths.insert(0, write_film(trace, folder / "session.mp4", fps=10))
    return paths


def write_events(trace: Trace, path: Path) -> Path:
    """One JSON line per event: t, kind, source, text. The first line says what session it was."""
    head = {
        "session": trace.agent,
        "privileged": trace.privileged,
        "task": trace.task,
        "seed": trace.seed,
        "split": trace.split,
        "clock": trace.clock,
        "tick_s": trace.tick_s,
        "seconds": trace.seconds,
    }
    text = json.dumps(head) + "\n" + "".join(line(event) for event in trace.events)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write {path}: {error.strerror}.") from error
    return path


def tell(trace: Trace) -> str:
    """What happened, a line per thing the person said, with what the robot heard, did and answered until the next."""
    starts = [said.t for said in trace.utterances] + [float("inf")]
    told = []
    for said, end in zip(trace.utterances, starts[1:], strict=True):
        text = said.speech.text if said.speech else said.typed
        told.append(f"{said.t:5.1f} s  you: {text}")
        since = [event for event in trace.events if said.t <= event.t < end]
        did = [_short(event) for event in since if event.kind in SHORT]
        told.append("         " + ("  ".join(did) or "(nothing)"))
    stands = [f"{1000 * (stand - end):.0f} ms" for end, stand in stops(trace)]
    late = sum(tick.late(trace.tick_s) for tick in trace.ticks)
    latencies = Latencies()
    for event in trace.events:
        latencies.see(event)
    audio = latencies.first_audio()
    success = measures.first_success(trace.steps)
    last = f"{trace.seconds:5.1f} s  the end; {late} of {len(trace.ticks)} ticks late"
    last += f"; first audio after {min(audio):.1f} to {max(audio):.1f} s" if audio else ""
    last += f"; stop latency {', '.join(stands)}" if stands else ""
    last += f"; '{trace.task}' held from {success:.1f} s" if success is not None else ""
    return "\n".join([*told, last])


SHORT = {
    Kind.SPEECH_STARTED: "“{}”",
    Kind.SPEECH_CUT: "(cut off)",
    Kind.HEARD: "heard “{}”",
    Kind.ACTION_STARTED: "[arm starts]",
    Kind.ACTION_SWITCHED: "[arm switches]",
    Kind.ACTION_HALTED: "[arm halts]",
    Kind.ACTION_RESUMED: "[arm goes on]",
    Kind.ACTION_COMPLETED: "[arm is done]",
    Kind.FAULT: "FAULT: {}",
}


def _short(event: Event) -> str:
    return f"{event.t:.1f} " + SHORT[event.kind].format(event.text)
