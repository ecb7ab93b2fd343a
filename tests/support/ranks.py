"""Several ranks of this machine: a module of the tests by torchrun, or forks of a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    """The same for a module that forks its ranks."""
    _run([module, *map(str, files)])


def fork_ranks(ranks: int, run: Callable[..., None], *args: Any) -> None:
    """``run(rank, *args)`` in torchrun's environment on each rank, whose imports are this process's.

    Four processes that each import a framework take half a minute for that. This one must not have computed
    anything yet: the threads that torch computes with do not outlive a fork.
    """
    from torch.multiprocessing.spawn import start_processes

    os.environ.update(WORLD_SIZE=str(ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
    start_processes(_forked, (run, args), ranks, start_method="fork")


def _forked(rank: int, run: Callable[..., None], args: tuple[Any, ...]) -> None:
    import torch

    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)
    run(rank, *args)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=TIME_LIMIT_S
    )
    assert done.returncode == 0, done.stderr[-4000:]
