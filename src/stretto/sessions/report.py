"""What is left of a session for a person: events.jsonl, session.mp4, score.png, and a few printed lines."""

import json
import os
from pathlib import Path

from stretto.core.errors import StrettoError
from stretto.core.signals import Kind
from stretto.sessions import measures
from stretto.sessions.film import write_film
from stretto.sessions.score import draw_score, stops
from stretto.sessions.trace import Trace


def write_session(trace: Trace, folder: Path) -> list[Path]:
    """Write the session's files into `folder`; each appears whole or not at all. Returns their paths."""
    paths = [write_events(trace, folder / "events.jsonl"), draw_score(trace, folder / "score.png")]
    if trace.film:
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
    lines = [head] + [
        {"t": round(e.t, 3), "kind": str(e.kind), "source": e.source, "text": e.text, **e.data} for e in trace.events
    ]
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text("".join(json.dumps(line) + "\n" for line in lines))
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StrettoError(f"Cannot write {path}: {error.strerror}.") from error
    return path


def tell(trace: Trace, lines: int = 30) -> str:
    """What happened, a line per event that a person would notice."""
    names = {
        Kind.USER_STARTED: "you say",
        Kind.USER_TYPED: "you type",
        Kind.SPEECH_STARTED: "robot says",
        Kind.SPEECH_CUT: "robot is cut off; heard",
        Kind.HEARD: "robot heard",
        Kind.ACTION_STARTED: "arm starts",
        Kind.ACTION_SWITCHED: "arm switches to",
        Kind.ACTION_HALTED: "arm halts",
        Kind.ACTION_RESUMED: "arm goes on",
        Kind.ACTION_COMPLETED: "arm has done",
        Kind.ACTION_REJECTED: "robot refuses",
        Kind.FAULT: "fault",
    }
    told = [f"{e.t:6.2f} s  {names[e.kind]:24} {e.text}".rstrip() for e in trace.events if e.kind in names]
    stands = [f"{1000 * (stand - end):.0f} ms" for end, stand in stops(trace)]
    if stands:
        told.append(f"           stop latency             {', '.join(stands)}")
    late = sum(tick.late(trace.tick_s) for tick in trace.ticks)
    success = measures.first_success(trace.steps)
    told.append(
        f"{trace.seconds:6.2f} s  the end; {late} of {len(trace.ticks)} ticks late; first task "
        + (f"succeeded at {success:.1f} s" if success is not None else "not reached")
    )
    return "\n".join(told[-lines:])
