"""Runs a framework's own command to its end and reads the metrics that it logged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recipes.quickstart.settings import job_environment
from tests.support.root import ROOT

TIME_LIMIT_S = 900  # thrice what it takes on two idle cores
METRICS_FILE = "metrics.jsonl"


def run(
    folder: Path,
    *command: str,
    kill_when: Callable[[], bool] | None = None,
    fails: bool = False,
    **environment: str,
) -> list[dict[str, Any]]:
    """The lines of ``METRICS_FILE`` in ``folder`` when ``command``, run in ``folder``, has ended.

    Fails with the end of ``folder/log.txt`` when the command fails. With ``kill_when`` the command and its
    children are killed (SIGKILL) as soon as that is true; ending before is a failure. With ``fails`` the
    command must end by itself, with an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    process = subprocess.Popen(
        command,
        env={
            **os.environ,
            **job_environment(),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        cwd=folder,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        code = _wait(process, kill_when)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(
            f"not ended after {TIME_LIMIT_S} s, its log ends:\n{log.read_text()[-4000:]}"
        ) from late
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    as_expected = code not in (0, None) if fails else code == (None if kill_when else 0)
    assert as_expected, log.read_text()[-4000:]
    return logged_in(folder / METRICS_FILE)


def logged_in(metrics: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file that may still grow; none where there is no file yet."""
    lines = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _wait(process: subprocess.Popen[bytes], kill_when: Callable[[], bool] | None) -> int | None:
    """The exit status; None when it is time to kill the process."""
    if kill_when is None:
        return process.wait(timeout=TIME_LIMIT_S)
    deadline = time.monotonic() + TIME_LIMIT_S
    while time.monotonic() < deadline:
        if kill_when():
            return None
        try:
            return process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
    raise subprocess.TimeoutExpired(process.args, TIME_LIMIT_S)
