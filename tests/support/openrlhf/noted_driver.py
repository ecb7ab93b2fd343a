"""The RL launcher up to `ray.init`, which is noted and not called: one JSON object of what is there then."""

from __future__ import annotations

import json
import sys
from typing import Any

import ray
import torch

from openrlhf_ext.launcher import launch
from openrlhf_ext.settings import RLSettings
from openrlhf_ext.train_ppo_ray import AGENT


def module_of(module: str, name: str) -> str:
    """Where a function of upstream's module comes from."""
    return str(getattr(sys.modules[module], name).__globals__["__name__"])


def note(**asked: Any) -> None:
    """In the place of `ray.init`."""
    found = {
        "ray": asked,
        "port": [name for name in sys.modules if name.startswith("openrlhf_ext.cpu")],
        "synchronize": torch.cuda.synchronize.__module__,
        "mesh": module_of("openrlhf.utils.deepspeed.deepspeed", "init_device_mesh"),
        "group": module_of("openrlhf.utils.distributed_util", "stateless_init_process_group"),
        "unpad": module_of("openrlhf.models.ring_attn_utils", "unpad_input"),
    }
    print(json.dumps(found))
    raise SystemExit(0)


if __name__ == "__main__":
    ray.init = note
    launch("openrlhf.cli.train_ppo_ray", RLSettings, sys.argv[1:], agent=str(AGENT))
