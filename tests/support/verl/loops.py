"""The agent loop as verl's worker builds and calls it, over the engines of the core's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import hydra
from verl.experimental.agent_loop.agent_loop import (
    AgentLoopOutput,
    DictConfigWrap,
    ToolListWrap,
    _agent_loop_registry,
)
from verl.workers.rollout.replica import TokenOutput

from tests.support.fakes import ScriptedEngine, char_tokenizer, control_tokens
from tests.support.verl.configs import rl_config
from tw_plugins.rollout import Completion

Toy = Mapping[str, Path]
TOKENIZER = char_tokenizer()
TOKENIZER.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
TAGS = control_tokens(TOKENIZER)


class Client:
    """verl's LLMServerClient over an engine of the core's tests; `versions[k]` is what request k reports."""

    def __init__(
        self,
        engine: Any,
        versions: Sequence[tuple[int, int]] = (),
        reasons: Mapping[int, str] = MappingProxyType({}),
        with_logprobs: bool = True,
    ) -> None:
        self.engine, self.versions, self.reasons = engine, versions, reasons
        self.with_logprobs = with_logprobs
        self.calls: list[dict[str, Any]] = []

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]
    ) -> TokenOutput:
        number = len(self.calls)
        self.calls.append({"id": request_id, "prompt": prompt_ids, **sampling_params})
        completion = await self.engine.generate(
            prompt_ids,
            stop_token_ids=sampling_params["stop_token_ids"],
            max_tokens=sampling_params["max_tokens"],
            request_id=request_id,
        )
        first, last = self.versions[number] if self.versions else (1, 1)
        return TokenOutput(
            token_ids=completion.token_ids,
            log_probs=completion.logprobs if self.with_logprobs else None,
            stop_reason=self.reasons.get(number, "completed"),
            extra_fields={"min_global_steps": first, "max_global_steps": last},
        )


def script(*replies: str | Completion) -> ScriptedEngine:
    """An engine that answers with these texts or completions in turn."""
    return ScriptedEngine([TAGS.encode(r) if isinstance(r, str) else r for r in replies])


def build(client: Client, toy: Toy, *settings: str, tokenizer: Any = TOKENIZER) -> Any:
    """As `AgentLoopWorker._run_agent_loop` builds it, by its registered name."""
    config = rl_config(toy, *settings)
    return hydra.utils.instantiate(
        config=_agent_loop_registry["threadweaver"],
        trainer_config=DictConfigWrap(config=config),
        server_manager=client,
        tokenizer=tokenizer,
        processor=None,
        hf_model_type="qwen3",
        dataset_cls=None,
        data_config=DictConfigWrap(config.data),
        tools=ToolListWrap([]),
    )


async def run(client: Client, toy: Toy, *settings: str, prompt: str = "1+1?") -> list[AgentLoopOutput]:
    """The rows of one trajectory."""
    loop = build(client, toy, *settings)
    sampling = {"temperature": 0.7, "logprobs": True}
    output = await loop.run(sampling, raw_prompt=[{"role": "user", "content": prompt}], index=0)
    assert sampling == {"temperature": 0.7, "logprobs": True}  # verl reuses it for the other samples
    return output if isinstance(output, list) else [output]
