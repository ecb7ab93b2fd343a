"""The agent loop `threadweaver`: fork-join rollouts through verl's LLM servers, returned as rows.

    rollout.agent.default_agent_loop: threadweaver

Seam: `verl/experimental/agent_loop/agent_loop.py`, `AgentLoopBase.run`. Token ids go to the server and come
back; no text is re-encoded on the way to training.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

from tw_plugins.adapter.prompt import PromptTooLong
from tw_plugins.reward.facts import EXTRA_FIELD, summarise
from tw_plugins.rollout import Rollout, fork_join
from tw_plugins.rollout.deadline import WithDeadline
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout
from tw_plugins.trie.promise import demand_mask
from verl_ext.row_output import row_output
from verl_ext.server_engine import ServerEngine
from verl_ext.settings import PASTED, settings_from
from verl_ext.staleness import CALL_VERSIONS

NAME = "threadweaver"


@lru_cache(maxsize=4)
def control_tokens_of(tokenizer: Any) -> ControlTokens:
    """Control tokens, read once per tokenizer: verl builds a loop for every trajectory."""
    return ControlTokens.from_tokenizer(tokenizer)


class ThreadWeaverAgentLoop(AgentLoopBase):
    """One trajectory: prompt → fork-join rollout → one trie row (or one row per request).

    Raises:
        UnmaskedRows: trie rows, where the plug-in is not loaded.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = settings_from(self.config)
        if self.settings.layout == "trie":
            demand_mask()
        self.tags = control_tokens_of(self.tokenizer)
        self.limits = self.settings.limits(self.rollout_config.response_length)

    async def run(
        self, sampling_params: dict[str, Any], **kwargs: Any
    ) -> AgentLoopOutput | list[AgentLoopOutput]:
        """Roll out one trajectory.

        Args:
            sampling_params: verl's; each request gets its stop tokens and budget on top of them.
            **kwargs: the fields of the data set's row; `raw_prompt` holds the chat messages.

        Raises:
            PromptTooLong: the prompt exceeds `rollout.prompt_length`.
            EngineError: the server died, failed, or did not answer in time.
        """
        engine = ServerEngine(self.server_manager, sampling_params)
        rollout = await fork_join(
            WithDeadline(engine, self.settings.engine_timeout_s, f"{PASTED}.engine_timeout_s"),
            await self._prompt_ids(messages := list(kwargs["raw_prompt"])),
            self.tags,
            self.limits,
            mode=self.settings.mode,
            request_id=uuid4().hex,
            request_id_per_thread=self.settings.request_ids == "thread",
        )
        summary = summarise(rollout, self.tags, str(messages[-1].get("content")))
        if self.settings.layout == "rows":
            rows = rows_from_rollout(rollout)
            if rows:  # none where the engine sampled nothing at all
                return [self._output(row, row.loss_mask.index(1), rollout, summary) for row in rows]
        return self._output(row_from_rollout(rollout), len(rollout.prompt_ids), rollout, summary)

    async def _prompt_ids(self, messages: list[dict[str, Any]]) -> list[int]:
        # Not ct_build_initial_tokens: it cuts a long prompt on the left with no more than a log line.
        build = self.continuous_token_builder.build_initial_tokens
        prompt_ids = list(await self.loop.run_in_executor(None, lambda: build(messages)))
        if len(prompt_ids) > (limit := self.rollout_config.prompt_length):
            why = f", data.max_prompt_length is {limit}: raise it, or set data.filter_overlong_prompts=True"
            raise PromptTooLong.of(len(prompt_ids), why, str(messages[0].get("content")))
        return prompt_ids

    def _output(self, row: TrieRow, cut: int, rollout: Rollout, summary: dict[str, Any]) -> AgentLoopOutput:
        """A row in verl's terms; its prompt is the first `cut` tokens."""
        if len(row) == cut:  # the engine gave nothing: verl hangs the reward on this token, it is not trained
            row = TrieRow([*row.input_ids, self.tags.eos_ids[0]], [*range(cut + 1)], [*row.loss_mask, 0])
        return row_output(row, cut, {EXTRA_FIELD: summary, **_weight_versions(rollout)})


def _weight_versions(rollout: Rollout) -> dict[str, Any]:
    """First and last weight version of the trajectory (verl's staleness control) and those of every call."""
    versions: list[Any] = [call.completion.weight_version for call in rollout.calls]
    known = [version for version in versions if version is not None]
    return {
        "min_global_steps": min((first for first, _ in known), default=None),
        "max_global_steps": max((last for _, last in known), default=None),
        CALL_VERSIONS: [None if version is None else list(version) for version in versions],
    }


def register(agent_loop: ModuleType) -> None:
    """Called by `verl_ext.plugin` once `verl.experimental.agent_loop.agent_loop` is imported."""
    agent_loop.register(NAME)(ThreadWeaverAgentLoop)
