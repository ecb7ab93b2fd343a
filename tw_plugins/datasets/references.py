"""A reference answer as people publish it → the text that an answer is compared with."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import text_of
from tw_plugins.grading import extract_answer, is_readable
from tw_plugins.verifiers.code.reference import as_object, read_tests

__all__ = ["published", "reference_of", "tests_of"]

_AFTER_WORKING = re.compile(r".*####(.*)", re.DOTALL)  # GSM8K's
LONGEST = 200  # characters; what is longer is a solution
_SAID = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?(?:the )?(?:final |correct )?answer is:? (.+?)\.?", re.IGNORECASE
)
_WRITTEN = re.compile(r"[\[{(]\s*['\"]")  # a list or an object of texts, by json.dumps or str
_MISSING = {"nan", "NaN", "None", "null", "NULL", "N/A", "<NA>", "#N/A", "NaT"}
"""What programs write for nothing."""


def reference_of(value: Any) -> str:
    r"""The answer of `72`, `"72"`, `["72"]`, `'["72"]'`, `"… #### 72"`, `"… \boxed{72}"`, `"Answer: 72"` and
    `"The answer is 72."`.

    Raises:
        BadRow: there is none, it is no text or number, it is several, a worked solution, or nothing that an
            answer could be compared with, which would be a reward of 0 for ever.
    """
    if isinstance(value, list):
        if len(value) > 1:
            raise BadRow("several reference answers", f"{value!r:.60}")
        value = value[0] if value else None
    if _is_nothing(value):
        raise BadRow("no reference answer")
    if _is_number(value):
        return _digits(value)
    if not isinstance(value, str):
        raise BadRow("reference answer is not text", f"{value!r:.60}")
    written = _as_written(value.strip())
    return _answer_in(text_of(value)) if written is None else reference_of(written)


def published(value: Any) -> Any:
    """The reference as it stands, for a verifier other than `math`: text (a number too), a list or an object.

    None where there is none: some verifiers need no reference.
    """
    if _is_nothing(value):
        return None
    if _is_number(value):
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


def _is_nothing(value: Any) -> bool:
    return value is None or (_is_number(value) and value != value)  # as only NaN is


def _is_number(value: Any) -> bool:
    """Parquet has decimals too."""
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _digits(value: Any) -> str:
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise BadRow("reference answer is not finite", repr(value))
    try:
        text = str(value)
    except ValueError:  # of more digits than Python writes
        text = ""
    if not 0 < len(text) <= LONGEST:
        raise BadRow("reference answer is too long a number", f"over {LONGEST} digits")
    return text


def _as_written(text: str) -> Any:
    """The list or object that a text is the writing of; None for any other text."""
    if len(text) > LONGEST or not _WRITTEN.match(text):
        return None
    try:
        written = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return written if isinstance(written, list | dict) else None


def _answer_in(text: str) -> str:
    if worked := _AFTER_WORKING.match(text):
        text = worked[1]
    elif (boxed := extract_answer(text, answer_line=True)) is not None:
        text = boxed
    elif said := _SAID.fullmatch(text.strip()):
        text = said[1]
    text = text.strip()
    if text.startswith("$") and text.endswith("$") and text.count("$") == 2:
        text = text[1:-1].strip()
    if not text or text in _MISSING:
        raise BadRow("no reference answer")
    if len(text) > LONGEST or "\n" in text:
        raise BadRow("reference answer is a worked solution", f"{text!r:.60}")
    if not is_readable(text):
        raise BadRow("reference answer that grading cannot read", f"{text!r:.60}")
    return text
