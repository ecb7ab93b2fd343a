"""The smoke run of the quickstart: every stage with real verl, vLLM and Ray, and a report of its shape."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from typer import BadParameter

from recipes.quickstart.__main__ import FRAMEWORKS, _stages
from recipes.quickstart.eval_jobs import MODES
from recipes.quickstart.jobs import JobFailed
from recipes.quickstart.leftovers import Session
from recipes.quickstart.pipeline import STAGES
from recipes.quickstart.report_data import curve, evaluations, mean_reward, read_metrics, samples
from recipes.quickstart.selftrain_jobs import take
from recipes.quickstart.settings import FAST
from tw_plugins.adapter.versions import installed
from tw_plugins.evaluation.records import EvalRecord, Span
from tw_plugins.pages.report import check


def _record(index: int, mode: str, longest: int, total: int, blocks: int, correct: bool = True) -> EvalRecord:
    return EvalRecord(
        index=index, kind="decomposable", mode=mode, prompt="p", text="t", correct=correct, well_formed=True,  # type: ignore[arg-type]
        total=total, longest=longest, blocks=blocks, threads=2 * blocks, wall_s=None, limits_hit={},
        spans=(Span(None, None, total),),
    )  # fmt: skip


def test_reward_is_the_papers() -> None:
    records = [
        _record(0, "parallel", 60, 100, 1),
        _record(1, "parallel", 100, 100, 0),
        _record(2, "parallel", 10, 100, 1, False),
    ]
    assert mean_reward(records) == pytest.approx((1.2 + 1.0 + 0.0) / 3)


def test_drawn_trajectory_is_forked_and_correct_and_has_its_baseline() -> None:
    own = [
        _record(0, "parallel", 90, 90, 0),
        _record(1, "parallel", 40, 90, 1, False),
        _record(2, "parallel", 50, 90, 1),
    ]
    baseline = [_record(i, "autoregressive", 100 + i, 100 + i, 0) for i in range(3)]
    drawn = samples(own, baseline)
    assert drawn["trajectory"]["index"] == 2
    assert drawn["baseline_longest"] == 102
    assert drawn["speedups"] == pytest.approx([100 / 90, 101 / 40, 102 / 50])


def test_seconds_are_those_of_the_clock() -> None:
    """No evaluation is timed; the two compared rows have the clock's means."""
    clock = {"own": {"seconds": 0.5}, "baseline": {"seconds": 0.75}}
    modes = {mode: [_record(0, mode, 60, 100, 1)] for mode in MODES}
    found = evaluations(dict.fromkeys(("sft", "rl", "baseline"), modes), clock)
    seconds = {(model, mode): found[model][mode]["wall_s_mean"] for model in found for mode in MODES}
    compared = {("rl", "parallel"): 0.5, ("baseline", "autoregressive"): 0.75}
    assert seconds == dict.fromkeys(seconds) | compared


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if installed(name)])
def test_smoke_run_leaves_a_report_and_a_second_run_does_nothing(tmp_path: Path, framework: str) -> None:
    command = [sys.executable, "-m", "recipes.quickstart", "--framework", framework]
    command += ["--fast", "--out", str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert first.returncode == 0, first.stdout + first.stderr
    folder = tmp_path / f"{framework}-fast"
    report = json.loads((folder / "report.json").read_text())
    check(report)
    assert (folder / "report.html").stat().st_size > 10_000
    assert report["rl"]["rollout_actor_probability_difference_max"] <= 1e-6
    assert len(report["rl"]["curves"]["reward"]) == report["rl"]["steps"]
    clock, seconds = report["clock"], (folder / "eval" / "clock" / "clock.jsonl").read_text().splitlines()
    assert clock["problems"] == len(seconds) == FAST.wall_clock_problems
    assert report["speedup"]["wall_clock"] == clock["wall_clock"]["median"] > 0
    assert report["eval"]["rl"]["parallel"]["wall_s_mean"] == clock["own"]["seconds"] > 0
    assert report["eval"]["sft"]["parallel"]["wall_s_mean"] is None
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0
    assert again.stdout.count("done before") == 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if installed(name)])
def test_killed_in_rl_it_goes_on(tmp_path: Path, framework: str) -> None:
    """SIGKILL after the first step, of vLLM's engine on verl, of the driver alone on OpenRLHF."""
    command = [sys.executable, "-m", "recipes.quickstart", "--framework", framework]
    command += ["--fast", "--out", str(tmp_path), "--stages", "data,sft,rl"]
    folder = tmp_path / f"{framework}-fast"
    checkpoints = folder / "rl" / "threads" / "checkpoints"
    saved = (
        checkpoints / {"verl": "latest_checkpointed_iteration.txt", "openrlhf": "_actor/latest"}[framework]
    )
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 400
    while not saved.exists() and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert saved.exists() and driver.poll() is None
    sessions = [Session.read(file) for file in folder.glob("rl/*/log.process")]
    if framework == "verl":
        (engine,) = [pid for pid, name in _members(folder / "rl" / "threads") if name == "VLLM::EngineCore"]
        os.kill(engine, signal.SIGKILL)
        assert driver.wait(300) == 1  # one error, and nothing is left
        assert not any(session.members() for session in sessions if session)
    else:
        driver.kill()
        driver.wait()
    again = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("done before") == 2 and "goes on where it was broken off" in again.stdout
    assert len(sessions) == 2 and not any(session.members() for session in sessions if session)
    jobs = importlib.import_module(f"recipes.quickstart.{framework}_jobs")
    for line in ("threads", "sequential"):
        metrics = jobs.metrics_file(folder / "rl" / line)
        assert jobs.rl_model(folder / "rl" / line, FAST).is_dir()
        assert len(curve(read_metrics(metrics), "threadweaver/score/mean")) >= FAST.rl_steps - 1
    if framework == "verl":  # the second step is the optimizer's second
        state = torch.load(
            checkpoints / "global_step_2/actor/optim_world_size_1_rank_0.pt", weights_only=False
        )
        assert {float(each["step"]) for each in state["state"].values()} == {2.0}


def _members(job: Path) -> list[tuple[int, str]]:
    """Number and name of the processes of a running job."""
    session = Session.read(job / "log.process")
    assert session
    return [(process.pid, " ".join(process.cmdline()).strip()) for process in session.members()]


def test_stages_stand_in_their_order_and_need_those_before_them() -> None:
    assert _stages("sft, data") == ["data", "sft"]
    assert _stages("data,sft,rl,eval,selftrain") == list(STAGES)
    with pytest.raises(BadParameter, match="no stage 'tune', choose of data, sft, selftrain, rl, eval"):
        _stages("data,tune")
    with pytest.raises(BadParameter, match="rl needs data, sft too"):
        _stages("rl")


def test_own_samples_are_cut_to_what_sft_takes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"response": ["a", "b", "c"]}), tmp_path / "sft.parquet")
    (tmp_path / "funnel.json").write_text(json.dumps({"kept": 3}))
    assert pq.read_table(take(tmp_path, 2))["response"].to_pylist() == ["a", "b"]
    with pytest.raises(JobFailed, match="kept 3 samples, SFT on them takes 4"):
        take(tmp_path, 4)
