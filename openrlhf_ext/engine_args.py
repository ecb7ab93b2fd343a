"""vLLM's arguments that OpenRLHF does not pass through: `--tw.vllm_args`, `--tw.fp32`.

Seam: `RolloutRayActor.__init__` (`openrlhf/trainer/ray/vllm_engine.py`), whose keyword arguments become
vLLM's `AsyncEngineArgs`. Ray pickles the class as it is when the first actor is made, so the change reaches
the actors.
Works around `trainer/ray/vllm_engine.py:264-273` (OpenRLHF 0.11.2), a closed list with dtype bfloat16; can
go once upstream takes engine arguments by a flag.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from openrlhf_ext.settings import RLSettings


def engine_args() -> dict[str, Any]:
    """What is changed of upstream's arguments; the user's own come last."""
    settings = RLSettings.from_environment()
    # log-probs of the distribution that was sampled from; upstream asks for them only with a correction
    ours: dict[str, Any] = {"logprobs_mode": "processed_logprobs", "max_logprobs": 1}
    if settings.fp32:
        ours["dtype"] = "float32"
    return ours | settings.engine_args()


def register(vllm_engine: Any) -> None:
    """Called once `openrlhf.trainer.ray.vllm_engine` is imported."""
    actor = vllm_engine.RolloutRayActor.__ray_metadata__.modified_class
    init = actor.__init__

    @wraps(init)
    async def with_our_args(self: Any, *args: Any, **kwargs: Any) -> None:
        await init(self, *args, **{**kwargs, **engine_args()})

    actor.__init__ = with_our_args
