"""An engine or a rank that dies, or hangs, ends the run with one error that says what to do.

Seams: `SamplesGenerator._generate_vllm` (`openrlhf/trainer/ppo_utils/samples_generator.py`), where upstream
waits for the rollouts. It sees that a rollout actor died; an engine that died inside its actor is seen by
`openrlhf_ext.actor_engine`, and what an executor raises arrives here by itself.
`BasePPOTrainer.broadcast_to_vllm` (`openrlhf/trainer/ppo_trainer.py`), where it waits for ever for weights;
`train_step` and `save_logs_and_checkpoints` there, where it uses its ranks. When one dies, others fail too,
for want of it, and what they say may arrive first: so the ranks are asked who died.

Works around `trainer/ppo_utils/samples_generator.py:162` (OpenRLHF 0.11.2), which lets Ray's own error
through, and `trainer/ppo_trainer.py:316`, a `ray.get` without a time-out; can go once upstream names the
engine or the rank that died and bounds that wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ray.exceptions import RayActorError

from openrlhf_ext.settings import PREFIX, RLSettings
from openrlhf_ext.weights_version import count_hand_over
from tw_plugins.adapter.alive import dead
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
    """A deadline for the hand-over of weights of a trainer class, which is counted."""
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
        count_hand_over(self)

    trainer.broadcast_to_vllm = broadcast_to_vllm


@contextmanager
def naming_dead_ranks(trainer: Any) -> Iterator[None]:
    """
    Raises:
        EngineError: in the place of any other error, where a rank of the trainer has died.
    """
    try:
        yield
    except Exception as error:
        if found := dead(_ranks(trainer)):
            who = "; ".join(f"{name} died ({why})" for name, why in found.items())
            raise EngineError(f"{who}: {AGAIN}") from error
        raise


def _ranks(trainer: Any) -> dict[str, Any]:
    groups = {"actor": trainer.actor_model_group, "reference": trainer.reference_model_group}
    return {
        f"{kind} rank {rank}": answer
        for kind, group in groups.items()
        if group is not None
        for rank, answer in enumerate(group.async_run_method("__ray_ready__"))
    }


def name_dead_ranks_of(trainer: Any) -> None:
    """Wrap the methods of a trainer class that wait for its ranks."""
    for name in ("train_step", "save_logs_and_checkpoints"):
        setattr(trainer, name, _naming(getattr(trainer, name)))


def _naming(method: Any) -> Any:
    @wraps(method)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        with naming_dead_ranks(self):
            return method(self, *args, **kwargs)

    return named


def register_trainer(ppo_trainer: Any) -> None:
    """Called once `openrlhf.trainer.ppo_trainer` is imported."""
    # Ray gives an actor class inherited methods of its own (tracing), made before this
    for trainer in (ppo_trainer.BasePPOTrainer, ppo_trainer.PPOTrainer.__ray_metadata__.modified_class):
        bound_weights_of(trainer)
        name_dead_ranks_of(trainer)
