"""Which column holds what: the names that published data have, or those that the user gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tw_plugins.storage.parquet import DataFileError

__all__ = [
    "ANSWERS",
    "CONVERSATIONS",
    "INPUT",
    "INSTRUCTION",
    "NOT_TEXT",
    "PROMPTS",
    "RESPONSES",
    "SYSTEMS",
    "TESTS",
    "USUAL",
    "Columns",
    "find",
    "there",
]

PROMPTS = (
    "prompt", "problem", "question", "query", "instruction", "messages", "conversations", "input",
)  # fmt: skip
ANSWERS = (
    "reward_model.ground_truth", "answer", "final_answer", "short_answer", "ground_truth", "reference",
    "expected_answer", "label", "solution",
)  # fmt: skip
TESTS = (
    "reward_model.ground_truth", "test_list", "test", "tests", "input_output", "test_cases",
    "public_test_cases", *ANSWERS[1:],
)  # fmt: skip
"""Where tests of programs stand."""
RESPONSES = ("response", "trajectory", "output", "completion")
CONVERSATIONS = ("messages", "conversations")
"""Of SFT, where the response is the last turn."""
SYSTEMS = ("system", "system_prompt")
"""A system message beside the prompt (ShareGPT's, OpenOrca's)."""
INSTRUCTION, INPUT = "instruction", "input"
"""Alpaca's two halves of one prompt."""
NOT_TEXT = ("image", "images", "video", "videos", "audio", "audios", "tools")
"""What a prompt has beside its text, and would be asked without."""


@dataclass(frozen=True)
class Columns:
    """Names that the user gives; None takes the first usual one that a row has something in.

    A dot goes into an object: `reward_model.ground_truth`.
    """

    prompt: str | None = None
    answer: str | None = None
    response: str | None = None


USUAL = Columns()
"""The usual names."""


def find(
    columns: Mapping[str, Any], given: str | None, usual: Sequence[str], what: str, where: str
) -> tuple[str, Any]:
    """Name and value of the column `given`, or of the first of the usual ones that is not empty in this row.

    Usual names are found in any case, with spaces for underscores (`Short Answer`).

    Raises:
        DataFileError: the row has no such column; the message names those it has.
    """
    if given is not None:
        there, value = _inside(columns, given)
        if not there:
            raise _missing(columns, given, what, where)
        return given, value
    plain = _plainly(columns)
    looked = {name: _inside(plain, name) for name in usual}
    found = {name: value for name, (there, value) in looked.items() if there}
    if not found:
        raise _missing(columns, " or ".join(usual), what, where)
    return next(
        ((name, value) for name, value in found.items() if not _is_empty(value)), next(iter(found.items()))
    )


def there(columns: Mapping[str, Any], usual: Sequence[str]) -> Any:
    """What stands in the first of the usual columns that is not empty; None where there is none."""
    plain = _plainly(columns)
    return next((plain[name] for name in usual if not _is_empty(plain.get(name))), None)


def _plainly(columns: Mapping[str, Any]) -> dict[str, Any]:
    """By names in small letters, without spaces."""
    return {name.lower().replace(" ", "_"): value for name, value in reversed(list(columns.items()))}


def _inside(columns: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    if name in columns:
        return True, columns[name]
    first, dot, rest = name.partition(".")
    inner = columns.get(first) if dot else None
    return _inside(inner, rest) if isinstance(inner, Mapping) else (False, None)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list) and not value)


def _missing(columns: Collection[str], wanted: str, what: str, where: str) -> DataFileError:
    return DataFileError(
        f"{where} has no column {wanted} for the {what}; it has {', '.join(columns)}: add it to the file, or "
        f"name the column of the {what}"
    )
