"""`threadweaver eval` for people: progress, a table, and one line that sums it up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.text import Text

from tw_plugins.cli.console import say_next
from tw_plugins.cli.progress import progress_bars
from tw_plugins.cli.tables import Figures
from tw_plugins.engines.choice import Where, quiet_vllm
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.report import write_report
from tw_plugins.evaluation.run import EvalSettings, evaluate_model
from tw_plugins.evaluation.scores import EvaluationError, summarise
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text

__all__ = ["failures_line", "parse_modes", "run", "summary_line", "table"]

Summary = dict[str, Any]
SUMMARY = "summary.json"


def parse_modes(mode: str) -> list[Mode]:
    """One mode, or both.

    Raises:
        EvaluationError: another word.
    """
    allowed: dict[str, list[Mode]] = {name: [name] for name in get_args(Mode)}
    allowed["both"] = list(get_args(Mode))
    if mode not in allowed:
        raise EvaluationError(f"--mode is {mode!r}: choose one of {', '.join(allowed)}")
    return allowed[mode]


def run(
    model: str,
    data: Path | str,
    modes: Sequence[Mode],
    out: Path,
    settings: EvalSettings,
    limit: int | None,
    console: Console,
    where: Where | None = None,
) -> dict[Mode, Summary]:
    """Evaluates, writes ``out/<mode>.jsonl``, ``summary.json`` and the report, and prints the figures."""
    (out / SUMMARY).unlink(missing_ok=True)  # its presence says that the evaluation is whole
    quiet_vllm()
    with progress_bars(console, transient=True) as bars:
        total = limit and limit * settings.samples
        tasks = {mode: bars.add_task(mode, total=total) for mode in modes}

        def advance(mode: Mode, record: EvalRecord) -> None:
            bars.advance(tasks[mode])

        results = evaluate_model(model, data, modes, out, settings, limit, advance, where)
    summaries = {mode: summarise(records) for mode, records in results.items()}
    write_report(results, out)
    write_text(out / SUMMARY, json.dumps(summaries, indent=2) + "\n")
    console.print(f"{data}: avg@{settings.samples} at temperature {settings.temperature:g}", soft_wrap=True)
    console.print(table(results))
    if line := failures_line([record for records in results.values() for record in records]):
        console.print(line, soft_wrap=True)
    console.print(summary_line(summaries), soft_wrap=True)
    say_next(console, "view", "trajectories", out, "--out", out / "trajectories.html")
    return summaries


def table(results: dict[Mode, list[EvalRecord]]) -> Figures:
    """One row per mode over all problems, and below it one per kind of problem."""
    view = Figures()
    view.add_name("")
    for name in ("n", "accuracy", "format", "latency", "total", "forked", "limits", "secs"):
        view.add_column(name, justify="right")
    for mode, records in results.items():
        kinds = list(summarise(records)["activation"])
        view.add_row(Text(mode, "bold"), *_cells(records))
        for kind in kinds if len(kinds) > 1 else []:
            view.add_row(f"  {kind}", *_cells([record for record in records if record.kind == kind]))
        view.add_section()
    return view


def failures_line(records: Sequence[EvalRecord]) -> str | None:
    """How often the verifier failed, and the first reason; None for never."""
    reasons = [record.failed for record in records if record.failed]
    return (
        f"the verifier failed on {len(reasons)} of {len(records)}, first: {reasons[0]}" if reasons else None
    )


def _cells(records: list[EvalRecord]) -> list[str]:
    summary = summarise(records)
    active = sum(record.blocks > 0 for record in records) / len(records)
    hits = sum(sum(record.limits_hit.values()) for record in records)
    wall_s = summary["wall_s_mean"]
    return [
        str(summary["n"]),
        f"{summary['accuracy']:.1%}",
        f"{summary['format']:.1%}",
        f"{summary['token_latency']:.1f}",
        f"{summary['total_tokens']:.1f}",
        f"{active:.1%}",
        str(hits),
        "–" if wall_s is None else f"{wall_s:.3f}",
    ]


def summary_line(summaries: dict[Mode, Summary]) -> str:
    """``600 problems · parallel: accuracy 95.2%, token latency 101.3, activation … · autoregressive: …``"""
    parts = [f"{next(iter(summaries.values()))['n']} problems"]
    for mode, summary in summaries.items():
        active = ", ".join(f"{kind} {share:.1%}" for kind, share in summary["activation"].items())
        parts.append(
            f"{mode}: accuracy {summary['accuracy']:.1%}, token latency {summary['token_latency']:.1f}, "
            f"activation {active}"
        )
    return " · ".join(parts)
