"""Every setting that cannot work is named before any process starts.

Seam: `validate_config` (`verl/utils/config.py`), which `python -m verl.trainer.main_ppo` calls in the driver
before it starts Ray. verl has no hook there, so the function is wrapped; the wrapper calls verl's own check
first. A wrong setting ends the command with one message and status 1. Runs that use nothing of ThreadWeaver
pass through untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import wraps
from typing import Any

from tw_plugins.adapter.vocabulary import check_vocabulary, warn_of_ends
from tw_plugins.attention.span import check_span
from tw_plugins.errors import in_one_line
from tw_plugins.planning.here import check_memory
from tw_plugins.verifiers import check_verifier
from tw_plugins.verifiers.names import from_anywhere
from verl_ext.engine_settings import STRATEGIES, EngineKeys, engine_problems, settle_attention, split_problems
from verl_ext.files import check_prompt_files
from verl_ext.planner import job_of_config
from verl_ext.recomputing import bypasses
from verl_ext.seams import SUPPORTED
from verl_ext.settings import (
    KEY,
    PASTED,
    REWARD_KEY,
    SettingsError,
    prompt_settings,
    reward_settings,
    settings_from,
)
from verl_ext.verl_settings import (
    ESTIMATOR,
    NAME,
    run_deviations,
    run_problems,
    ulysses_of,
    uses_threadweaver,
)
from verl_ext.weight_bucket import bucket_problems

logger = logging.getLogger(__name__)

KEYS = EngineKeys(
    "actor.strategy",
    "+actor_rollout_ref.model",
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size",
    f"; or {PASTED}.layout=rows",
)


def check(config: Any) -> None:
    """Check a whole verl config.

    Raises:
        UnsupportedVersion: an installed version that verl_ext was not checked against.
        SettingsError: everything that is wrong, one line each, with the setting to change.
        ValueError: a data file, tokenizer or model that does not fit; see the modules imported above.
    """
    SUPPORTED.check()
    settings = settings_from(config)
    limits = settings.limits(config.data.max_response_length)
    found = [
        *_row_problems(config, settings.layout),
        *_length_problems(config, settings.layout, limits.max_tokens),
        *_reward_problems(config),
        *run_problems(config, settings.layout),
    ]
    if found:
        raise SettingsError("\n".join(found))
    for warning in [*_deviations(config, settings.layout), *run_deviations(config, settings.layout)]:
        logger.warning(warning)
    model = config.actor_rollout_ref.model
    if settings.layout == "trie":
        settle_attention(model)
    tokenizer, model_config = check_vocabulary(model.path, model.get("trust_remote_code", False))
    tokenizer.chat_template = model.get("custom_chat_template") or tokenizer.chat_template
    warn_of_ends(tokenizer)
    found = list(bucket_problems(config, model_config))
    if settings.layout == "trie":
        found += split_problems(model_config, ulysses_of(config), KEYS)
    if found:
        raise SettingsError("\n".join(found))
    sources = check_prompt_files(config.data, tokenizer)
    if reward := reward_settings(config):
        check_verifier(reward, sources)
        if reward.verifier != (anywhere := from_anywhere(reward.verifier)):
            config.reward.custom_reward_function.reward_kwargs.verifier = anywhere
    if settings.layout == "trie":
        check_span(model_config, config.data.max_prompt_length + limits.max_tokens)
    if config.actor_rollout_ref.actor.strategy in STRATEGIES:
        for warning in check_memory(job_of_config(config, "this run"), model_config):
            logger.warning(warning)


def _row_problems(config: Any, layout: str) -> Iterator[str]:
    """Trie rows need a mask; rows per request need an estimator that knows the trajectory."""
    model, actor = config.actor_rollout_ref.model, config.actor_rollout_ref.actor
    if layout == "rows":
        if config.algorithm.adv_estimator == ESTIMATOR:
            yield (
                "algorithm.adv_estimator=p_grpo needs one row per trajectory. With layout=rows use verl's, "
                "which knows several: algorithm.adv_estimator=grpo algorithm.norm_adv_by_std_in_grpo=False"
            )
        return
    ulysses, gpus = ulysses_of(config), config.trainer.nnodes * config.trainer.n_gpus_per_node
    yield from engine_problems(actor.strategy, model, ulysses, KEYS)
    if gpus % ulysses:
        yield f"{KEYS.ulysses}={ulysses} does not divide the {gpus} GPUs that train: set one that does, or 1"


def _length_problems(config: Any, layout: str, max_tokens: int) -> Iterator[str]:
    """The engine must have room for prompt and joined response, the actor's micro-batch for the row."""
    rollout, actor, prompt = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor, config.data
    room, need = rollout.get("max_model_len"), prompt.max_prompt_length + max_tokens
    if room and room < need:
        yield (
            f"actor_rollout_ref.rollout.max_model_len={room} is less than data.max_prompt_length + "
            f"{KEY}.max_tokens = {prompt.max_prompt_length} + {max_tokens}: set it to {need}, or lower these"
        )
    if layout == "trie" and actor.use_dynamic_bsz:
        # Threads 2..n are in a row twice, on the main path and as branches.
        ranks, need = ulysses_of(config), prompt.max_prompt_length + 2 * max_tokens
        room = actor.ppo_max_token_len_per_gpu
        if room * ranks < need:
            shared = f", over {ranks} ranks" if ranks > 1 else ""
            yield (
                f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu={room} is less than a trie row can have, "
                f"data.max_prompt_length + 2 · {KEY}.max_tokens = {need}{shared}: raise it, or verl stops "
                "there"
            )


