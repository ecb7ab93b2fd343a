"""A program whose functions are called from outside. What is expected of them never comes here.

→ {"do": "load", "program": "def f(x): …", "setup": "", "seconds": 60}
→ {"do": "names", "names": ["f", "Node"]}             ← {"value": {"dict": [["f", {"kept": 0}]]}}
→ {"do": "call", "of": {"kept": 0}, "arguments": [[1]], "named": {"dict": []}}
                                                      ← {"value": 7, "arguments": [[1]]}
→ {"do": "get" | "set", "of": …, "name": "left", "to": …}
← {"raised": "ValueError", "said": "no such part"} where that raises
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .confine import confine
from .lines import connect
from .prelude import PRELUDE
from .values import decode, encode


def main() -> None:
    requests, reply = connect()
    host = _Host()
    for request in requests:
        try:
            said = getattr(host, request.pop("do"))(**request)
        except BaseException as error:  # `sys.exit` too
            said = {"raised": type(error).__name__, "said": str(error)[:500]}
        reply(said)


class _Host:
    """The loaded program, and its values that are no data."""

    def __init__(self) -> None:
        self.module = ModuleType("program")
        self.kept: list[Any] = []

    def load(self, program: str, setup: str, seconds: float) -> dict[str, Any]:
        sys.modules["program"] = self.module
        exec(PRELUDE, self.module.__dict__)
        confine(seconds)
        for code in (program, setup):
            exec(compile(code, "program.py", "exec", dont_inherit=True), self.module.__dict__)
        return {"value": None}

    def names(self, names: list[str]) -> dict[str, Any]:
        """Those that the program has, methods of LeetCode's class `Solution` among them."""
        there = vars(self.module)
        solution = there["Solution"]() if isinstance(there.get("Solution"), type) else None
        found = {name: there.get(name, getattr(solution, name, None)) for name in names}
        return {"value": self._encoded({name: value for name, value in found.items() if value is not None})}

    def call(self, of: Any, arguments: list[Any], named: Any) -> dict[str, Any]:
        given, by_name = self._decoded(arguments), self._decoded(named)
        value = self._decoded(of)(*given, **by_name)
        return {"value": self._encoded(value), "arguments": self._encoded(given)}  # it may have changed them

    def get(self, of: Any, name: str) -> dict[str, Any]:
        return {"value": self._encoded(getattr(self._decoded(of), name))}

    def set(self, of: Any, name: str, to: Any) -> dict[str, Any]:
        setattr(self._decoded(of), name, self._decoded(to))
        return {"value": None}

    def _keep(self, value: Any) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def _encoded(self, value: Any) -> Any:
        return encode(value, self._keep)

    def _decoded(self, given: Any) -> Any:
        return decode(given, self.kept.__getitem__)
