"""The tests of a program as people publish them, each format as one of three kinds.

    HumanEval   {"test": "def check(candidate): …", "entry_point": "f"}
    MBPP        {"test_list": ["assert f(1) == 7", …], "test_setup_code": "", "test_imports": []}, or the list
    APPS        {"inputs": ["1 2\\n", …], "outputs": ["3\\n", …]}, with "fn_name" calls: [[1, 2], …], [[3], …]
    LiveCodeBench  [{"input": "1 2\\n", "output": "3\\n", "testtype": "stdin"}, …], or "functional": calls

Any of them may be JSON text. Numbers are compared with a tolerance where the object has one ("tolerance").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Asserts", "Calls", "Inputs", "as_object", "read_tests"]


@dataclass(frozen=True)
class Inputs:
    """Pairs of standard input and output."""

    pairs: Sequence[tuple[str, str]]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Calls:
    """Pairs of a function's arguments and the values any of which is right."""

    function: str
    pairs: Sequence[tuple[list[Any], Sequence[Any]]]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Asserts:
    """Python that must not raise.

    Attributes:
        code: run in turn, in one name space.
        entry_point: the function that `check(candidate)` is given, where they define one.
        setup: run behind the program, in its process.
    """

    code: list[str]
    entry_point: str | None = None
    setup: str = ""


def read_tests(reference: Any, extra: Mapping[str, Any] | None = None) -> Inputs | Calls | Asserts:
    """
    Args:
        extra: of the row; a function's name may stand there.

    Raises:
        ValueError: the reference is none of these; one line.
    """
    extra = extra or {}
    given = as_object(reference)
    try:
        if isinstance(given, list) and given and all(isinstance(each, Mapping) for each in given):
            return _livecodebench(given, extra)
        if isinstance(given, Mapping) and given.get("inputs"):
            return _apps(given, _name(given, extra))
        if isinstance(given, Mapping) and (given.get("test_list") or given.get("test")):
            return _asserts(given, extra)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"reference {reference!r:.80} has tests that cannot be read: {error!r:.200}"
        ) from error
    raise ValueError(f"reference {reference!r:.80} has no tests: see the formats in docs/verifier.md")


def as_object(reference: Any) -> Any:
    """Python by itself as an object, so that others can stand beside it; the rest as it is."""
    given = _parsed(reference)
    if isinstance(given, str):
        return {"test": given}
    if isinstance(given, list) and given and all(isinstance(each, str) for each in given):
        return {"test_list": given}
    return given


def _parsed(value: Any) -> Any:
    """JSON where it is; other text is Python."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _name(given: Mapping[str, Any], extra: Mapping[str, Any]) -> str | None:
    metadata = _parsed(extra.get("metadata") or {})
    named = (
        given.get("fn_name"),
        extra.get("fn_name"),
        metadata.get("func_name") if isinstance(metadata, Mapping) else None,
    )
    return next((str(name) for name in named if name), None)


def _asserts(given: Mapping[str, Any], extra: Mapping[str, Any]) -> Asserts:
    entry_point = given.get("entry_point") or extra.get("entry_point")
    code = list(given["test_list"]) if given.get("test_list") else [given["test"]]
    code = [*(given.get("test_imports") or ()), *code]
    if not all(isinstance(each, str) and each.strip() for each in code):
        raise TypeError("tests are text")
    if "def check(" in "".join(code) and not entry_point:
        raise KeyError("entry_point")
    # LeetCodeDataset has `Solution().twoSum`
    return Asserts(
        code, entry_point and str(entry_point).rpartition(".")[2], given.get("test_setup_code") or ""
    )


def _apps(given: Mapping[str, Any], function: str | None) -> Inputs | Calls:
    inputs, outputs = given["inputs"], given["outputs"]
    tolerance = float(given.get("tolerance") or 0)
    pairs = list(zip(inputs, outputs, strict=True))
    if function is None:
        return Inputs([(_text(a), _text(b)) for a, b in pairs], tolerance)
    return Calls(function, [(_arguments(a), _values(b)) for a, b in pairs], tolerance)


def _livecodebench(cases: Sequence[Mapping[str, Any]], extra: Mapping[str, Any]) -> Inputs | Calls:
    pairs = [(case["input"], case["output"]) for case in cases]
    if any(case.get("testtype", case.get("type")) in ("functional", "function_call") for case in cases):
        function = _name(cases[0], extra)
        if function is None:
            raise KeyError("fn_name")
        return Calls(function, [(_arguments(a), [_json(b)]) for a, b in pairs])
    return Inputs([(_text(a), _text(b)) for a, b in pairs])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _arguments(value: Any) -> list[Any]:
    """A list of them, or JSON, one a line."""
    if isinstance(value, str):
        return [json.loads(line) for line in value.splitlines() if line.strip()]
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list of arguments")
    return value


def _values(value: Any) -> list[Any]:
    """APPS wraps most values in a list, not all."""
    value = _json(value)
    return [value, value[0]] if isinstance(value, list) and len(value) == 1 else [value]


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
