"""One sentence, one task, one agent: what a WAV or a typed line makes the robot do and say.

Any WAV from 8 to 48 kHz, mono or stereo, 16, 24 or 32 bits or float. Writes session.mp4, score.png and events.jsonl.
A session that breaks leaves its last ten seconds in out/flight; --replay feeds such a file to a fresh agent.

examples:
  stretto run --task libero_goal:8 --say "put the bowl on the plate"
  stretto run --task libero_goal:7 --audio turn_on.wav --agent cascade --seed 3
  stretto run --task libero_goal:8 --audio sentence.wav --clock wall        in real time
  stretto run --agent duplex --audio sentence.wav                           the learned agent; --set weights=DIR another
  stretto run --agent cascade --replay out/flight/NAME.npz                  what did it put out, tick by tick
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--task", default="libero_goal:8", metavar="SUITE:NUMBER")
    said = parser.add_mutually_exclusive_group(required=True)
    said.add_argument("--audio", type=Path, metavar="FILE.wav", help="what the person says")
    said.add_argument("--say", metavar="TEXT", help="what the person types")
    said.add_argument("--replay", type=Path, metavar="FILE.npz", help="what a recorded session's last seconds held")
    parser.add_argument("--agent", default="cascade", help="see `stretto list agent`")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the agent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", default="virtual", help="virtual (default), wall or lockstep")
    parser.add_argument("--delays", type=float, default=1.0, help="factor on the latency card's delays (virtual)")
    parser.add_argument("--seconds", type=float, default=30.0, help="longest session (default 30)")
    parser.add_argument("--out", type=Path, default=Path("out/run"))
    parser.add_argument("--no-film", action="store_true", help="no pictures: faster, works without EGL")
    parser.add_argument("--no-reflex", action="store_true", help="only the agent listens for a stop")
    parser.add_argument("--flight", type=Path, metavar="FILE.npz", help="also keep the last ten seconds, for --replay")


def run(options: argparse.Namespace) -> int:
    """Run the session, write its files, tell what happened; of one that broke too. Or replay one that was recorded."""
    if options.replay:
        return _replay(options)
    from stretto.core.signals import Kind, Speech
    from stretto.core.sound import read_sound
    from stretto.sessions.live import Live, run_live, split_task, writable
    from stretto.sessions.log import EventLog
    from stretto.sessions.session import SessionFault
    from stretto.sessions.users.script import Cue, Script

    split_task(options.task)
    agent = _agent(options)
    folder = writable(options.out)
    if options.audio:
        sound = read_sound(options.audio)
        speech = Speech(text=options.audio.name, sound=sound, words=(), speaker="file")
        cue = Cue(intent="instruct", speech=speech, wait_s=0.4)
        length = sound.seconds
    else:
        cue, length = Cue(intent="instruct", typed=options.say, wait_s=0.4), 0.0
    live = Live(
        task=options.task,
        agent=options.agent,
        clock=options.clock,
        delays=options.delays,
        seed=options.seed,
        seconds=options.seconds + length,
        film_hz=0.0 if options.no_film or options.clock == "wall" else 10.0,
        cameras_hz=5.0 if options.clock == "wall" and not options.no_film else 0.0,
        flight=str(options.flight or ""),
        reflex=not options.no_reflex,
    )
    print(f"running {options.agent} on {options.task}, {options.clock} clock, seed {options.seed} ...", flush=True)
    try:
        trace = run_live(
            live,
            Script.Config().build([cue]),
            agent,
            observers=[EventLog(folder / "events.jsonl")],
            until=_over(Kind.ACTION_COMPLETED, 0.4 + length, 2.5),
        )
    except SessionFault as fault:
        _report(fault.trace, folder)
        raise
    _report(trace, folder)
    if options.flight:
        print(f"wrote {options.flight}")
    return 0


def _report(trace: Any, folder: Path) -> None:
    """Write what is left of a session, and tell it."""
    from stretto.sessions.report import tell, write_session

    if not trace.film:
        trace.film = trace.images
    for path in write_session(trace, folder):
        print(f"wrote {path}")
    print(tell(trace))


def _agent(options: argparse.Namespace) -> Any:
    """The agent with its settings. Raises StrettoError for a name, a field or a value that is not there."""
    from stretto.core import registry
    from stretto.core.config import override

    config = registry.load("agent", options.agent).Config()  # type: ignore[attr-defined]
    return override(config, options.set).build()


def _replay(options: argparse.Namespace) -> int:
    """Print what a fresh agent puts out at each recorded tick; a fault that recurs ends it as it ended the session."""
    from stretto.core import registry
    from stretto.runtime.flight import line, replay
    from stretto.runtime.flight_file import read_flight

    registry.load("agent", options.agent)
    flight = read_flight(options.replay)
    ticks = f"{len(flight.frames)} ticks of {flight.session}"
    print(f"{options.replay}: {ticks}; agent {options.agent}, from its start", flush=True)
    for frame, output in replay(flight, _agent(options)):
        print(line(frame, output), flush=True)
    print(f"the recorded fault did not recur: {flight.fault}" if flight.fault else "no fault, as recorded")
    return 0


def _over(kind: object, said_s: float, linger_s: float) -> Callable[[Any], bool]:
    """End a while after an event of a kind that came when everything was said."""

    def until(trace: Any) -> bool:
        done = [event.t for event in trace.events if event.kind is kind and event.t > said_s]
        return bool(done) and trace.seconds > done[0] + linger_s

    return until
