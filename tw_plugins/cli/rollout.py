"""One trajectory in the terminal while it is decoded: `threadweaver rollout`.

sequential text, its outlines
╭─ thread 1 ──╮ ╭─ thread 2 ──╮ ╭─ thread 3 ──╮
│ …           │ │ …           │ │ …           │
╰─ 34 tokens ─╯ ╰─ 29 tokens ─╯ ╰─ 31 tokens ─╯
sequential text
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, get_args, runtime_checkable

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from tw_plugins.cli.console import PlainConsole
from tw_plugins.engines.choice import Where, decode_with, quiet_vllm
from tw_plugins.errors import visible
from tw_plugins.evaluation.run import EvalSettings, prepare_prompt
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.latency import measure
from tw_plugins.rollout import Completion, Engine, Mode, Rollout, fork_join
from tw_plugins.storage.jsonl import is_text
from tw_plugins.trajectory import ControlTokens

__all__ = ["LiveTrajectory", "run", "summary_line"]

TAG = r"</?(Parallel|Outlines|Outline|Thread|Conclusion|think)>"
TAIL_LINES = 12  # of a part, and
TAIL_PARTS = 4  # while it is decoded: a terminal cannot redraw what has scrolled away


@runtime_checkable
class Streaming(Protocol):
    """An engine that also says what it has so far."""

    def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncIterator[Completion]:
        """Completions that grow, the last one whole; as :meth:`tw_plugins.rollout.Engine.generate` else."""
        ...


@dataclass
class Part:
    """What one request has sampled so far; `block` counts the forks before it, `thread` is None outside."""

    block: int
    thread: int | None
    ids: Sequence[int] = ()
    done: bool = False


class LiveTrajectory:
    """An engine for `fork_join` that can be drawn at any time."""

    def __init__(self, engine: Engine, tags: ControlTokens) -> None:
        self.parts: list[Part] = []
        self._engine, self._tags = engine, tags

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`."""
        part = self._begun(list(prompt_ids))
        completion = Completion([], None, "abort")
        async for completion in self._growing(
            prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
        ):
            part.ids = completion.token_ids
        part.done = True
        return completion

    async def _growing(self, prompt_ids: Sequence[int], **asked: Any) -> AsyncIterator[Completion]:
        """From an engine that does not stream, the whole completion alone."""
        if isinstance(self._engine, Streaming):
            async for completion in self._engine.stream(prompt_ids, **asked):
                yield completion
        else:
            yield await self._engine.generate(prompt_ids, **asked)

    def _begun(self, prompt_ids: list[int]) -> Part:
        number = self._thread_number(prompt_ids)
        before = self.parts[-1] if self.parts else Part(0, None)
        part = Part(before.block + (number is None), number)
        self.parts.append(part)
        return part

    def _thread_number(self, prompt_ids: list[int]) -> int | None:
        """A thread's prompt ends in its header, ``<Thread>\\n2:``, and no other prompt does."""
        if self._tags.thread not in prompt_ids:
            return None
        last = len(prompt_ids) - 1 - prompt_ids[::-1].index(self._tags.thread)
        header = re.fullmatch(r"\s*(\d+):\s*", self._tags.decode(prompt_ids[last + 1 :]))
        return int(header[1]) if header else None

    def __rich__(self) -> RenderableType:
        """The end of each of the last parts."""
        return self.view(tail=True)

    def view(self, tail: bool = False) -> RenderableType:
        """All of it, or what is of interest while it grows."""
        drawn: list[RenderableType] = []
        for _, group in groupby(self.parts, key=lambda part: (part.block, part.thread is None)):
            parts = sorted(group, key=lambda part: part.thread or 0)
            if parts[0].thread is None:
                drawn.append(self._text(parts[0], tail))
            else:
                drawn.append(Columns([self._panel(part, tail) for part in parts], equal=True, expand=True))
        return Group(*(drawn[-TAIL_PARTS:] if tail else drawn))

    def _panel(self, part: Part, tail: bool) -> Panel:
        style = "green" if part.done else "yellow"
        count = f"{len(part.ids)} tokens"
        return Panel(
            self._text(part, tail), title=f"thread {part.thread}", subtitle=count, border_style=style
        )

    def _text(self, part: Part, tail: bool) -> Text:
        text = self._tags.decode(part.ids).strip()
        if part.thread is not None:
            text = text.removesuffix("</Thread>").rstrip()  # the panel ends it
        if tail:
            text = "\n".join(text.splitlines()[-TAIL_LINES:])
        drawn = Text(visible(text), overflow="fold")
        drawn.highlight_regex(TAG, "dim")
        return drawn


def run(
    model: str,
    prompt: str,
    mode: str,
    settings: EvalSettings,
    console: PlainConsole,
    where: Where | None = None,
) -> Rollout:
    """Decode one prompt and draw it.

    Args:
        mode: "parallel" or "autoregressive".
        where: None decodes with vLLM in this process.

    Raises:
        EvaluationError, ControlTokenError, EngineError: see `tw_plugins.evaluation.run.evaluate_model`.
    """
    if not prompt.strip():
        raise EvaluationError("--prompt is empty")
    if not is_text({"prompt": prompt}):
        raise EvaluationError("--prompt is not UTF-8: give it as UTF-8")
    modes: dict[str, Mode] = {name: name for name in get_args(Mode)}
    if mode not in modes:
        raise EvaluationError(f"--mode is {mode!r}: choose {' or '.join(modes)}, one trajectory has one mode")
    quiet_vllm()
    with console.working(model) as starting:
        tags, prompt_ids, limits, engine_args = prepare_prompt(model, prompt, settings)

        async def decode(engine: Engine) -> tuple[LiveTrajectory, Rollout]:
            starting.stop()
            trajectory = LiveTrajectory(engine, tags)
            with Live(trajectory, console=console, transient=True, refresh_per_second=8):
                return trajectory, await fork_join(trajectory, prompt_ids, tags, limits, mode=modes[mode])

        trajectory, rollout = decode_with(model, engine_args, where, decode)
    console.print(trajectory.view())
    console.print(summary_line(rollout), soft_wrap=True)
    return rollout


def summary_line(rollout: Rollout) -> str:
    """``190 tokens, 74 one after the other (2.57× self-parallelism) · 1 fork, 4 threads · no limit hit``"""
    latency, hit = measure(rollout), rollout.limits_hit
    parts = [
        f"{latency.total} tokens, {latency.longest} one after the other "
        f"({latency.self_parallelism:.2f}× self-parallelism)",
        f"{latency.blocks} fork{'' if latency.blocks == 1 else 's'}, {latency.threads} threads",
        "limits hit: " + ", ".join(f"{name}, {n}×" for name, n in hit.items()) if hit else "no limit hit",
    ]
    return " · ".join(parts)
