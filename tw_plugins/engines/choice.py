"""Which engine decodes: vLLM in this process, replicas on a Ray cluster, or servers that are up already."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, get_args

from tw_plugins.engines.address import address_of
from tw_plugins.engines.in_process import VLLMEngine
from tw_plugins.engines.key import key_in_environment
from tw_plugins.engines.openai_compatible import OpenAICompatibleEngine
from tw_plugins.engines.replicas import Replicas
from tw_plugins.engines.sglang import SGLangEngine
from tw_plugins.engines.spread import PAUSE_S, Spread
from tw_plugins.errors import UserError
from tw_plugins.rollout import Engine

__all__ = [
    "Asking",
    "Replicas",
    "Server",
    "Servers",
    "Where",
    "decode_with",
    "quiet_vllm",
    "vocabulary_of",
    "where_of",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Kind = Literal["openai", "sglang"]


@dataclass(frozen=True)
class Asking:
    """How servers are asked; see `OpenAICompatibleEngine`."""

    temperature: float
    top_p: float
    max_model_len: int
    vocab_size: int | None = None
    retries: int = 4


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

    def engine(self, asking: Asking) -> OpenAICompatibleEngine:
        """An engine of it; its key comes from the environment (OPENAI_API_KEY) and is written nowhere."""
        made = SGLangEngine if self.kind == "sglang" else OpenAICompatibleEngine
        return made(self.base_url, self.model, **asdict(asking), api_key=key_in_environment())


@dataclass(frozen=True)
class Servers:
    """One server or several, of the same model."""

    all: tuple[Server, ...]

    @asynccontextmanager
    async def engine(self, asking: Asking, pause_s: float = PAUSE_S) -> AsyncIterator[Engine]:
        """The one's, or one of all; `pause_s` is of `Spread`."""
        async with AsyncExitStack() as stack:
            made = [await stack.enter_async_context(one.engine(asking)) for one in self.all]
            if len(made) == 1:
                yield made[0]
                return
            spread = Spread([(f"server {number}", engine) for number, engine in enumerate(made, 1)], pause_s)
            try:
                yield spread
            finally:
                _say_losses(spread)


Where = Servers | Replicas


def where_of(
    base_urls: Sequence[str],
    model: str,
    kind: str,
    seed: int | None,
    engine_args: Mapping[str, Any],
    replicas: int | None = None,
    tensor_parallel_size: int | None = None,
) -> Where | None:
    """What the command line says; None for vLLM in this process.

    Args:
        model: its name on the servers.
        engine_args: of vLLM, as the user has them.

    Raises:
        UserError: options that do not go together; another kind of server.
    """
    if base_urls:
        _refuse_beside_servers(base_urls, seed, engine_args, replicas)
    if replicas is None:
        if tensor_parallel_size is not None:
            raise UserError(
                "--tensor-parallel-size is of --replicas: give that too, or --engine-arg "
                f"tensor_parallel_size={tensor_parallel_size} for vLLM in this process"
            )
        return Servers(tuple(Server(url, model, kind) for url in base_urls)) if base_urls else None  # type: ignore[arg-type]
    if "tensor_parallel_size" in engine_args:
        raise UserError("--engine-arg tensor_parallel_size: with --replicas, give --tensor-parallel-size")
    return Replicas(replicas, tensor_parallel_size or 1)


def _refuse_beside_servers(
    base_urls: Sequence[str], seed: int | None, engine_args: Mapping[str, Any], replicas: int | None
) -> None:
    """
    Raises:
        UserError: options of vLLM that we start, which a server would not hear of; one server twice.
    """
    ours = {"--seed": seed is not None, "--engine-arg": bool(engine_args)}
    for option in (name for name, given in ours.items() if given):
        raise UserError(
            f"{option} is for vLLM in this process, --base-url names a server: leave it out, or set it "
            "where the server is started"
        )
    if replicas is not None:
        raise UserError("--replicas starts engines, --base-url names servers that are up: leave one out")
    if len(set(base_urls)) < len(base_urls):
        raise UserError("--base-url is the same twice: give each server once")


def decode_with(
    model: str, engine_args: Mapping[str, Any], where: Where | None, work: Callable[[Engine], Awaitable[T]]
) -> T:
    """Run `work` on an engine that is shut down afterwards. What was lost on the way is said in the log.

    Args:
        model: folder or name; where a server decodes, the ids of its answers are those of this vocabulary.
        engine_args: of `VLLMEngine`; a server gets ``temperature``, ``top_p`` and ``max_model_len`` of them.
        where: None is vLLM in this process.
    """
    if where is None:
        with VLLMEngine(model, **engine_args) as engine:
            return asyncio.run(_awaited(work(engine)))
    if isinstance(where, Replicas):
        with where.engines(model, {**engine_args, "seed_requests": True}) as engines:
            spread = Spread(engines)
            try:
                return asyncio.run(_awaited(work(spread)))
            finally:
                _say_losses(spread)

    async def on_servers() -> T:
        names = ("temperature", "top_p", "max_model_len")
        asked = {name: engine_args[name] for name in names}
        async with where.engine(Asking(**asked, vocab_size=vocabulary_of(model))) as engine:
            return await work(engine)

    return asyncio.run(on_servers())


def _say_losses(spread: Spread) -> None:
    if said := spread.said():
        logger.warning("%s", said)


def quiet_vllm() -> None:
    """Only errors of vLLM and of torch beneath it, whose logs would hide what is drawn.

    For commands, before vLLM is imported; a level that the user has set stays.
    """
    for name in ("VLLM_LOGGING_LEVEL", "TORCH_CPP_LOG_LEVEL"):
        os.environ.setdefault(name, "ERROR")


def vocabulary_of(model: str) -> int | None:
    """Ids that the model can sample, padding of its embedding too; None where its config does not say."""
    from transformers import AutoConfig

    return getattr(AutoConfig.from_pretrained(model).get_text_config(), "vocab_size", None)


async def _awaited(work: Awaitable[T]) -> T:
    return await work
