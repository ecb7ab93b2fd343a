"""The quickstart, killed and gone on with: every stage with real parts, and a report of its shape."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from recipes.quickstart.__main__ import FRAMEWORKS
from recipes.quickstart.plan import plan_of
from recipes.quickstart.settings import settings_of
from tw_plugins.adapter.versions import installed
from tw_plugins.pages.report import check
from tw_plugins.pipeline.leftovers import Session
from tw_plugins.pipeline.report_data import curve, read_metrics

FAST = settings_of(fast=True)


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if installed(name)])
def test_killed_in_rl_it_goes_on_to_its_report_and_a_third_run_does_nothing(
    tmp_path: Path, framework: str
) -> None:
    """SIGKILL after RL's first step, of vLLM's engine on verl, of the driver alone on OpenRLHF."""
    command = [sys.executable, "-m", "recipes.quickstart", "--framework", framework]
    command += ["--fast", "--out", str(tmp_path)]
    folder = tmp_path / f"{framework}-fast"
    sessions = kill_in_rl(command, folder, framework)
    again = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("done before") == 2 and "goes on where it was broken off" in again.stdout
    assert sessions and not any(session.members() for session in sessions if session)
    check_steps(folder, framework)
    check_report(folder)
    third = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert third.returncode == 0
    assert third.stdout.count("done before") == 4


def kill_in_rl(command: list[str], folder: Path, framework: str) -> list[Session | None]:
    """The jobs' sessions of a run that was killed once RL had a checkpoint; nothing of verl's is left."""
    checkpoints = folder / "rl" / "threads" / "checkpoints"
    saved = (
        checkpoints / {"verl": "latest_checkpointed_iteration.txt", "openrlhf": "_actor/latest"}[framework]
    )
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not saved.exists() and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert saved.exists() and driver.poll() is None
    sessions = [Session.read(file) for file in folder.glob("rl/*/log.process")]
    if framework == "verl":
        (engine,) = [pid for pid, name in _members(folder / "rl" / "threads") if name == "VLLM::EngineCore"]
        os.kill(engine, signal.SIGKILL)
        assert driver.wait(300) == 1  # one error, and nothing is left
        log = (folder / "rl" / "threads" / "log.txt").read_text()
        assert re.search(r"EngineError: .* died", log) and "to go on from the last checkpoint" in log, log
        assert not any(session.members() for session in sessions if session)
    else:
        driver.kill()
        driver.wait()
    return sessions


def check_steps(folder: Path, framework: str) -> None:
    """Both lines have their models and steps; on verl the second step is the optimizer's second."""
    plan = plan_of(framework, folder, fast=True)
    for line in ("rl", "baseline"):
        assert Path(plan.models[line]).is_dir()
        assert len(curve(read_metrics(plan.metrics[line]), "threadweaver/score/mean")) >= FAST.rl_steps - 1
    if framework == "verl":
        optimizer = "checkpoints/global_step_2/actor/optim_world_size_1_rank_0.pt"
        state = torch.load(folder / "rl" / "threads" / optimizer, weights_only=False)
        assert {float(each["step"]) for each in state["state"].values()} == {2.0}


def check_report(folder: Path) -> None:
    """The report's shape, and that its clock's figures are those of the clock's file."""
    report = json.loads((folder / "report.json").read_text())
    check(report)
    assert "trajectories.html" in (folder / "report.html").read_text()
    assert (folder / "trajectories.html").stat().st_size > 10_000
    assert report["rl"]["rollout_actor_probability_difference_max"] <= 1e-6
    assert FAST.rl_steps - 1 <= len(report["rl"]["curves"]["reward"]) <= report["rl"]["steps"]
    clock, seconds = report["clock"], (folder / "eval" / "clock" / "clock.jsonl").read_text().splitlines()
    assert clock["problems"] == len(seconds) == FAST.wall_clock_problems
    assert report["speedup"]["wall_clock"] == clock["wall_clock"]["median"] > 0
    assert report["eval"]["rl"]["parallel"]["wall_s_mean"] == clock["own"]["seconds"] > 0
    assert report["eval"]["sft"]["parallel"]["wall_s_mean"] is None


def _members(job: Path) -> list[tuple[int, str]]:
    """Number and name of the processes of a running job."""
    session = Session.read(job / "log.process")
    assert session
    return [(process.pid, " ".join(process.cmdline()).strip()) for process in session.members()]
