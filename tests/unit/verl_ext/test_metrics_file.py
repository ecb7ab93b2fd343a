"""verl's file of metrics after a break, through verl's own `Tracking`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from verl.utils import tracking

from verl_ext import metrics_file

VALIDATED = {"val-core/math/acc": 0.5}


def trained(step: int) -> dict[str, float]:
    return {"training/global_step": step, "actor/lr": 1.0}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "metrics.jsonl"
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(path))
    monkeypatch.setattr(tracking.FileLogger, "goes_on", False)
    return path


def run(*logged: tuple[int, Mapping[str, float]]) -> None:
    logger = tracking.Tracking("project", "run", ["file"])
    for step, data in logged:
        logger.log(data, step)
    logger.finish()


def written(path: Path) -> list[tuple[int, dict[str, float]]]:
    return [(line["step"], line["data"]) for line in map(json.loads, path.read_text().splitlines())]


def test_what_was_before_a_break_stays_but_for_steps_that_are_made_again(path: Path) -> None:
    metrics_file.go_on()
    run((0, VALIDATED), *((step, trained(step)) for step in (1, 2, 3)))
    with path.open("a") as file:
        file.write('{"step": 4, "da')  # killed while it wrote
    again = {**trained(3), "resumed": 1.0}
    run((3, again), (4, trained(4)))
    assert written(path) == [(0, VALIDATED), (1, trained(1)), (2, trained(2)), (3, again), (4, trained(4))]


def test_a_validation_after_the_resume_takes_nothing_of_its_step(path: Path) -> None:
    metrics_file.go_on()
    run((1, trained(1)), (2, {**trained(2), **VALIDATED}), (3, trained(3)))
    run((2, VALIDATED), (3, trained(3)))
    assert [step for step, _ in written(path)] == [1, 2, 2, 3]


def test_a_run_that_is_killed_before_it_logs_loses_nothing(path: Path) -> None:
    metrics_file.go_on()
    run((1, trained(1)), (2, trained(2)))
    run()
    run((3, trained(3)))
    assert [step for step, _ in written(path)] == [1, 2, 3]


def test_sft_names_its_steps_otherwise(path: Path) -> None:
    metrics_file.go_on()
    run(*((step, {"train/loss": 1.0}) for step in (1, 2, 3)))
    run(*((step, {"train/loss": 0.5}) for step in (2, 3)))
    assert written(path) == [(1, {"train/loss": 1.0}), (2, {"train/loss": 0.5}), (3, {"train/loss": 0.5})]


def test_a_run_that_begins_again_begins_a_new_file(path: Path) -> None:
    metrics_file.go_on()
    run(*((step, trained(step)) for step in (1, 2, 3)))
    run((0, VALIDATED), (1, trained(1)))
    assert written(path) == [(0, VALIDATED), (1, trained(1))]


def test_lines_that_are_not_verls_do_not_stay(path: Path) -> None:
    metrics_file.go_on()
    path.write_text("notes\n")
    run((5, trained(5)))
    assert written(path) == [(5, trained(5))]


def test_other_runs_have_verls_logger(path: Path) -> None:
    """Fails once verl's keeps them itself: then `verl_ext.metrics_file` can go."""
    run((1, trained(1)))
    run((2, trained(2)))
    assert written(path) == [(2, trained(2))]
