"""A small template language for sentences: alternatives in brackets, slots in braces.

    "stop[ it| that|][, please|]."        one of stop it, please. / stop it. / stop that. ...
    "where is the {thing}?"               a slot is a tuple of templates, so slots may hold slots

`draw` takes one sentence at random, `every` walks through all of them, `count` says how many there are. Alternatives
are drawn evenly, so a long list of variants does not outweigh its neighbours.

Needs: nothing. Does not know what is said (data/talk_tables.py).
"""

import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stretto.core.errors import StrettoError, unknown

Slots = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Node:
    """A part of a template: `kind` text or slot with its `name`, any (one of `parts`) or all (`parts` in a row)."""

    kind: str
    name: str = ""
    parts: tuple["Node", ...] = ()


_MARKS = re.compile(r"[\[\]|]|\{\w+\}")


def draw(template: str, slots: Slots, source: np.random.Generator) -> str:
    """One sentence of the template. Raises StrettoError for an unknown slot or a bracket that is not closed.

    >>> draw("[go on|go on], {who}", {"who": ("robot",)}, np.random.default_rng(0))
    'go on, robot'
    """
    return _draw(parse(template), slots, source)


def every(template: str, slots: Slots) -> Iterator[str]:
    """All sentences of the template, in order.

    >>> list(every("[go|carry] on[, {who}|]", {"who": ("robot",)}))
    ['go on, robot', 'go on', 'carry on, robot', 'carry on']
    """
    return _every(parse(template), slots)


def count(template: str, slots: Slots) -> int:
    """How many sentences the template has, repeated ones counted."""
    return _count(parse(template), slots)


@functools.lru_cache(maxsize=8_192)
def parse(template: str) -> Node:
    """The tree of a template. Raises StrettoError when a bracket is not closed, or closed twice."""
    places = [0, *itertools.chain.from_iterable(mark.span() for mark in _MARKS.finditer(template)), len(template)]
    cut = [template[start:end] for start, end in itertools.pairwise(places)]
    node, rest = _alternatives([part for part in cut if part], nested=False)
    if rest:
        raise StrettoError(f"The template has a ']' too many: {template!r}.")
    return node


def _alternatives(parts: list[str], nested: bool) -> tuple[Node, list[str]]:
    """The node of what stands before the closing bracket (or the end), and what comes after it."""
    options: list[Node] = []
    current: list[Node] = []
    while parts:
        part, parts = parts[0], parts[1:]
        if part == "[":
            node, parts = _alternatives(parts, nested=True)
            current.append(node)
        elif part == "]":
            if not nested:
                return Node("all"), [part]
            return Node("any", parts=(*options, Node("all", parts=tuple(current)))), parts
        elif part == "|" and nested:
            options, current = [*options, Node("all", parts=tuple(current))], []
        else:
            slot = part.startswith("{") and part.endswith("}")
            current.append(Node("slot", part[1:-1]) if slot else Node("text", part))
    if nested:
        raise StrettoError("A '[' of the template is not closed.")
    return Node("all", parts=tuple(current)), []


def _options(name: str, slots: Slots) -> Sequence[str]:
    if name not in slots:
        raise unknown("slot of a template", name, slots)
    return slots[name]


def _draw(node: Node, slots: Slots, source: np.random.Generator) -> str:
    if node.kind == "text":
        return node.name
    if node.kind == "slot":
        options = _options(node.name, slots)
        return _draw(parse(options[int(source.integers(len(options)))]), slots, source)
    if node.kind == "any":
        return _draw(node.parts[int(source.integers(len(node.parts)))], slots, source)
    return "".join(_draw(each, slots, source) for each in node.parts)


def _every(node: Node, slots: Slots) -> Iterator[str]:
    if node.kind == "text":
        yield node.name
    elif node.kind == "slot":
        for option in _options(node.name, slots):
            yield from _every(parse(option), slots)
    elif node.kind == "any":
        for each in node.parts:
            yield from _every(each, slots)
    else:
        yield from map("".join, itertools.product(*(list(_every(each, slots)) for each in node.parts)))


def _count(node: Node, slots: Slots) -> int:
    if node.kind == "text":
        return 1
    if node.kind == "slot":
        return sum(_count(parse(option), slots) for option in _options(node.name, slots))
    counts = (_count(each, slots) for each in node.parts)
    return sum(counts) if node.kind == "any" else math.prod(counts)
