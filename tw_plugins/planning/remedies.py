"""Which settings to try where a recipe does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

__all__ = ["combinations"]

Settings = tuple[str, ...]


def combinations(*kinds: Sequence[Settings]) -> list[Settings]:
    """One of each kind or none of it, those that change least first.

    >>> combinations([("a",), ("a", "b")], [("c",)])
    [('a',), ('c',), ('a', 'b'), ('a', 'c'), ('a', 'b', 'c')]
    """
    found = (sum(chosen, ()) for chosen in product(*([(), *kind] for kind in kinds)))
    return sorted(filter(None, found), key=len)
