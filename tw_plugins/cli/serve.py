"""`threadweaver serve`: a model behind OpenAI's protocol, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import get_args

from tw_plugins.adapter.model_folder import check_model_folder
from tw_plugins.cli.console import PlainConsole
from tw_plugins.datasets.template import ChatTemplate, with_template
from tw_plugins.engines import VLLMEngine
from tw_plugins.engines.choice import Asking, Servers, Where, quiet_vllm, vocabulary_of
from tw_plugins.engines.sampling import Sampler
from tw_plugins.evaluation.run import context_of, load_tokenizer
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.rollout import Mode
from tw_plugins.serve.app import make_app
from tw_plugins.serve.served import Defaults, Served
from tw_plugins.serve.server import ServeError, bound, is_loopback, serve, shown, unheard_by_children
from tw_plugins.trajectory import ControlTokens

__all__ = ["Listening", "run"]

RETRIES, LEFT_OUT_S = 1, 5.0  # of a request, and until a server that is lost is tried again: clients wait


@dataclass(frozen=True)
class Listening:
    """Where a server listens and whom it lets in; `key` is None for everybody.

    Raises:
        ServeError: a key that no header can hold. It is not shown.
    """

    host: str
    port: int
    key: str | None
    max_concurrent: int

    def __post_init__(self) -> None:
        if self.key is not None and not (self.key and all("!" <= letter <= "~" for letter in self.key)):
            raise ServeError(
                "--api-key is empty, or has a character that no header can hold: give visible ASCII letters"
            )


def run(
    model: str,
    name: str,
    mode: str,
    settings: EvalSettings,
    where: Where | None,
    max_model_len: int | None,
    listening: Listening,
    console: PlainConsole,
) -> None:
    """Serve until SIGINT or SIGTERM, and finish what runs then.

    Args:
        name: what clients call the model.
        where: None decodes with vLLM in this process.
        max_model_len: tokens of the longest context; None is what the model says.

    Raises:
        ServeError, EvaluationError, ControlTokenError, ChatTemplateError, EngineError: it cannot be served.
    """
    modes: dict[str, Mode] = {one: one for one in get_args(Mode)}
    if mode not in modes:
        raise ServeError(f"--mode is {mode!r}: choose {' or '.join(modes)}")
    check_model_folder(model)
    tokenizer = with_template(load_tokenizer(model), settings.chat_template)
    ChatTemplate(tokenizer)  # raises where there is none
    tags = ControlTokens.from_tokenizer(tokenizer)
    defaults = Defaults(
        mode=modes[mode],
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        max_thread_tokens=settings.max_thread_tokens,
        max_threads=settings.max_threads,
        max_blocks=settings.max_blocks,
    )

    with bound(listening.host, listening.port) as at:

        def say() -> None:
            console.print(f"serving {name} at {shown(at)}/v1", soft_wrap=True)
            if listening.key is None and not is_loopback(listening.host):
                console.print("anybody who reaches this machine is answered: give --api-key", soft_wrap=True)

        async def work(engine: Sampler, context: int) -> None:
            served = Served(
                name, tokenizer, tags, engine, context, defaults, listening.max_concurrent, listening.key
            )
            await serve(make_app(served), at, say)

        if where is None:
            _in_process(model, settings, max_model_len, work, console)
        else:
            assert isinstance(where, Servers), "the command has no option for replicas"
            asyncio.run(_on_servers(model, settings, max_model_len, where, work))


Work = Callable[[Sampler, int], Awaitable[None]]


def _in_process(
    model: str, settings: EvalSettings, max_model_len: int | None, work: Work, console: PlainConsole
) -> None:
    """With vLLM, which is shut down behind it."""
    quiet_vllm()
    context = {} if max_model_len is None else {"max_model_len": max_model_len}
    arguments = {"seed": settings.seed, **context, **settings.engine_args}
    with ExitStack() as held:
        with console.working(model), unheard_by_children():
            engine = held.enter_context(VLLMEngine(model, seedable=True, **arguments))

        async def go() -> None:
            await work(engine, engine.max_model_len)

        asyncio.run(go())


async def _on_servers(
    model: str, settings: EvalSettings, max_model_len: int | None, where: Servers, work: Work
) -> None:
    """In front of servers, of which one that is lost is tried again soon."""
    context = max_model_len or context_of(model)
    asking = Asking(settings.temperature, settings.top_p, context, vocabulary_of(model), RETRIES)
    async with where.engine(asking, pause_s=LEFT_OUT_S) as engine:
        assert isinstance(engine, Sampler)
        await work(engine, context)
