"""The doctor inside a Ray worker."""

from __future__ import annotations

from verl_ext.cpu import seams as cpu
from verl_ext.doctor import doctor
from verl_ext.seams import SEAMS


def test_all_is_well_inside_a_ray_worker() -> None:
    checks = [check for check in doctor(with_ray=True) if check.section == "verl · Ray worker"]
    ours, port = ([seam.piece for seam in seams] for seams in (SEAMS, cpu.SEAMS))
    assert [check.name for check in checks] == ["plug-in", *ours, "plug-in for the CPU", *port]
    assert [check for check in checks if check.status != "ok"] == []
