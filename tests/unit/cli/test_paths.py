"""Whatever a path can be, in every command that takes one: one line that names it, status 2, no waiting."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recipes.quickstart.__main__ import app as quickstart
from recipes.quickstart.seeds import app as seeds
from tests.support.fakes import char_tokenizer
from tests.support.messages import assert_message
from tests.support.records import RECORD
from tw_plugins.cli.app import app as threadweaver
from tw_plugins.cli.ending import is_explained

ASK = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m"]

READ_A_FILE = {
    "view trajectories": ["view", "trajectories", "{path}", "--out", "{out}/a.html"],
    "view stats": ["view", "stats", "{path}", "--out", "{out}/a.html"],
    "view row": ["view", "row", "{path}", "--tokenizer", "t", "--out", "{out}/a.html"],
    "data structure": ["data", "structure", "{path}", "--out", "{out}/a.jsonl", *ASK],
    "data extract": ["data", "extract", "{path}", "--out", "{out}/a.jsonl"],
    "data rewrite": ["data", "rewrite", "{path}", "--out", "{out}/a.jsonl", *ASK],
    "data outline": ["data", "outline", "{path}", "--out", "{out}/a.jsonl", *ASK],
    "data filter": ["data", "filter", "{path}", "--out", "{out}/a.jsonl"],
    "data stage1": ["data", "stage1", "{path}", "--out", "{out}", *ASK],
    "data selftrain": ["data", "selftrain", "--model", "m", "--prompts", "{path}", "--out", "{out}"],
    "eval run": ["eval", "run", "--model", "m", "--data", "{path}", "--out", "{out}"],
    "eval clock": ["eval", "clock", "--model", "m", "--baseline", "b", "--data", "{path}", "--out", "{out}"],
    "bench step": ["bench", "step", "{path}"],
    "pipeline run": ["pipeline", "run", "{path}", "--out", "{out}"],
    "seeds": ["seeds", "--record", "{path}", "--out", "{out}", "--seeds", "0"],
}
READ_A_FOLDER = {
    "report": ["report", "{path}"],
    "eval compare": ["eval", "compare", "{path}", "{path}"],
    "eval table": ["eval", "table", "{path}"],
    "seeds of folders": ["seeds", "{path}"],
}
WRITE_A_FILE = {
    "view trajectories": ["view", "trajectories", "{records}", "--out", "{path}"],
    "view stats": ["view", "stats", "{records}", "--out", "{path}"],
    "data extract": ["data", "extract", "{lines}", "--out", "{path}"],
    "data filter": ["data", "filter", "{lines}", "--out", "{path}"],
    "data structure": ["data", "structure", "{lines}", "--out", "{path}", *ASK],
    "eval compare": ["eval", "compare", "{folder}", "{folder}", "--mode-b", "parallel", "--out", "{path}"],
    "eval compare, figures": [
        *["eval", "compare", "{folder}", "{folder}", "--mode-b", "parallel", "--json", "{path}"]
    ],
    "eval table": ["eval", "table", "{folder}", "--out", "{path}"],
    "eval table, figures": ["eval", "table", "{folder}", "--json", "{path}"],
    "bench collate": ["bench", "collate", "--tokens", "100", "--repeats", "1", "--json", "{path}"],
}
WRITE_A_FOLDER = {
    "data toy": ["data", "toy", "--preset", "smoke", "--out", "{path}"],
    "data stage1": ["data", "stage1", "{lines}", "--out", "{path}", *ASK],
    "data selftrain": ["data", "selftrain", "--model", "m", "--prompts", "{problems}", "--out", "{path}"],
    "eval run": ["eval", "run", "--model", "m", "--data", "{problems}", "--out", "{path}"],
    "quickstart": ["quickstart", "--fast", "--stages", "data", "--out", "{path}"],
    "seeds": ["seeds", "--seeds", "0", "--out", "{path}"],
}


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def text(path: Path) -> Path:
    path.write_text("not a folder\n")
    return path


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def dangling(path: Path) -> Path:
    path.symlink_to(path.with_name("gone") / "away")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def listening(path: Path) -> Path:
    here = os.getcwd()
    os.chdir(path.parent)  # its whole path is too long for a socket's
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)
    return path


NOT_THERE: dict[str, Callable[[Path], Path]] = {
    "missing": lambda path: path,
    "inside a file": lambda path: text(path) / "deeper.jsonl",
    "too long": lambda path: path.with_name(f"{'n' * 300}.jsonl"),
    "a line end": lambda path: path.with_name("two\nlines.jsonl"),
    "a link to itself": loop,
    "a link to nothing": dangling,
}
NO_FILE: dict[str, Callable[[Path], Path]] = {
    "a folder": folder,
    "a pipe": pipe,
    "a socket": listening,
    "a device": lambda _: Path("/dev/zero"),
}
NUL = {"NUL": lambda path: path.with_name("nul\0.jsonl")}


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Files that are right, for what a case does not ask about."""
    tokenizer = char_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    monkeypatch.setattr("tw_plugins.evaluation.run.load_tokenizer", lambda _: tokenizer)
    monkeypatch.setattr("recipes.quickstart.seeds.check_framework", lambda _: None)
    monkeypatch.setattr("recipes.quickstart.__main__.check_framework", lambda _: None)
    monkeypatch.setattr("recipes.quickstart.seeds.run_command", lambda _: pytest.fail("it began"))
    monkeypatch.setattr("tw_plugins.evaluation.run._context", lambda *_: 1000)
    made = {"out": tmp_path / "out", "folder": tmp_path / "evaluation", "lines": tmp_path / "lines.jsonl"}
    made["folder"].mkdir()
    record = json.dumps(asdict(RECORD)) + "\n"
    made["records"] = made["folder"] / "parallel.jsonl"
    made["records"].write_text(record)
    (made["folder"] / "settings.json").write_text(json.dumps({"data": "d"}))
    made["lines"].write_text(json.dumps({"id": "a", "prompt": "p", "response": "r"}) + "\n")
    made["problems"] = tmp_path / "problems.jsonl"
    made["problems"].write_text(json.dumps({"problem": "1 + 1?", "answer": "2"}) + "\n")
    return made


