"""A reference answer as people publish it → the text that an answer is compared with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import text_of
from tw_plugins.grading import extract_answer, is_readable
from tw_plugins.verifiers.code.reference import as_object, read_tests

__all__ = ["published", "reference_of", "tests_of"]

_AFTER_WORKING = re.compile(r".*####(.*)", re.DOTALL)  # GSM8K's
LONGEST = 200  # characters; what is longer is a solution


def reference_of(value: Any) -> str:
    r"""The answer of `72`, `"72"`, `["72"]`, `"… #### 72"` and `"… \boxed{72}"` alike.

    Raises:
        BadRow: there is none, it is no text or number, it is several, a worked solution, or nothing that an
            answer could be compared with, which would be a reward of 0 for ever.
    """
    if isinstance(value, list):
        if len(value) > 1:
            raise BadRow("several reference answers", f"{value!r:.60}")
        value = value[0] if value else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise BadRow("no reference answer")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise BadRow("reference answer is not finite", repr(value))
        return str(value)
    if not isinstance(value, str):
        raise BadRow("reference answer is not text", f"{value!r:.60}")
    return _answer_in(text_of(value))


def published(value: Any) -> Any:
    """The reference as it stands, for a verifier other than `math`: text (a number too), a list or an object.

    None where there is none: some verifiers need no reference.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


BESIDE = ("entry_point", "fn_name", "test_setup_code", "test_imports")
"""Columns that complete the tests of a program."""


def tests_of(value: Any, columns: Mapping[str, Any]) -> str:
    """The tests of a program, as JSON text: tables want one type, and tests have many.

    Args:
        columns: of the row; what HumanEval and MBPP have beside their tests is taken from there.

    Raises:
        BadRow: they are none that the verifier `code` can run.
    """
    beside = {name: columns[name] for name in BESIDE if columns.get(name)}
    given = as_object(value)
    if isinstance(given, Mapping):
        given = {**beside, **{name: part for name, part in given.items() if part is not None}}
    extra = columns.get("extra_info")
    try:
        read_tests(
            given, {"metadata": columns.get("metadata"), **(extra if isinstance(extra, Mapping) else {})}
        )
    except ValueError as error:
        raise BadRow("reference is no tests of a program", str(error)) from error
    return json.dumps(given, default=str)


def _answer_in(text: str) -> str:
    if worked := _AFTER_WORKING.match(text):
        text = worked[1]
    elif (boxed := extract_answer(text)) is not None:
        text = boxed
    text = text.strip()
    if text.startswith("$") and text.endswith("$") and text.count("$") == 2:
        text = text[1:-1].strip()
    if not text:
        raise BadRow("no reference answer")
    if len(text) > LONGEST or "\n" in text:
        raise BadRow("reference answer is a worked solution", f"{text!r:.60}")
    if not is_readable(text):
        raise BadRow("reference answer that grading cannot read", f"{text!r:.60}")
    return text
