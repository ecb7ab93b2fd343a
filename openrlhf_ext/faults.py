"""An engine that dies ends the run with one error that says what to do.

Seam: `SamplesGenerator._generate_vllm` (`openrlhf/trainer/ppo_utils/samples_generator.py`), where upstream
waits for the rollouts. It sees that a rollout actor died; an engine that died inside its actor is seen by
`openrlhf_ext.llm`, and what an executor raises arrives here by itself.
Works around `trainer/ppo_utils/samples_generator.py:162` (OpenRLHF 0.11.2), which lets Ray's own error
through; can go once upstream names the engine that died.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from ray.exceptions import RayActorError

from tw_plugins.request import EngineError

ENGINE_DIED = (
    "a vLLM engine died in the rollout: see its log above. Run the same command with --ckpt.load_enable "
    "to go on from the last checkpoint (--ckpt.save_steps)"
)


def register(samples_generator: Any) -> None:
    """Called once `openrlhf.trainer.ppo_utils.samples_generator` is imported."""
    generate = samples_generator.SamplesGenerator._generate_vllm

    @wraps(generate)
    def generate_or_say(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return generate(self, *args, **kwargs)
        except RayActorError as error:
            raise EngineError(ENGINE_DIED) from error

    samples_generator.SamplesGenerator._generate_vllm = generate_or_say
