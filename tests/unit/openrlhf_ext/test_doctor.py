"""OpenRLHF's doctor: every seam is looked at, and what is missing is found."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import pytest

from openrlhf_ext import doctor as openrlhf_doctor
from openrlhf_ext.device import VARIABLE
from openrlhf_ext.doctor import doctor, process_checks
from openrlhf_ext.seams import SEAMS, seams
from tw_plugins.adapter import versions


def test_all_is_well_in_this_process() -> None:
    checks = doctor(with_ray=False)
    assert [check for check in checks if check.status == "fail"] == []
    assert {check.name for check in checks} >= {"openrlhf", *(seam.piece for seam in seams())}
    assert "accelerator" not in {check.name for check in checks}  # the CPU was asked for


def test_without_openrlhf_there_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    real = versions.version

    def version(asked: str) -> str:
        if asked == "openrlhf":
            raise PackageNotFoundError(asked)
        return real(asked)

    monkeypatch.setattr(versions, "version", version)
    assert doctor(with_ray=True) == []


def test_of_an_unsupported_version_only_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "0.10.4" if asked == "openrlhf" else real(asked))
    first, *others = doctor(with_ray=True)
    assert first.detail.startswith("openrlhf 0.10.4 is installed; openrlhf_ext supports openrlhf~=0.11.2")
    assert [check for check in others if check.status == "fail"] == []


@pytest.mark.parametrize("accelerator", [True, False])
def test_without_an_accelerator_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, accelerator: bool
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(openrlhf_doctor, "has_accelerator", lambda: accelerator)
    found = [check for check in doctor(with_ray=False) if check.name == "accelerator"]
    assert [check.status for check in found] == ([] if accelerator else ["note"])
    assert os.environ.get(VARIABLE) == (None if accelerator else "cpu")
    if found:
        assert "set DS_ACCELERATOR=cpu to train on the CPU" in found[0].detail


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
