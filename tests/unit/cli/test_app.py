"""The command line: help, one-line errors, exit status."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tests.support.records import RECORD
from tests.support.report_data import report
from tw_plugins import doctor
from tw_plugins.cli import app as cli
from tw_plugins.cli import eval_run
from tw_plugins.cli.decoding import parse_engine_args
from tw_plugins.cli.ending import is_explained
from tw_plugins.cli.eval_run import parse_modes, run, summary_line, table
from tw_plugins.evaluation.records import read_records, write_records
from tw_plugins.evaluation.run import EvalSettings, record_file
from tw_plugins.evaluation.scores import EvaluationError, summarise
from tw_plugins.pages.report import ReportError, write_report

runner = CliRunner()
EVAL = ["eval", "run", "--model", "m", "--data", "d.parquet", "--out", "o"]


def test_help_lists_the_commands() -> None:
    shown = runner.invoke(cli.app, ["--help"])
    assert shown.exit_code == 0
    assert all(command in shown.output for command in ("doctor", "eval", "report"))
    assert "Usage: threadweaver" in runner.invoke(cli.app, [], prog_name="threadweaver").output


@pytest.mark.parametrize("command", ["doctor", "eval", "report", "view"])
def test_help_of_each_command(command: str) -> None:
    assert runner.invoke(cli.app, [command, "--help"]).exit_code == 0


def test_eval_has_sub_commands() -> None:
    shown = runner.invoke(cli.app, ["eval", "--help"])
    assert shown.exit_code == 0 and "compare" in shown.output and "run" in shown.output
    assert runner.invoke(cli.app, ["eval", "--model", "m"]).exit_code == 2, "options belong to `eval run`"


def test_import_is_cheap() -> None:
    heavy = "{'torch', 'transformers', 'verl', 'vllm', 'ray', 'jinja2', 'numpy'}"
    code = f"import sys, tw_plugins.cli.app; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_report_is_drawn_again(tmp_path: Path) -> None:
    target = write_report(report(), tmp_path)
    target.unlink()
    done = runner.invoke(cli.app, ["report", str(tmp_path)])
    assert done.exit_code == 0 and done.output.strip() == str(target) and target.exists()


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = runner.invoke(cli.app, ["report", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert done.output.splitlines() == [
        f"error: no such file: {tmp_path / 'none' / 'report.json'}; check the path"
    ]


def test_our_errors_are_one_line_with_their_brackets(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("[1]")
    done = runner.invoke(cli.app, ["report", str(tmp_path)])
    assert done.exit_code == 2 and done.output.startswith("error: ") and "holds a list" in done.output
    assert len(done.output.splitlines()) == 1


def test_errors_of_others_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(folder: Path) -> Any:
        raise ValueError("not ours")

    monkeypatch.setattr("tw_plugins.pages.report.read_report", broken)
    done = runner.invoke(cli.app, ["report", str(tmp_path)])
    assert done.exit_code == 1 and isinstance(done.exception, ValueError)


def test_which_errors_explain_themselves() -> None:
    assert is_explained(ReportError("x")) and is_explained(FileNotFoundError("x"))
    assert not is_explained(ValueError("x")) and not is_explained(KeyError("x"))


@pytest.mark.parametrize(("healthy", "status"), [(True, 0), (False, 1)])
def test_doctors_exit_status(monkeypatch: pytest.MonkeyPatch, healthy: bool, status: int) -> None:
    asked: list[bool] = []

    def checks(with_ray: bool, attention: None) -> list[doctor.Check]:
        asked.append(with_ray)
        return [doctor.Check("machine", "torch", "ok" if healthy else "fail", "2.13 [cpu]")]

    monkeypatch.setattr(doctor, "all_checks", checks)
    done = runner.invoke(cli.app, ["doctor", "--no-ray"])
    assert done.exit_code == status and "2.13 [cpu]" in done.output and asked == [False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "threads"], "--mode is 'threads': choose one of parallel, autoregressive, both"),
        (["--engine-arg", "dtype"], "--engine-arg 'dtype' is not NAME=VALUE"),
    ],
)
def test_wrong_arguments_of_eval(arguments: list[str], message: str) -> None:
    done = runner.invoke(cli.app, [*EVAL, *arguments])
    assert done.exit_code == 2 and message in done.output.replace("\n", " ")


def test_eval_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(eval_run, "run", lambda *arguments: given.extend(arguments))
    options = [
        "--mode",
        "parallel",
        "--temperature",
        "0.5",
        "--limit",
        "7",
        "--max-tokens",
        "99",
        "--wall-clock",
        "3",
        "--engine-arg",
        "seed=4",
    ]
    done = runner.invoke(cli.app, [*EVAL, *options])
    assert done.exit_code == 0, done.output
    settings = EvalSettings(temperature=0.5, max_tokens=99, wall_clock_problems=3, engine_args={"seed": 4})
    assert given[:6] == ["m", "d.parquet", ["parallel"], Path("o"), settings, 7]


def test_modes_and_engine_arguments() -> None:
    assert parse_modes("both") == ["parallel", "autoregressive"]
    assert parse_engine_args(["a=1", "b=float32", "c=true", "d=x=y", 'e={"k": []}']) == {
        "a": 1,
        "b": "float32",
        "c": True,
        "d": "x=y",
        "e": {"k": []},
    }


def test_run_writes_and_prints_a_table_and_a_last_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = [
        RECORD,
        replace(RECORD, index=1, kind="chain", blocks=0, correct=False, limits_hit={"max_tokens": 2}),
    ]

    def evaluate(model: str, data: Path, modes: Any, out: Path, *_: Any) -> Any:
        for mode in modes:
            write_records(records, record_file(out, mode))
        return {mode: records for mode in modes}

    monkeypatch.setattr(eval_run, "evaluate_model", evaluate)
    console = Console(record=True, width=100)
    summaries = run("m", Path("d"), ["parallel"], tmp_path, EvalSettings(), None, console)
    assert summaries == {"parallel": summarise(records)}
    assert read_records(tmp_path / "parallel.jsonl") == records and (tmp_path / "summary.json").exists()
    assert "| parallel, all problems | 2 | 2 | 50.0% [" in (tmp_path / "report.md").read_text()
    *lines, following = console.export_text().strip().splitlines()
    assert following.startswith("next: threadweaver view trajectories ")
    assert lines[-1] == summary_line(summaries)
    assert lines[-1] == (
        "2 problems · parallel: accuracy 50.0%, token latency 20.0, "
        "activation decomposable 100.0%, chain 0.0%"
    )
    assert [line.split()[0] for line in lines if "%" in line][:3] == ["parallel", "decomposable", "chain"]


def test_table_of_one_kind_has_one_row_per_mode() -> None:
    assert table({"parallel": [RECORD], "autoregressive": [RECORD]}).row_count == 2


def test_errors_of_evaluation_are_ours() -> None:
    assert is_explained(EvaluationError("x")) and not is_explained(typer.BadParameter("x"))


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tw_plugins.pages.report.read_report", full)
    result = runner.invoke(cli.app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "the disk is full; what was finished is kept. Make room" in " ".join(result.output.split())
