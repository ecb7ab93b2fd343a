"""The shape of a data set as a page: the statistics of the paper's Table 8 (P27) and their histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from tw_plugins.evaluation.records import Span
from tw_plugins.pages.charts import HALF, Chart, histogram, tally
from tw_plugins.pages.page import write_page
from tw_plugins.pages.reading.files import Reading
from tw_plugins.pages.reading.trajectory import CHARACTERS, TOKENS, Measured, Viewed, ViewError, outlines_of

__all__ = ["Shapes", "shapes_of", "write_stats"]

PAPER = {
    "blocks": (6.26, 4.00),
    "threads": (2.58, 2.46),
    "thread_lengths": (541, 969),
    "longest": (8_278, 9_153),
    "total": (11_143, 11_176),
}
"""Means of Table 8: first stage, self-training."""

_TRAJECTORIES = ("trajectory", "trajectories")
TITLES = {
    "blocks": ("blocks per trajectory", _TRAJECTORIES),
    "threads": ("threads per block", ("block", "blocks")),
    "thread_lengths": ("{unit} per thread", ("thread", "threads")),
    "outlines": ("{unit} per outline", ("outline", "outlines")),
    "longest": ("{unit} in sequence", _TRAJECTORIES),
    "total": ("{unit} in all", _TRAJECTORIES),
    "acceleration": ("acceleration ratio η", _TRAJECTORIES),
}
_WIDEST = 40  # whole numbers of which each gets a bar


@dataclass
class Shapes:
    """What is measured, over the trajectories that fork.

    Attributes:
        unit: "tokens" or "characters".
        trajectories, forked, malformed: how many, without the rejected ones.
        rejected: reason → records of stage 1 that go no further; they are not measured.
        errors: rule of the grammar → trajectories that break it.
        sequential: lengths of those that do not fork.
    """

    unit: str
    trajectories: int = 0
    forked: int = 0
    malformed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    sequential: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    thread_lengths: list[int] = field(default_factory=list)
    outlines: list[int] = field(default_factory=list)
    longest: list[int] = field(default_factory=list)
    total: list[int] = field(default_factory=list)
    acceleration: list[float] = field(default_factory=list)

    def add(self, viewed: Viewed, count: Measured | None) -> None:
        """Measures one more trajectory."""
        if viewed.rejected:
            self.rejected[viewed.rejected] += 1
            return
        spans, latency = viewed.measure(count or len)
        self.trajectories += 1
        self.malformed += viewed.malformed
        self.errors.update({str(error.code) for error in viewed.errors})
        if not latency.blocks:
            self.sequential.append(latency.total)
            return
        self.forked += 1
        self.blocks.append(latency.blocks)
        self.longest.append(latency.longest)
        self.total.append(latency.total)
        self.acceleration.append(latency.acceleration)
        self.threads += [len(block) for block in _blocks(spans)]
        self.thread_lengths += [span.tokens for block in _blocks(spans) for span in block]
        if count is not None or self.unit == CHARACTERS:
            self.outlines += [(count or len)(f" {text}") for _, text in outlines_of(viewed.text)]


def shapes_of(trajectories: Sequence[Viewed], count: Measured | None = None) -> Shapes:
    """Measures every trajectory.

    Args:
        count: tokens of a text, for files that do not say.

    Raises:
        ViewError: some trajectories come with their tokens and some do not, and ``count`` is not given.
    """
    known = [bool(viewed.spans or viewed.totals) for viewed in trajectories]
    if count is None and any(known) and not all(known):
        without = trajectories[known.index(False)].source
        raise ViewError(
            f"{without} has no token counts, other files have: give --tokenizer to count its tokens"
        )
    shapes = Shapes(TOKENS if count is not None or all(known) else CHARACTERS)
    for viewed in trajectories:
        shapes.add(viewed, count)
    return shapes


def write_stats(reading: Reading, target: Path, count: Measured | None = None) -> None:
    """Writes the page; raises as `shapes_of` does."""
    shapes = shapes_of(reading.trajectories, count)
    write_page(
        "stats/stats.html.j2",
        target,
        styles=("look.css", "stats/stats.css"),
        sources=reading.sources,
        left_out=reading.left_out,
        unreadable=reading.unreadable,
        shapes=shapes,
        headlines=list(_headlines(shapes)),
        rows=list(_rows(shapes)),
        charts=list(_charts(shapes)),
        with_paper=shapes.unit == TOKENS,
    )


def _blocks(spans: Sequence[Span]) -> Iterator[list[Span]]:
    for block, group in groupby(spans, key=lambda span: span.block):
        if block is not None:
            yield list(group)


def _headlines(shapes: Shapes) -> Iterator[dict[str, str]]:
    well_formed = 1 - shapes.malformed / max(shapes.trajectories, 1)
    yield _headline("trajectories", f"{shapes.trajectories:,}", f"{shapes.forked:,} fork")
    if shapes.rejected:
        yield _headline("rejected", f"{shapes.rejected.total():,}", "go no further, not measured")
    yield _headline("well-formed", f"{well_formed:.1%}", f"{shapes.malformed:,} break the grammar")
    if shapes.forked:
        yield _headline(
            "acceleration ratio η", f"{fmean(shapes.acceleration):.3f}", "mean of 1 − longest / total"
        )
        speed = sum(shapes.total) / max(sum(shapes.longest), 1)
        yield _headline("self-parallelism", f"{speed:.2f}×", f"all {shapes.unit} over those in sequence")


def _headline(label: str, figure: str, note: str) -> dict[str, str]:
    return {"label": label, "figure": figure, "note": note}


def _measures(shapes: Shapes) -> Iterator[tuple[str, str, tuple[str, str], list[Any]]]:
    """Name, title, names of what is counted, and values of each measure that has values."""
    for name, (title, nouns) in TITLES.items():
        if values := getattr(shapes, name):
            yield name, title.format(unit=shapes.unit), nouns, values


def _rows(shapes: Shapes) -> Iterator[dict[str, Any]]:
    for name, title, _, values in _measures(shapes):
        yield _row(title, values, PAPER.get(name, ()))
    if shapes.sequential:
        yield _row(f"{shapes.unit} of a sequential one", shapes.sequential, ())


def _row(title: str, values: Sequence[float], paper: Sequence[float]) -> dict[str, Any]:
    deciles = quantiles(values, n=10, method="inclusive") if len(values) > 1 else [*values] * 9
    figures = (fmean(values), median(values), deciles[0], deciles[8], min(values), max(values))
    return {
        "title": title,
        "n": f"{len(values):,}",
        "figures": [_figure(value) for value in figures],
        "paper": [_figure(value) for value in paper] or ["–", "–"],
    }


def _charts(shapes: Shapes) -> Iterator[tuple[str, Chart]]:
    for name, title, nouns, values in _measures(shapes):
        whole = name != "acceleration" and max(values) - min(values) < _WIDEST
        yield (
            title,
            tally(values, nouns, HALF) if whole else histogram(values, None, unit="", nouns=nouns, size=HALF),
        )


def _figure(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.2f}".removesuffix(".00")
