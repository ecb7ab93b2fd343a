"""One vLLM in a Ray actor on a node, and what its processes do when the actor is killed."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Sequence
from typing import Any

from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.rollout import Completion

__all__ = ["EndsWithActor", "Replica"]

_EXTENSION = "worker_extension_cls"


class Replica:
    """The actor.

    Args:
        model, engine_args: of `VLLMEngine`.
    """

    def __init__(self, model: str, engine_args: dict[str, Any]) -> None:
        self._model, self._engine_args = model, engine_args
        self._engine: VLLMEngine | None = None

    async def start(self) -> None:
        """Loads the model. Not done when the actor is made: Ray would hide what went wrong in a long text.

        Raises:
            Exception: what `VLLMEngine` and vLLM raise.
        """
        ours = f"{EndsWithActor.__module__}.{EndsWithActor.__name__}"
        args = {_EXTENSION: ours, **self._engine_args}
        self._engine = VLLMEngine(self._model, **args)
        if args[_EXTENSION] == ours:  # the user may have one of his own, and vLLM takes one
            await self._engine.call_workers("end_with", os.getpid())

    async def generate(
        self, prompt_ids: Sequence[int], stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """As `VLLMEngine.generate`."""
        assert self._engine is not None, "start comes first"
        return await self._engine.generate(
            prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
        )

    async def shutdown(self) -> None:
        """Ends vLLM's processes."""
        if self._engine is not None:
            self._engine.shutdown()


class EndsWithActor:
    """Mixed into vLLM's worker (`worker_extension_cls`).

    vLLM's engine process outlives a parent that is killed (vLLM 0.29, `v1/engine/core.py`), and its GPU's
    memory stays taken. Can go once it does not.
    """

    def end_with(self, pid: int) -> None:
        """Have this process killed when another one ends; of several workers' engine the rest follows."""
        threading.Thread(target=_end_with, args=(os.pidfd_open(pid),), daemon=True).start()


def _end_with(other: int) -> None:
    select.select([other], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
