"""Every `threadweaver …` of the documents is a command with options that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.pasted import commands
from tests.unit.test_docs import DOCUMENTS
from tw_plugins.cli.app import app

PASTED = [
    (document, words)
    for document in DOCUMENTS
    for words in commands(document)
    if words[:1] == ["threadweaver"] and "…" not in words
]


@pytest.mark.parametrize(("document", "words"), PASTED, ids=lambda part: str(part)[:60])
def test_it_is_parsed(document: Path, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.context_class(command)
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    assert left == [] or command.allow_extra_args
    missing = [option.name for option in command.params if option.required and given.get(option.name) is None]
    assert missing == []


def test_there_are_such_commands() -> None:
    assert len(PASTED) > 20
