"""A pipeline's file, read and checked; what is wrong with it is said with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.schema import Asked, Context
from tw_plugins.pipeline.source import VARIABLES, Source, read_source
from tw_plugins.settings import closest

__all__ = ["read_pipeline"]


def read_pipeline(
    path: Path,
    suffixes: Mapping[str, str],
    run: Path,
    given: Mapping[str, str] = MappingProxyType({}),
) -> Asked:
    """
    Args:
        suffixes: how recipes end, by the name of each framework.
        run: folder of the run.
        given: the file's variables that have another value, in YAML.

    Raises:
        OSError, FileError: there is no file, or no text in it.
        PipelineError: the first thing in it that cannot be, with its line.
    """
    source = read_source(path, given, run)
    context = Context(path.resolve().parent, suffixes)
    try:
        return Asked.model_validate(source.data, context=context)
    except ValidationError as error:
        found = error.errors(include_url=False)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise PipelineError(_message(source, found[0]) + more) from error


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
