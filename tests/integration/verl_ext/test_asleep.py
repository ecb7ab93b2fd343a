"""verl's driver with the package installed and nothing asked for: it is verl's own, GPU or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

DRIVER = """
import json, os, sys
import verl.trainer.main_ppo as driver
import torch.distributed.fsdp as torch_fsdp
import verl.utils.distributed as distributed
import verl.workers.engine.fsdp.transformer_impl as fsdp
from verl.plugin.platform.platform_manager import PlatformRegistry, get_platform
from verl.workers.engine.base import EngineRegistry
from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter
from hydra import compose, initialize_config_module

with initialize_config_module("verl.trainer.config", version_base=None):
    config = compose("ppo_trainer", ["trainer.device=cpu", "actor_rollout_ref.actor.use_dynamic_bsz=true",
                                     "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=true"])
driver.auto_set_device(config)
driver.validate_config(config, use_reference_policy=False, use_critic=False)
engines = [(kind, strategy, key, engine) for kind, strategies in EngineRegistry._engines.items()
           for strategy, devices in strategies.items() for key, engine in devices.items()]
print(json.dumps({
    "platform": type(get_platform()).__module__,
    "platforms": PlatformRegistry.registered_names(),
    "device": config.trainer.device,
    "not verl's": [found[:3] for found in engines if not found[3].__module__.startswith("verl.")],
    "on the cpu": [found[:2] for found in engines if found[2] == "cpu"],
    "process group": [distributed.initialize_global_process_group_ray.__module__,
                      hasattr(distributed.initialize_global_process_group_ray, "keywords")],
    "server adapter": [ServerAdapter.__init__.__module__, hasattr(ServerAdapter.__init__, "__wrapped__")],
    "offload": fsdp.CPUOffloadPolicy is torch_fsdp.CPUOffloadPolicy,
    "named": "THREADWEAVER_RUN_ID" in os.environ,
    "loaded": sorted(name for name in sys.modules if name.startswith("verl_ext.cpu.")),
}))
"""


@pytest.fixture(scope="module")
def driver() -> dict[str, Any]:
    """What stands where the CPU port would put something."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("VERL_", "THREADWEAVER_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_port_was_looked_at_and_stayed_asleep(driver: dict[str, Any]) -> None:
    assert driver["loaded"] == ["verl_ext.cpu.plugin", "verl_ext.cpu.seams"]


def test_the_platform_is_verls(driver: dict[str, Any]) -> None:
    assert driver["platform"].startswith("verl.plugin.platform.")
    assert "cpu" not in driver["platforms"]


def test_a_run_without_threadweaver_gets_the_device_that_verl_gives_it(driver: dict[str, Any]) -> None:
    assert driver["device"] != "cpu" and not driver["named"]


def test_the_engines_of_other_models_and_devices_are_verls(driver: dict[str, Any]) -> None:
    """Ours goes verl's own way with batches without branches (`test_trie_engine.py`)."""
    ours = {(kind, strategy, tuple(key)) for kind, strategy, key in driver["not verl's"]}
    vendors = [("cuda", "nvidia"), ("cuda", "amd")]
    assert ours == {("language_model", name, vendor) for name in ("fsdp", "fsdp2") for vendor in vendors}
    assert driver["on the cpu"] == []


def test_what_the_port_replaces_is_as_it_was(driver: dict[str, Any]) -> None:
    assert driver["process group"] == ["verl.utils.distributed", False]
    assert driver["server adapter"] == ["verl.workers.rollout.vllm_rollout.vllm_rollout", False]
    assert driver["offload"]
