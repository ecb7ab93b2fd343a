"""The one reader: rows of any source as examples to ask, to grade or to train on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tw_plugins.datasets.columns import (
    ANSWERS,
    CONVERSATIONS,
    INPUT,
    INSTRUCTION,
    NOT_TEXT,
    PROMPTS,
    RESPONSES,
    SYSTEMS,
    TESTS,
    USUAL,
    Columns,
    find,
    there,
)
from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.datasets.messages import Message, answer_of, messages_of, split_response, text_of, with_system
from tw_plugins.datasets.references import published, reference_of, tests_of
from tw_plugins.datasets.rows import Row, is_source_of_files, read_rows
from tw_plugins.storage.parquet import DataFileError
from tw_plugins.verifiers.names import CODE, MATH

__all__ = [
    "Example",
    "Wanted",
    "example_of",
    "example_with_response",
    "examples_of",
    "read_examples",
    "wanted_by",
]

Wanted = Literal["answer", "reference", "tests", "response"]
"""What an example has beside its prompt: an answer that `math` can compare with, any reference as it is
published, tests of a program as JSON text, or SFT's response."""


@dataclass(frozen=True)
class Example:
    """One row, as it was meant.

    Attributes:
        where: file and row.
        columns: as published.
        prompt_column: where the prompt stands.
        messages: of the prompt; the last is not the assistant's.
        target: the reference answer or the response; text, but for a reference that is a list or an object.
    """

    where: str
    columns: Mapping[str, Any]
    prompt_column: str
    messages: list[Message]
    target: Any

    @property
    def extra(self) -> dict[str, Any]:
        """What a verifier may read besides: `data_source`, `metadata` as JSON, and all of `extra_info`."""
        extra = self.columns.get("extra_info")
        source = self.columns.get("data_source") or self.columns.get("datasource")
        own = {"data_source": str(source or _name_of(self.where.rpartition(", ")[0]))}
        if (metadata := self.columns.get("metadata")) is not None:
            # One type in every row, whatever is in it: tables ask for that.
            own["metadata"] = metadata if isinstance(metadata, str) else json.dumps(metadata, default=str)
        return {**own, **(extra if isinstance(extra, Mapping) else {})}


@cache
def _name_of(source: str) -> str:
    """A file's or folder's name alone, a data set of the hub as its scorers call it: `openai/gsm8k`."""
    if is_source_of_files(source) or Path(source).exists():
        return Path(source).stem
    return source.partition("@")[0].partition(":")[0]


def wanted_by(verifier: str) -> Wanted:
    """What the setting `verifier` compares answers with."""
    if verifier in CODE:
        return "tests"
    return "answer" if verifier == MATH else "reference"


def read_examples(
    sources: Iterable[str | Path], wanted: Wanted, columns: Columns = USUAL, split: str = "train"
) -> Iterator[Example | Hole]:
    """All examples of all sources, in their order, with a hole for each row that is none.

    Args:
        sources: see `tw_plugins.datasets.rows.read_rows`.

    Raises:
        DataFileError: a source that cannot be read, has no rows, or lacks a column.
    """
    for source in sources:
        empty = True
        for example in examples_of(read_rows(source, split), wanted, columns):
            empty = False
            yield example
        if empty:
            raise DataFileError(f"{source} has no rows: give a file that has some")


def examples_of(
    rows: Iterable[Row | Hole], wanted: Wanted, columns: Columns = USUAL
) -> Iterator[Example | Hole]:
    """Each row as an example; one that lacks a column, which rows before it have, is a hole.

    Raises:
        DataFileError: the first row lacks a column.
    """
    found = False
    for row in rows:
        try:
            example = row if isinstance(row, Hole) else example_of(row, wanted, columns)
        except DataFileError as error:
            if not found:
                raise
            example = Hole(row.where, "lacks a column that rows before it have", str(error))
        found = True
        yield example


def example_of(row: Row, wanted: Wanted, columns: Columns = USUAL) -> Example | Hole:
    """One row as an example, or why it is none.

    Raises:
        DataFileError: it lacks a column.
    """
    try:
        if wanted == "response":
            return example_with_response(row, columns)
        name, prompt = _prompt_of(row, columns)
        messages = _to_answer(_asked(row, messages_of(prompt)))
        usual, what = (TESTS, "tests") if wanted == "tests" else (ANSWERS, "reference answer")
        _, answer = find(row.columns, columns.answer, usual, what, row.where)
        if wanted == "tests":
            target = tests_of(answer, row.columns)
        else:
            target = reference_of(answer) if wanted == "answer" else published(answer)
        return Example(row.where, row.columns, name, messages, target)
    except BadRow as bad:
        return Hole(row.where, bad.reason, bad.detail)


def example_with_response(row: Row, columns: Columns) -> Example:
    """SFT's: two columns, or a conversation whose last turn is the response.

    Raises:
        DataFileError: the row lacks a column.
        BadRow: it is no example.
    """
    name, prompt = _prompt_of(row, columns)
    said = _asked(row, messages_of(prompt))
    if columns.response is None and name in CONVERSATIONS and (len(said) > 1 or not isinstance(prompt, str)):
        messages, response = split_response(said)
    else:
        messages = _to_answer(said)
        _, found = find(row.columns, columns.response, RESPONSES, "response", row.where)
        if found is None:
            raise BadRow("no response")
        response = answer_of(found)
    return Example(row.where, row.columns, name, messages, response)


def _prompt_of(row: Row, columns: Columns) -> tuple[str, Any]:
    """Its column and what stands there; an instruction by its usual name has its input behind it."""
    name, prompt = find(row.columns, columns.prompt, PROMPTS, "prompt", row.where)
    more = there(row.columns, [INPUT]) if columns.prompt is None and name == INSTRUCTION else None
    return name, prompt if more is None else f"{text_of(prompt)}\n\n{text_of(more)}"


def _asked(row: Row, messages: list[Message]) -> list[Message]:
    """The messages with a system message of another column.

    Raises:
        BadRow: the row has what no text has.
    """
    beside = there(row.columns, NOT_TEXT)
    if beside is not None and beside != "[]":
        raise BadRow("the prompt has more than text", f"{beside!r:.60}")
    return with_system(messages, there(row.columns, SYSTEMS))


def _to_answer(messages: list[Message]) -> list[Message]:
    if messages[-1]["role"] not in ("user", "tool"):
        raise BadRow("the prompt's last message is not to be answered", f"it is the {messages[-1]['role']}'s")
    return messages
