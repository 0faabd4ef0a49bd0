"""What one named thing is, and what can be set: `stretto show NAME`, or `stretto show KIND NAME`.

examples:
  stretto show cascade
  stretto show env libero
  stretto show layout tick200          a tick as a table of streams, and three of them token by token
"""

import argparse
import dataclasses
import importlib

from stretto.core import registry
from stretto.core.errors import StrettoError

PAGES = {"layout": "stretto.think.plan:page"}
"""Kinds that tell more than their settings: a function of the object at its defaults."""


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="+", metavar="[KIND] NAME")


def run(options: argparse.Namespace) -> int:
    """Print the file's header docstring, where it lives, and the fields of its Config."""
    if len(options.name) > 2:
        raise StrettoError(f"Expected NAME or KIND NAME, got {len(options.name)} words: {' '.join(options.name)}.")
    name = options.name[-1]
    if len(options.name) == 2:
        registry.names(options.name[0])
        kinds = [options.name[0]]
    else:
        kinds = registry.kinds_of(name)
    for kind in kinds:
        owner = registry.load(kind, name)
        print(f"{kind} {name}  ({registry.TABLE[kind][name]})\n")
        print(registry.describe(kind, name))
        config = getattr(owner, "Config", None)
        if config is not None:
            print("\nSettings:" if dataclasses.fields(config) else "\nNothing to set.")
            for field in dataclasses.fields(config):
                default = field.default if field.default is not dataclasses.MISSING else "…"
                print(f"  {field.name} = {default!r}")
        print()
        if kind in PAGES:
            module, _, function = PAGES[kind].partition(":")
            print(getattr(importlib.import_module(module), function)(registry.build(kind, name)) + "\n")
    return 0
