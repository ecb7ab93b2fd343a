"""The trajectory browser: what its page holds of each trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.records import Span
from tw_plugins.evaluation.shapes import CHARACTERS, TOKENS, Measured, outlines_of, parts_of
from tw_plugins.pages.page import write_page
from tw_plugins.pages.reading.files import Reading
from tw_plugins.pages.reading.trajectory import Viewed
from tw_plugins.pages.timeline import BAR, Timeline, W, clock_timeline, timeline

__all__ = ["browser_data", "write_browser"]


def write_browser(reading: Reading, target: Path, count: Measured | None = None) -> None:
    """Writes the page.

    Args:
        count: tokens of a text, for files that do not say; None counts characters there.
    """
    write_page(
        "browser/trajectories.html.j2",
        target,
        styles=("look.css", "app.css", "browser/trajectories.css"),
        scripts=("common.js", "figures.js", "browser/address.js", "browser/trajectories.js"),
        sources=reading.sources,
        data=browser_data(reading, count),
    )


def browser_data(reading: Reading, count: Measured | None = None) -> dict[str, Any]:
    """Everything that the page's script is given, as JSON takes it."""
    files = {name: number for number, name in enumerate(reading.sources)}
    return {
        "files": reading.sources,
        "left_out": reading.left_out,
        "unreadable": list(map(str, reading.unreadable)),
        "width": W,
        "bar": BAR,
        "trajectories": [_entry(one, files[one.source], count) for one in reading.trajectories],
    }


def _entry(viewed: Viewed, file: int, count: Measured | None) -> dict[str, Any]:
    """One trajectory; what is empty is left out."""
    spans, latency = viewed.measure(count or len)
    measured = bool(viewed.spans or viewed.totals or count)
    unit = TOKENS if measured else CHARACTERS
    entry = {
        "file": file,
        "line": viewed.line,
        "form": viewed.form,
        "kind": viewed.kind,
        "mode": viewed.mode,
        "prompt": viewed.prompt,
        "answer": viewed.answer,
        "given": viewed.given,
        "unanswered": viewed.unanswered or None,
        "correct": viewed.correct,
        "score": viewed.score,
        "wall": viewed.wall_s,
        "limits": viewed.limits,
        "reasons": viewed.reasons,
        "rejected": viewed.rejected,
        "detail": viewed.detail,
        "unit": unit,
        "total": latency.total,
        "longest": latency.longest,
        "blocks": latency.blocks,
        "threads": latency.threads,
        "parts": list(_parts(viewed, spans)),
        "timeline": _drawing(timeline([asdict(span) for span in spans], noun=unit))
        if latency.total and spans
        else None,
        "clock": _clock(spans, viewed.wall_s),
        "note": viewed.note,
        "more": viewed.more,
    }
    return {
        key: value for key, value in entry.items() if value not in (None, "") and value != [] and value != {}
    }


def _parts(viewed: Viewed, spans: Sequence[Span]) -> Iterator[list[Any]]:
    """Block, thread, text, outline and tokens of each part; sequential text has its text alone."""
    tokens: dict[tuple[int | None, int | None], int] = {}
    for span in spans:
        if span.thread is not None:
            tokens[span.block, span.thread] = span.tokens
    outlines: dict[int, str] = {}
    for part in parts_of(viewed):
        if part.thread is None:
            outlines = dict(outlines_of(part.text))
            if part.text.strip():
                yield [part.text.strip("\n")]
        else:
            body = part.text.removesuffix("</Thread>").strip("\n").removeprefix(" ")
            place = part.block, part.thread
            yield [*place, body, outlines.get(part.thread, ""), tokens.get(place)]


def _clock(spans: Sequence[Span], wall_s: float | None) -> dict[str, Any] | None:
    """The timeline in seconds, where the trajectory was timed."""
    if not wall_s or not spans or any(span.seconds is None for span in spans):
        return None
    return _drawing(clock_timeline([asdict(span) for span in spans], wall_s))


def _drawing(drawn: Timeline) -> dict[str, Any]:
    """In lists of numbers."""
    return {
        "axis": drawn.axis,
        "lanes": [[o.x, o.y, o.width, o.colour, o.label, o.title, o.wait] for o in drawn.lanes],
        "forks": [[fork.x, fork.end, fork.top, fork.bottom] for fork in drawn.forks],
        "ticks": [[tick.at, tick.label] for tick in drawn.ticks],
    }