def _reward_problems(config: Any) -> Iterator[str]:
    """Settings of our reward function; another's are its own business."""
    try:
        settings = reward_settings(config)
    except ValueError as error:
        yield str(error)
        return
    mode, prompts = config.trainer.v1.trainer_mode, prompt_settings(config.data)
    if settings and settings.verifier != prompts.verifier:
        yield (
            f"{prompts.PREFIX}verifier={prompts.verifier} is not the reward's: set "
            f"+{prompts.PREFIX}verifier={settings.verifier}, as {REWARD_KEY}.verifier is"
        )
    if settings and settings.acceleration == "critical_path" and not mode.startswith(NAME):
        yield (
            "acceleration=critical_path compares the trajectories of a group, which verl's own trainer "
            f"modes do not: set trainer.v1.trainer_mode={NAME}_{mode}"
        )


def _deviations(config: Any, layout: str) -> Iterator[str]:
    """What verl would do that is not Eq. 4; allowed, but never silent."""
    actor, algorithm = config.actor_rollout_ref.actor, config.algorithm
    if algorithm.adv_estimator == ESTIMATOR and actor.loss_agg_mode != "token-mean":
        yield f"actor.loss_agg_mode={actor.loss_agg_mode}: Eq. 4 of P-GRPO is token-mean"
    if actor.ppo_mini_batch_size != config.data.train_batch_size:
        yield "actor.ppo_mini_batch_size is not data.train_batch_size: several updates a step, off-policy"
    if layout == "rows":
        yield "layout=rows: verl's mini-batches count rows, so a step is several updates; not in layout=trie"
        if algorithm.adv_estimator == "grpo" and algorithm.get("norm_adv_by_std_in_grpo", True):
            yield "algorithm.norm_adv_by_std_in_grpo=True: P-GRPO does not divide by the standard deviation"
    if bypasses(config) and not config.trainer.v1.trainer_mode.startswith(NAME):
        yield (
            "algorithm.rollout_correction.bypass_mode=True: nothing would show that the actor disagrees with "
            f"the engine; trainer.v1.trainer_mode={NAME}_sync looks every few steps, set it"
        )
    reward = reward_settings(config)
    if reward and config.reward.reward_model.get("enable") and ":" not in reward.verifier:
        yield (
            f"reward.reward_model.enable=True: verifier {reward.verifier} does not ask it; one of your own "
            "finds it at extra['reward_router_address'], see docs/verifier.md"
        )
    if reward is None:
        yield (
            "reward.custom_reward_function is not pkg://tw_plugins.reward: one of your own must grade "
            "extra_info['threadweaver']['text']; verl's solution_str holds branch copies of the threads"
        )


def register(verl_config: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.utils.config` is imported."""
    validate = verl_config.validate_config

    @wraps(validate)
    def validate_config(config: Any, *args: Any, **kwargs: Any) -> None:
        validate(config, *args, **kwargs)
        if uses_threadweaver(config):
            with in_one_line():
                check(config)

    verl_config.validate_config = validate_config
