"""Values between processes that do not trust each other, as JSON: data by content, all else by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView, ValuesView
from itertools import islice
from typing import Any

MOST_ITEMS = 100_000  # of an iterator, which may have no end
SMALL = 1 << 53


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """A value as JSON.

    Args:
        keep: of a value that is no data, the number by which it will be known; it may raise.
    """
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < SMALL else {"int": hex(value)}
    if isinstance(value, bytes | bytearray):
        return {type(value).__name__: value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, list):
        return [encode(item, keep) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [encode(item, keep) for item in value]}
    if isinstance(value, Iterator | range | KeysView | ValuesView):
        return {"iterator": [encode(item, keep) for item in islice(iter(value), MOST_ITEMS)]}
    return {"kept": keep(value)}


MAKERS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict, "iterator": iter,
}  # fmt: skip
LEAVES: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda parts: complex(*parts),
}


def decode(given: Any, known: Callable[[int], Any]) -> Any:
    """The value again.

    Args:
        known: of a number that `keep` gave, the value or what stands for it.

    Raises:
        ValueError, TypeError, KeyError: what the other side wrote is no value.
    """
    if isinstance(given, list):
        return [decode(item, known) for item in given]
    if not isinstance(given, dict):
        return given
    ((tag, inner),) = given.items()
    if tag == "kept":
        return known(inner)
    return LEAVES[tag](inner) if tag in LEAVES else MAKERS[tag](decode(inner, known))
