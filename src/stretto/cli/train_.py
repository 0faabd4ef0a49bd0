"""Train a network by its recipe (`stretto list recipe`), with progress and the time left. Goes on where it was cut.

examples:
  stretto train spotter                                the reflex's keyword spotter, 40 minutes of two cores
  stretto train spotter --set words=stop,wait,halt     for other words
  stretto train spotter --size debug --out out/try     seconds: does it run?
"""

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("recipe", nargs="?", help="see `stretto list recipe`")
    parser.add_argument("--size", default="full", choices=("full", "debug"), help="debug: seconds, to see that it runs")
    parser.add_argument("--minutes", type=float, help="of training (default: the recipe's own)")
    parser.add_argument("--out", type=Path, help="folder (default out/RECIPE)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the recipe")


def run(options: argparse.Namespace) -> int:
    """Train, telling how far it is."""
    from stretto.core import registry
    from stretto.core.config import override
    from stretto.core.errors import StrettoError
    from stretto.sessions.live import writable

    if not options.recipe:
        raise StrettoError(f"Expected a recipe: {', '.join(registry.names('recipe'))}.")
    recipe = registry.load("recipe", options.recipe).Config  # type: ignore[attr-defined]
    config = recipe.tiny() if options.size == "debug" else recipe()
    changes = [f"seed={options.seed}", *([f"minutes={options.minutes}"] if options.minutes else []), *options.set]
    config = override(config, changes)
    folder = writable(options.out or Path("out") / options.recipe)
    config.build().run(folder, lambda text: print(text, flush=True))
    return 0
