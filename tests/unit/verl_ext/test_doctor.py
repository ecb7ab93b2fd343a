"""verl's doctor: every registration of the plug-in is looked at, and what is missing is found."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tw_plugins.adapter import versions
from tw_plugins.adapter.seams import Seam, in_ray
from verl_ext import doctor as verl_doctor
from verl_ext.cpu import seams as cpu
from verl_ext.doctor import SEAMS, doctor, process_checks

ON_CPU = os.environ.get("VERL_PLATFORM") == "cpu"
LOOKED_AT = [
    "plug-in",
    *(seam.piece for seam in SEAMS),
    *(["plug-in for the CPU", *(seam.piece for seam in cpu.SEAMS)] if ON_CPU else []),
]


def test_all_is_well_in_this_process() -> None:
    checks = doctor(with_ray=False)
    assert [check for check in checks if check.status == "fail"] == []
    assert {check.name for check in checks} >= {"verl", *LOOKED_AT}


def test_without_verl_there_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tw_plugins.adapter.doctor.installed", lambda name: None)
    assert doctor(with_ray=True) == []


def test_an_unsupported_version_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "1.0" if asked == "torch" else real(asked))
    checks = doctor(with_ray=False)
    (torch,) = (check for check in checks if check.status == "fail")
    assert {check.section for check in checks} == {"verl · versions"}
    assert torch.status == "fail" and "torch 1.0 is installed" in torch.detail


def test_of_a_verl_without_our_seam_only_the_version_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """verl 0.8 has no `verl.plugins`: no run there can say it, so the doctor does, first and once."""
    real = versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "0.8.0" if asked == "verl" else real(asked))
    first, *others = doctor(with_ray=True)
    assert first.detail == "verl 0.8.0 is installed; verl_ext supports verl~=0.9.1: install that version"
    assert [check for check in others if check.status == "fail"] == []


def test_where_there_is_no_accelerator_it_says_how_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(verl_doctor, "process_checks", lambda section: [])
    monkeypatch.setattr(verl_doctor, "has_accelerator", lambda: False)
    (device,) = (check for check in doctor(with_ray=False) if check.name == "device")
    assert device.status == "note" and "set VERL_PLATFORM=cpu to train here" in device.detail
    monkeypatch.setattr(verl_doctor, "has_accelerator", lambda: True)
    assert "device" not in {check.name for check in doctor(with_ray=False)}
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    monkeypatch.setattr(verl_doctor, "has_accelerator", lambda: False)
    assert "device" not in {check.name for check in doctor(with_ray=False)}


def test_a_port_that_is_not_loaded_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    monkeypatch.delitem(sys.modules, "verl_ext.cpu.plugin", raising=False)
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "threadweaver")
    (found,) = (check for check in process_checks("here") if check.name == "plug-in for the CPU")
    assert found.status == "fail" and "unset it, or add threadweaver_cpu" in found.detail


def test_a_plugin_that_is_not_loaded_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "verl_ext.plugin")
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
    assert "VERL_USE_EXTERNAL_PLUGINS=none: unset it" in process_checks("here")[0].detail
    monkeypatch.delenv("VERL_USE_EXTERNAL_PLUGINS")
    monkeypatch.setattr(verl_doctor, "entry_points", lambda group: ())
    found = process_checks("here")[0]
    assert found.status == "fail" and "entry point is missing" in found.detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"module": "verl.no_such_module"}, "ModuleNotFoundError: No module named 'verl.no_such_module'"),
        ({"attributes": ("validate_config", "none.such")}, "has no none.such"),
        ({"in_place": lambda module: False}, "not registered with verl.utils.config"),
        ({"in_place": lambda module: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_a_missing_seam_fails(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object], reason: str
) -> None:
    (seam,) = (each for each in SEAMS if each.module == "verl.utils.config")
    monkeypatch.setattr(verl_doctor, "SEAMS", (replace(seam, **change),))  # type: ignore[arg-type]
    found = process_checks("here")[1]
    assert found.status == "fail" and reason in found.detail


def empty_module() -> SimpleNamespace:
    """Every registry that a seam looks into, as verl has it without the plug-in."""

    class OtherEngine:
        pass

    def untouched() -> None: ...

    return SimpleNamespace(
        PlatformRegistry=SimpleNamespace(registered_names=lambda: ["nvidia"]),
        initialize_global_process_group_ray=untouched,
        EngineRegistry=SimpleNamespace(
            get_engine_cls=lambda model, backend: OtherEngine,
            _engines={"language_model": {"fsdp2": {"cuda": OtherEngine}}},
        ),
        CPUOffloadPolicy=OtherEngine,
        ConfigStore=SimpleNamespace(instance=lambda: SimpleNamespace(repo={})),
        auto_set_device=untouched,
        _agent_loop_registry={"single_turn_agent": {}},
        ADV_ESTIMATOR_REGISTRY={"grpo": untouched},
        TRAINER_REGISTRY={"sync": object},
        CheckpointEngineRegistry=SimpleNamespace(_registry={"naive": object}),
        ServerAdapter=OtherEngine,
        validate_config=untouched,
        BaseEngine=SimpleNamespace(train_batch=untouched),
        RayWorkerGroup=SimpleNamespace(__init__=untouched),
    )


@pytest.mark.parametrize("seam", (*SEAMS, *cpu.SEAMS), ids=lambda seam: seam.piece)
def test_each_seam_sees_that_nothing_is_registered(seam: Seam) -> None:
    assert not seam.in_place(empty_module())


def test_a_ray_that_does_not_start_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def init(**_: object) -> None:
        raise ConnectionError("no free port")

    monkeypatch.setattr(ray, "init", init)
    assert [check.detail for check in in_ray("here", process_checks)] == ["ConnectionError: no free port"]
