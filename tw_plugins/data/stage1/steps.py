"""The five steps over files, alone or one after the other in a folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tw_plugins.data.stage1 import filter as last
from tw_plugins.data.stage1.chat import Chat, ChatSettings, Usage
from tw_plugins.data.stage1.extract import extract
from tw_plugins.data.stage1.jsonl import Record, finished
from tw_plugins.data.stage1.outline import outline
from tw_plugins.data.stage1.rewrite import rewrite
from tw_plugins.data.stage1.runner import InputError, Tally, Work, run_step
from tw_plugins.data.stage1.structure import structure

__all__ = ["STEPS", "Options", "run", "run_all", "write_data_set"]

STEPS = ("structure", "extract", "rewrite", "outline", "filter")
WITHOUT_MODEL = ("extract", "filter")
SFT, STATISTICS = "sft.parquet", "statistics.json"
Progress = Callable[[str, Tally], None]


@dataclass(frozen=True)
class Options:
    """What the steps can be told.

    Attributes:
        attempts: answers of the model per question, before the record is rejected.
        min_gain: characters that a block must take off the critical path.
        min_left: share of a thread that edits must leave.
        concurrency: records at a time.
    """

    attempts: int = 3
    min_gain: int = 200
    min_left: float = 0.5
    concurrency: int = 16


async def run(
    step: str,
    source: Path,
    out: Path,
    options: Options,
    chat_settings: ChatSettings | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> tuple[Tally, Usage]:
    """One step over a file; see `tw_plugins.data.stage1.runner.run_step`.

    Raises:
        InputError: `out` is the file that is read.
    """
    if source.resolve() == out.resolve():
        raise InputError(f"{out} is the file that is read: give another --out")
    if step in WITHOUT_MODEL:
        work: Work = partial(extract, min_gain=options.min_gain) if step == "extract" else last.check
        return await run_step(source, out, work, options.concurrency, progress), Usage()
    if chat_settings is None:
        raise InputError(f"{step} asks a model: give --base-url and --model")
    async with Chat(chat_settings) as chat:
        works: dict[str, Work] = {
            "structure": partial(structure, chat=chat, attempts=options.attempts),
            "rewrite": partial(rewrite, chat=chat, attempts=options.attempts, min_left=options.min_left),
            "outline": partial(outline, chat=chat, attempts=options.attempts),
        }
        tally = await run_step(source, out, works[step], options.concurrency, progress)
    return tally, chat.usage


def write_data_set(
    filtered: Path, count: Callable[[str], int] | None
) -> tuple[Path | None, dict[str, object]]:
    """`sft.parquet` and `statistics.json` beside the last step's file; no Parquet of nothing."""
    accepted = [record for record in finished(filtered).values() if record["status"] == "ok"]
    records: list[Record] = sorted(accepted, key=lambda record: str(record["id"]))  # whoever was done first
    made = last.statistics(records, count)
    filtered.with_name(STATISTICS).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    path = filtered.with_name(SFT)
    if not records:
        path.unlink(missing_ok=True)
        return None, made
    last.write_sft(records, path)
    return path, made


def run_all(
    source: Path, folder: Path, options: Options, chat_settings: ChatSettings, progress: Progress
) -> tuple[dict[str, Tally], Usage]:
    """All five steps in a folder, `1-structure.jsonl` to `5-filter.jsonl`."""
    tallies: dict[str, Tally] = {}
    whole = Usage()
    for number, step in enumerate(STEPS, 1):
        out = folder / f"{number}-{step}.jsonl"
        tallies[step], usage = asyncio.run(
            run(step, source, out, options, chat_settings, partial(progress, step))
        )
        whole.add(usage)
        source = out
    return tallies, whole
