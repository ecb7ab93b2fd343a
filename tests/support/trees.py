"""Random trees of requests, written depth first a second time, with the context of every token.

Nothing of the code under test is used. Ids are numbers that occur once, but where a token stands twice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """A segment of a tree.

    Attributes:
        context: ids that it continues.
        header: how many of its own are injected.
        own: its ids.
        branches: that continue it, after one of its ids at the earliest.
    """

    context: list[int]
    header: int
    own: list[int]
    branches: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Token:
    """A token of a row: its position, and the ids of its request up to itself, itself included."""

    position: int
    request: list[int]
    trained: bool


def random_tree(rng: random.Random, depth: int, ids: Iterator[int], context: list[int] | None = None) -> Node:
    """At most `depth` levels of branches, some of them without a header, some at their parent's end."""
    root = context is None
    context = context or []
    header = rng.choice([1, 2]) if root else rng.choice([0, 0, 1, 2])
    own = [next(ids) for _ in range(header + rng.randint(2 if root else 1, 5))]
    tree = Node(context, header, own)
    for _ in range(rng.randint(0, 3) if depth else 0):
        after = rng.randint(2 if root else 1, len(own))
        tree.branches.append(random_tree(rng, depth - 1, ids, context + own[:after]))
    return tree


def lay_out(node: Node, row: list[Token] | None = None) -> list[Token]:
    """The row of a tree, largest start first.

    A branch begins with a copy of its parent's last token or tokens where it has no header, or where nobody
    would see that it begins.
    """
    root, row = row is None, [] if row is None else row
    position, header = len(node.context), node.header
    while not root and (header == 0 or position == row[-1].position + 1):
        position, header = position - 1, header + 1
    path = node.context + node.own
    row += [
        Token(place, path[: place + 1], place >= len(node.context) + node.header)
        for place in range(position, len(path))
    ]
    for branch in sorted(node.branches, key=lambda one: len(one.context) - (one.header == 0), reverse=True):
        lay_out(branch, row)
    return row


def random_rows(seed: int, depth: int = 5, longest: int = 150) -> list[list[Token]]:
    """Trees that are to be packed one after the other."""
    rng, ids = random.Random(seed), iter(range(1 << 30))
    rows: list[list[Token]] = []
    for _ in range(rng.randint(1, 3)):
        made = lay_out(random_tree(rng, rng.randint(0, depth), ids))
        if sum(map(len, rows)) + len(made) <= longest:
            rows.append(made)
    return rows or [lay_out(random_tree(rng, 0, ids))]
