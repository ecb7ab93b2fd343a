"""The launcher: what upstream's command finds, what Ray's workers get, and what a laptop is told."""

from __future__ import annotations

import os
import runpy
from typing import Any

import pytest

from openrlhf_ext import launcher, ray_start
from openrlhf_ext.cpu.port import CPU
from openrlhf_ext.device import CPU_PORT, GPU, VARIABLE, chosen_device
from openrlhf_ext.settings import ENVIRONMENT, RLSettings


def delayed(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], dict[str, Any]]:
    """Variables and options that the launcher adds to upstream's call of `ray.init`."""
    found: list[Any] = []
    monkeypatch.setattr(ray_start, "delay", lambda *given: found.extend(given))
    monkeypatch.setenv(ENVIRONMENT, "{}")
    launcher.delay_ray()
    return found[0], found[1]


@pytest.mark.parametrize("value", [None, "", "cuda", "CPU"])  # DeepSpeed refuses the last itself
def test_only_the_variable_chooses_the_cpu(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    assert CPU.prepare.__module__ == CPU_PORT
    assert chosen_device() is CPU
    monkeypatch.delenv(VARIABLE)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert chosen_device() is GPU


def test_on_the_cpu_a_ray_of_its_own_starts_with_the_ports_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    environment, options = delayed(monkeypatch)
    assert environment == {ENVIRONMENT: "{}", **{name: os.environ[name] for name in CPU.environment}}
    assert options["address"] == "local"


def test_elsewhere_ray_starts_as_upstream_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    assert delayed(monkeypatch) == ({ENVIRONMENT: "{}"}, {})


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "mine")
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND")
    CPU.export()
    assert os.environ["TORCH_EXTENSIONS_DIR"] == "mine"
    assert os.environ["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"


def launch_into(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """A launch whose upstream command imports a module that is not there."""

    def run_module(*args: Any, **kwargs: Any) -> None:
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setattr(runpy, "run_module", run_module)
    monkeypatch.setattr("sys.argv", ["launcher"])
    monkeypatch.setattr(launcher, "argv", None)
    monkeypatch.setenv(ENVIRONMENT, "{}")
    launcher.launch("openrlhf.cli.train_sft", RLSettings, [])


def test_a_laptop_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`test_cpu.py` shows that upstream's import is what fails there."""
    with pytest.raises(SystemExit) as stopped:
        launch_into(monkeypatch, "flash_attn")
    assert str(stopped.value) == (
        "error: OpenRLHF imports flash-attn, which is not installed: install it, or set DS_ACCELERATOR=cpu "
        "to train on the CPU"
    )


def test_other_modules_that_are_missing_are_upstreams_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError, match="einops"):
        launch_into(monkeypatch, "einops")
