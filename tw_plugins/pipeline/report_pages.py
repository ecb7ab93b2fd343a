"""The pages of a finished run: its report, and beside it a browser of every answer that was evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.run import record_file
from tw_plugins.pages.browser.trajectories import write_browser
from tw_plugins.pages.reading.files import read
from tw_plugins.pages.report import write_report
from tw_plugins.pipeline.plan import MODES, Plan
from tw_plugins.storage.files import is_there

__all__ = ["TRAJECTORIES", "write_pages"]

TRAJECTORIES = "trajectories.html"
OF_EACH = 1000  # answers of a model in a mode: a page of thousands of long ones is slow to open


def write_pages(plan: Plan, report: Mapping[str, Any]) -> Path:
    """Writes `trajectories.html`, and `report.html` that links it, into the run's folder; returns the report.

    There is no page of answers where none was kept.

    Raises:
        ReportError: the report lacks a key.
        ViewError: a file of answers has none that can be read.
    """
    evaluated = (record_file(plan.path("eval") / name, mode) for name in plan.models for mode in MODES)
    if files := [file for file in evaluated if is_there(file)]:
        write_browser(read(files, of_each=OF_EACH), plan.folder / TRAJECTORIES)
        report = {**report, "trajectories": TRAJECTORIES}
    return write_report(report, plan.folder)
