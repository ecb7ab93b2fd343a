"""Evaluations on several data sets as one table, as the paper's Table 1 has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean
from typing import Any

from tw_plugins.evaluation.compare import compare
from tw_plugins.evaluation.figures import Figures, describe
from tw_plugins.evaluation.records import EvalRecord
from tw_plugins.evaluation.report import NONE, NOTE, as_markdown, markdown_table, number_cell, share_cell
from tw_plugins.evaluation.scores import EvaluationError

__all__ = ["PAPER", "PaperFigures", "join", "table_markdown"]

Sets = Mapping[str, Sequence[EvalRecord]]
PAPER_NOTE = (
    "Beside them the paper's figures (Table 1), ThreadWeaver / sequential RL. The average weighs every data "
    "set alike."
)
_MEASURES = ("accuracy", "token_latency")
AGAINST = ("speedup", "speedup_correct_only", "speedup_max")


@dataclass(frozen=True)
class PaperFigures:
    """The paper's own figures of one benchmark, for Qwen3-8B (Table 1).

    Attributes:
        accuracy, baseline_accuracy: of ThreadWeaver and of sequential RL, shares in 0..1.
        token_latency, baseline_token_latency: tokens.
        speedup: mean over problems.
    """

    accuracy: float
    baseline_accuracy: float
    token_latency: float
    baseline_token_latency: float
    speedup: float


PAPER = {
    "aime24": PaperFigures(0.799, 0.783, 16_900, 19_400, 1.14),
    "aime25": PaperFigures(0.605, 0.616, 24_000, 24_600, 1.03),
    "amc23": PaperFigures(0.923, 0.926, 12_000, 13_800, 1.16),
    "math500": PaperFigures(0.914, 0.918, 6_400, 7_200, 1.23),
    "minerva_math": PaperFigures(0.437, 0.439, 7_300, 10_600, 1.53),
    "olympiadbench": PaperFigures(0.635, 0.650, 12_800, 15_200, 1.21),
}
_PAPER_MEASURES = tuple(field.name for field in fields(PaperFigures))


def join(own: Sets, baseline: Sets) -> Figures:
    """The figures of each data set, and their average.

    Args:
        own, baseline: records by data set; the baseline's may be empty.

    Returns:
        A speed-up is the mean over problems of baseline / own token latency (P12); ``{value, low, high}``::

            data_sets {name: own, baseline          figures of each, see `evaluation.figures.describe`
                             speedup, speedup_correct_only, speedup_max     see `evaluation.compare.compare`
                             paper}                 see :class:`PaperFigures`; None for other data sets
            average   {own, baseline, paper: accuracy, token_latency; speedup}   means over data sets

        What belongs to a baseline is None without one.

    Raises:
        EvaluationError: only one of the two has a data set, or the two cannot be compared on it.
    """
    if baseline and (different := own.keys() ^ baseline.keys()):
        raise EvaluationError(
            f"only one side has the data set {', '.join(sorted(different))}: give each folder a --baseline "
            "of its data set"
        )
    sets = {name: _figures(name, records, baseline.get(name)) for name, records in own.items()}
    return {"data_sets": sets, "average": _average(list(sets.values()))}


def _figures(name: str, own: Sequence[EvalRecord], baseline: Sequence[EvalRecord] | None) -> Figures:
    paper = asdict(PAPER[name]) if name in PAPER else None
    if baseline is None:
        return {"own": describe(own), "baseline": None, **dict.fromkeys(AGAINST), "paper": paper}
    found = compare(own, baseline)
    return {name: found[name] for name in ("own", "baseline", *AGAINST)} | {"paper": paper}


def _average(sets: Sequence[Figures]) -> Figures:
    """Means over data sets; None where one has no such figure."""

    def mean(*path: str) -> float | None:
        values = [_at(found, path) for found in sets]
        return None if None in values else fmean(values)

    sides = {side: {name: mean(side, name, "value") for name in _MEASURES} for side in ("own", "baseline")}
    paper = {name: mean("paper", name) for name in _PAPER_MEASURES}
    return {**sides, "speedup": mean("speedup", "value"), "paper": paper}


def _at(figures: Any, path: Sequence[str]) -> Any:
    for name in path:
        figures = None if figures is None else figures[name]
    return figures


def table_markdown(joined: Figures) -> str:
    """What :func:`join` found, with the paper's figures beside it."""
    head = ["", "problems", "samples", "accuracy", "baseline", "token latency", "baseline", "speed-up"]
    head += ["correct only", "max", "paper: accuracy", "paper: token latency", "paper: speed-up"]
    rows = [_row(name, found) for name, found in joined["data_sets"].items()]
    table = markdown_table(head, [*rows, _last_row(joined["average"])])
    return "\n\n".join(["# Evaluations", NOTE, PAPER_NOTE, table]) + "\n"


def _row(name: str, found: Figures) -> list[str]:
    own, baseline = found["own"], found["baseline"] or {}
    return [
        as_markdown(name),
        str(own["problems"]),
        str(own["samples"]),
        share_cell(own["accuracy"]),
        share_cell(baseline.get("accuracy")),
        number_cell(own["token_latency"], 0),
        number_cell(baseline.get("token_latency"), 0),
        *(number_cell(found[name], 2, "×") for name in AGAINST),
        *_paper_cells(found["paper"] or {}),
    ]


def _last_row(average: Figures) -> list[str]:
    sides = [average[side] for side in ("own", "baseline")]
    return [
        "average",
        *["", ""],
        *(_cell(side["accuracy"], "{:.1%}") for side in sides),
        *(_cell(side["token_latency"], "{:.0f}") for side in sides),
        _cell(average["speedup"], "{:.2f}×"),
        *["", ""],
        *_paper_cells(average["paper"]),
    ]


def _paper_cells(paper: Figures) -> list[str]:
    pairs = [
        " / ".join(_cell(paper.get(name), form) for name in (measure, f"baseline_{measure}"))
        for measure, form in (("accuracy", "{:.1%}"), ("token_latency", "{:.0f}"))
    ]
    if paper.get("accuracy") is None:
        pairs = [NONE, NONE]
    return [*pairs, _cell(paper.get("speedup"), "{:.2f}×")]


def _cell(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)
