"""A verl recipe in the planner's words; `threadweaver plan` asks the group `tw_plugins.planners`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from tw_plugins.planning.errors import PlanError
from tw_plugins.planning.job import Job, Remedy, Rollout, State, Training
from tw_plugins.planning.remedies import combinations
from verl_ext.separate import has_hybrid_replicas, is_separate
from verl_ext.settings import PASTED, settings_from
from verl_ext.verl_settings import ulysses_of, uses_threadweaver

FUSED_CHUNK = 512  # tokens; `verl/utils/experimental/torch_functional.py`, FusedLinearForPPO
FSDP = "actor_rollout_ref.actor.fsdp_config"
ROLLOUT = "actor_rollout_ref.rollout"
TRAINING_REMEDIES = {
    True: (
        ("actor_rollout_ref.model.enable_activation_offload=true",),
        (f"{FSDP}.offload_policy=true",),
        ("actor_rollout_ref.model.enable_activation_offload=true", f"{FSDP}.offload_policy=true"),
    ),
    False: (
        ("model.enable_activation_offload=true",),
        ("engine.offload_policy=true",),
        ("model.enable_activation_offload=true", "engine.offload_policy=true"),
    ),
}
"""By whether it is RL."""
OFFLOAD = (f"{FSDP}.param_offload=true", f"{FSDP}.optimizer_offload=true")
ROLLOUT_REMEDIES = (
    *((f"{ROLLOUT}.gpu_memory_utilization={share}",) for share in (0.5, 0.7, 0.8)),
    OFFLOAD,
    *((*OFFLOAD, f"{ROLLOUT}.gpu_memory_utilization={share}") for share in (0.7, 0.8, 0.85)),
    *((f"{ROLLOUT}.tensor_model_parallel_size={width}",) for width in (2, 4)),
    *((*OFFLOAD, f"{ROLLOUT}.tensor_model_parallel_size={width}") for width in (2, 4)),
)
TIMEOUT_REMEDIES = tuple((f"{PASTED}.engine_timeout_s={hours * 3600}",) for hours in (4, 24))


def job_of(recipe: Path, settings: Sequence[str], gpus: int) -> Job | None:
    """
    Args:
        recipe: a file.
        settings: `key=value`, on top of it.
        gpus: on a node, where the recipe does not say; verl's say.

    Returns:
        None: it is no YAML file.

    Raises:
        PlanError: Hydra cannot compose it.
    """
    if recipe.suffix not in (".yaml", ".yml"):
        return None
    return job_of_config(_composed(recipe, settings), recipe.stem)


def job_of_config(config: Any, name: str) -> Job:
    """Of verl's whole config, of RL or of SFT."""
    is_rl = "actor_rollout_ref" in config
    kinds = [TRAINING_REMEDIES[is_rl], *((ROLLOUT_REMEDIES, TIMEOUT_REMEDIES) if is_rl else ())]
    remedies = (Remedy(" ".join(each), _changed(config, name, each)) for each in combinations(*kinds))
    return _job(config, name, remedies)


def _composed(recipe: Path, settings: Sequence[str]) -> Any:
    import verl  # noqa: F401  (its plug-ins tell Hydra of threadweaver_rl)
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(recipe.parent.resolve()), version_base=None):
            return compose(recipe.stem, overrides=list(settings))
    except (HydraException, OmegaConfBaseException) as error:
        raise PlanError(f"{recipe}: {str(error).splitlines()[0]}: mend the recipe or the setting") from error


def _changed(config: Any, name: str, settings: Sequence[str]) -> Job:
    from omegaconf import OmegaConf

    changed = deepcopy(config)
    for each in settings:
        key, _, value = each.partition("=")
        OmegaConf.update(changed, key.lstrip("+"), OmegaConf.create(f"v: {value}").v, force_add=True)
    return _job(changed, name)


def _job(config: Any, name: str, remedies: Iterable[Remedy] = ()) -> Job:
    is_rl = "actor_rollout_ref" in config
    made = _rl(config, name) if is_rl else _sft(config)
    beside = config.actor_rollout_ref.rollout.nnodes if is_rl and is_separate(config) else 0
    return Job(
        name=name,
        framework="verl",
        nodes=config.trainer.nnodes + beside,
        gpus_per_node=config.trainer.n_gpus_per_node,
        remedies=remedies,
        **made,
    )


def _rl(config: Any, name: str) -> dict[str, Any]:
    if not uses_threadweaver(config):
        raise PlanError(f"{name} does not use ThreadWeaver: add threadweaver_rl to its defaults")
    part, data = config.actor_rollout_ref, config.data
    actor, engine = part.actor, part.rollout
    ours = settings_from(config)
    longest = ours.limits(data.max_response_length).max_tokens
    row = data.max_prompt_length + (2 if ours.layout == "trie" else 1) * longest
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    pool = engine.nnodes * engine.n_gpus_per_node if is_separate(config) else 0
    colocated = not pool or has_hybrid_replicas(config)
    if actor.use_dynamic_bsz:
        at_once = actor.ppo_max_token_len_per_gpu
    else:
        at_once = -(-row * (actor.ppo_micro_batch_size_per_gpu or 1) // ulysses_of(config))
    offloaded = bool(actor.fsdp_config.param_offload and actor.fsdp_config.optimizer_offload)
    return {
        "model": part.model.path,
        "training": Training(
            gpus=gpus,
            state=_state(actor.fsdp_config, gpus),
            row_tokens=row,
            at_once=at_once,
            checkpointing=part.model.enable_gradient_checkpointing,
            kept_offloaded=part.model.enable_activation_offload,
            chunk=FUSED_CHUNK if part.model.use_fused_kernels else None,
            reference=actor.use_kl_loss or config.algorithm.use_kl_in_reward,
        ),
        "rollout": Rollout(
            gpus=pool or gpus,
            tensor_parallel=engine.tensor_model_parallel_size,
            share=engine.gpu_memory_utilization,
            context=engine.max_model_len or data.max_prompt_length + longest,
            trajectories=data.train_batch_size * engine.n,
            max_tokens=longest,
            timeout_s=ours.engine_timeout_s,
            colocated=colocated,
            sleeps=engine.free_cache_engine,
            state_stays=not offloaded,
            workers=engine.agent.num_workers,
        ),
    }


def _sft(config: Any) -> dict[str, Any]:
    data, gpus = config.data, config.trainer.nnodes * config.trainer.n_gpus_per_node
    if data.use_dynamic_bsz:
        at_once = data.max_token_len_per_gpu
    else:
        at_once = -(-data.max_length * data.micro_batch_size_per_gpu // ulysses_of(config))
    return {
        "model": config.model.path,
        "training": Training(
            gpus=gpus,
            state=_state(config.engine, gpus),
            row_tokens=data.max_length,
            at_once=at_once,
            checkpointing=config.model.enable_gradient_checkpointing,
            kept_offloaded=config.model.enable_activation_offload,
            chunk=FUSED_CHUNK if config.model.use_fused_kernels else None,
        ),
    }


def _state(engine: Any, gpus: int) -> State:
    """Of FSDP2: parameters, gradients and Adam's two moments in the master's type, all spread."""
    each = 4 if str(engine.get("model_dtype")) in ("fp32", "float32") else 2
    ranks = engine.fsdp_size if engine.fsdp_size > 0 else gpus
    here = 0 if engine.offload_policy else each
    return State(here, here, 2 * each, ranks, ranks, ranks, optimizer_offloaded=bool(engine.offload_policy))
