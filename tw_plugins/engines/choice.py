"""Which engine decodes: vLLM in this process, or a server that is up already."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from tw_plugins.engines.address import address_of
from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.engines.key import key_in_environment
from tw_plugins.engines.openai_compatible import OpenAICompatibleEngine
from tw_plugins.engines.sglang import SGLangEngine
from tw_plugins.errors import UserError
from tw_plugins.rollout import Engine

__all__ = ["Server", "decode_with", "quiet_vllm", "server_of"]

T = TypeVar("T")
Kind = Literal["openai", "sglang"]


@dataclass(frozen=True)
class Server:
    """A server that others share.

    Attributes:
        base_url: ``http://localhost:8000/v1`` (openai), ``http://localhost:30000`` (sglang).
        model: name under which it serves the model.
        kind: "openai" for any OpenAI-compatible server that returns token ids (vLLM, recent SGLang), "sglang"
            for SGLang's own endpoint.

    Raises:
        UserError: another kind, an address or a key that cannot be used.
    """

    base_url: str
    model: str
    kind: Kind = "openai"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UserError(f"--server is {self.kind!r}: choose one of {', '.join(get_args(Kind))}")
        address_of(self.base_url)
        key_in_environment()  # before a model is loaded for nothing

    def engine(
        self, temperature: float, top_p: float, max_model_len: int, vocab_size: int | None = None
    ) -> OpenAICompatibleEngine:
        """An engine of it; its key comes from the environment (OPENAI_API_KEY) and is written nowhere."""
        made = SGLangEngine if self.kind == "sglang" else OpenAICompatibleEngine
        return made(
            self.base_url,
            self.model,
            temperature=temperature,
            top_p=top_p,
            max_model_len=max_model_len,
            vocab_size=vocab_size,
            api_key=key_in_environment(),
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
        model: folder or name; where a server decodes, the ids of its answers are those of this vocabulary.
        engine_args: of `VLLMEngine`; a server gets ``temperature``, ``top_p`` and ``max_model_len`` of them.
    """
    if server is None:
        with VLLMEngine(model, **engine_args) as engine:
            return asyncio.run(_awaited(work(engine)))

    async def on_server() -> T:
        names = ("temperature", "top_p", "max_model_len")
        asked = {name: engine_args[name] for name in names}
        async with server.engine(**asked, vocab_size=_vocabulary(model)) as engine:
            return await work(engine)

    return asyncio.run(on_server())


def quiet_vllm() -> None:
    """Only errors of vLLM and of torch beneath it, whose logs would hide what is drawn.

    For commands, before vLLM is imported; a level that the user has set stays.
    """
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        os.environ.setdefault(name, "ERROR")


def _vocabulary(model: str) -> int | None:
    """Ids that the model can sample, padding of its embedding too; None where its config does not say."""
    from transformers import AutoConfig

    return getattr(AutoConfig.from_pretrained(model).get_text_config(), "vocab_size", None)


async def _awaited(work: Awaitable[T]) -> T:
    return await work
