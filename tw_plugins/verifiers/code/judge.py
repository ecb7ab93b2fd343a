"""Whether a program passes its tests. What it must answer never goes where it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tw_plugins.grading.process import JsonProcess, WorkerDied, WorkerLate
from tw_plugins.verifiers.code.compare import same_text, same_value
from tw_plugins.verifiers.code.guest.values import decode
from tw_plugins.verifiers.code.reference import Asserts, Calls, Inputs
from tw_plugins.verifiers.code.sandbox import guest

__all__ = ["passes"]

SECONDS = 10.0
"""Of one case, or of one call by a test; a program that takes longer is wrong."""


class _Wrong(Exception):
    """The program has no answer: it is late, dead, or does not keep to what was asked."""


class _Clock:
    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        """
        Raises:
            _Wrong: nothing is left.
        """
        if (left := self.end - time.monotonic()) <= 0:
            raise _Wrong
        return left


def passes(program: str, tests: Inputs | Calls | Asserts, seconds: float, boxed: bool = True) -> bool:
    """Whether it passes all, within so many seconds.

    Args:
        boxed: in the sandbox.

    Raises:
        RuntimeError: the sandbox does not start, or the tests did not come to a verdict.
        ValueError: the tests themselves are broken.
    """
    clock = _Clock(seconds)
    try:
        if isinstance(tests, Inputs):
            return _answers_inputs(program, tests, clock, boxed)
        if isinstance(tests, Calls):
            return _answers_calls(program, tests, clock, boxed)
        return _holds(program, tests, clock, boxed)
    except _Wrong:
        return False


def _ask(
    program: JsonProcess, request: Mapping[str, Any], clock: _Clock, grace: float = 1.0
) -> dict[str, Any]:
    """Anything may come from there."""
    try:
        reply = program.request(request, min(SECONDS + grace, clock.left()))
    except (WorkerLate, WorkerDied, ValueError, RecursionError) as error:
        raise _Wrong from error
    if not isinstance(reply, dict):
        raise _Wrong
    return reply


def _answers_inputs(program: str, tests: Inputs, clock: _Clock, boxed: bool) -> bool:
    with guest("cases", boxed) as cases:
        for given, expected in tests.pairs:
            seconds = min(SECONDS, clock.left())
            said = _ask(cases, {"program": program, "stdin": given, "seconds": seconds}, clock)
            if "broken" in said:
                raise RuntimeError(f"no process for the program: {said['broken']}")
            if said.get("status") != 0 or not same_text(str(said.get("output")), expected, tests.tolerance):
                return False
    return True


def _answers_calls(program: str, tests: Calls, clock: _Clock, boxed: bool) -> bool:
    with guest("program", boxed) as host:
        _load(host, program, "", clock)
        function = _value(_ask(host, {"do": "names", "names": [tests.function]}, clock), _Kept).get(
            tests.function
        )
        if not isinstance(function, _Kept):
            return False
        for arguments, expected in tests.pairs:
            request = {
                "do": "call",
                "of": {"kept": function.number},
                "arguments": _sent(arguments),
                "named": {"dict": []},
            }
            value = _value(_ask(host, request, clock), _Kept)
            if not any(same_value(value, each, tests.tolerance) for each in expected):
                return False
    return True


def _holds(program: str, tests: Asserts, clock: _Clock, boxed: bool) -> bool:
    with guest("program", boxed) as host, guest("tests", boxed) as asking:
        _load(host, program, tests.setup, clock)
        try:
            reply = asking.request(
                {"tests": tests.code, "entry_point": tests.entry_point, "seconds": clock.left()}, clock.left()
            )
            while "do" in reply:
                reply = asking.request(_ask(host, reply, clock), clock.left())
        except (WorkerLate, WorkerDied) as error:
            raise RuntimeError("the tests, not the program, took too long or too much memory") from error
    if "broken" in reply:
        raise ValueError(f"the reference's tests cannot be run: {reply['broken']}")
    return reply["passed"] is True


def _load(host: JsonProcess, program: str, setup: str, clock: _Clock) -> None:
    request = {"do": "load", "program": program, "setup": setup, "seconds": clock.left()}
    if "raised" in _ask(host, request, clock):
        raise _Wrong


class _Kept:
    """A value that is no data, known by number; it equals nothing."""

    def __init__(self, number: int) -> None:
        self.number = number


def _value(reply: Mapping[str, Any], known: Any) -> Any:
    if "value" not in reply:
        raise _Wrong
    try:
        return decode(reply["value"], known)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Wrong from error


def _sent(value: Any) -> Any:
    """JSON's values as `guest.values` has them."""
    if isinstance(value, list):
        return [_sent(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[key, _sent(item)] for key, item in value.items()]}
    return value
