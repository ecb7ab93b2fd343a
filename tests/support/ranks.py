"""A module of the tests on several ranks of this machine, by torchrun."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

TIME_LIMIT_S = 250


def free_port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run_ranks(module: str, *files: Path, ranks: int = 2) -> None:
    """Runs ``python -m module FILES`` on each rank; fails with the end of what they say when one fails."""
    launcher = ["torch.distributed.run", f"--nproc-per-node={ranks}", f"--master-port={free_port()}", "-m"]
    _run([*launcher, module, *map(str, files)])


def run_module(module: str, *files: Path) -> None:
    """The same for a module that starts its ranks itself."""
    _run([module, *map(str, files)])


def _run(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=TIME_LIMIT_S
    )
    assert done.returncode == 0, done.stderr[-4000:]
