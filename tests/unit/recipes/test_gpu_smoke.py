"""The GPU smoke run: what it tries, that it goes on behind a failure, and what it sends back."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recipes.gpu_smoke import __main__ as smoke
from recipes.gpu_smoke.steps import Step, run, steps_for
from recipes.quickstart import plan
from tw_plugins.adapter.versions import installed

FRAMEWORK = "verl" if installed("verl") else "openrlhf"


def test_several_gpus_train_together(tmp_path: Path) -> None:
    names = [step.name for step in steps_for("verl", "cuda", 8, tmp_path)]
    assert names == ["machine", "attention and its gradient", "toy on one device", "toy on 4 GPUs, NCCL"]
    assert [step.name for step in steps_for("verl", "cuda", 1, tmp_path)] == names[:3]
    assert [step.name for step in steps_for("verl", "cpu", 0, tmp_path)] == ["machine", "toy on one device"]


def test_the_quickstart_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "device_of", lambda framework: "cuda")
    made = plan.plan_of(FRAMEWORK, tmp_path, fast=True, gpus=2)
    (stage,) = (stage for stage in made.stages if stage.name == "rl")
    words = [word for jobs in stage.rounds for job in jobs for word in job.command]
    if FRAMEWORK == "verl":
        assert "trainer.n_gpus_per_node=2" in words
    else:
        assert words[words.index("--actor.num_gpus_per_node") + 1] == "2"


@pytest.mark.parametrize(
    ("code", "status", "last"),
    [
        ("print('fine')", 0, "fine"),
        ("print('well'); print(); raise SystemExit('no kernel')", 1, "no kernel"),
        ("import time; print('slow', flush=True); time.sleep(60)", None, "slow"),
        ("", 0, ""),
    ],
)
def test_what_came_of_a_step(code: str, status: int | None, last: str, tmp_path: Path) -> None:
    step = Step("a", (sys.executable, "-c", code), 1.5 / 60 if status is None else 1)
    outcome = run(step, tmp_path / "logs" / "a.txt")
    assert (outcome.status, outcome.last) == (status, last)
    assert outcome.seconds < 30
    assert (tmp_path / "logs" / "a.txt").exists()


def test_a_failure_is_said_and_all_logs_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {"first": "raise SystemExit('no kernel')", "second": "print('fine')"}
    steps = [Step(name, (sys.executable, "-c", code), 1) for name, code in codes.items()]
    monkeypatch.setattr(smoke, "steps_for", lambda *_: steps)
    options = ["--framework", FRAMEWORK, "--out", str(tmp_path), "--device", "cpu"]
    (tmp_path / FRAMEWORK).mkdir()
    (tmp_path / FRAMEWORK / "model.safetensors").write_text("weights")
    result = CliRunner().invoke(smoke.app, options)
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "first … ended with status 1" in said and "no kernel" in said
    assert "second … worked in" in said and "1 of 2 worked." in said
    names = zipfile.ZipFile(tmp_path / f"gpu-smoke-{FRAMEWORK}.zip").namelist()
    assert names == ["1-first.txt", "2-second.txt", "outcome.json"]


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = CliRunner().invoke(smoke.app, ["--framework", FRAMEWORK])
    assert result.exit_code == 2 and len(result.output.strip().splitlines()) == 1
    assert "torch sees no GPU: run it where nvidia-smi lists one" in result.output
