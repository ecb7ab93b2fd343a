"""OpenRLHF's doctor looks into a worker of a real Ray too."""

from __future__ import annotations

from openrlhf_ext.doctor import doctor
from openrlhf_ext.seams import seams


def test_all_is_well_inside_a_ray_worker() -> None:
    checks = [check for check in doctor(with_ray=True) if check.section == "OpenRLHF · Ray worker"]
    assert [check.name for check in checks] == [seam.piece for seam in seams()]
    assert [check for check in checks if check.status != "ok"] == []
