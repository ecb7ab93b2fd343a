"""A pipeline's file, read and checked; what is wrong with it is said with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.schema import Asked, Context
from tw_plugins.pipeline.source import VARIABLES, Source, read_source
from tw_plugins.settings import closest

__all__ = ["Read", "read_pipeline"]

_ORDER = ("value_error", "extra_forbidden")  # what is called by a wrong name is missing under the right one
_OTHER_FRAMEWORK = ("framework",)  # all else is looked at as that framework's


class Read(NamedTuple):
    """A checked file, and where each part of it stands."""

    asked: Asked
    source: Source


def read_pipeline(
    path: Path,
    suffixes: Mapping[str, str],
    run: Path,
    given: Mapping[str, str] = MappingProxyType({}),
) -> Read:
    """
    Args:
        suffixes: how recipes end, by the name of each framework.
        run: folder of the run.
        given: the file's variables that have another value, in YAML.

    Raises:
        OSError, FileError: there is no file, or no text in it.
        PipelineError: something in it that cannot be, with its line.
    """
    source = read_source(path, given, run)
    context = Context(path.resolve().parent, suffixes)
    try:
        return Read(Asked.model_validate(source.data, context=context), source)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=_rank)
        raise PipelineError(_message(source, first)) from error


def _rank(error: Any) -> tuple[bool, int]:
    """Lowest: what the other errors may come from."""
    kind = error["type"]
    return error["loc"] != _OTHER_FRAMEWORK, _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _message(source: Source, error: Any) -> str:
    place, value = error["loc"], error.get("input")
    name = ".".join(map(str, place))
    where = source.where(place)
    if error["type"] == "extra_forbidden":
        known = _known(place[:-1])
        if len(place) == 1:
            known.append(VARIABLES)
        meant = closest(str(place[-1]), known)
        hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
        return f"{where}: there is no {name}; {hint}"
    if error["type"] == "missing":
        return f"{where}: {name} is missing: add it"
    if error["type"] == "value_error":
        return f"{where}: {name}: {error['ctx']['error']}" if name else f"{where}: {error['ctx']['error']}"
    said = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"{where}: {name}={value!r}: it must be {said}"


def _known(place: tuple[Any, ...]) -> list[str]:
    """The names that a part of the file may have."""
    kind: type[BaseModel] = Asked
    for part in place:
        field = next(f for n, f in kind.model_fields.items() if part in (n, f.alias))
        options = (field.annotation, *get_args(field.annotation))
        kind = next(one for one in options if isinstance(one, type) and issubclass(one, BaseModel))
    return [field.alias or name for name, field in kind.model_fields.items()]
