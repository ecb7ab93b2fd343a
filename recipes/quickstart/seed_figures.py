"""What is kept of each seed's run, and the table of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from recipes.quickstart.promise import PROMISES, Promise, accuracy, activation, judge
from recipes.quickstart.settings import fingerprint_of
from tw_plugins.evaluation.report import markdown_table

Report = Mapping[str, Any]
Figures = Mapping[str, Any]
Entry = dict[str, Any]
"""`{seed, settings, figures, promises, made}`, settings as their fingerprint.

Of a run that did not come to its end: `{seed, failed, made}`."""
NONE = "–"


def entry_of(report: Report, made: Mapping[str, Any] | None, promises: Sequence[Promise] = PROMISES) -> Entry:
    """A finished run: shares and ratios, tokens and minutes; None where something was not measured.

    `first` and `last` are RL's steps, sampled at its temperature; all else is greedy.
    """
    curves, speedup = report["rl"]["curves"], report["speedup"]
    figures = {
        **{f"accuracy_{model}": accuracy(report, model) for model in ("sft", "rl")},
        "accuracy_baseline": accuracy(report, "baseline", "autoregressive"),
        **{
            f"activation_{kind}_{model}": activation(report, kind, model)
            for kind in ("decomposable", "chain")
            for model in ("sft", "rl")
        },
        **{f"{name}_first": next(iter(curves[name]), None) for name in ("accuracy", "activation")},
        **{f"{name}_last": next(reversed(curves[name]), None) for name in ("accuracy", "activation")},
        **{
            f"token_latency_{model}": report["eval"][model]["parallel"]["token_latency"]
            for model in ("sft", "rl")
        },
        **{f"reward_{model}": report["eval"][model]["parallel"]["reward"] for model in ("sft", "rl")},
        "token_latency": speedup["token_latency"],
        "wall_clock": speedup["wall_clock"],
        "others_cpu": report["clock"]["others_cpu"]["median"] if "clock" in report else None,
        "minutes": report["wall_s"] / 60,
    }
    return {
        "seed": report["seed"],
        "settings": fingerprint_of(report["settings"]),
        "figures": figures,
        "promises": {judged["name"]: judged["reached"] for judged in judge(report, promises)},
        "made": made,
    }


def failed(seed: int, why: str, made: Mapping[str, Any]) -> Entry:
    """A run that did not come to its end."""
    return {"seed": seed, "failed": why, "made": made}


def reached(entry: Entry) -> bool:
    """Whether a run reached every promise."""
    return all(entry["promises"].values()) if "promises" in entry else False


def share(value: float) -> str:
    """As a percentage."""
    return f"{value:.1%}"


def times(value: float) -> str:
    """As a factor."""
    return f"{value:.2f}×"


@dataclass(frozen=True)
class Column:
    """One figure, or two as `before → after`.

    Attributes:
        keys: of an entry's figures.
        worst: `min` where more is better, `max` where less is.
    """

    title: str
    keys: Sequence[str]
    text: Callable[[float], str]
    worst: Callable[[Sequence[float]], float] = min

    def cell(self, figures: Figures) -> str:
        """Of one run."""
        return " → ".join(NONE if figures[key] is None else self.text(figures[key]) for key in self.keys)

    def over(self, runs: Sequence[Figures], of: Callable[[Sequence[float]], float]) -> Figures:
        """`of` each figure over the runs that have it."""
        values = {key: [run[key] for run in runs if run[key] is not None] for key in self.keys}
        return {key: of(found) if found else None for key, found in values.items()}


COLUMNS = (
    Column("accuracy, SFT → RL", ("accuracy_sft", "accuracy_rl"), share),
    Column("accuracy, baseline", ("accuracy_baseline",), share),
    Column("forked, SFT → RL", ("activation_decomposable_sft", "activation_decomposable_rl"), share),
    Column("chains forked, SFT → RL", ("activation_chain_sft", "activation_chain_rl"), share, max),
    Column("accuracy in RL, first → last step", ("accuracy_first", "accuracy_last"), share),
    Column("tokens in sequence, SFT → RL", ("token_latency_sft", "token_latency_rl"), "{:.1f}".format, max),
    Column("token latency", ("token_latency",), times),
    Column("wall clock", ("wall_clock",), times),
    Column("other work's CPU", ("others_cpu",), share, max),
    Column("minutes", ("minutes",), "{:.1f}".format, max),
)


def table(entries: Sequence[Entry]) -> str:
    """Markdown: a row per run, then median and worst of each figure, and how many reached every promise.

    A run that failed has a row, and no part in median and worst.
    """
    finished = [entry["figures"] for entry in entries if "figures" in entry]
    rows = [_row(entry) for entry in entries]
    if finished:
        for title, of in (("median", lambda column: median), ("worst", lambda column: column.worst)):
            cells = [column.cell(column.over(finished, of(column))) for column in COLUMNS]
            rows.append([title, *cells, ""])
    head = ["seed", *(column.title for column in COLUMNS), "promises"]
    return f"{markdown_table(head, rows)}\n\n{count(entries)}"


def count(entries: Sequence[Entry]) -> str:
    """How many of how many runs reached every promise, and how many failed."""
    line = f"{sum(map(reached, entries))} of {len(entries)} runs reached every promise"
    lost = [entry for entry in entries if "failed" in entry]
    return line + (f", {len(lost)} failed" if lost else "")


def _row(entry: Entry) -> list[str]:
    if "failed" in entry:
        return [str(entry["seed"]), *[NONE] * len(COLUMNS), f"failed: {entry['failed']}"]
    kept = sum(entry["promises"].values())
    return [
        str(entry["seed"]),
        *(column.cell(entry["figures"]) for column in COLUMNS),
        f"{kept} of {len(entry['promises'])}",
    ]
