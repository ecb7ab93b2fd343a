"""What is tried, in which order, and how it is run: one that fails does not keep the others from running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "Step", "run", "steps_for"]

PYTHON = sys.executable


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        minutes: after which it is ended.
    """

    name: str
    command: tuple[str, ...]
    minutes: float


@dataclass(frozen=True)
class Outcome:
    """What came of a step.

    Attributes:
        status: exit status; None where it was ended because it was late, or cannot be started.
        last: the last line that it said.
    """

    step: Step
    status: int | None
    seconds: float
    last: str


def steps_for(framework: str, device: str, gpus: int, folder: Path) -> Iterator[Step]:
    """
    Args:
        device: `cuda`, or `cpu` to try the script itself.
        gpus: how many there are; two or more train and decode together, over NCCL.
    """
    command = (PYTHON, "-m", "tw_plugins.cli")
    dtype = "float32" if device == "cpu" else "bfloat16"
    yield Step("machine", (*command, "doctor", "--device", device, "--dtype", dtype), 4)
    if device != "cpu":
        right = ("-m", "tw_plugins.bench.gpu", str(folder / "bench"), "--part", "right", "--minutes", "2")
        yield Step("attention and its gradient", (PYTHON, *right), 4)
    toy = (PYTHON, "-m", "recipes.quickstart", "--fast", "--framework", framework, "--out", str(folder))
    yield Step("toy on one device", toy, 15)
    if gpus > 1:
        ranks = min(gpus, 4)
        several = (*toy[:-1], str(folder / f"on-{ranks}"), "--gpus", str(ranks))
        yield Step(f"toy on {ranks} GPUs, NCCL", several, 15)


def run(step: Step, log: Path) -> Outcome:
    """Runs a step to its end, with all that it says in `log`; its processes do not outlive it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    status: int | None = None
    with log.open("wb") as file:
        process = subprocess.Popen(
            step.command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = process.wait(60 * step.minutes)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
        finally:
            _end(process)
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return Outcome(step, status, time.monotonic() - began, lines[-1].strip() if lines else "")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
