"""`vllm serve` in a process of its own, on a CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

__all__ = ["answers", "vllm_server"]

START_S = 300


@contextmanager
def vllm_server(model: Path, port: int, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """The server, answering at a port of loopback; the head of a session, which ends with the block."""
    command = [
        str(Path(sys.executable).with_name("vllm")), "serve", str(model), "--served-model-name", name,
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager",
        "--block-size", "32",
    ]  # fmt: skip
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TORCH_COMPILE_DISABLE": "1"}
    log = model / "vllm.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_S
        while not answers(f"http://127.0.0.1:{port}"):
            said = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(1)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def answers(url: str) -> bool:
    """Whether a server says that it is well."""
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
