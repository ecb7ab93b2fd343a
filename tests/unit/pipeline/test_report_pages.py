"""The pages that a run leaves in its folder, and that they hold together."""

from __future__ import annotations

from pathlib import Path

from recipes.quickstart.plan import plan_of
from tests.support.report_data import report
from tests.support.view_files import record, write
from tw_plugins.pages.report import read_report
from tw_plugins.pipeline import report_pages
from tw_plugins.pipeline.report_pages import TRAJECTORIES, write_pages


def test_the_report_links_a_page_of_every_answer_that_was_evaluated(tmp_path: Path) -> None:
    plan = plan_of("verl", tmp_path, fast=True)
    for name in plan.models:
        (plan.path("eval") / name).mkdir(parents=True)
        write(plan.path("eval") / name / "parallel.jsonl", record(prompt=f"asked {name}"))
    target = write_pages(plan, report())
    assert f'<a href="{TRAJECTORIES}">' in target.read_text(encoding="utf-8")
    assert read_report(tmp_path)["trajectories"] == TRAJECTORIES  # `threadweaver report` draws it again
    answers = (tmp_path / TRAJECTORIES).read_text(encoding="utf-8")
    assert all(f'"{name}/parallel.jsonl"' in answers and f"asked {name}" in answers for name in plan.models)


def test_where_no_answer_was_kept_nothing_is_linked(tmp_path: Path) -> None:
    target = write_pages(plan_of("verl", tmp_path, fast=True), report())
    assert TRAJECTORIES not in target.read_text(encoding="utf-8") and not (tmp_path / TRAJECTORIES).exists()


def test_of_very_many_answers_the_first_of_each_file_are_shown(tmp_path: Path) -> None:
    plan = plan_of("verl", tmp_path, fast=True)
    (plan.path("eval") / "rl").mkdir(parents=True)
    more = [record(prompt=f"number {at}.") for at in range(report_pages.OF_EACH + 1)]
    write(plan.path("eval") / "rl" / "parallel.jsonl", *more)
    write_pages(plan, report())
    answers = (tmp_path / TRAJECTORIES).read_text(encoding="utf-8")
    assert f"number {len(more) - 2}." in answers and f"number {len(more) - 1}." not in answers
