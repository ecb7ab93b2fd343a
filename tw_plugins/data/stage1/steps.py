"""The five steps over files, alone or one after the other in a folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tw_plugins.data.stage1 import step5_filter as last
from tw_plugins.data.stage1.endpoint import Chat, ChatSettings
from tw_plugins.data.stage1.journal import Journal
from tw_plugins.data.stage1.runner import Tally, Work, run_step
from tw_plugins.data.stage1.runs import finished
from tw_plugins.data.stage1.step1_structure import structure
from tw_plugins.data.stage1.step2_extract import extract
from tw_plugins.data.stage1.step3_rewrite import rewrite
from tw_plugins.data.stage1.step4_outline import outline
from tw_plugins.settings import Settings, setting
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import same
from tw_plugins.storage.jsonl import InputError, Record
from tw_plugins.verifiers import VerifierSettings, check_verifier
from tw_plugins.verifiers.names import MATH, shown

__all__ = ["ANSWERS", "STEPS", "USAGE", "Options", "run", "run_all", "write_data_set"]

STEPS = ("structure", "extract", "rewrite", "outline", "filter")
SFT, STATISTICS = "sft.parquet", "statistics.json"
ANSWERS, USAGE = "model-answers.jsonl", "usage.json"
Progress = Callable[[str, Tally], None]


@dataclass(frozen=True)
class Options(Settings):
    """What the steps can be told."""

    attempts: int = setting(3, "answers per question before a record is rejected", least=1)
    min_gain: int = setting(200, "characters that a block must take off the critical path", least=0)
    min_left: float = setting(0.5, "share of a thread that edits must leave", least=0, most=1)


async def run(
    step: str,
    source: Path,
    out: Path,
    options: Options,
    chat_settings: ChatSettings | None = None,
    journal: Journal | None = None,
    progress: Callable[[Tally], None] = lambda tally: None,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> Tally:
    """One step over a file; see `tw_plugins.data.stage1.runner.run_step`.

    Args:
        chat_settings, journal: how to ask the model and where its answers are kept, for a step that asks.
        verifying: who says whether a trace is right, for `structure` and `filter`.

    Raises:
        VerifierError: it cannot be used.
        InputError: `out` is the file that is read, or of other settings.
    """
    if same(source, out):
        raise InputError(f"{out} is the file that is read: give another --out")
    at_a_time = chat_settings.concurrency if chat_settings else 1
    walk = partial(run_step, source, out, concurrency=at_a_time, progress=progress)
    if step == "extract":
        made = {"step": step, "min_gain": options.min_gain}
        return await walk(partial(extract, min_gain=options.min_gain), options=made, redo=True)
    # What has its default is left out, as in files that were begun before there was such a setting.
    verifier = {} if verifying.verifier == MATH else {"verifier": shown(verifying.verifier)}
    if step in ("structure", "filter"):
        check_verifier(verifying)
    if step == "filter":
        filtered = partial(last.check, verifying=verifying)
        return await walk(filtered, options={"step": step, **verifier}, redo=True)
    if chat_settings is None or journal is None:
        raise InputError(f"{step} asks a model: give --base-url and --model")
    asked = {"step": step, "model": chat_settings.model, "temperature": chat_settings.temperature}
    how: dict[str, Any] = {"attempts": options.attempts}
    given: dict[str, Any] = {}
    if step == "rewrite":
        how["min_left"] = options.min_left
    if step == "structure":
        asked, given = {**asked, **verifier}, {"verifying": verifying}
    works: dict[str, Callable[..., Any]] = {"structure": structure, "rewrite": rewrite, "outline": outline}
    async with Chat(chat_settings, journal) as chat:
        work: Work = partial(works[step], chat=chat, **how, **given)
        return await walk(work, options={**asked, **how}, redo=False)


def write_data_set(
    filtered: Path, count: Callable[[str], int] | None
) -> tuple[Path | None, dict[str, object]]:
    """`sft.parquet` and `statistics.json` beside the last step's file; no Parquet of nothing."""
    accepted = [record for record in finished(filtered).values() if record["status"] == "ok"]
    records: list[Record] = sorted(accepted, key=lambda record: str(record["id"]))  # whoever was done first
    made = last.statistics(records, count)
    write_text(filtered.with_name(STATISTICS), json.dumps(made, indent=2) + "\n")
    path = filtered.with_name(SFT)
    if not records:
        path.unlink(missing_ok=True)
        return None, made
    last.write_sft(records, path)
    return path, made


def run_all(
    source: Path,
    folder: Path,
    options: Options,
    chat_settings: ChatSettings,
    journal: Journal | None,
    progress: Progress,
    verifying: VerifierSettings = VerifierSettings(),  # noqa: B008
) -> dict[str, Tally]:
    """All five steps in a folder, `1-structure.jsonl` to `5-filter.jsonl`."""
    tallies: dict[str, Tally] = {}
    for number, step in enumerate(STEPS, 1):
        out = folder / f"{number}-{step}.jsonl"
        watch = partial(progress, step)
        tallies[step] = asyncio.run(run(step, source, out, options, chat_settings, journal, watch, verifying))
        source = out
    return tallies