def run(command: list[str], given: dict[str, Path], path: Path) -> Result:
    first, *rest = [argument.format(path=path, **given) for argument in command]
    programs = {"quickstart": quickstart, "seeds": seeds}
    if first in programs:
        return CliRunner().invoke(programs[first], rest)
    return CliRunner().invoke(threadweaver, [first, *rest])


def assert_one_line(done: Result, name: str) -> None:
    assert done.exit_code == 2, (done.output, done.exception)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.stderr.rstrip().endswith(line), "it is the last one"
    assert name in line
    assert_message(line, "^error: ")


def named(path: Path) -> str:
    """The part of a path that a message has: of one inside a file, the file."""
    name = path.parent.name if path.name == "deeper.jsonl" else path.name
    return name.partition("\0")[0].replace("\n", r"\n")[:30]


CASES = [
    *[(READ_A_FILE, command, {**NOT_THERE, **NO_FILE, **NUL}) for command in READ_A_FILE],
    *[(READ_A_FOLDER, command, {**NOT_THERE, **NUL, "a file": text}) for command in READ_A_FOLDER],
]
MAY_BE_NEW = {"seeds"}  # a record that is not there yet is written
A_FOLDER_TOO = {"view trajectories", "view stats"}


def cases() -> list[Any]:
    return [
        pytest.param(commands[name], make, id=f"{name}: {kind}")
        for commands, name, kinds in CASES
        for kind, make in kinds.items()
        if not (name in MAY_BE_NEW and kind in ("missing", "a line end", "a link to nothing"))
        and not (name in A_FOLDER_TOO and kind == "a folder")
    ]


@pytest.mark.parametrize(("command", "make"), cases())
def test_what_is_read(
    command: list[str], make: Callable[[Path], Path], tmp_path: Path, given: dict[str, Path]
) -> None:
    path = make(tmp_path / "given.jsonl")
    assert_one_line(run(command, given, path), named(path))


TO_A_FILE = (
    {name: NOT_THERE[name] for name in ("inside a file", "too long", "a link to itself")} | NO_FILE | NUL
)
TO_A_FOLDER = {name: NOT_THERE[name] for name in ("inside a file", "too long", "a link to itself")} | {
    "a file": text,
    **NUL,
}
WRITTEN = [
    *[(WRITE_A_FILE, command, TO_A_FILE) for command in WRITE_A_FILE],
    *[(WRITE_A_FOLDER, command, TO_A_FOLDER) for command in WRITE_A_FOLDER],
]


@pytest.mark.parametrize(
    ("command", "make"),
    [
        pytest.param(commands[name], make, id=f"{name}: {kind}")
        for commands, name, kinds in WRITTEN
        for kind, make in kinds.items()
    ],
)
def test_what_is_written(
    command: list[str], make: Callable[[Path], Path], tmp_path: Path, given: dict[str, Path]
) -> None:
    path = make(tmp_path / "given.jsonl")
    assert_one_line(run(command, given, path), named(path))


ANSWERS = {
    errno.EACCES: "no permission for .*: choose",
    errno.EROFS: "file system that is read-only: choose",
    errno.EMFILE: "too many files are open at once .*: raise",
    errno.ENOSPC: "the disk is full .*Make room",
    errno.EIO: "cannot be used .Input/output error.: check it",
    errno.ENOENT: "no such file: .*check",  # it was there a moment ago
}


@pytest.mark.parametrize("code", ANSWERS)
@pytest.mark.parametrize(
    "command",
    [
        *[command for name, command in READ_A_FILE.items() if name != "bench step"],
        *[command for name, command in WRITE_A_FILE.items() if name != "bench collate"],
    ],
)
def test_what_the_system_answers(
    command: list[str], code: int, tmp_path: Path, given: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nobody who is root can have it for real."""
    path = tmp_path / "given.jsonl"
    really = io.open

    def answering(file: Any, *arguments: Any, **more: Any) -> Any:
        if "given.jsonl" in str(file):
            raise OSError(code, os.strerror(code), str(file))
        return really(file, *arguments, **more)

    if "{path}" in " ".join(command[:3]) or command in READ_A_FILE.values():
        path.write_text("{}\n")
    monkeypatch.setattr(io, "open", answering)
    done = run(command, given, path)
    monkeypatch.undo()
    assert_one_line(done, "given.jsonl")
    assert_message(done.stderr, ANSWERS[code])


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "refused"), TimeoutError(), OSError("no number"), OSError(5, "x")]
)
def test_what_no_path_can_give_is_not_explained_as_one(error: OSError) -> None:
    assert not is_explained(error)


@pytest.mark.parametrize("name", ["view trajectories", "data extract", "eval run", "bench step"])
def test_a_file_that_cannot_be_read_to_its_end(name: str, given: dict[str, Path], tmp_path: Path) -> None:
    """As on a disk that fails; this one says so of its first byte."""
    path = tmp_path / "memory.jsonl"
    path.symlink_to("/proc/self/mem")
    assert_one_line(run(READ_A_FILE[name], given, path), "memory.jsonl")


def test_a_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b'{"a": "\xff"}')
    done = CliRunner().invoke(threadweaver, ["report", str(tmp_path)])
    assert_one_line(done, "report.json is not UTF-8")
