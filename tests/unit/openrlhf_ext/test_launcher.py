"""The launcher: the device, what Ray's workers get, what a laptop is told, and the preset."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import agent, launcher, preflight, ray_start
from openrlhf_ext.cpu.port import CPU
from openrlhf_ext.device import CPU_PORT, GPU, VARIABLE, chosen_device
from openrlhf_ext.settings import ENVIRONMENT, RLSettings, SFTSettings
from tests.support.openrlhf.flags import namespace


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


def upstreams_flags(*arguments: str) -> Any:
    """What upstream's RL parser makes of a command line of ours."""
    _, argv = launcher.read(RLSettings, list(arguments), agent.__file__)
    return namespace("openrlhf.cli.train_ppo_ray", *argv, "--vllm.num_engines", "1")


def test_the_preset_is_eq_4(toy: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    files = ["--actor.model_name_or_path", str(toy["model"]), "--data.prompt_dataset", str(toy["rl"])]
    data = ["--data.input_key", "prompt", "--data.label_key", "label"]
    args = upstreams_flags("--tw.preset", "--rollout.n_samples_per_prompt", "8", *files, *data)
    preflight.check_rl(args, RLSettings())
    assert caplog.messages == []  # nothing departs from Eq. 4
    assert args.algo.advantage.estimator == "dr_grpo"
    assert args.train.batch_size == args.rollout.batch_size * 8
    assert args.ds.attn_implementation == "sdpa"


def test_what_the_user_gives_wins_over_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "chosen_device", lambda: GPU)
    samples = ["--rollout.n_samples_per_prompt=2", "--rollout.batch_size", "4"]
    args = upstreams_flags(*samples, "--algo.kl.init_coef", "0.5", "--tw.preset")
    assert (args.algo.kl.init_coef, args.train.batch_size) == (0.5, 8)
    assert args.ds.attn_implementation == "trie"
    assert upstreams_flags(*samples, "--tw.preset", "--train.batch_size", "2").train.batch_size == 2
    plain = upstreams_flags(*samples)
    assert (plain.algo.kl.init_coef, plain.train.batch_size) == (0.01, 128)


def test_the_preset_of_sft_is_the_attention() -> None:
    settings, argv = launcher.read(SFTSettings, ["--tw.preset", "--tw.strict", "--data.max_len", "9"], None)
    assert argv == ["--ds.attn_implementation", "sdpa", "--data.max_len", "9"]
    assert settings == SFTSettings(strict=True)
