"""The agent executor: fork-join rollouts inside OpenRLHF's vLLM actors, graded, returned as rows.

    --train.agent_func_path <this file>        set by `openrlhf_ext.train_ppo_ray` itself

Seam: `AgentExecutorBase.execute` (`openrlhf/utils/agent.py`). One trajectory is one dict, one row.

With upstream's own command the row cannot have branches: nothing there gives them their mask. The executor
then returns the joined trajectory with the sequential text and each first thread trained, which have their
true context there; threads 2..n are context only. It says so once and names the launcher.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from openrlhf.utils.agent import AgentExecutorBase

from openrlhf_ext import hooks
from openrlhf_ext.actor_engine import RolloutActorEngine
from openrlhf_ext.experience import row_fields
from openrlhf_ext.label import task_of
from openrlhf_ext.settings import METRICS, PREFIX, RLSettings, SettingsError
from openrlhf_ext.weights_version import NEWEST, OLDEST
from tw_plugins.adapter.prompt import PromptTooLong
from tw_plugins.reward import compute_score
from tw_plugins.reward.facts import EXTRA_FIELD, summarise
from tw_plugins.rollout import EngineError, Rollout, fork_join
from tw_plugins.rollout.deadline import WithDeadline
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trie import TrieRow, row_from_rollout, trained_ranges
from tw_plugins.verifiers.remote import TEMPLATED

logger = logging.getLogger(__name__)


class AgentExecutor(AgentExecutorBase):  # type: ignore[misc]
    """Built without arguments in each vLLM actor; the settings come by environment."""

    def __init__(self) -> None:
        self.settings = RLSettings.from_environment()
        self.with_branches = hooks.installed()
        self._tags: ControlTokens | None = None
        if not self.with_branches and self.settings.acceleration == "critical_path":
            raise SettingsError(
                "--tw.acceleration critical_path compares the trajectories of a group, which "
                "openrlhf.cli.train_ppo_ray does not: run python -m openrlhf_ext.train_ppo_ray"
            )
        if not self.with_branches and self.settings.mode == "parallel":
            logger.warning(
                "openrlhf.cli.train_ppo_ray cannot mask branches: threads 2..n are rolled out and rewarded "
                "but not trained. Run the same as python -m openrlhf_ext.train_ppo_ray to train them."
            )

    async def execute(
        self,
        prompt: str,
        label: Any,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: Any,
        llm_engine: Any,
        images: Any = None,
    ) -> dict[str, Any]:
        """Roll out and grade one trajectory; see upstream's `SingleTurnAgentExecutor` for the dict.

        Raises:
            PromptTooLong: the prompt exceeds what `--data.max_len` and `--rollout.max_new_tokens` leave.
            EngineError: vLLM reports an error, does not answer in time, or sampled nothing at all.
            ValueError: images, or an empty label.
        """
        if images:
            raise ValueError("ThreadWeaver's executor is for text; --data.max_images_per_prompt must be 0")
        tags = self._tags = self._tags or ControlTokens.from_tokenizer(hf_tokenizer)
        prompt_ids = hf_tokenizer(text=prompt, add_special_tokens=False)["input_ids"]
        engine = RolloutActorEngine(llm_engine, sampling_params, max_length)
        rollout = await fork_join(
            WithDeadline(engine, self.settings.engine_timeout_s, f"--{PREFIX}engine_timeout_s"),
            prompt_ids,
            tags,
            self.settings.limits(_room(prompt, prompt_ids, sampling_params.max_tokens, max_length)),
            mode=self.settings.mode,
        )
        if not any(call.completion.token_ids for call in rollout.calls):
            raise EngineError(f"vLLM sampled nothing after the prompt {prompt[:80]!r}")
        asked, reference, extra = task_of(prompt, label)
        summary = {**extra, TEMPLATED: prompt, EXTRA_FIELD: summarise(rollout, tags, asked)}
        source = str(extra.get("data_source", ""))
        scores = await asyncio.to_thread(
            compute_score, source, "", reference, summary, **self.settings.reward()
        )
        row = row_from_rollout(rollout)
        return {
            "prompt": prompt,
            "label": label,
            "images": None,
            "mm_train_inputs": None,
            "reward": scores["score"],
            "scores": scores["acc"],  # what dynamic filtering looks at: 0 to 1
            "truncated": "max_tokens" in rollout.limits_hit,
            "extra_logs": {
                **{f"{METRICS}/{name}/mean": value for name, value in scores.items()},
                **self._versions(engine),
            },
            **self._tokens(row, rollout, sampling_params.logprobs is not None),
        }

    def _versions(self, engine: RolloutActorEngine) -> dict[str, int]:
        """Nothing where no one counts the engine's weights."""
        return {OLDEST: min(engine.versions), NEWEST: max(engine.versions)} if self.with_branches else {}

    def _tokens(self, row: TrieRow, rollout: Rollout, with_logprobs: bool) -> dict[str, Any]:
        """The row in upstream's terms, without its branches where nothing would mask them."""
        if self.with_branches:
            return row_fields(row, len(rollout.response_ids))
        length = len(rollout.prompt_ids) + len(rollout.response_ids)
        return {
            "observation_tokens": row.input_ids[:length],
            "action_ranges": trained_ranges(row.loss_mask[:length]),
            "rollout_log_probs": row.logprobs[:length] if with_logprobs and row.logprobs else None,
        }


def _room(prompt: str, prompt_ids: list[int], max_new_tokens: int | None, max_length: int) -> int:
    """Tokens the response may have."""
    left = max_length - len(prompt_ids)
    if left < (max_new_tokens or 2):
        why = (
            f"; --data.max_len {max_length} leaves {left} for the response, {max_new_tokens or 2} are "
            "needed: raise --data.max_len or lower --rollout.max_new_tokens"
        )
        raise PromptTooLong.of(len(prompt_ids), why, prompt)
    return max_new_tokens or left
