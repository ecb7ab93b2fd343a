"""Every setting that cannot work is named before any process starts.

Seam: `validate_config` (`verl/utils/config.py`), which `python -m verl.trainer.main_ppo` calls in the driver before it
starts Ray. verl has no hook there, so the function is wrapped; the wrapper calls verl's own check first. Runs that use
nothing of ThreadWeaver pass through untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import wraps
from types import ModuleType
from typing import Any

from verl_ext.files import check_prompt_files
from verl_ext.settings import KEY, SettingsError, settings_from
from verl_ext.shared_memory import check_shared_memory
from verl_ext.vocabulary import check_vocabulary

logger = logging.getLogger(__name__)

AGENT_LOOP, ESTIMATOR = "threadweaver", "p_grpo"
MASKED_ATTENTION = ("sdpa", "eager", "flex_attention")
"""transformers' attention implementations that take a mask of their caller's."""


def uses_threadweaver(config: Any) -> bool:
    """Whether a verl config asks for anything of ThreadWeaver's."""
    rollout = config.actor_rollout_ref.rollout
    named = rollout.agent.get("default_agent_loop") == AGENT_LOOP or "threadweaver" in (rollout.get("custom") or {})
    return named or config.algorithm.adv_estimator == ESTIMATOR


def check(config: Any) -> None:
    """Check a whole verl config.

    Raises:
        SettingsError: everything that is wrong, one line each, with the setting to change.
        ValueError: a data file, tokenizer or model that does not fit; see the modules imported above.
    """
    settings = settings_from(config)
    limits = settings.limits(config.data.max_response_length)
    found = list(_row_problems(config, settings.layout)) + list(_length_problems(config, limits.max_tokens))
    if found:
        raise SettingsError("\n".join(found))
    for warning in _deviations(config, settings.layout):
        logger.warning(warning)
    check_prompt_files(config.data)
    check_vocabulary(config.actor_rollout_ref.model.path, config.actor_rollout_ref.model.get("trust_remote_code", False))
    check_shared_memory(config)


def _row_problems(config: Any, layout: str) -> Iterator[str]:
    """Trie rows need a mask; rows per request need an estimator that knows the trajectory."""
    model, actor = config.actor_rollout_ref.model, config.actor_rollout_ref.actor
    if layout == "rows":
        if config.algorithm.adv_estimator == ESTIMATOR:
            yield (
                "algorithm.adv_estimator=p_grpo needs one row per trajectory. With layout=rows use "
                "algorithm.adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False, verl's own estimator for several rows"
            )
        return
    if actor.strategy not in ("fsdp", "fsdp2"):
        yield f"layout=trie needs actor.strategy=fsdp or fsdp2, not {actor.strategy}; or set {KEY}.layout=rows"
    attention = (model.get("override_config") or {}).get("attn_implementation", "flash_attention_2")
    if attention not in MASKED_ATTENTION:
        yield (
            f"layout=trie needs attention that takes a mask, not {attention}: set "
            "+actor_rollout_ref.model.override_config.attn_implementation=sdpa (or flex_attention on CUDA)"
        )
    if (sizes := _ulysses_sizes(config)) and max(sizes) > 1:
        yield "layout=trie cannot split a sequence over ranks: set ulysses_sequence_parallel_size=1, or layout=rows"
    if model.get("use_fused_kernels", False):
        yield "layout=trie is not supported with fused kernels: set actor_rollout_ref.model.use_fused_kernels=False"


def _ulysses_sizes(config: Any) -> list[int]:
    actor = config.actor_rollout_ref.actor
    places = (actor, actor.get("fsdp_config") or {})
    return [int(place.get("ulysses_sequence_parallel_size") or 1) for place in places]


def _length_problems(config: Any, max_tokens: int) -> Iterator[str]:
    """The engine must have room for the longest prompt and the whole joined response."""
    rollout, data = config.actor_rollout_ref.rollout, config.data
    room, need = rollout.get("max_model_len"), data.max_prompt_length + max_tokens
    if room and room < need:
        yield (
            f"actor_rollout_ref.rollout.max_model_len={room} is less than data.max_prompt_length + {KEY}.max_tokens "
            f"= {data.max_prompt_length} + {max_tokens}: set it to {need} or lower the others"
        )


def _deviations(config: Any, layout: str) -> Iterator[str]:
    """What verl would do that is not Eq. 4; allowed, but never silent."""
    actor, algorithm = config.actor_rollout_ref.actor, config.algorithm
    if algorithm.adv_estimator == ESTIMATOR and actor.loss_agg_mode != "token-mean":
        yield f"actor.loss_agg_mode={actor.loss_agg_mode}: Eq. 4 of P-GRPO is token-mean"
    if actor.ppo_mini_batch_size != config.data.train_batch_size:
        yield "actor.ppo_mini_batch_size differs from data.train_batch_size: a step is several updates, not on-policy"
    if layout == "rows":
        yield "layout=rows: verl's mini-batches count rows, so one step becomes several updates; layout=trie does not"
    if "verl_ext" not in str(config.reward.custom_reward_function.get("path")):
        yield (
            "reward.custom_reward_function is not pkg://verl_ext.reward: a reward function of your own must grade "
            "extra_info['threadweaver']['text'], because verl's solution_str holds branch copies of the threads"
        )


def register(verl_config: ModuleType) -> None:
    """Called by `verl_ext.plugin` once `verl.utils.config` is imported."""
    validate = verl_config.validate_config

    @wraps(validate)
    def validate_config(config: Any, *args: Any, **kwargs: Any) -> None:
        validate(config, *args, **kwargs)
        if uses_threadweaver(config):
            check(config)

    verl_config.validate_config = validate_config
