"""The shape of a data set as a page: the statistics of the paper's Table 8 (P27) and their histograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from tw_plugins.evaluation.shapes import TOKENS, Measured, Shapes, shapes_of
from tw_plugins.pages.charts import HALF, Chart, histogram, tally
from tw_plugins.pages.page import write_page
from tw_plugins.pages.reading.files import Reading

__all__ = ["write_stats"]

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


def write_stats(reading: Reading, target: Path, count: Measured | None = None) -> None:
    """Writes the page; raises as `shapes_of` does."""
    shapes = shapes_of(reading.trajectories, count)
    write_page(
        "stats/stats.html.j2",
        target,
        styles=("look.css", "stats/stats.css"),
        scripts=("figures.js",),
        sources=reading.sources,
        left_out=reading.left_out,
        unreadable=reading.unreadable,
        shapes=shapes,
        headlines=list(_headlines(shapes)),
        rows=list(_rows(shapes)),
        charts=list(_charts(shapes)),
        with_paper=shapes.unit == TOKENS,
    )


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
