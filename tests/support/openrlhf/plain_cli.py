"""Upstream's own RL command with what the CPU needs and nothing else of ours; run by test_rl_loop."""

from __future__ import annotations

import os
import runpy

import ray

from openrlhf_ext import hooks
from openrlhf_ext.cpu.port import ENVIRONMENT, RAY

if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)
    hooks.install_for_device()
    hook = {"worker_process_setup_hook": "openrlhf_ext.hooks.install_for_device"}
    ray.init(runtime_env={"env_vars": ENVIRONMENT, **hook}, **RAY)  # type: ignore[arg-type]
    runpy.run_module("openrlhf.cli.train_ppo_ray", run_name="__main__", alter_sys=True)
