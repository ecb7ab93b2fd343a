"""Stage 1 as its tests run it: the whole command over a few traces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.support.stage1_server import Endpoint, traces
from tw_plugins.cli.app import app
from tw_plugins.data.stage1.runs import finished
from tw_plugins.storage.jsonl import Record

KEY = "sk-very-secret"
Messages = list[dict[str, str]]


def write(path: Path, records: Sequence[Record], more: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + more)
    return path


def stage1(
    folder: Path, endpoint: Endpoint, records: int | Sequence[Record] = 1, *options: str, more: str = ""
) -> Any:
    """`data stage1` over so many traces, or over these records, and more lines."""
    made = traces(records) if isinstance(records, int) else records
    source = write(folder / "traces.jsonl", made, more)
    return command("stage1", source, folder / "out", endpoint, "--min-gain", "50", *options)


def command(step: str, source: Path, out: Path, endpoint: Endpoint | None, *options: str) -> Any:
    """One command of `data`, with or without an endpoint."""
    where = ["--base-url", endpoint.url, "--model", "m"] if endpoint else []
    return CliRunner().invoke(app, ["data", step, str(source), "--out", str(out), *where, *options])


def shown(result: Any) -> str:
    """What a command printed, on one line."""
    return " ".join(result.output.split())


def rejected(folder: Path, step: str) -> list[str]:
    """Reasons in a step's file."""
    return [one["reason"] for one in finished(folder / "out" / step).values() if one["status"] != "ok"]
