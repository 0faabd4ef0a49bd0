"""Train a recipe. The learned models come with the backbone milestone."""

import argparse

from stretto.core.errors import StrettoError


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("recipe", nargs="?")


def run(options: argparse.Namespace) -> int:
    """Say that there is nothing to train yet."""
    raise StrettoError("there is no recipe to train yet: learned models come with the backbone milestone.")
