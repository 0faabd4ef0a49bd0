"""What differs between two layouts, in words: stream, field, expected, got. No torch."""

from collections.abc import Iterator, Mapping
from typing import Any

VOCABULARY = ("expert", "size of the tokenizer", "own tokens")
"""What the three entries of a vocabulary in a signature are."""


def differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    """Every difference between two `Layout.signature()`s, one phrase each; empty when they agree.

    >>> differences({"name": "a", "streams": [], "vocabularies": {}}, {"name": "b", "streams": [], "vocabularies": {}})
    ["layout, name: expected 'a', got 'b'"]
    """
    (order, streams, tables), (their_order, their_streams, their_tables) = _parts(expected), _parts(got)
    return [
        *_fields("layout", order, their_order),
        *_entries("stream", streams, their_streams),
        *_entries("vocabulary", tables, their_tables),
    ]


def _parts(signature: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The layout as a whole, with the order of its streams; its streams; its vocabularies."""
    streams = {stream["name"]: stream for stream in signature["streams"]}
    tables = {name: dict(zip(VOCABULARY, parts, strict=True)) for name, parts in signature["vocabularies"].items()}
    whole = {name: value for name, value in signature.items() if name != "vocabularies"}
    return {**whole, "streams": list(streams)}, streams, tables


def _entries(what: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in theirs:
            yield f"{what} '{name}': expected, but not in the checkpoint"
        elif name not in ours:
            yield f"{what} '{name}': in the checkpoint, but not expected"
        else:
            yield from _fields(f"{what} '{name}'", ours[name], theirs[name])


def _fields(where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for field in dict.fromkeys([*ours, *theirs]):
        if ours.get(field) != theirs.get(field):
            yield f"{where}, {field}: expected {ours.get(field)!r}, got {theirs.get(field)!r}"
