"""What `threadweaver view` does and says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tw_plugins.errors import visible
from tw_plugins.evaluation.shapes import Measured
from tw_plugins.pages.reading.files import Reading, read, read_one

__all__ = ["show_row", "show_stats", "show_trajectories"]

NAMED = 10  # of what is left out; the page names all
LARGE = 200e6  # bytes of a page that a browser is slow to open


def show_trajectories(
    files: Sequence[Path], out: Path, tokenizer: str | None, limit: int | None, console: Console
) -> None:
    """Writes the browser's page; raises as `read` and `load_tokenizer` do."""
    from tw_plugins.pages.browser.trajectories import write_browser

    reading = read(files, limit)
    write_browser(reading, out, _counter(tokenizer))
    _report(reading, out, console)


def show_stats(
    files: Sequence[Path], out: Path, tokenizer: str | None, limit: int | None, console: Console
) -> None:
    """Writes the page of statistics; raises as `read` and `load_tokenizer` do."""
    from tw_plugins.pages.stats.stats import write_stats

    reading = read(files, limit)
    write_stats(reading, out, _counter(tokenizer))
    _report(reading, out, console)


def show_row(
    file: Path, index: int, tokenizer: str, out: Path, autoregressive_unit: bool, console: Console
) -> None:
    """Writes the row's page; raises as `read_one`, `load_tokenizer` and `row_of` do."""
    from tw_plugins.evaluation.run import load_tokenizer
    from tw_plugins.pages.row.row import row_of, write_row

    shown = row_of(read_one(file, index), load_tokenizer(tokenizer), autoregressive_unit)
    write_row(shown, out)
    row = shown.row
    branches = _plural(len(row.branches), "branch", "branches")
    console.print(
        f"a row of {len(row):,} tokens, {sum(row.loss_mask):,} trained, {branches}; written to {out}",
        soft_wrap=True,
    )


def _counter(tokenizer: str | None) -> Measured | None:
    """Counts the tokens of a text as training does, or None without a tokenizer."""
    if tokenizer is None:
        return None
    from tw_plugins.evaluation.run import load_tokenizer
    from tw_plugins.trajectory import ControlTokens

    tags = ControlTokens.from_tokenizer(load_tokenizer(tokenizer))
    return lambda text: len(tags.encode(text))


def _report(reading: Reading, out: Path, console: Console) -> None:
    lost = reading.unreadable
    for one in lost[:NAMED]:
        console.print(_noted("left out:", f" {one}"), soft_wrap=True)
    if len(lost) > NAMED:
        console.print(_noted("left out:", f" {len(lost) - NAMED} more, named on the page"), soft_wrap=True)
    left_out = f", {reading.left_out}" if lost else ""
    size = out.stat().st_size
    console.print(
        f"{_plural(len(reading.trajectories), 'trajectory', 'trajectories')} of "
        f"{_plural(len(reading.sources), 'file', 'files')}{left_out}; "
        f"{size / 1e6:.2f} MB written to {out}",
        soft_wrap=True,
    )
    if size > LARGE:
        console.print(_noted("a browser is slow to open a page of this size; --limit makes it smaller"))


def _noted(what: str, more: str = "") -> Text:
    return Text.assemble((what, "yellow"), visible(more))


def _plural(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
