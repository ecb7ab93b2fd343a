"""Which weights a trajectory was decoded by: the versions of its calls, and `threadweaver/staleness/*`.

With `--train.async_enable` a step trains what older weights decoded, with `--train.partial_rollout_enable` a
call is paused for new ones and goes on. Upstream numbers no weights, so both sides count the hand-overs of
this run: the trainer those that it made (`openrlhf_ext.watch`), an engine those that arrived whole.

Seams: `RolloutRayActor.update_weight` and `update_weight_cuda_ipc` (`openrlhf/trainer/ray/vllm_engine.py`),
which get one parameter each and `empty_cache` with the last (`trainer/ray/ppo_actor.py:441`, OpenRLHF
0.11.2); can go once upstream's engines know the step of their weights.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from openrlhf_ext.settings import METRICS
from tw_plugins.adapter.staleness import staleness

OLDEST, NEWEST = "rollout/oldest_weights", "rollout/newest_weights"
"""In the `info` of an `Experience`, which upstream logs."""


def weights_version(holder: Any) -> int:
    """Hand-overs of weights that a trainer has made, or an engine has had; 0: those of the start."""
    return getattr(holder, "weights_version", 0)


def count_hand_over(holder: Any) -> None:
    """One more, once it is whole."""
    holder.weights_version = weights_version(holder) + 1


def staleness_of(samples: list[Any], trained: int) -> dict[str, float]:
    """Metrics of a step's samples; none where the executor is not ours.

    Args:
        trained: the trainer's version when the step begins.
    """
    versions = [(int(s.info[OLDEST]), int(s.info[NEWEST])) for s in samples if OLDEST in s.info]
    return {f"{METRICS}/{name}": value for name, value in staleness(versions, trained).items()}


def register(vllm_engine: Any) -> None:
    """Called once `openrlhf.trainer.ray.vllm_engine` is imported."""
    actor = vllm_engine.RolloutRayActor.__ray_metadata__.modified_class
    actor.update_weight = counted(actor.update_weight)
    actor.update_weight_cuda_ipc = counted(actor.update_weight_cuda_ipc)


def counted(update: Any) -> Any:
    """A method that takes one parameter, which counts the last one of each hand-over."""

    @wraps(update)
    async def update_weight(self: Any, *args: Any, empty_cache: bool = False, **kwargs: Any) -> Any:
        done = await update(self, *args, empty_cache=empty_cache, **kwargs)
        if empty_cache:
            count_hand_over(self)
        return done

    return update_weight
