"""Which core a part of a live session runs on, where a machine has at least two (Linux; elsewhere nothing happens).

An agent whose tick is a network's step wants a core to itself: a synthesizer or a simulator that is put there for a
moment may cost it a tick. `own_core` of an agent asks for it: the thread of the tick then stays `alone` on the first
core, the world's process and all jobs go `aside`. What it is worth has not been measured apart from the machine's noise
(docs/log.md).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""What this process was given when it began."""


def aside() -> None:
    """From now on the calling thread, and what it starts, leaves the first core alone."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])


@contextmanager
def alone() -> Iterator[None]:
    """The calling thread stays on the first core meanwhile."""
    if len(CORES) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES[:1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
