"""With dynamic batches a step's gradient is that of all its micro-batches.

    --train.dynamic_batch_enable, --ds.zero_stage 1 or 2

OpenRLHF calls `backward` once for each micro-batch and `step` after the last, but tells DeepSpeed that a step
is one micro-batch (`utils/deepspeed/deepspeed.py:453`, OpenRLHF 0.11.2). So every `backward` counts as a
step's last, where ZeRO 1 and 2 put the gradient in the place of what was gathered
(`deepspeed/runtime/zero/stage_1_and_2.py:956`, DeepSpeed 0.19.6): an update has the last one alone.
Here DeepSpeed is told which one is the last; ZeRO 3, which adds anyway, is too. Can go once upstream does:
without this, `tests/integration/openrlhf_ext/test_ranks.py` fails.

Seam: `ActorPPOTrainer.training_step` (`openrlhf/trainer/ray/ppo_actor.py`).
"""

from __future__ import annotations

from functools import wraps
from typing import Any


def register(ppo_actor: Any) -> None:
    """Called once `openrlhf.trainer.ray.ppo_actor` is imported."""
    trainer = ppo_actor.ActorPPOTrainer
    train = trainer.training_step

    @wraps(train)
    def training_step(self: Any, experience: Any, kl_ctl: float, step: int, *args: Any, **kwargs: Any) -> Any:
        if self.args.train.dynamic_batch_enable:
            last = bool(self.replay_buffer.dynamic_optimizer_step[step])
            self.actor.model.set_gradient_accumulation_boundary(last)
        return train(self, experience, kl_ctl, step, *args, **kwargs)

    trainer.training_step = training_step
