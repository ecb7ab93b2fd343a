"""`threadweaver eval rerun`: the same evaluation again, and sample by sample what differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tw_plugins.cli.eval_run import run
from tw_plugins.engines.choice import Where, where_of
from tw_plugins.evaluation.manifest import Asked, read_manifest
from tw_plugins.evaluation.records import sound_records
from tw_plugins.evaluation.rerun import Difference, differences, reasons, rerun_report
from tw_plugins.evaluation.run import record_file
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import same

__all__ = ["changed", "rerun"]

RERUN = "rerun.json"
NAMED = 20


def changed(
    asked: Asked,
    model: str | None,
    data: str | None,
    base_url: Sequence[str],
    served: str | None,
    concurrency: int | None,
) -> Asked:
    """What was asked for, on another machine: where model, data or servers are there; None leaves each."""
    model, data = model or asked.model, data or asked.data
    where: Where | None = asked.where
    if base_url:
        where = where_of(base_url, served or model, "openai", None, {})
    settings = replace(asked.settings, concurrency=concurrency or asked.settings.concurrency)
    return replace(asked, model=model, data=data, settings=settings, where=where)


def rerun(folder: Path, out: Path, asked: Asked, console: Console) -> None:
    """Evaluates again into `out`, writes `rerun.json` there, and says what differs.

    Raises:
        EvaluationError: `out` is the folder itself.
    """
    if same(folder, out):
        raise EvaluationError(f"--out is {folder} itself: give another folder")
    before = {mode: sound_records(record_file(folder, mode)) for mode in asked.modes}
    run(asked.model, asked.data, asked.modes, out, asked.settings, asked.limit, console, asked.where)
    after = {mode: sound_records(record_file(out, mode)) for mode in asked.modes}
    found = {mode: differences(before[mode], after[mode]) for mode in asked.modes}
    counts = {mode: max(len(before[mode]), len(after[mode])) for mode in asked.modes}
    why = reasons(read_manifest(folder), read_manifest(out))
    write_text(out / RERUN, json.dumps(rerun_report(found, counts, why), indent=2) + "\n")
    for mode, ones in found.items():
        console.print(_said(mode, counts[mode], ones), soft_wrap=True)
        for one in ones[:NAMED]:
            console.print(f"  {one}", soft_wrap=True)
        if len(ones) > NAMED:
            console.print(f"  … and {len(ones) - NAMED} more in {out / RERUN}", soft_wrap=True)
    if any(found.values()):
        console.print("They may differ because:" if why else "Nothing that is known explains it.")
        for reason in why:
            console.print(f"  {reason}", soft_wrap=True)


def _said(mode: Mode, samples: int, ones: Sequence[Difference]) -> str:
    if not ones:
        return f"{mode}: all {samples} samples are the same"
    turns = [(one.was, one.now) for one in ones]
    gained, lost = turns.count((False, True)), turns.count((True, False))
    return f"{mode}: {len(ones)} of {samples} samples differ, {gained} became right, {lost} wrong"
