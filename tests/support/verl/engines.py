"""verl's training engine in this process, and batches as verl's V1 trainer hands them to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from omegaconf import OmegaConf
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.distributed import destroy_global_process_group, initialize_global_process_group
from verl.workers.engine_workers import TrainingWorker, TrainingWorkerConfig
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import response_from_nested

from tests.support.fakes import StoryEngine
from tests.support.ranks import free_port
from tests.support.tiny import save_tiny
from tests.support.verl.configs import rl_config
from tests.support.verl.loops import TAGS, TOKENIZER, Client, run
from tw_plugins.rollout import Rollout, fork_join

Toy = Mapping[str, Path]
RECIPE = "toy_p_grpo"
ATTENTION = "actor_rollout_ref.model.override_config.attn_implementation"
FUSED = "actor_rollout_ref.model.use_fused_kernels=true"
PACKED = {"use_remove_padding": True}
DYNAMIC = {"use_dynamic_bsz": True, "max_token_len_per_gpu": 1100}


@contextmanager
def process_group() -> Iterator[None]:
    """A group of this process alone, made by verl as under torchrun."""
    environment = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**environment, "MASTER_PORT": str(free_port())}.items():
            patched.setenv(name, value)
        initialize_global_process_group(60)
        try:
            yield
        finally:
            destroy_global_process_group()


def tiny_model(folder: Path, tied: bool = True) -> Path:
    """Over the tokenizer of the core's tests."""
    return save_tiny(folder, TOKENIZER, tied)


def make_worker(model: Path, *settings: str) -> TrainingWorker:
    """The actor's TrainingWorker, from the toy recipe as `ActorRolloutRefWorker.init_model` makes it."""
    # fused kernels replace the forward of transformers' class, and so of the tests' reference models
    plain_forward = "actor_rollout_ref.model.use_fused_kernels=false"
    config = rl_config({"model": model, "rl": model, "eval": model}, plain_forward, *settings, name=RECIPE)
    OmegaConf.resolve(config)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    actor.optim.total_training_steps = 1
    worker = TrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=omega_conf_to_dataclass(config.actor_rollout_ref.model),
            engine_config=actor.engine,
            optimizer_config=actor.optim,
            checkpoint_config=actor.checkpoint,
        )
    )
    worker.reset()
    worker.actor_config = actor
    return worker


def stories(model: Path, groups: list[str], layout: str) -> list[tuple[Rollout, list[AgentLoopOutput]]]:
    """One trajectory per group key, from the agent loop: two blocks, cut threads, threads that end in EOS."""
    made = []
    for seed, group in enumerate(groups):
        kept: list[Rollout] = []

        async def keep(*args: Any, kept: list[Rollout] = kept, **kwargs: Any) -> Rollout:
            kept.append(await fork_join(*args, **kwargs))
            return kept[0]

        engine = StoryEngine(seed, TAGS, blocks=2, max_threads=4, thread_length=10, eos_rate=0.3)
        threadweaver = "actor_rollout_ref.rollout.custom.threadweaver"
        settings = [f"{threadweaver}.layout={layout}", f"{threadweaver}.max_thread_tokens=8"]
        toy = {"model": model, "rl": model, "eval": model}
        with patch("verl_ext.agent_loop.fork_join", keep):
            outputs = asyncio.run(run(Client(engine), toy, *settings, prompt=f"problem {group}"))
        made.append((kept[0], outputs))
    return made


def as_stored(output: AgentLoopOutput) -> dict[str, Any]:
    """A row as `AgentLoopWorkerTQ._agent_loop_postprocess` stores it."""
    output.reward_score = 0.0
    fields: dict[str, Any] = output.as_dict()
    input_ids = torch.cat([fields["prompts"], fields["responses"]])
    fields.update(
        loss_mask=fields["response_mask"], input_ids=input_ids, position_ids=torch.arange(len(input_ids))
    )
    return fields


def batch_of(rows: list[dict[str, Any]], **settings: Any) -> Any:
    """Stored rows as the engine's TensorDict; `settings` are what verl sets per batch."""
    batch = tu.list_of_dict_to_tensordict(rows)
    how = {
        "temperature": 1.0,
        "use_remove_padding": False,
        "use_dynamic_bsz": False,
        "calculate_entropy": False,
    }
    how |= {"micro_batch_size_per_gpu": len(rows), "global_batch_size": len(rows)}
    tu.assign_non_tensor(batch, **{**how, **settings})
    return batch


def log_probs(worker: TrainingWorker, batch: Any) -> torch.Tensor:
    """Log-probs (B, j) of the engine, forward only, without a loss; on every rank that has the rows."""
    tu.assign_non_tensor(batch, compute_loss=False)
    found = worker.infer_batch(batch)
    if (group := worker.engine.ulysses_parallel_group) is None:
        return found["log_probs"]
    shared = [None if found is None else found["log_probs"]]  # verl collects them from the first rank
    torch.distributed.broadcast_object_list(shared, group=group, group_src=0)
    return shared[0]


def response_log_probs(worker: Any, rows: list[dict[str, Any]], **how: Any) -> list[torch.Tensor]:
    """Per row the engine's log-probs of the trained tokens."""
    batch = batch_of(rows, **how)
    values = response_from_nested(log_probs(worker, batch), batch["response_mask"])
    return [value[row["response_mask"].bool()] for value, row in zip(values.unbind(), rows, strict=True)]


def plain(model: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The same weights as a stock Hugging Face model."""
    return AutoModelForCausalLM.from_pretrained(model, dtype=dtype, attn_implementation="sdpa").eval()


def policy_gradient(worker: Any, rows: list[dict[str, Any]], advantages: list[float], **how: Any) -> Any:
    """Gradient by name of verl's PPO loss, on-policy, token mean over the batch."""
    batch = batch_of(rows, **how)
    mask = batch["response_mask"]
    batch["old_log_probs"] = response_from_nested(log_probs(worker, batch_of(rows, **how)), mask)
    values = [a * row["response_mask"].float() for a, row in zip(advantages, rows, strict=True)]
    batch["advantages"] = torch.nested.as_nested_tensor(values, layout=torch.jagged)
    return gradient(worker, batch, partial(ppo_loss, config=worker.actor_config))


def gradient(worker: Any, batch: Any, loss: Any) -> tuple[float, dict[str, torch.Tensor]]:
    with worker.engine.train_mode():
        worker.engine.optimizer_zero_grad()
        output = worker.engine.forward_backward_batch(batch, loss)
        grads = {
            name: (p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad).double().clone()
            for name, p in worker.engine.module.named_parameters()
        }
    return float(sum(output["loss"])), grads
