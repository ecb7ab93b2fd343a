"""SIGTERM ends a command as Ctrl-C does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tw_plugins.cli.ending import terminable

COMMAND = """
import asyncio
import typer
from tw_plugins.cli.ending import OneLineCommand

async def work():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    finally:
        print("engine closed")

app = typer.Typer(add_completion=False)

@app.command(cls=OneLineCommand)
def main() -> None:
    asyncio.run(work())

app()
"""


def test_what_a_command_started_ends_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "engine closed\n"
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_the_caller_has_its_own_handler_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
