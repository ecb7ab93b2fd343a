"""A run as one page: `report.json` in, one `report.html` out that needs no server and no network.

What a report must hold is :data:`SHAPE`. Beside it:

* ``sft.curves`` and ``rl.curves``: name → list of values, or of [step, value]; a curve named ``baseline_X``
  is drawn into the chart of ``X``.
* ``samples`` (optional): ``speedups``, one number per problem; ``trajectory``, one record as a dict (``text,
  spans, longest, total`` and, if there, ``prompt, correct``); ``baseline_longest``, tokens of a sequential
  answer to the same problem, drawn below it.
* ``outcome`` (optional): one sentence that says what the model does now.
* ``promises`` (optional): what was expected of the run, each with ``text`` (the figure and what was promised)
  and ``reached``.
* ``against`` (optional): what the baseline is, where it is no model of its own; ``problems`` (optional): of
  which the speed-up is, where not of those that can be decomposed.
* ``clock`` (optional): what ``speedup.wall_clock`` was taken on, see `tw_plugins.evaluation.clock.figures`.
* ``task`` (optional): what the problems are, in ``lines``, and one worked out: ``prompt`` and ``text``.
* ``trajectories`` (optional): name of a page of all answers, beside this one.
* ``settings`` (optional): name → value, or group → {name: value}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.pages.page import write_page
from tw_plugins.pages.report.figures import view
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import read_text

__all__ = ["SHAPE", "ReportError", "check", "read_report", "write_report"]

JSON_NAME, HTML_NAME = "report.json", "report.html"
MODES = ("parallel", "autoregressive")
MODELS = ("sft", "rl", "baseline")
_FIGURES = ("n", "accuracy", "format", "token_latency", "total_tokens", "activation", "wall_s_mean")
_SPEEDUPS = ("token_latency", "token_latency_correct_only", "token_latency_max", "wall_clock")

SHAPE: dict[str, tuple[str, ...]] = {
    "": ("framework", "versions", "seed", "wall_s", "stages", "sft", "rl", "eval", "speedup"),
    "sft": ("curves",),
    "rl": ("steps", "curves"),
    "eval": MODELS,
    "speedup": _SPEEDUPS,
}
"""Mapping in the report → the keys it must have. Every model of ``eval`` has one mode or both, each with
``n, accuracy, format, token_latency, total_tokens, activation, wall_s_mean``; ``reward`` is shown too."""


class ReportError(UserError, ValueError):
    """A report that cannot be drawn; the message names the key or the file."""


def read_report(folder: Path) -> dict[str, Any]:
    """``folder/report.json``.

    Raises:
        OSError, FileError: it is not there, or no text.
        ReportError: it is no JSON object.
    """
    path = folder / JSON_NAME
    try:
        report = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ReportError(f"{path} is not JSON (line {error.lineno}: {error.msg}): write it again") from error
    except RecursionError as error:
        raise ReportError(f"{path} is nested too deep: write it again") from error
    if not isinstance(report, dict):
        raise ReportError(f"{path} holds a {type(report).__name__}, not an object: write it again")
    return report


def write_report(report: Mapping[str, Any], folder: Path) -> Path:
    """Writes ``folder/report.json`` and ``folder/report.html``; returns the page.

    Raises:
        ReportError: a key is missing.
    """
    check(report)
    write_text(folder / JSON_NAME, json.dumps(report, indent=2) + "\n")
    target = folder / HTML_NAME
    write_page("report/report.html.j2", target, styles=("look.css",), scripts=("figures.js",), **view(report))
    return target


def check(report: Mapping[str, Any]) -> None:
    """Whether a report has all it must have.

    Raises:
        ReportError: the first key that is missing, by its path (``eval.rl.parallel.accuracy``).
    """
    for path, keys in SHAPE.items():
        _require(report if not path else report[path], path, keys)
    for model in MODELS:
        modes = report["eval"][model]
        if not isinstance(modes, Mapping) or not set(MODES) & set(modes):
            raise ReportError(
                f"the report has no key eval.{model}.parallel nor eval.{model}.autoregressive: add one"
            )
        for mode in set(MODES) & set(modes):
            _require(modes[mode], f"eval.{model}.{mode}", _FIGURES)
    _require(report["eval"]["rl"], "eval.rl", ("parallel",))
    _require(report["eval"]["baseline"], "eval.baseline", ("autoregressive",))
    for number, promise in enumerate(report.get("promises", ())):
        _require(promise, f"promises.{number}", ("text", "reached"))
    if "clock" in report:
        _require(report["clock"], "clock", ("problems", "wall_clock", "others_cpu", "load_average"))
    if "task" in report:
        _require(report["task"], "task", ("lines", "prompt", "text"))
    if "trajectory" in (samples := report.get("samples", {})):
        _require(samples["trajectory"], "samples.trajectory", ("text", "spans", "longest", "total"))


def _require(section: Any, path: str, keys: tuple[str, ...]) -> None:
    if not isinstance(section, Mapping):
        raise ReportError(f"the report's key {path} must be an object, it is {type(section).__name__}")
    for key in keys:
        if key not in section:
            name = f"{path}.{key}".lstrip(".")
            raise ReportError(f"the report has no key {name}: add it, tw_plugins.pages.report.SHAPE has all")
