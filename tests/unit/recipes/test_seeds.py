"""The quickstart over seeds, with a runner that trains nothing: what is run, kept, counted and printed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer import BadParameter, Exit

from recipes.quickstart import seeds
from recipes.quickstart.choices import run_folder
from recipes.quickstart.made import commit, made_here, write_made
from recipes.quickstart.plan import DEFAULT_STAGES, plan_of
from recipes.quickstart.seed_figures import entry_of, failed, reached, table
from recipes.quickstart.summary import judged, summary
from tests.support.reports import finished_report
from tw_plugins.pipeline.fingerprints import fingerprints
from tw_plugins.pipeline.stages import Pipeline, Stage


class Runner:
    """Ends as the quickstart would: seed → figures of its report, or None where it fails before."""

    def __init__(self, outcomes: dict[int, dict[str, Any] | None]) -> None:
        self.outcomes = outcomes
        self.ran: list[int] = []
        self.commands: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        seed, out = (command[command.index(name) + 1] for name in ("--seed", "--out"))
        fast, figures = "--fast" in command, self.outcomes[int(seed)]
        self.ran.append(int(seed))
        self.commands.append(command)
        folder, quiet = run_folder(Path(out), "verl", fast, int(seed)), Console(quiet=True)
        names = DEFAULT_STAGES if figures is not None else DEFAULT_STAGES[:-1]
        named = {name: write_made if name == "eval" else lambda to: None for name in names}
        stages = [Stage(name, name, made) for name, made in named.items()]
        plan = plan_of("verl", folder, int(seed), fast)
        Pipeline(folder, fingerprints(plan), quiet).run(stages)
        if figures is None:
            return 1
        summary(plan, judged(finished_report(int(seed), fast=fast, **figures), fast), quiet)
        return 0


def drive(
    monkeypatch: pytest.MonkeyPatch, out: Path, runner: Runner, asked: str, **options: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and what the record file holds."""
    monkeypatch.setattr(seeds, "run_command", runner)
    monkeypatch.setattr(seeds, "check_framework", lambda framework: None)
    try:
        seeds.main(seeds=asked, out=out, **options)
        status = 0
    except Exit as end:
        status = end.exit_code
    name = "seeds-verl-fast.json" if options.get("fast") else "seeds-verl.json"
    return status, json.loads((options.get("record") or out / name).read_text())


def test_every_seed_is_run_kept_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = Runner({0: {}, 1: None, 2: {"decomposable": 0.0}})
    status, entries = drive(monkeypatch, tmp_path, runner, "0 1 2")
    assert (status, runner.ran) == (1, [0, 1, 2])
    assert all("--strict" in command and "--fast" not in command for command in runner.commands)
    assert [entry["seed"] for entry in entries] == [0, 1, 2]
    assert entries[1]["failed"] == "exit status 1" and "figures" not in entries[1]
    assert entries[0]["figures"]["activation_decomposable_rl"] == 1.0 and all(entries[0]["promises"].values())
    assert entries[0]["figures"]["activation_first"] == 0.1 and entries[0]["figures"]["accuracy_last"] == 0.75
    assert entries[0]["made"].keys() == {"date", "commit", "machine"} == entries[1]["made"].keys()
    shown = capsys.readouterr().out
    assert "1 of 3 runs reached every promise, 1 failed" in shown and "failed: exit status 1" in shown


def test_what_is_done_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Runner({0: {}, 1: None})
    assert drive(monkeypatch, tmp_path, first, "0 1")[0] == 1
    again = Runner({1: {}, 2: {}})
    status, entries = drive(monkeypatch, tmp_path, again, "0 1")
    assert (status, again.ran, [reached(entry) for entry in entries]) == (0, [1], [True, True])
    status, entries = drive(monkeypatch, tmp_path, again, "2")  # earlier seeds are kept in the file
    assert (status, again.ran, len(entries)) == (0, [1, 2], 3)


def test_what_is_in_the_record_is_not_run_again_where_its_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record.json"
    drive(monkeypatch, tmp_path / "one machine", Runner({0: {}, 1: None, 2: {}}), "0 1 2", record=record)
    entries = json.loads(record.read_text())
    entries[2]["settings"] = "others"
    record.write_text(json.dumps(entries))
    again = Runner({1: {}, 2: {}})
    status, after = drive(monkeypatch, tmp_path / "another", again, "0 1 2", record=record)
    assert (status, again.ran, after[0]) == (0, [1, 2], entries[0])


