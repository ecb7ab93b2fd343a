"""An engine that dies or hangs ends the run with one error that says what to do.

Seams: `SamplesGenerator._generate_vllm` (`openrlhf/trainer/ppo_utils/samples_generator.py`), where upstream
waits for the rollouts. It sees that a rollout actor died; an engine that died inside its actor is seen by
`openrlhf_ext.actor_engine`, and what an executor raises arrives here by itself.
`BasePPOTrainer.broadcast_to_vllm` (`openrlhf/trainer/ppo_trainer.py`), where it waits for ever for weights.

Works around `trainer/ppo_utils/samples_generator.py:162` (OpenRLHF 0.11.2), which lets Ray's own error
through, and `trainer/ppo_trainer.py:316`, a `ray.get` without a time-out; can go once upstream names the
engine that died and bounds that wait.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from ray.exceptions import RayActorError

from openrlhf_ext.settings import PREFIX, RLSettings
from tw_plugins.adapter.bounded import bounded
from tw_plugins.rollout import EngineError

AGAIN = (
    "see its log above. Run the same command with --ckpt.load_enable to go on from the last checkpoint "
    "(--ckpt.save_steps)"
)
ENGINE_DIED = f"a vLLM engine died in the rollout: {AGAIN}"
GRACE_S = 30.0  # the CPU's group has a deadline of its own, whose message says more


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


def bound_weights_of(trainer: Any) -> None:
    """A deadline for the hand-over of weights of a trainer class."""
    broadcast = trainer.broadcast_to_vllm

    @wraps(broadcast)
    def broadcast_to_vllm(self: Any) -> None:
        seconds = RLSettings.from_environment().engine_timeout_s + GRACE_S
        bounded(
            seconds,
            "the hand-over of weights to vLLM",
            lambda: broadcast(self),
            late=f"the weights did not reach vLLM within {seconds:g} s (--{PREFIX}engine_timeout_s): {AGAIN}",
            died=lambda why: f"an engine died while it was sent weights ({why}): {AGAIN}",
        )

    trainer.broadcast_to_vllm = broadcast_to_vllm


def register_trainer(ppo_trainer: Any) -> None:
    """Called once `openrlhf.trainer.ppo_trainer` is imported."""
    bound_weights_of(ppo_trainer.BasePPOTrainer)
    # Ray gives an actor class inherited methods of its own (tracing), made before this
    bound_weights_of(ppo_trainer.PPOTrainer.__ray_metadata__.modified_class)
