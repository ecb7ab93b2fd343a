"""verl's own settings that ThreadWeaver cannot work with are named, and names that were meant are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

from tests.support.messages import assert_message
from tests.support.verl.configs import rl_config
from verl_ext import preflight
from verl_ext.settings import SettingsError
from verl_ext.verl_settings import MODES, VERLS_LOOPS, uses_threadweaver

Toy = dict[str, Path]
ROLLOUT, ACTOR, MODEL = "actor_rollout_ref.rollout", "actor_rollout_ref.actor", "actor_rollout_ref.model"
AGENT, ESTIMATOR, MODE = (
    f"{ROLLOUT}.agent.default_agent_loop",
    "algorithm.adv_estimator",
    "trainer.v1.trainer_mode",
)
FUNCTION = "reward.custom_reward_function"
WRONG = {
    "custom section": (
        f"{ROLLOUT}.custom.threadweavr.layout=rows",
        "threadweavr: .*did you mean threadweaver[?]",
    ),
    "agent loop": (
        f"{AGENT}=threadweavers",
        "=threadweavers: there is none .*Set .*agent_loop=threadweaver$",
    ),
    "verl's agent loop": (
        f"{AGENT}=single_turn_agent",
        "=single_turn_agent measures nothing .*: set .*=threadweaver",
    ),
    "verl's tool loop": (f"{AGENT}=tool_agent", "=tool_agent measures nothing .*: set .*=threadweaver"),
    "trainer mode": (f"{MODE}=threadweaver_snyc", "=threadweaver_snyc: there is none .*=threadweaver_sync$"),
    "trainer mode with a pool": (
        f"{MODE}=threadweaver_separate",
        "=threadweaver_separate: there is none .*=threadweaver_separate_async$",
    ),
    "resampling": ("algorithm.use_pf_ppo=true", "use_pf_ppo=True draws .*: set it to False"),
    "older trainer": ("trainer.use_v1=false", "trainer.use_v1=False .*: set it to True"),
    "estimator": (
        f"{ESTIMATOR}=pgrpo",
        "adv_estimator=pgrpo: there is none .*Set algorithm.adv_estimator=p_grpo",
    ),
    "verl's estimator": (f"{ESTIMATOR}=grppo", "adv_estimator=grppo: there is none .*did you mean grpo[?]"),
    "critic's estimator": (
        f"{ESTIMATOR}=gae",
        "adv_estimator=gae takes a trie row for one sequence: set .*p_grpo",
    ),
    "critic": ("critic.enable=true", "critic.enable=True takes a trie row for one sequence: set .*=null"),
    "remax": (f"{ESTIMATOR}=remax", "adv_estimator=remax takes .*: set algorithm.adv_estimator=p_grpo"),
    "token baseline": (f"{ESTIMATOR}=optimal_token_baseline", "takes a trie row for one sequence: set"),
    "reward's name": (
        f"{FUNCTION}.name=compute_scor",
        "name=compute_scor: .* has only compute_score, set it",
    ),
    "reward's path": (f"{FUNCTION}.path=pkg://tw_plugins.rewards", "Set .*path=pkg://tw_plugins.reward$"),
    "reward's old path": (
        f"{FUNCTION}.path=pkg://verl_ext.reward",
        "path=pkg://verl_ext.reward is no more: set pkg://tw_plugins.reward$",
    ),
    "reward's old file": (
        f"{FUNCTION}.path=/x/verl_ext/reward.py",
        "is no more: set pkg://tw_plugins.reward$",
    ),
    "group of one": (f"{ROLLOUT}.n=1", "rollout.n=1: answers .* P-GRPO compares, set it to at least 2"),
    "group of none": (f"{ROLLOUT}.n=0", "rollout.n=0: answers .* P-GRPO compares, set it to at least 2"),
    "empty batch": ("data.train_batch_size=0", "train_batch_size=0: prompts a step, set it to at least 1"),
    "no prompt": ("data.max_prompt_length=0", "max_prompt_length=0: .*, set it to at least 1"),
    "tools": (f"{ROLLOUT}.multi_turn.enable=true", "multi_turn.enable=True is for .*: set it to False"),
}
ALLOWED = {
    "a subclass's loop": ([f"{AGENT}=mine", f"{FUNCTION}.path=pkg://mine"], "nothing forks unless"),
    "verl's loop, another reward": ([f"{AGENT}=tool_agent", f"{FUNCTION}.path=null"], "nothing forks unless"),
    "an estimator of groups": ([f"{ESTIMATOR}=rloo"], "P-GRPO's is p_grpo"),
    "verl's GRPO": ([f"{ESTIMATOR}=grpo", f"{ROLLOUT}.n=1"], "P-GRPO's is p_grpo"),
    "reinforce": ([f"{ESTIMATOR}=reinforce_plus_plus"], "P-GRPO's is p_grpo"),
    "an estimator of one's own": ([f"{ESTIMATOR}=mine"], "P-GRPO's is p_grpo"),
    "KL loss": ([f"{ACTOR}.use_kl_loss=true"], "use_kl_loss=True: P-GRPO has no KL term, set it to False"),
    "KL in the reward": (["algorithm.use_kl_in_reward=true"], "use_kl_in_reward=True: P-GRPO has no KL term"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_named(toy: Toy, case: str) -> None:
    override, pattern = WRONG[case]
    config = rl_config(toy, override)
    assert uses_threadweaver(config)
    with pytest.raises(SettingsError) as error:
        preflight.check(config)
    assert_message(error.value, pattern)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_not_p_grpo_is_allowed_but_said(
    toy: Toy, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    overrides, warning = ALLOWED[case]
    preflight.check(rl_config(toy, *overrides))
    assert [message for message in caplog.messages if warning in message]


@pytest.mark.parametrize(
    "override",
    [
        f"{ROLLOUT}.custom.threadweavr.x=1",
        f"{AGENT}=thread_weaver",
        f"{ESTIMATOR}=pgrpo",
        f"{FUNCTION}.path=pkg://verl_ext.reward",
    ],
)
def test_a_misspelt_run_is_one_of_ours(toy: Toy, override: str) -> None:
    plain = [
        f"{AGENT}=single_turn_agent",
        f"{ESTIMATOR}=grpo",
        f"{ROLLOUT}.custom=null",
        f"{FUNCTION}.path=null",
    ]
    assert not uses_threadweaver(rl_config(toy, *plain))
    assert uses_threadweaver(rl_config(toy, *plain, override))


def test_a_gpu_may_have_lora(toy: Toy) -> None:
    """What the CPU cannot do is the CPU port's to say (`test_cpu.py`)."""
    preflight.check(rl_config(toy, f"{MODEL}.lora_rank=8"))


def test_the_names_are_verls() -> None:
    """Fails where verl has got a trainer mode or an agent loop that the check does not know."""
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.trainer.ppo.v1 import trainer_separate_async

    assert trainer_separate_async.PPOTrainerSeparateAsync is TRAINER_REGISTRY["separate_async"]
    assert TRAINER_REGISTRY.keys() == set(MODES)
    loops = {name for name, loop in _agent_loop_registry.items() if loop["_target_"].startswith("verl.")}
    assert loops == set(VERLS_LOOPS)
