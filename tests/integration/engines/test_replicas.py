"""Two replicas of the toy model on two Ray nodes, one of which is lost, against one engine."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from recipes.quickstart.settings import job_environment
from tests.support.commands import run
from tests.support.raylets import raylets
from tests.support.root import ROOT
from tw_plugins.evaluation.records import read_records
from tw_plugins.toy.preset import SMOKE_PRESET, write_files

pytestmark = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")

TIME_LIMIT_S = 400  # all of it took 262 s beside ten busy processes on two cores
PROBLEMS = 40


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """Short: the path of a socket in it has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tw", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_node_that_is_lost_half_way_changes_nothing(tmp_path: Path, ray_folder: str) -> None:
    """Greedy records are those of one engine in this process, byte for byte; no process is left."""
    toy = write_files(tmp_path, 0, replace(SMOKE_PRESET, eval_per_kind=PROBLEMS // 2))
    out, log = tmp_path / "replicas", tmp_path / "replicas.log"
    records = out / "autoregressive.jsonl"
    with raylets(2, ray_folder, {}, num_cpus=1, object_store_memory=100 << 20) as cluster:
        (second,) = cluster.worker_nodes
        command = _evaluation(toy, out, "--replicas", "2", "--concurrency", "4")
        environment = {
            **os.environ,
            **job_environment(),
            "RAY_ADDRESS": cluster.address,
            "PYTHONPATH": str(ROOT),
        }
        with log.open("w") as file:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait(lambda: records.exists() and records.read_text().count("\n") >= 4, process, log)
            engines = _processes(ray_folder, "VLLM::EngineCore")
            assert len(engines) == 2
            cluster.remove_node(second, allow_graceful=False)
            assert records.read_text().count("\n") < PROBLEMS, "not half-way: the problems are too few"
            assert process.wait(TIME_LIMIT_S) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
        _wait(lambda: not _processes(ray_folder, "VLLM::EngineCore"))
    said = log.read_text()
    assert re.search("replica [12] is lost, others do its work: ", said)
    assert re.search(r"lost: replica [12]; [1-4] trajector(y|ies) went on elsewhere", said)
    alone = tmp_path / "alone"
    run(tmp_path / "log", *_evaluation(toy, alone))
    assert records.read_bytes() == (alone / records.name).read_bytes()
    assert len(read_records(records)) == PROBLEMS
    assert not _processes(ray_folder, "")


def _evaluation(toy: dict[str, Path], out: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "tw_plugins.cli", "eval", "run", "--model", str(toy["model"])]
    command += ["--data", str(toy["eval"]), "--limit", str(PROBLEMS), "--max-tokens", "64"]
    return [*command, "--mode", "autoregressive", "--out", str(out), *options]


def _processes(ray_folder: str, title: str) -> list[psutil.Process]:
    """Those of a cluster; which one a process is of says its environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("RAY_TMPDIR") == ray_folder and process.pid != os.getpid()
            if ours and title in " ".join(process.cmdline()):
                found.append(process)
    return found


def _wait(
    until: Callable[[], bool], process: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> None:
    deadline = time.monotonic() + TIME_LIMIT_S
    while not until():
        if process is not None and log is not None:
            assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text() if log is not None else "too late"
        time.sleep(0.05)
