"""Everything that has a name: agents, worlds, voices, benchmarks …, with one line each.

examples:
  stretto list
  stretto list agent
  stretto list --markdown > docs/parts.md
"""

import argparse

from stretto.core import registry


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("kind", nargs="?", help=f"only one kind: {', '.join(registry.TABLE)}")
    parser.add_argument("--markdown", action="store_true", help="as docs/parts.md, with the whole header of each file")


def run(options: argparse.Namespace) -> int:
    """Print the table. Imports nothing of what it lists."""
    kinds = [options.kind] if options.kind else list(registry.TABLE)
    if options.markdown:
        print(markdown(kinds), end="")
        return 0
    for kind in kinds:
        print(f"{kind}")
        for name in registry.names(kind):
            print(f"  {name:16} {registry.describe(kind, name).partition(chr(10))[0]}")
    return 0


def markdown(kinds: list[str]) -> str:
    """The parts page: every name with the header of its file."""
    lines = ["# Parts", "", "Made by `stretto list --markdown`; a test keeps it fresh.", ""]
    for kind in kinds:
        lines += [f"## {kind}", ""]
        for name in registry.names(kind):
            lines += [f"### {name}", "", f"`{registry.TABLE[kind][name]}`", "", registry.describe(kind, name), ""]
    return "\n".join(lines)
