"""A command that takes settings whole: every field becomes an option, declared where the field is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import typer

from tw_plugins.cli.options import sentence
from tw_plugins.settings import Setting, Settings, declared

__all__ = ["expanded"]

Command = Callable[..., None]


def expanded(command: Command) -> Command:
    """For Typer: in place of each parameter that is a `Settings`, an option for each of its fields.

        @app.command()
        @expanded
        def ask(out: Out, chat: ChatSettings, options: Annotated[Options, "attempts"]) -> None: ...

    The words beside a type choose fields; those that are not chosen keep their defaults.

    Raises:
        SettingsError: (the new command) a value that an option's range lets pass and the settings do not.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type[Settings], list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        kind, *chosen = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
        if isinstance(kind, type) and issubclass(kind, Settings):
            names = chosen or list(declared(kind))
            groups[parameter.name] = kind, names
            parameters += [_parameter(kind, name) for name in names]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint))

    @wraps(command)
    def run(**given: Any) -> None:
        made = {
            group: kind(**{name: given.pop(name) for name in names})
            for group, (kind, names) in groups.items()
        }
        command(**given, **made)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _parameter(kind: type[Settings], name: str) -> inspect.Parameter:
    one = declared(kind)[name]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if one.default is MISSING else one.default,
        annotation=Annotated[get_type_hints(kind)[name], _option(one)],
    )


def _option(one: Setting) -> Any:
    return typer.Option(min=one.least, max=one.most, help=sentence(one))
