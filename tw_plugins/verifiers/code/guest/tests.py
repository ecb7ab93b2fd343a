"""Asserts on a program that runs elsewhere: what they call is asked for, and only its value comes back.

→ {"tests": ["assert f(1) == 7"], "entry_point": "f", "seconds": 60}
← a request to the program (`guest.program`)   → its answer    …
← {"passed": true} or {"broken": "SyntaxError: …"}, where the fault is the tests'
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from .confine import confine
from .lines import connect
from .prelude import MODULES
from .values import decode, encode

Ask = Callable[..., Any]


class Broken(Exception):
    """The tests cannot be run as they are."""


def main() -> None:
    requests, reply = connect()
    given = next(requests)
    confine(given.pop("seconds"))

    def ask(**request: Any) -> dict[str, Any]:
        reply(request)
        answer = next(requests)
        if "raised" in answer:
            raise _exception(answer["raised"], answer["said"])
        return answer

    try:
        _run(ask, **given)
        reply({"passed": True})
    except Broken as error:
        reply({"broken": str(error)})
    except BaseException:  # whatever the program's values made of the tests
        reply({"passed": False})


def _run(ask: Ask, tests: list[str], entry_point: str | None) -> None:
    try:
        codes = [compile(test, "tests.py", "exec", dont_inherit=True) for test in tests]
        used = {node.id for test in tests for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
    except (SyntaxError, ValueError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    # Never `abs` or `math`: the program would say what the tests mean by them.
    names = sorted(
        (used - vars(builtins).keys() - MODULES.keys()) | ({entry_point} if entry_point else set())
    )
    remotes = _Remotes(ask)
    found = remotes.decoded(ask(do="names", names=names)["value"])
    space: dict[str, Any] = {"__name__": "tests", **MODULES, **found}
    for code in codes:
        exec(code, space)
    if entry_point and callable(check := space.get("check")):
        check(found[entry_point])


class _Remotes:
    """Asks the program's process, whose values other than data are known here by number."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def call(self, of: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = self.encoded(list(arguments))
        answer = self.ask(do="call", of=self.encoded(of), arguments=given, named=self.encoded(named))
        if answer["value"] is None:  # a function that changes what it is given; others cannot make it fit
            for mine, changed in zip(arguments, self.decoded(answer["arguments"]), strict=True):
                _take_over(mine, changed)
        return self.decoded(answer["value"])

    def encoded(self, value: Any) -> Any:
        return encode(value, _number)

    def decoded(self, given: Any) -> Any:
        return decode(given, lambda number: Remote(self, number))


class Remote:
    """Stands for a function, class or object of the program. It equals nothing but itself."""

    def __init__(self, remotes: _Remotes, number: int) -> None:
        vars(self).update(_remotes=remotes, _number=number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._remotes.call(self, arguments, named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        remotes = self._remotes
        return remotes.decoded(remotes.ask(do="get", of=remotes.encoded(self), name=name)["value"])

    def __setattr__(self, name: str, value: Any) -> None:
        remotes = self._remotes
        remotes.ask(do="set", of=remotes.encoded(self), name=name, to=remotes.encoded(value))


def _number(value: Any) -> int:
    if isinstance(value, Remote):
        return vars(value)["_number"]
    raise Broken(f"the tests give the program a {type(value).__name__}, which is no data")


def _take_over(mine: Any, changed: Any) -> None:
    if isinstance(mine, list) and isinstance(changed, list):
        mine[:] = changed
    elif isinstance(mine, dict | set) and isinstance(changed, dict | set):
        mine.clear()
        mine.update(changed)


def _exception(name: str, said: str) -> BaseException:
    """Of that name where there is one: tests may expect it."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind(said)
    return RuntimeError(f"{name}: {said}")
