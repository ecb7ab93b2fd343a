"""Two runs on one machine must not send their weights to each other's engine.

Works around `verl/workers/rollout/vllm_rollout/vllm_rollout.py:140` (verl 0.9.1): the socket that carries the
weights is `/tmp/rl-colocate-zmq-{Ray job id}-…`, and a Ray cluster of its own, as every run on one machine
starts, always has job id 01000000. Sender and receiver add a name that the driver gives the run through the
environment.
`tests/unit/verl_ext/test_cpu.py` fails once verl's path tells runs apart, and then this file can go.
"""

from __future__ import annotations

import os
import uuid
from functools import wraps
from typing import Any

RUN_ID = "THREADWEAVER_RUN_ID"


def name_run() -> None:
    """Give this run its name; called in the driver, whose environment a local Ray hands on."""
    os.environ[RUN_ID] = uuid.uuid4().hex[:12]


def of_this_run(handle: str) -> str:
    """verl's socket address, told apart from those of other runs."""
    run = os.environ.get(RUN_ID)
    return handle if run is None else handle.removesuffix(".sock") + f"-{run}.sock"


def register(vllm_rollout: Any) -> None:
    """Called by `verl_ext.cpu.plugin` once verl's vLLM rollout is imported."""
    adapter = vllm_rollout.ServerAdapter
    init = adapter.__init__

    @wraps(init)
    def named(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.zmq_handle = of_this_run(self.zmq_handle)

    adapter.__init__ = named
