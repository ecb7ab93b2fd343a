"""Numbers of tables as they were written: 0.1 in 32 bits is 0.10000000149011612 in Python's 64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["as_written"]

Change = Callable[[Any], Any]


def as_written(schema: Any) -> Change:
    """What makes each float of 16 or 32 bits in a row of a table the shortest number that is the same there.

    Args:
        schema: the table's, of pyarrow.
    """
    return _of_fields(schema) or (lambda row: row)


def _of_fields(fields: Any) -> Change | None:
    changes = {field.name: change for field in fields if (change := _of_type(field.type))}
    if not changes:
        return None
    return lambda row: {name: changes[name](one) if name in changes else one for name, one in row.items()}


def _of_type(kind: Any) -> Change | None:
    import numpy as np
    import pyarrow.types as types

    if types.is_float32(kind):
        return _or_none(lambda value: float(str(np.float32(value))))
    if types.is_float16(kind):
        return _or_none(lambda value: float(str(np.float16(value))))
    if types.is_struct(kind):
        return _or_none(_of_fields(kind))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        each = _of_type(kind.value_type)
        return _or_none(each and (lambda values: [each(value) for value in values]))
    return None


def _or_none(change: Change | None) -> Change | None:
    return change and (lambda value: None if value is None else change(value))
