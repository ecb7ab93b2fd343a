"""One trajectory in the terminal while it is decoded: `threadweaver rollout`.

sequential text, its outlines
╭─ thread 1 ──╮ ╭─ thread 2 ──╮ ╭─ thread 3 ──╮
│ …           │ │ …           │ │ …           │
╰─ 34 tokens ─╯ ╰─ 29 tokens ─╯ ╰─ 31 tokens ─╯
sequential text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import get_args

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
from tw_plugins.rollout import Engine, Mode, Place, Rollout, fork_join
from tw_plugins.storage.jsonl import is_text
from tw_plugins.trajectory import ControlTokens

__all__ = ["LiveTrajectory", "run", "summary_line"]

TAG = r"</?(Parallel|Outlines|Outline|Thread|Conclusion|think)>"
TAIL_LINES = 12  # of a part, and
TAIL_PARTS = 4  # while it is decoded: a terminal cannot redraw what has scrolled away


@dataclass
class Part:
    """What one request has sampled so far."""

    place: Place
    ids: list[int] = field(default_factory=list)
    done: bool = False


class LiveTrajectory:
    """A watch of `fork_join` that can be drawn at any time."""

    def __init__(self, tags: ControlTokens) -> None:
        self.parts: list[Part] = []
        self._tags = tags
        self._open: dict[Place, Part] = {}

    def injected(self, place: Place, ids: Sequence[int]) -> None:
        """See :class:`tw_plugins.rollout.Watch`: threads begin with their headers."""
        if place.thread is not None:
            self._part(place)

    def sampled(self, place: Place, ids: Sequence[int], logprobs: Sequence[float] | None) -> None:
        """See :class:`tw_plugins.rollout.Watch`."""
        self._part(place).ids += ids

    def closed(self, place: Place) -> None:
        """See :class:`tw_plugins.rollout.Watch`."""
        self._part(place).done = True
        del self._open[place]

    def _part(self, place: Place) -> Part:
        if place not in self._open:
            self._open[place] = Part(place)
            self.parts.append(self._open[place])
        return self._open[place]

    def __rich__(self) -> RenderableType:
        """The end of each of the last parts."""
        return self.view(tail=True)

    def view(self, tail: bool = False) -> RenderableType:
        """All of it, or what is of interest while it grows."""
        drawn: list[RenderableType] = []
        for (_, sequential), group in groupby(
            self.parts, key=lambda part: (part.place.block, part.place.thread is None)
        ):
            parts = list(group)
            if sequential:
                drawn += [self._text(part, tail) for part in parts]
            else:
                drawn.append(Columns([self._panel(part, tail) for part in parts], equal=True, expand=True))
        return Group(*(drawn[-TAIL_PARTS:] if tail else drawn))

    def _panel(self, part: Part, tail: bool) -> Panel:
        style = "green" if part.done else "yellow"
        count = f"{len(part.ids)} tokens"
        return Panel(
            self._text(part, tail), title=f"thread {part.place.thread}", subtitle=count, border_style=style
        )

    def _text(self, part: Part, tail: bool) -> Text:
        text = self._tags.decode(part.ids).strip()
        if part.place.thread is not None:
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
            trajectory = LiveTrajectory(tags)
            with Live(trajectory, console=console, transient=True, refresh_per_second=8):
                return trajectory, await fork_join(
                    engine, prompt_ids, tags, limits, mode=modes[mode], watch=trajectory
                )

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
