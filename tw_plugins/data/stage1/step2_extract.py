"""Step 2, no model: groups become blocks, slices of the trace's own lines."""

from __future__ import annotations

from collections.abc import Sequence

from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.data.stage1.step1_structure import Passage
from tw_plugins.data.stage1.traces import Trace, column, trace_of
from tw_plugins.storage.jsonl import Record

__all__ = ["blocks_of", "extract"]


async def extract(record: Record, min_gain: int) -> Record:
    """The record with `parts`: text, or a block as ``{"threads": [text, …]}``; joined they are the trace.

    Args:
        min_gain: characters that a block must take off the critical path, its threads but the longest.

    Raises:
        Rejected: no group makes a block, or there are no groups.
    """
    trace = trace_of(record)
    groups = [[Passage(**passage) for passage in group] for group in column(record, "groups", "structure")]
    blocks = blocks_of(groups, trace, min_gain)
    if not blocks:
        raise Rejected("no_block", f"no group is contiguous and saves {min_gain} characters")
    parts: list[str | dict[str, list[str]]] = []
    at = 1
    for block in blocks:
        parts.append(trace.text(at, block[0].first - 1))
        parts.append({"threads": [trace.text(passage.first, passage.last) for passage in block]})
        at = block[-1].last + 1
    parts.append(trace.text(at, len(trace.lines)))
    kept = {name: value for name, value in record.items() if name != "groups"}
    return {**kept, "parts": parts, "output": trace.output}


def blocks_of(groups: Sequence[Sequence[Passage]], trace: Trace, min_gain: int) -> list[list[Passage]]:
    """Blocks in order: contiguous, of two threads or more, none overlapping another.

    Of a group with lines between its members each contiguous run is tried; blank lines go to the member
    before them. Of overlapping blocks the one that saves most stays.
    """
    runs = [run for group in groups for run in _runs(sorted(group, key=lambda one: one.first), trace)]
    worth = [(gain, run) for run in runs if len(run) > 1 and (gain := _gain(run, trace)) >= min_gain]
    chosen: list[list[Passage]] = []
    for _, run in sorted(worth, key=lambda pair: (-pair[0], pair[1][0].first)):
        if all(run[-1].last < other[0].first or other[-1].last < run[0].first for other in chosen):
            chosen.append(run)
    return sorted(chosen, key=lambda run: run[0].first)


def _runs(group: Sequence[Passage], trace: Trace) -> list[list[Passage]]:
    runs: list[list[Passage]] = []
    for passage in group:
        before = runs[-1][-1] if runs else None
        if (
            before
            and before.last < passage.first
            and not trace.text(before.last + 1, passage.first - 1).strip()
        ):
            runs[-1][-1] = Passage(before.number, before.title, before.first, passage.first - 1)
            runs[-1].append(passage)
        elif before is None or before.last < passage.first:
            runs.append([passage])
        else:
            return []  # members overlap: the model contradicts itself
    return runs


def _gain(run: Sequence[Passage], trace: Trace) -> int:
    lengths = [len(trace.text(passage.first, passage.last)) for passage in run]
    return sum(lengths) - max(lengths)
