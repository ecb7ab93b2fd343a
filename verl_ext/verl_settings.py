"""verl's own settings that verl accepts and ThreadWeaver cannot work with, misspelt names above all.

verl looks names up where they are used: in a worker, in the first step, or never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tw_plugins.adapter.deviations import CUT_SOFTMAX, FROZEN_TAGS
from tw_plugins.settings import closest
from verl_ext.separate import separate_problems
from verl_ext.settings import OUR_REWARD, reward_is_ours

NAME, ESTIMATOR = "threadweaver", "p_grpo"
AGENT_KEY = "actor_rollout_ref.rollout.agent.default_agent_loop"
CUSTOM_KEY = "actor_rollout_ref.rollout.custom"
MODE_KEY, ESTIMATOR_KEY = "trainer.v1.trainer_mode", "algorithm.adv_estimator"
REWARD_PATH, REWARD_NAME = f"pkg://{OUR_REWARD}", "compute_score"
OLD_REWARD = ("verl_ext.reward", "verl_ext/reward", "verl_ext/reward.py")
"""Ends of paths under which the reward function was found once."""

VERLS_LOOPS = ("single_turn_agent", "tool_agent")
VERLS_MODES = ("sync", "colocate_async", "separate_async")
MODES = (*VERLS_MODES, *(f"{NAME}_{mode}" for mode in VERLS_MODES))
ALONG_THE_ROW = ("gae", "optimal_token_baseline", "tir_optimal_token_baseline", "remax")
"""Estimators that need a value or a baseline at each token of one sequence, or a rollout of their own."""


def uses_threadweaver(config: Any) -> bool:
    """Whether a verl config asks for anything of ThreadWeaver's, misspelt or not; its trainer modes alone
    only add metrics."""
    rollout, estimator = config.actor_rollout_ref.rollout, config.algorithm.adv_estimator
    custom = rollout.get("custom") or {}
    names = [*(custom if isinstance(custom, Mapping) else ()), rollout.agent.get("default_agent_loop")]
    path = config.reward.custom_reward_function.get("path")
    return (
        any(_meant(name, [NAME]) for name in names)
        or _meant(estimator, [ESTIMATOR, *_estimators()]) == ESTIMATOR
        or _known_reward(path)
        or _meant(path, [REWARD_PATH]) is not None
    )


def ulysses_of(config: Any) -> int:
    """Ranks that a row is split over while the model is trained, in RL or in SFT."""
    places = [config.engine] if "engine" in config else []
    if "actor_rollout_ref" in config:
        actor = config.actor_rollout_ref.actor
        places = [actor, actor.get("fsdp_config") or {}]  # the older place wins (`workers/config/actor.py`)
    sizes = (int(place.get("ulysses_sequence_parallel_size") or 1) for place in places)
    return next((size for size in sizes if size > 1), 1)


def run_problems(config: Any, layout: str) -> Iterator[str]:
    """Everything that cannot work, a line each."""
    yield from _misspelt(config)
    yield from _numbers(config)
    actor_rollout, reward = config.actor_rollout_ref, config.reward.custom_reward_function
    estimator, loop = config.algorithm.adv_estimator, actor_rollout.rollout.agent.get("default_agent_loop")
    yield from separate_problems(config)
    if not config.trainer.get("use_v1", True):
        yield "trainer.use_v1=False is verl's older trainer, which ThreadWeaver does not know: set it to True"
    if config.algorithm.get("use_pf_ppo"):
        yield (
            "algorithm.use_pf_ppo=True draws trajectories again by their advantages, which verl's V1 then "
            "pairs with others: set it to False"
        )
    if layout == "trie" and (estimator in ALONG_THE_ROW or config.critic.get("enable")):
        what = f"{ESTIMATOR_KEY}={estimator}" if estimator in ALONG_THE_ROW else "critic.enable=True"
        yield (
            f"{what} takes a trie row for one sequence: set {ESTIMATOR_KEY}={ESTIMATOR} critic.enable=null, "
            "or layout=rows"
        )
    if reward_is_ours(reward.get("path")):
        if reward.get("name") != REWARD_NAME:
            yield (
                f"reward.custom_reward_function.name={reward.get('name')}: {REWARD_PATH} has only "
                f"{REWARD_NAME}, set it"
            )
        if loop in VERLS_LOOPS:
            yield f"{AGENT_KEY}={loop} measures nothing for {REWARD_PATH}: set {AGENT_KEY}={NAME}"
    if actor_rollout.rollout.multi_turn.get("enable"):
        yield (
            "actor_rollout_ref.rollout.multi_turn.enable=True is for verl's tool calls, which the agent loop "
            "does not make: set it to False"
        )


def run_deviations(config: Any, layout: str) -> Iterator[str]:
    """What is allowed and neither P-GRPO nor a fork; never silent."""
    loop = config.actor_rollout_ref.rollout.agent.get("default_agent_loop")
    estimator = config.algorithm.adv_estimator
    if loop != NAME:
        yield (
            f"{AGENT_KEY}={loop}: nothing forks unless that is a subclass of {NAME}'s, or the data have a "
            f"column agent_name that says {NAME}"
        )
    if estimator not in (ESTIMATOR, "grpo" if layout == "rows" else None):
        yield f"{ESTIMATOR_KEY}={estimator}: P-GRPO's is {ESTIMATOR}"
    yield from _of_another_distribution(config.actor_rollout_ref.rollout)
    if rank := config.actor_rollout_ref.model.get("lora_rank"):
        yield FROZEN_TAGS.format(setting=f"actor_rollout_ref.model.lora_rank={rank}")
    for key, on in (
        ("actor_rollout_ref.actor.use_kl_loss", config.actor_rollout_ref.actor.get("use_kl_loss")),
        ("algorithm.use_kl_in_reward", config.algorithm.get("use_kl_in_reward")),
    ):
        if on:
            yield f"{key}=True: P-GRPO has no KL term, set it to False"


def _of_another_distribution(rollout: Any) -> Iterator[str]:
    """The actor's log-probs are those of the whole softmax."""
    for key, cut, whole in (
        ("top_p", rollout.get("top_p", 1.0) < 1, 1.0),
        ("top_k", rollout.get("top_k", -1) > 0, -1),
    ):
        if cut:
            yield CUT_SOFTMAX.format(setting=f"actor_rollout_ref.rollout.{key}={rollout[key]}", whole=whole)


