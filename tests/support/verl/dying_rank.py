"""An actor whose ranks say on which node they are, and the second of which dies in the third update.

    actor_rollout_ref.model.external_lib=tests.support.verl.dying_rank

It ends as the OOM killer ends it, between its gradient and the step that all ranks take together.
"""

from __future__ import annotations

import os
import signal
from functools import wraps
from pathlib import Path
from typing import Any

import ray
import torch
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from tests.support.dying import DIED

step = FSDPEngine.optimizer_step


@wraps(step)
def step_or_die(self: Any) -> Any:
    self.steps = getattr(self, "steps", 0) + 1
    rank = torch.distributed.get_rank()
    Path(f"{os.environ[DIED]}_{rank}").write_text(ray.get_runtime_context().get_node_id())
    if self.steps == 3 and rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self)


FSDPEngine.optimizer_step = step_or_die