def test_a_report_of_other_settings_or_older_than_its_evaluation_does_not_count(tmp_path: Path) -> None:
    Runner({0: {}})(["--seed", "0", "--out", str(tmp_path)])
    folder = run_folder(tmp_path, "verl", False, 0)
    assert seeds.finished(folder, "verl", 0, fast=False)
    assert not seeds.finished(folder, "verl", 1, fast=False) and not seeds.finished(
        folder, "verl", 0, fast=True
    )
    os.utime(folder / "report.json", (1, 1))
    assert not seeds.finished(folder, "verl", 0, fast=False)
    (folder / "report.json").unlink()
    assert not seeds.finished(folder, "verl", 0, fast=False)


def test_fast_is_passed_on_and_has_a_record_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner({3: {"decomposable": 0.0}})
    status, entries = drive(monkeypatch, tmp_path, runner, "3", fast=True)
    assert status == 1 and "--fast" in runner.commands[0] and len(entries) == 1


def test_a_record_may_be_named_and_is_not_overwritten_if_it_is_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "kept" / "verl.json"
    assert len(drive(monkeypatch, tmp_path, Runner({0: {}}), "0", record=record)[1]) == 1
    record.write_text("{}]")
    with pytest.raises(BadParameter, match=r"verl\.json is no list of runs"):
        drive(monkeypatch, tmp_path, Runner({}), "0", record=record)
    assert record.read_text() == "{}]"


@pytest.mark.parametrize("text", ["", "a", "1 -2", "1,2"])
def test_seeds_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(BadParameter, match="no seeds"):
        drive(monkeypatch, tmp_path, Runner({}), text)


def test_the_table_of_finished_folders_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = Runner({0: {}, 1: {}})
    folders = []
    for seed in (1, 0):
        runner(["--seed", str(seed), "--out", str(tmp_path)])
        folders.append(run_folder(tmp_path, "verl", False, seed))
    capsys.readouterr()
    seeds.main(folders=folders)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == ["| 0", "| 1", "| median", "| worst"]


def test_the_table_has_a_row_per_run_its_median_and_its_worst() -> None:
    runs = [
        entry_of(finished_report(0, accuracy=0.98, wall_clock=1.7, chain=0.0, minutes=9), None),
        entry_of(finished_report(1, accuracy=1.0, wall_clock=1.5, chain=0.04, minutes=11), None),
        failed(2, "exit status 1", {}),
        entry_of(finished_report(3, accuracy=0.99, wall_clock=None, chain=0.02, minutes=12), None),
    ]
    head, _, *rows, median, worst, blank, count = table(runs).splitlines()
    columns = [cell.strip() for cell in head.strip("| ").split(" | ")]
    cells = {
        line.split(" | ")[0].strip("| "): line.strip("|").split(" | ") for line in (*rows, median, worst)
    }

    def cell(row: str, column: str) -> str:
        return cells[row][columns.index(column)].strip()

    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 1", "| 2", "| 3"] and not blank
    assert cell("0", "accuracy, SFT → RL") == "100.0% → 98.0%"
    assert cell("median", "accuracy, SFT → RL") == "100.0% → 99.0%"
    assert cell("worst", "accuracy, SFT → RL") == "100.0% → 98.0%"
    assert cell("worst", "chains forked, SFT → RL") == "4.0% → 4.0%"  # less is better
    assert (cell("median", "wall clock"), cell("worst", "wall clock"), cell("3", "wall clock")) == (
        "1.60×", "1.50×", "–",
    )  # fmt: skip
    assert cell("worst", "minutes") == "12.0" and cell("worst", "other work's CPU") == "–"
    assert cell("2", "promises") == "failed: exit status 1" and cell("1", "promises") == "7 of 7"
    assert cell("3", "promises") == "6 of 7"
    assert count == "1 of 4 runs reached every promise, 1 failed"


def test_other_work_is_read_from_the_clock() -> None:
    report = {**finished_report(), "clock": {"others_cpu": {"median": 0.25, "most": 0.5}}}
    assert entry_of(report, None)["figures"]["others_cpu"] == 0.25


def test_where_figures_were_made() -> None:
    made = made_here()
    assert made["commit"] == commit() and made["machine"]["cores"] >= 1 and len(made["date"]) == 10
