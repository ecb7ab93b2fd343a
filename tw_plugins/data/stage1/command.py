"""What the commands of stage 1 show: a bar per step, what was rejected and why, what it cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tw_plugins.data.stage1.chat import ChatSettings, Unanswered, Usage
from tw_plugins.data.stage1.runner import Tally
from tw_plugins.data.stage1.steps import STEPS, Options, run, run_all, write_data_set

__all__ = ["show_stage1", "show_step"]

BINS, WIDTH = 8, 30
TITLES = {
    "blocks": "blocks per trajectory",
    "threads": "threads per block",
    "thread_lengths": "{unit} per thread",
    "outlines": "{unit} per outline",
    "longest": "{unit} in sequence",
    "total": "{unit} in all",
    "acceleration": "acceleration ratio η",
}


def show_step(
    step: str,
    source: Path,
    out: Path,
    options: Options,
    chat: ChatSettings | None,
    tokenizer: str | None,
    console: Console,
) -> None:
    """One step over a file; after `filter` the data set and its statistics too."""
    with _bars(console) as bars:
        watch = _watcher(bars, [step])
        tally, usage = asyncio.run(run(step, source, out, options, chat, partial(watch, step)))
    if step == STEPS[-1]:
        _show_data_set(out, tokenizer, console)
    _finish({step: tally}, usage, chat, console)


def show_stage1(
    source: Path,
    folder: Path,
    options: Options,
    chat: ChatSettings,
    tokenizer: str | None,
    console: Console,
) -> None:
    """All five steps."""
    with _bars(console) as bars:
        tallies, usage = run_all(source, folder, options, chat, _watcher(bars, STEPS))
    _show_data_set(folder / f"{len(STEPS)}-{STEPS[-1]}.jsonl", tokenizer, console)
    _finish(tallies, usage, chat, console)


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _watcher(bars: Progress, steps: Sequence[str]) -> Callable[[str, Tally], None]:
    tasks = {step: bars.add_task(step, total=None, start=False) for step in steps}

    def watch(step: str, tally: Tally) -> None:
        bars.start_task(tasks[step])
        bars.update(tasks[step], completed=tally.done, total=tally.total)

    return watch


def _finish(tallies: dict[str, Tally], usage: Usage, chat: ChatSettings | None, console: Console) -> None:
    """The summary; records without an answer make it an error, so that a script runs the command again."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("step", "records", "accepted", "rejected", "unanswered"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step, tally in tallies.items():
        rejected = tally.reasons.total()
        table.add_row(step, *map(str, (tally.total, tally.accepted, rejected, len(tally.left))))
    console.print(table)
    for step, tally in tallies.items():
        for code, times in tally.reasons.most_common():
            console.print(f"{step} rejected {times}: {code}", highlight=False)
    if chat is not None:
        console.print(
            f"{usage.requests} requests, {usage.prompt_tokens} tokens in, {usage.answer_tokens} out, "
            f"${usage.cost(chat):.2f}",
            highlight=False,
        )
    left: Counter[str] = Counter(reason for tally in tallies.values() for reason in tally.left.values())
    if left:
        (reason, _), *_ = left.most_common(1)
        raise Unanswered(
            f"{left.total()} records got no answer ({reason}); the others are kept. "
            "Run the same command again."
        )


def _show_data_set(filtered: Path, tokenizer: str | None, console: Console) -> None:
    path, made = write_data_set(filtered, _counter(tokenizer))
    statistics: Any = made
    for name, title in TITLES.items():
        values = statistics["values"][name]
        if values:
            mean = f"{statistics['means'][name]:.2f}"
            console.print(f"[bold]{title.format(unit=statistics['unit'])}[/], mean {mean}", highlight=False)
            console.print(_histogram(values), highlight=False)
    where = f"written to {path}" if path else "nothing is left for a data set"
    console.print(f"{statistics['trajectories']} trajectories, {where}", highlight=False, soft_wrap=True)


def _histogram(values: Sequence[float]) -> str:
    """Bars of text, the lower edge of each bin before it."""
    import numpy as np

    whole = all(float(value).is_integer() for value in values)
    bins: Any = BINS
    if whole and max(values) - min(values) < BINS:
        bins = np.arange(min(values), max(values) + 2)
    counts, edges = np.histogram(values, bins=bins)
    digits = 0 if whole else 2
    bars = ["█" * max(round(WIDTH * count / counts.max()), int(count > 0)) for count in counts]
    lines = zip(edges[:-1], bars, counts, strict=True)
    return "\n".join(f"{edge:>10.{digits}f} {bar} {count}" for edge, bar, count in lines)


def _counter(tokenizer: str | None) -> Callable[[str], int] | None:
    """Tokens of a text as training counts them; None without a tokenizer."""
    if tokenizer is None:
        return None
    from tw_plugins.control_tokens import ControlTokens
    from tw_plugins.evaluate_model import load_tokenizer

    tags = ControlTokens.from_tokenizer(load_tokenizer(tokenizer))
    return lambda text: len(tags.encode(text))
