"""Record expert episodes with sound and events as a LeRobotDataset v3, several processes at once.

Episode k is made from seed FIRST + k, so a second call with the same folder makes only what is missing. A kill at any
moment loses the episodes in the making, never a finished one.

examples:
  stretto record --task libero_goal --episodes 20 --out out/episodes
  stretto record --task libero_goal:8 --episodes 5 --split dev --workers 1
"""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--task", default="libero_goal", metavar="SUITE[:NUMBER]", help="all tasks by turns, or one")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="seed of the first episode")
    parser.add_argument("--split", default="train", help="train (default) or dev")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/episodes"))


def run(options: argparse.Namespace) -> int:
    """Make what is missing and tell what there is."""
    from stretto.core import registry
    from stretto.core.errors import StrettoError, unknown
    from stretto.sessions.live import ENV_OF_SUITE, suite_tasks, writable
    from stretto.sessions.recording import Recording
    from stretto.sessions.recording_pool import record_all

    suite, _, number = options.task.partition(":")
    if options.episodes < 1 or options.workers < 1:
        raise StrettoError("Expected at least one episode and one worker.")
    if options.split == "test":
        raise StrettoError("Official init states (test) are opened by cards only. Record train or dev.")
    if suite not in registry.names("expert"):
        raise unknown("suite with an expert", suite, registry.names("expert"))
    tasks = suite_tasks(f"{suite}:0")
    if number and not (number.isdigit() and int(number) < len(tasks)):
        raise StrettoError(f"{suite} has tasks 0 to {len(tasks) - 1}, got '{number}'.")
    chosen = [int(number)] if number else list(range(len(tasks)))
    seeds = range(options.first, options.first + options.episodes)
    jobs = [(chosen[seed % len(chosen)], seed, options.split) for seed in seeds]
    config = Recording.Config(env=ENV_OF_SUITE.get(suite, "libero"), suite=suite, expert=suite)
    made, there = record_all(config, writable(options.out), jobs, options.workers, say=print)
    print(f"{made} episodes made, {there} in {options.out}. Open it with LeRobotDataset(root='{options.out}').")
    return 0
