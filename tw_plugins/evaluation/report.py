"""An evaluation, or a comparison of two, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tw_plugins.errors import visible
from tw_plugins.evaluation.compare import compare_by_kind
from tw_plugins.evaluation.figures import Figures, by_kind, describe
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.redundancy import N
from tw_plugins.rollout import Mode
from tw_plugins.storage.atomic import write_text

__all__ = [
    "NONE",
    "NOTE",
    "as_markdown",
    "comparison_markdown",
    "evaluation_markdown",
    "markdown_table",
    "number_cell",
    "share_cell",
    "write_report",
]

FIGURES, REPORT = "figures.json", "report.md"
NOTE = (
    "In brackets: 95 % confidence, bootstrap (BCa) over problems. "
    "A problem counts as the mean over its samples (avg@k). "
    "Where every problem has the same figure the bracket has no width; that is no certainty."
)
CLOCK_NOTE = (
    "The bracket holds how problems differ, not what the machine did: two evaluations of the same tokens "
    "may differ by more than it says."
)
SAMPLES_NOTE = (
    "pass@k: one of k samples is right. maj@k: the answer that most samples give is right; right answers are "
    "one vote, wrong ones where they are written alike."
)
VERIFIER_NOTE = "A score of 1 is a right answer. One on which the verifier failed scores 0."
REDUNDANCY_NOTE = (
    f"Shared {N}-grams: of threads from the second on, the share that an earlier sibling has too. Repeated "
    "results: equations that two siblings have, per trajectory and of all equations. Neither counts what "
    "stood in the context before the fork. Malformed trajectories are not looked into."
)
NONE = "–"
Rows = Sequence[tuple[str, Figures]]
_MARKUP = re.compile(r"[\\`*~<>\[\]&]|(?<!\w)_|_(?!\w)")  # inside a word "_" is none


def write_report(results: Mapping[Mode, Sequence[EvalRecord]], out: Path) -> None:
    """Writes ``out/report.md`` and ``out/figures.json``: every mode, and the two against each other."""
    figures: Figures = {
        "modes": {
            mode: {kind: describe(records) for kind, records in by_kind(found).items()}
            for mode, found in results.items()
        },
        "parallel_against_autoregressive": None,
    }
    if results.keys() >= {"parallel", "autoregressive"}:
        against = compare_by_kind(results["parallel"], results["autoregressive"])
        figures["parallel_against_autoregressive"] = against
    write_text(out / FIGURES, json.dumps(figures, indent=2) + "\n")
    write_text(out / REPORT, evaluation_markdown(figures))


def evaluation_markdown(figures: Figures) -> str:
    """The report of one evaluation; ``figures`` as in ``figures.json``."""
    rows = [
        (f"{mode}, {as_markdown(kind)}", found)
        for mode, kinds in figures["modes"].items()
        for kind, found in kinds.items()
    ]
    parts = ["# Evaluation", NOTE, *_sections(rows)]
    if against := figures["parallel_against_autoregressive"]:
        parts += ["## Parallel against autoregressive, the same model", _against(against)]
    return "\n\n".join(parts) + "\n"


def comparison_markdown(comparison: Mapping[str, Figures], own: str, baseline: str) -> str:
    """The report of what `evaluation.compare.compare_by_kind` found; A is ``own``, B the baseline."""
    rows = [
        (f"{side}, {as_markdown(kind)}", found[name])
        for side, name in (("A", "own"), ("B", "baseline"))
        for kind, found in comparison.items()
    ]
    names = f"A: {as_markdown(own)}  \nB, the baseline: {as_markdown(baseline)}"
    return (
        "\n\n".join(["# Comparison", names, NOTE, "## A against B", _against(comparison), *_sections(rows)])
        + "\n"
    )


def _sections(rows: Rows) -> list[str]:
    return [
        "## Accuracy and token latency",
        markdown_table(
            ["", "problems", "samples", "accuracy", "token latency", "total tokens", "self-parallelism"],
            [
                [
                    name,
                    str(found["problems"]),
                    str(found["samples"]),
                    share_cell(found["accuracy"]),
                    number_cell(found["token_latency"], 1),
                    number_cell(found["total_tokens"], 1),
                    number_cell(found["self_parallelism"], 2, "×"),
                ]
                for name, found in rows
            ],
        ),
        *_samples_section(rows),
        "## Wall clock at batch size 1",
        CLOCK_NOTE,
        markdown_table(
            ["", "timed problems", "seconds"],
            [[name, str(found["wall_s_problems"]), number_cell(found["wall_s"], 3)] for name, found in rows],
        ),
        "## Forks, format and limits",
        "Hits of a limit are counted; the share is of trajectories with any.",
        markdown_table(
            ["", "forked", "well-formed", "no final answer", "hit a limit", "limits"],
            [
                [
                    name,
                    share_cell(found["activation"]),
                    share_cell(found["format"]),
                    share_cell(found["unanswered"]),
                    share_cell(found["limited"]),
                    _hits(found["limits_hit"]) or NONE,
                ]
                for name, found in rows
            ],
        ),
        *_verifier_section(rows),
        "## Redundancy between sibling threads",
        REDUNDANCY_NOTE,
        markdown_table(
            [
                "",
                "trajectories",
                "blocks",
                "malformed",
                f"shared {N}-grams",
                "repeated results",
                "… of equations",
            ],
            [_redundancy_cells(name, found["redundancy"]) for name, found in rows],
        ),
    ]


def _samples_section(rows: Rows) -> list[str]:
    """Nothing where a problem has one sample."""
    several = [(name, found) for name, found in rows if found["pass_at"]]
    sizes = sorted({int(k) for _, found in several for k in found["pass_at"]})
    head = ["", "avg@k", *(f"pass@{k}" for k in sizes), "maj@k", "k"]
    cells = [
        [
            name,
            share_cell(found["accuracy"]),
            *(share_cell(found["pass_at"].get(str(k))) for k in sizes),
            share_cell(found["majority"]),
            max(found["pass_at"], key=int),
        ]
        for name, found in several
    ]
    return ["## Several samples of a problem", SAMPLES_NOTE, markdown_table(head, cells)] if cells else []


def _verifier_section(rows: Rows) -> list[str]:
    """Nothing where answers were graded by `math`, which says right or wrong and nothing else."""
    cells = [
        [name, number_cell(found["score"], 3), share_cell(found["verifier_failed"])]
        for name, found in rows
        if found["score"] is not None
    ]
    head = ["", "mean score", "verifier failed"]
    return ["## Verifier", VERIFIER_NOTE, markdown_table(head, cells)] if cells else []


def _hits(limits: Mapping[str, int]) -> str:
    return ", ".join(f"{as_markdown(limit)} {hits}" for limit, hits in limits.items())


def _redundancy_cells(name: str, found: Figures) -> list[str]:
    return [
        name,
        *(str(found[count]) for count in ("trajectories", "blocks", "malformed")),
        share_cell(found["ngram_share"]),
        number_cell(found["repeated"], 2),
        share_cell(found["equation_share"]),
    ]


def _against(comparison: Mapping[str, Figures]) -> str:
    return markdown_table(
        ["", "accuracy", "speed-up", "of means", "correct only", "max", "wall clock", "timed"],
        [
            [
                as_markdown(kind),
                _points(found["accuracy_difference"]),
                number_cell(found["speedup"], 2, "×"),
                number_cell(found["speedup_of_means"], 2, "×"),
                number_cell(found["speedup_correct_only"], 2, "×"),
                number_cell(found["speedup_max"], 2, "×"),
                number_cell((found["wall_clock"] or {}).get("speedup_of_means"), 2, "×"),
                str((found["wall_clock"] or {}).get("problems", 0)),
            ]
            for kind, found in comparison.items()
        ],
    )


def as_markdown(text: str) -> str:
    """Text that others wrote, so that Markdown shows it as it is, on one line: nothing in it is code, a link,
    HTML or emphasis. `markdown_table` sees to ``|``.
    """
    line = visible(text).replace("\n", r"\n").replace("\t", r"\t")
    return _MARKUP.sub(r"\\\g<0>", line)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures, on the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def share_cell(interval: Any) -> str:
    """``50.0% [40.1, 60.2]``"""
    if interval is None:
        return NONE
    return f"{interval['value']:.1%} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def _points(interval: Any) -> str:
    value, low, high = (100 * interval[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def number_cell(interval: Any, digits: int, unit: str = "") -> str:
    """``1.22× [1.10, 1.35]``"""
    if interval is None:
        return NONE
    return (
        f"{interval['value']:.{digits}f}{unit} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"
    )
