"""Errors a user can act on: expected, got, where, the nearest valid name, what to do next."""

import difflib
from collections.abc import Iterable


class StrettoError(ValueError):
    """Something the user gave or the machine lacks. The CLI prints it in one paragraph and exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None when nothing is close.

    >>> nearest("cascad", ["cascade", "zero"])
    'cascade'
    """
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(kind: str, name: str, known: Iterable[str]) -> StrettoError:
    """The error for a name that is not in a table: says what exists and which name is nearest."""
    known = sorted(known)
    close = nearest(name, known)
    hint = f" Did you mean '{close}'?" if close else ""
    shown = ", ".join(known[:20]) + (f", … ({len(known)} in all)" if len(known) > 20 else "")
    return StrettoError(f"Unknown {kind} '{name}'.{hint} Known: {shown}.")
