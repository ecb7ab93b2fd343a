"""OpenRLHF's doctor: every registration is looked at, and what is missing is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openrlhf_ext import doctor as openrlhf_doctor
from openrlhf_ext import hooks
from openrlhf_ext.doctor import doctor, process_checks
from openrlhf_ext.seams import CPU_SEAMS, SEAMS, seams
from tw_plugins.adapter import versions


def test_every_registration_has_a_seam() -> None:
    assert {seam.module for seam in SEAMS} == set(hooks.REGISTRATIONS)
    assert {seam.module for seam in CPU_SEAMS} == hooks.CPU_REGISTRATIONS.keys() - hooks.REGISTRATIONS.keys()


def test_all_is_well_in_this_process() -> None:
    checks = doctor(with_ray=False)
    assert [check for check in checks if check.status == "fail"] == []
    assert {check.name for check in checks} >= {"openrlhf", *(seam.piece for seam in seams())}


@pytest.mark.slow
def test_all_is_well_inside_a_ray_worker() -> None:
    checks = [check for check in doctor(with_ray=True) if check.section == "OpenRLHF · Ray worker"]
    assert [check.name for check in checks] == [seam.piece for seam in seams()]
    assert [check for check in checks if check.status != "ok"] == []


def test_without_openrlhf_there_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openrlhf_doctor, "installed", lambda name: None)
    assert doctor(with_ray=True) == []


def test_of_an_unsupported_version_only_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "0.10.4" if asked == "openrlhf" else real(asked))
    first, *others = doctor(with_ray=True)
    assert first.detail.startswith("openrlhf 0.10.4 is installed; openrlhf_ext supports openrlhf~=0.11.2")
    assert [check for check in others if check.status == "fail"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"module": "openrlhf.no_such"}, "ModuleNotFoundError: No module named 'openrlhf.no_such'"),
        ({"attributes": ("none.such",)}, "has no none.such"),
        ({"in_place": lambda module: False}, "not registered with openrlhf."),
    ],
)
def test_a_missing_seam_fails(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object], reason: str
) -> None:
    monkeypatch.setattr(openrlhf_doctor, "seams", lambda: (replace(SEAMS[0], **change),))  # type: ignore[arg-type]
    (found,) = process_checks("here")
    assert found.status == "fail" and reason in found.detail
