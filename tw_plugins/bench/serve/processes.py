"""Servers in processes of their own, and the CPU time of each: of the server itself, and of vLLM's engine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import httpx
import psutil

from tw_plugins.bench import BenchError

__all__ = ["NAME", "ServerProcess", "ours", "vllms_own"]

NAME = "model"  # the model's, on either server
UP_WITHIN_S, ASK_EVERY_S = 900.0, 0.5
LOG_SHOWN = 600  # characters


@dataclass(frozen=True)
class ServerProcess:
    """One that answers at `url`; its children are vLLM's engine."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> tuple[float, float]:
        """Seconds so far: of the server's own process, and of its engine's."""
        return _of(self.process), sum(map(_of, self.process.children(recursive=True)))


def _of(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextmanager
def ours(model: str, engine_args: Mapping[str, Any]) -> Iterator[ServerProcess]:
    """`threadweaver serve`, with vLLM in its process.

    Raises:
        BenchError: it does not start.
    """
    given = [f"--engine-arg={name}={_json(value)}" for name, value in engine_args.items()]
    command = ["-m", "tw_plugins.cli", "serve", "--model", model, "--served-model-name", NAME, *given]
    with _up("threadweaver serve", [sys.executable, *command]) as server:
        yield server


@contextmanager
def vllms_own(model: str, engine_args: Mapping[str, Any]) -> Iterator[ServerProcess]:
    """vLLM's own server, with the same engine.

    Raises:
        BenchError: it does not start.
    """
    given = [_flag(name, value) for name, value in engine_args.items()]
    command = ["-m", "vllm.entrypoints.cli.main", "serve", model, "--served-model-name", NAME, *given]
    with _up("vllm serve", [sys.executable, *command]) as server:
        yield server


def _json(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flag(name: str, value: Any) -> str:
    """As vLLM's command line has it."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{option}"
    return f"--{option}={value}"


@contextmanager
def _up(what: str, command: list[str]) -> Iterator[ServerProcess]:
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}"],
            env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await(what, url, process, log)
            yield ServerProcess(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(what: str, url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=10, trust_env=False).status_code == 200:
                return
        time.sleep(ASK_EVERY_S)
    log.seek(0)
    said = re.sub(r"\s+", " ", log.read().decode(errors="replace"))[-LOG_SHOWN:]
    ended = "did not answer" if process.poll() is None else f"ended with status {process.returncode}"
    raise BenchError(f"{what} {ended}: … {said}")
