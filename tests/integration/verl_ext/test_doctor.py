"""`threadweaver doctor`, inside a Ray worker too."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from tw_plugins.adapter.check import Check
from tw_plugins.cli import doctor_output
from tw_plugins.cli.app import app
from verl_ext.cpu import seams as cpu
from verl_ext.seams import SEAMS


def test_all_is_well_inside_a_ray_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    show, shown = doctor_output.show, list[Check]()

    def seen(checks: list[Check], *how: Any) -> None:
        shown.extend(checks)
        show(checks, *how)

    monkeypatch.setattr(doctor_output, "show", seen)
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0, said.output
    assert "verl" in said.output and said.output.splitlines()[-1].startswith("ready: ")
    checks = [check for check in shown if check.section == "verl · Ray worker"]
    ours, port = ([seam.piece for seam in seams] for seams in (SEAMS, cpu.SEAMS))
    assert [check.name for check in checks] == ["plug-in", *ours, "plug-in for the CPU", *port]
    assert [check for check in checks if check.status != "ok"] == []
