"""Programs in Python, judged by tests (docs/verifier.md): the last fenced block of the answer, in a sandbox.

A program that fails a test, ends, hangs or attacks is wrong: 0, no failure of the verifier.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from tw_plugins.verifiers.code import sandbox
from tw_plugins.verifiers.code.judge import passes
from tw_plugins.verifiers.code.reference import read_tests

__all__ = ["check", "program_in", "verify", "verify_without_sandbox"]

_BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


def program_in(text: str) -> str | None:
    """The last fenced block behind `</think>`, or else the last one at all."""
    blocks = _BLOCK.findall(text.rpartition("</think>")[2]) or _BLOCK.findall(text)
    return textwrap.dedent(blocks[-1]) if blocks else None


def verify(prompt: str, text: str, reference: Any, extra: Mapping[str, Any], seconds: float = 60.0) -> bool:
    """Whether the answer's program passes every test of the reference.

    Args:
        seconds: in which it must be through all of them.

    Raises:
        ValueError: the reference has no tests that can be run.
        RuntimeError: the sandbox does not start.
    """
    return _verify(text, reference, extra, seconds, boxed=True)


def verify_without_sandbox(
    prompt: str, text: str, reference: Any, extra: Mapping[str, Any], seconds: float = 60.0
) -> bool:
    """The same with the limits alone: programs see this user's files and network."""
    return _verify(text, reference, extra, seconds, boxed=False)


def check(sources: Iterable[str] = ()) -> None:
    """
    Raises:
        ValueError: programs cannot be run here.
    """
    if why := sandbox.problem():
        raise ValueError(
            f"{why}. verifier=code_without_sandbox runs a model's programs with your rights instead"
        )


def _verify(text: str, reference: Any, extra: Mapping[str, Any], seconds: float, boxed: bool) -> bool:
    tests = read_tests(reference, extra)  # first: broken ones are told of whatever the answer
    program = program_in(text)
    return program is not None and passes(program, tests, seconds, boxed)


verify.check = check  # type: ignore[attr-defined]
