"""Which engine decodes: vLLM in this process, or a server that is up already."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from tw_plugins.engines.http import OpenAICompatibleEngine
from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.engines.sglang import SGLangEngine
from tw_plugins.errors import UserError
from tw_plugins.rollout import Engine

__all__ = ["KEY_VARIABLE", "Server", "decode_with", "quiet_vllm", "server_of"]

T = TypeVar("T")
Kind = Literal["openai", "sglang"]
KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(frozen=True)
class Server:
    """A server that others share.

    Attributes:
        base_url: ``http://localhost:8000/v1`` (openai), ``http://localhost:30000`` (sglang).
        model: name under which it serves the model.
        kind: "openai" for any OpenAI-compatible server that returns token ids (vLLM, recent SGLang), "sglang"
            for SGLang's own endpoint.

    Raises:
        UserError: another kind.
    """

    base_url: str
    model: str
    kind: Kind = "openai"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(f"--server is {self.kind!r}: choose one of {', '.join(get_args(Kind))}")

    def engine(self, temperature: float, top_p: float, max_model_len: int) -> OpenAICompatibleEngine:
        """An engine of it; its key comes from the environment (OPENAI_API_KEY) and is written nowhere."""
        made = SGLangEngine if self.kind == "sglang" else OpenAICompatibleEngine
        return made(
            self.base_url,
            self.model,
            temperature=temperature,
            top_p=top_p,
            max_model_len=max_model_len,
            api_key=os.environ.get(KEY_VARIABLE),
        )


def server_of(
    base_url: str | None, model: str, kind: str, seed: int | None, engine_args: Sequence[str] | None
) -> Server | None:
    """What the command line says; None without a URL.

    Raises:
        UserError: options of vLLM in this process, which a server would not hear of; another kind.
    """
    if base_url is None:
        return None
    for option, given in (("--seed", seed is not None), ("--engine-arg", bool(engine_args))):
        if given:
            raise UserError(
                f"{option} is for vLLM in this process, --base-url names a server: leave it out, or set it "
                "where the server is started"
            )
    return Server(base_url, model, kind)  # type: ignore[arg-type]


def decode_with(
    model: str, engine_args: Mapping[str, Any], server: Server | None, work: Callable[[Engine], Awaitable[T]]
) -> T:
    """Run `work` on an engine that is shut down afterwards.

    Args:
        engine_args: of `VLLMEngine`; a server gets ``temperature``, ``top_p`` and ``max_model_len`` of them.
    """
    if server is None:
        with VLLMEngine(model, **engine_args) as engine:
            return asyncio.run(_awaited(work(engine)))

    async def on_server() -> T:
        names = ("temperature", "top_p", "max_model_len")
        async with server.engine(**{name: engine_args[name] for name in names}) as engine:
            return await work(engine)

    return asyncio.run(on_server())


def quiet_vllm() -> None:
    """Only errors of vLLM and of torch beneath it, whose logs would hide what is drawn.

    For commands, before vLLM is imported; a level that the user has set stays.
    """
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        os.environ.setdefault(name, "ERROR")


async def _awaited(work: Awaitable[T]) -> T:
    return await work
