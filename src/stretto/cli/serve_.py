"""Open the page to talk to the robot. It comes with the talk milestone."""

import argparse

from stretto.core.errors import StrettoError


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--port", type=int, default=8080)


def run(options: argparse.Namespace) -> int:
    """Say that there is no page yet."""
    raise StrettoError(
        "there is no page yet: it comes with the talk milestone. `stretto demo` makes a video meanwhile."
    )
