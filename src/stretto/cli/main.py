"""`stretto VERB`: eleven verbs, one file each. Only the chosen verb's file is imported, its needs only when it runs."""

import argparse
import importlib
import sys

from stretto import __version__
from stretto.core.errors import StrettoError, unknown

VERBS = {
    "demo": "a person talks to a robot: video, score and events in out/demo",
    "run": "one spoken or typed sentence, one task, one agent",
    "record": "episodes with sound and events, as a LeRobotDataset v3",
    "data": "speech to train hearing on: what people say to a robot, with word times",
    "bench": "run a benchmark and write its card",
    "train": "train a network by its recipe",
    "listen": "prints what the learned agent hears of a file or a microphone, word by word",
    "serve": "open the page to talk to the robot",
    "list": "everything that has a name",
    "show": "one of these: what it is, its settings",
    "doctor": "what this machine has, what is missing, what to do",
}

EXAMPLES = """examples:
  stretto demo                                            talk, stop, go on, switch: out/demo/session.mp4
  stretto run --task libero_goal:8 --say "put the bowl on the plate"
  stretto run --task libero_goal:8 --audio sentence.wav --agent cascade
  stretto record --task libero_goal --episodes 20 --out out/episodes
  stretto bench experts                                   results/experts.json, .rows.jsonl, .html
  stretto list agent
  stretto show cascade
  stretto doctor
"""


def main(argv: list[str] | None = None) -> int:
    """Entry point. Returns 0, or 2 with one paragraph on standard error for what the user can mend."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser()
    if not arguments:
        parser.print_help()
        return 0
    if arguments[0] not in VERBS and not arguments[0].startswith("-"):
        print(f"stretto: {unknown('verb', arguments[0], VERBS)}", file=sys.stderr)
        return 2
    if arguments[0] in VERBS:
        return _run(arguments[0], arguments[1:])
    parser.parse_args(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:8} {line}" for verb, line in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="stretto",
        description="Agents that listen, look, speak and act at the same time.",
        epilog=f"verbs:\n{verbs}\n\n{EXAMPLES}\nstretto VERB --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="stretto [--version] VERB ...",
    )
    parser.add_argument("--version", action="version", version=f"stretto {__version__}")
    return parser


def _run(verb: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"stretto.cli.{verb}_")
    parser = argparse.ArgumentParser(
        prog=f"stretto {verb}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add(parser)
    try:
        return int(module.run(parser.parse_args(arguments)) or 0)
    except StrettoError as error:
        print(f"stretto {verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstretto {verb}: interrupted; the arm was halted and what was finished is kept.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
