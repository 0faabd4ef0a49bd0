"""Everything that has a name: agents, worlds, voices, benchmarks …, with one line each.

examples:
  stretto list
  stretto list agent
"""

import argparse

from stretto.core import registry


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("kind", nargs="?", help=f"only one kind: {', '.join(registry.TABLE)}")


def run(options: argparse.Namespace) -> int:
    """Print the table. Imports nothing of what it lists."""
    kinds = [options.kind] if options.kind else list(registry.TABLE)
    for kind in kinds:
        print(f"{kind}")
        for name in registry.names(kind):
            print(f"  {name:16} {registry.describe(kind, name).partition(chr(10))[0]}")
    return 0
