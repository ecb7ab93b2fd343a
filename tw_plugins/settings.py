"""Settings as users give them: of the declared type, finite and in range, or one message.

Configuration files and command lines deliver `'0.5'`, `true`, `null` and `nan` where a number is meant, and
dataclasses do not look.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}


def check_fields(settings: Any, prefix: str = "", *, least: Mapping[str, float] | None = None) -> None:
    """Check each field of a settings dataclass against its annotation: int, float, bool, str, Literal, None.

    Args:
        prefix: what users write before a field's name.
        least: field → smallest value that is allowed.

    Raises:
        ValueError: the first value that does not fit, and what it must be.
    """
    for name, hint in _hints(settings.__class__).items():
        value, bound = getattr(settings, name), (least or {}).get(name)
        allowed = _alternatives(hint)
        fits = any(_is(value, kind) for kind in allowed)
        if fits and (bound is None or value is None or value >= bound):
            continue
        wanted = " or ".join(_said(kind) for kind in allowed)
        limit = "" if bound is None else f", at least {bound}"
        raise ValueError(f"{prefix}{name}={value!r}: must be {wanted}{limit}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that a mistyped `name` was meant to be, if any is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return found[0] if found else None


@cache  # evaluating annotations takes longer than the rest, and rewards are settings too
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The parts of a union."""
    return get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(value, bool):
        return bool(kind is bool)
    if kind is int:
        return isinstance(value, Integral)
    if kind is float:
        return isinstance(value, Integral) or (isinstance(value, Real) and math.isfinite(value))
    return isinstance(value, kind)


def _said(kind: Any) -> str:
    return f"one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else _NAMES[kind]
