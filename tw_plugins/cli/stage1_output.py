"""What the commands of stage 1 show: a bar per step, what was rejected and why, what it cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from tw_plugins.cli.console import say_next
from tw_plugins.cli.progress import progress_bars
from tw_plugins.cli.tables import Figures
from tw_plugins.data.stage1.endpoint import ChatSettings
from tw_plugins.data.stage1.endpoint_errors import Unanswered
from tw_plugins.data.stage1.journal import Journal
from tw_plugins.data.stage1.runner import Tally
from tw_plugins.data.stage1.steps import ANSWERS, STEPS, USAGE, Options, run, run_all, write_data_set
from tw_plugins.storage.files import same
from tw_plugins.storage.jsonl import InputError
from tw_plugins.verifiers.settings import VerifierSettings

__all__ = ["show_stage1", "show_step"]

BINS, WIDTH = 8, 30
BESIDE = 20  # characters of edge and count beside a bar
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
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> bool:
    """One step over a file; after `filter` the data set and its statistics too. False: nothing is left."""
    count = _counter(tokenizer)
    with _journal(out.parent, (source, out), chat, console) as journal, progress_bars(console) as bars:
        watch = partial(_watcher(bars, [step]), step)
        tally = asyncio.run(run(step, source, out, options, chat, journal, watch, verifying))
    if step == STEPS[-1]:
        _show_data_set(out, count, console)
    return _finish({step: tally}, console)


def show_stage1(
    source: Path,
    folder: Path,
    options: Options,
    chat: ChatSettings,
    tokenizer: str | None,
    console: Console,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> bool:
    """All five steps. False: nothing is left."""
    import pyarrow  # noqa: F401

    # That the last step cannot write, or a wrong folder, must not be found out after everything is paid for.
    count = _counter(tokenizer)
    with _journal(folder, (source,), chat, console) as journal, progress_bars(console) as bars:
        tallies = run_all(source, folder, options, chat, journal, _watcher(bars, STEPS), verifying)
    _show_data_set(folder / f"{len(STEPS)}-{STEPS[-1]}.jsonl", count, console)
    return _finish(tallies, console)


@contextmanager
def _journal(
    folder: Path, others: Sequence[Path], chat: ChatSettings | None, console: Console
) -> Iterator[Journal | None]:
    """The answers kept in a folder; what they cost is shown and written down however the run ends.

    Raises:
        InputError: one of the `others`, which the command reads or writes, is the file of the answers.
    """
    if chat is None:
        yield None
        return
    path = folder / ANSWERS
    if any(same(path, other) for other in others):
        raise InputError(f"{path} is where the model's answers are kept: give the other file another name")
    journal = Journal(path)
    if journal.unusable:
        console.print(
            f"{path}: {journal.unusable} entries of earlier runs are no answers; records that were left with "
            "none are asked about again",
            highlight=False,
            soft_wrap=True,
        )
    try:
        yield journal
    finally:
        for name, usage in (("this run", journal.now), ("all runs", journal.all_runs)):
            console.print(
                f"{name}: {usage.requests} requests, {usage.prompt_tokens} tokens in, "
                f"{usage.answer_tokens} out, ${usage.cost(chat.price_in, chat.price_out):.2f}",
                soft_wrap=True,
            )
        journal.write_totals(folder / USAGE, chat.price_in, chat.price_out)


def _watcher(bars: Progress, steps: Sequence[str]) -> Callable[[str, Tally], None]:
    tasks = {step: bars.add_task(step, total=None, start=False) for step in steps}

    def watch(step: str, tally: Tally) -> None:
        bars.start_task(tasks[step])
        bars.update(tasks[step], completed=tally.done, total=tally.total)

    return watch


def _finish(tallies: dict[str, Tally], console: Console) -> bool:
    """The summary, and whether anything is left.

    Raises:
        Unanswered: records without an answer make it an error, so that a script runs the command again.
    """
    table = Figures()
    table.add_name("step")
    for column in ("records", "accepted", "rejected", "unanswered"):
        table.add_column(column, justify="right")
    for step, tally in tallies.items():
        rejected = tally.reasons.total()
        table.add_row(step, *map(str, (tally.total, tally.accepted, rejected, len(tally.left))))
    console.print(table)
    for step, tally in tallies.items():
        for code, times in tally.reasons.most_common():
            first = f", e.g. {shorten(detail, 120)}" if (detail := tally.details.get(code)) else ""
            console.print(f"{step} rejected {times}: {code}{first}", soft_wrap=True)
    left: Counter[str] = Counter(reason for tally in tallies.values() for reason in tally.left.values())
    if left:
        (reason, _), *_ = left.most_common(1)
        raise Unanswered(
            f"{left.total()} records got no answer ({reason}); the others are kept. "
            "Run the same command again."
        )
    *_, last = tallies.values()
    if not last.accepted:
        console.print("no record is left; each is kept with its reason and its detail")
    return last.accepted > 0


def _show_data_set(filtered: Path, count: Callable[[str], int] | None, console: Console) -> None:
    path, made = write_data_set(filtered, count)
    statistics: Any = made
    for name, title in TITLES.items():
        values = statistics["values"][name]
        if values:
            mean = f"{statistics['means'][name]:.2f}"
            console.print(Text.assemble((title.format(unit=statistics["unit"]), "bold"), f", mean {mean}"))
            console.print(_histogram(values, min(WIDTH, console.width - BESIDE)))
    where = f"written to {path}" if path else "nothing is left for a data set"
    console.print(f"{statistics['trajectories']} trajectories, {where}", soft_wrap=True)
    if path:
        say_next(console, "data", "check", path, "--model", "YOUR-MODEL")


def _histogram(values: Sequence[float], width: int) -> str:
    """Bars of text of so many characters at most, the lower edge of each bin before it."""
    import numpy as np

    whole = all(float(value).is_integer() for value in values)
    bins: Any = BINS
    if whole and max(values) - min(values) < BINS:
        bins = np.arange(min(values), max(values) + 2)
    counts, edges = np.histogram(values, bins=bins)
    digits = 0 if whole else 2
    bars = ["█" * max(round(width * count / counts.max()), int(count > 0)) for count in counts]
    lines = zip(edges[:-1], bars, counts, strict=True)
    return "\n".join(f"{edge:>10.{digits}f} {bar} {count}" for edge, bar, count in lines)


def _counter(tokenizer: str | None) -> Callable[[str], int] | None:
    """Tokens of a text as training counts them; None without a tokenizer."""
    if tokenizer is None:
        return None
    from tw_plugins.evaluation.run import load_tokenizer
    from tw_plugins.trajectory import ControlTokens

    tags = ControlTokens.from_tokenizer(load_tokenizer(tokenizer))
    return lambda text: len(tags.encode(text))
