"""A person talks to a robot: gives a task, asks while the arm moves, says stop, says go on, gives another task.

Everything is drawn from the seed, which is printed. Writes session.mp4 (both cameras, both voices, captions), score.png
(listen, look, speak, act on one time axis) and events.jsonl. About two minutes on two cores.

examples:
  stretto demo
  stretto demo --seed 7 --out out/seven
"""

import argparse
import secrets
from dataclasses import replace
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--seed", type=int, help="default: drawn now, and printed")
    parser.add_argument("--agent", default="cascade", help="see `stretto list agent`")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--no-film", action="store_true", help="no pictures: faster, works without EGL")
    parser.add_argument("--no-reflex", action="store_true", help="only the agent listens for a stop")


def run(options: argparse.Namespace) -> int:
    """Run the demo session, write its files, tell what happened."""
    from stretto.core import registry
    from stretto.sessions.demo import demo_cues, demo_live, demo_over
    from stretto.sessions.live import run_live, suite_tasks, writable
    from stretto.sessions.log import EventLog
    from stretto.sessions.report import tell, write_session
    from stretto.sessions.users.script import Script

    registry.load("agent", options.agent)
    folder = writable(options.out)
    seed = secrets.randbelow(10_000) if options.seed is None else options.seed
    print(f"seed {seed} (again: stretto demo --seed {seed}); about two minutes ...", flush=True)
    live = replace(demo_live(options.agent, seed, filmed=not options.no_film), reflex=not options.no_reflex)
    cues = demo_cues(suite_tasks(live.task), seed)
    trace = run_live(
        live,
        Script.Config().build(cues),
        observers=[_Telling(), EventLog(folder / "events.jsonl")],
        until=demo_over(len(cues)),
    )
    paths = write_session(trace, folder)
    print("\n" + tell(trace))
    print("\nwrote " + ", ".join(str(path) for path in paths))
    return 0


class _Telling:
    """Shows that the session is alive: a dot per event."""

    def see(self, event: object) -> None:
        print(".", end="", flush=True)
