"""Settings declared once: a field has its type, range, default and one line of help, and whoever needs one of
them (checks, flags, options of the command line, `docs/settings.md`) reads it there.

    @dataclass(frozen=True)
    class RewardSettings(Settings):
        rho: float = setting(0.5, "weight of the acceleration ratio", least=0)

Configuration files and command lines deliver `'0.5'`, `true`, `null` and `nan` where a number is meant, and
dataclasses do not look; a `Settings` does, when it is made.

Not pydantic, which the frameworks bring: `threadweaver --help` reads declarations too, and importing pydantic
made it start two thirds slower (0.41 → 0.68 s). Strict, it refuses numpy's whole numbers, and each message
here is made of the declaration, none of its texts.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from tw_plugins.errors import UserError

_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
    Mapping: "names and values",
}


class SettingsError(UserError, ValueError):
    """A setting that cannot work; the message names it as its user wrote it, and what to set instead."""


def setting(
    default: Any,
    text: str,
    *,
    least: float | None = None,
    most: float | None = None,
    check: Callable[[Any, str], None] | None = None,
    allowed: str | None = None,
) -> Any:
    """Declares a field of `Settings`.

    Args:
        text: one line of help, without a full stop.
        least, most: smallest and largest value; of a field that may be None, of the others.
        check: called with a value of the right type and its name, as users write it, in place of the check
            of the range; raises ValueError in words of its own.
        allowed: the range in words, where `check` knows it alone.
    """
    metadata = {"text": text, "least": least, "most": most, "check": check, "allowed": allowed}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Setting:
    """One declared setting. `kinds` are the types that its value may have; the rest is as in `setting`."""

    name: str
    kinds: tuple[Any, ...]
    default: Any
    text: str = ""
    least: float | None = None
    most: float | None = None
    check: Callable[[Any, str], None] | None = None
    allowed: str | None = None

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The words that are allowed, of a setting that is one of several."""
        return next((get_args(kind) for kind in self.kinds if get_origin(kind) is Literal), None)

    @property
    def wanted(self) -> str:
        """What a value must be: `a whole number or null, at least 1`."""
        parts = [" or ".join(map(_said, self.kinds))]
        if self.least is not None:
            parts.append(f"at least {self.least}")
        if self.most is not None:
            parts.append(f"at most {self.most}")
        return ", ".join([*parts, self.allowed] if self.allowed else parts)

    @cached_property
    def _exact(self) -> frozenset[type]:
        """Types of which every value fits, if it lies in the range; not every float is finite."""
        return frozenset(kind for kind in self.kinds if kind in (int, bool, str, NoneType))

    def validate(self, value: Any, prefix: str = "") -> None:
        """
        Raises:
            SettingsError: a value of another type, or out of range.
        """
        # most values have just the type that is declared, and asking for it is far quicker than `_is`
        typed = value.__class__ in self._exact or any(_is(value, kind) for kind in self.kinds)
        if self.check is not None and typed:
            if value is not None:
                _in_own_words(self.check, value, f"{prefix}{self.name}")
        elif not typed or not self._in_range(value):
            raise SettingsError(f"{prefix}{self.name}={value!r}: must be {self.wanted}")

    def _in_range(self, value: Any) -> bool:
        if value is None or (self.least is None and self.most is None):
            return True
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Settings:
    """Base of all settings.

    Raises:
        SettingsError: the first value that does not fit its declaration, and what it must be.
    """

    PREFIX: ClassVar[str] = ""
    """What users write before a setting's name."""

    def __post_init__(self) -> None:
        for one in declared(type(self)).values():
            one.validate(getattr(self, one.name), self.PREFIX)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From a section of a configuration.

        Raises:
            SettingsError: a key that is no setting, with those that are, or a value that does not fit.
        """
        known = declared(cls)
        if unknown := sorted(map(str, given.keys() - known.keys())):
            meant = closest(unknown[0], known)
            hint = f" (did you mean {meant}?)" if meant else ""
            raise SettingsError(
                f"{cls.PREFIX.removesuffix('.')} has no setting {', '.join(unknown)}; the settings are "
                f"{', '.join(known)}{hint}"
            )
        return cls(**given)


def declared(kind: type) -> dict[str, Setting]:
    """The settings of a dataclass by name, in order; a field that `setting` has not made has a type only."""
    return _declared(kind)


@cache  # evaluating annotations takes longer than the checks, and every reward is computed with settings
def _declared(kind: type) -> dict[str, Setting]:
    hints = get_type_hints(kind)
    return {
        one.name: Setting(one.name, _kinds(hints[one.name]), one.default, **one.metadata)
        for one in fields(kind)
    }


def section(value: Any, key: str, example: str) -> dict[str, Any]:
    """What a section of a configuration holds; nothing where it is absent.

    Raises:
        SettingsError: it is no section; the message shows `key.example`.
    """
    if not isinstance(value, Mapping | None):
        raise SettingsError(f"{key}={value!r}: it must hold settings, e.g. {key}.{example}")
    return dict(value or {})


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that a mistyped `name` was meant to be, if any is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return found[0] if found else None


def _in_own_words(check: Callable[[Any, str], None], value: Any, name: str) -> None:
    try:
        check(value, name)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The parts of a union; of a `Mapping[str, Any]`, what it is."""
    parts = get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
    return tuple(Mapping if get_origin(part) is get_origin(Mapping[str, Any]) else part for part in parts)


def _is(value: Any, kind: Any) -> bool:
    if kind is float and value.__class__ is float:  # the most frequent case; abstract classes are slow
        return math.isfinite(value)
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
