"""Upstream's own RL command with what the CPU needs and nothing else of ours; run by test_rl_loop."""

from __future__ import annotations

import os
import runpy

import ray

from openrlhf_ext import hooks
from openrlhf_ext.launcher import CPU_ENVIRONMENT, CPU_RAY

if __name__ == "__main__":
    os.environ.update(CPU_ENVIRONMENT)
    hooks.install_for_cpu()
    hook = {"worker_process_setup_hook": "openrlhf_ext.hooks.install_for_cpu"}
    ray.init(runtime_env={"env_vars": CPU_ENVIRONMENT, **hook}, **CPU_RAY)  # type: ignore[arg-type]
    runpy.run_module("openrlhf.cli.train_ppo_ray", run_name="__main__", alter_sys=True)
