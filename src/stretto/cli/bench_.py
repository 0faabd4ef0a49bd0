"""Run a benchmark and write its card: results/NAME.rows.jsonl, results/NAME.json, results/NAME.html.

The estimate is printed first. A run that was cut goes on where it stood (same commit).

examples:
  stretto bench latency
  stretto bench experts --workers 2
  stretto bench cascade --quick
  stretto bench experts --only KEY            one trial again, rows printed, nothing written
"""

import argparse
import json
from pathlib import Path

from stretto.core import registry


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", help=f"one of: {', '.join(registry.names('benchmark'))}")
    parser.add_argument("--n", type=int, help="trials per condition (default: the card's own number)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--quick", action="store_true", help="a smoke run; its card never counts")
    parser.add_argument("--fresh", action="store_true", help="begin anew, even if a cut run could go on")
    parser.add_argument("--only", metavar="KEY", help="run one trial, print its rows, write nothing")


def run(options: argparse.Namespace) -> int:
    """Make the benchmark and hand it to the runner."""
    benchmark = registry.load("benchmark", options.name)()
    from stretto.bench.card import run_card, run_one

    if options.only:
        for row in run_one(benchmark, options.only, options.n):
            print(json.dumps(row))
        return 0
    run_card(
        benchmark,
        out=options.out,
        workers=options.workers,
        resume=not options.fresh,
        quick=options.quick,
        n=options.n,
    )
    return 0