def _misspelt(config: Any) -> Iterator[str]:
    """Names that nobody has, close to one that somebody has; others may be the user's own."""
    rollout = config.actor_rollout_ref.rollout
    for name in rollout.get("custom") or {}:
        if name != NAME and _meant(name, [NAME]):
            yield f"{CUSTOM_KEY}.{name}: nobody reads it; did you mean {NAME}? Mend or remove it"
    path = config.reward.custom_reward_function.get("path")
    if str(path).endswith(OLD_REWARD):
        yield f"reward.custom_reward_function.path={path} is no more: set {REWARD_PATH}"
    for key, name, known in (
        (AGENT_KEY, rollout.agent.get("default_agent_loop"), [NAME, *VERLS_LOOPS]),
        (MODE_KEY, config.trainer.v1.trainer_mode, MODES),
        (ESTIMATOR_KEY, config.algorithm.adv_estimator, [ESTIMATOR, *_estimators()]),
        ("reward.custom_reward_function.path", None if _known_reward(path) else path, [REWARD_PATH]),
    ):
        if name not in known and (meant := _meant(name, known)):
            yield f"{key}={name}: there is none of that name; did you mean {meant}? Set {key}={meant}"


def _known_reward(path: str | None) -> bool:
    return reward_is_ours(path) or str(path).endswith(OLD_REWARD)


def _numbers(config: Any) -> Iterator[str]:
    group = config.algorithm.adv_estimator == ESTIMATOR
    for key, value, least, why in (
        ("data.train_batch_size", config.data.train_batch_size, 1, "prompts a step"),
        ("data.max_prompt_length", config.data.max_prompt_length, 1, "tokens of a prompt"),
        (
            "actor_rollout_ref.rollout.n",
            config.actor_rollout_ref.rollout.n,
            2 if group else 1,
            "answers to a prompt, which P-GRPO compares" if group else "answers to a prompt",
        ),
    ):
        if value < least:
            yield f"{key}={value}: {why}, set it to at least {least}"


def _meant(name: str | None, known: Iterable[str]) -> str | None:
    return None if name is None else closest(str(name), known)


def _estimators() -> Iterable[str]:
    """Names in verl's registry, the user's own too; in the driver it is imported already."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    return ADV_ESTIMATOR_REGISTRY.keys()
