"""What the quickstart promises: the border of each bound, the words, and `--strict`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer import BadParameter, Exit

from recipes.quickstart import __main__ as quickstart
from recipes.quickstart.outcome import SMOKE, outcome
from recipes.quickstart.plan import plan_of
from recipes.quickstart.promise import PROMISES, judge, missed
from recipes.quickstart.settings import settings_of
from recipes.quickstart.summary import judged, summary, verdict
from recipes.quickstart.task import EXAMPLE, task
from tests.support.reports import finished_report
from tw_plugins.pages.report import read_report
from tw_plugins.toy.working import group_lines


def said(**figures: Any) -> list[str]:
    return [text.replace("\u00a0", " ") for text in missed(finished_report(**figures))]


def words(**figures: Any) -> str:
    return outcome(finished_report(**figures)).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("border", "beyond", "name"),
    [
        ({"accuracy": 582 / 600, "baseline": 0.97, "sft": 0.97}, {"accuracy": 581 / 600}, "accuracy"),
        ({"accuracy": 0.99}, {"accuracy": 0.9899}, "accuracy against the sequential baseline"),
        ({"accuracy": 0.98, "baseline": 0.98, "sft": 0.99}, {"accuracy": 0.9799}, "accuracy against SFT"),
        ({"decomposable": 0.9}, {"decomposable": 0.8999}, "activation on decomposable problems"),
        ({"chain": 0.05}, {"chain": 0.0501}, "activation on chain problems"),
        ({"token_latency": 1.5}, {"token_latency": 1.4999}, "token latency"),
        ({"wall_clock": 1.3}, {"wall_clock": 1.2999}, "wall clock"),
    ],
)
def test_each_promise_holds_at_its_border_and_not_beyond(
    border: dict[str, float], beyond: dict[str, float], name: str
) -> None:
    for nudge in (0, 1e-12, -1e-12):
        assert said(**{key: value + nudge for key, value in border.items()}) == []
    unreached = [
        each["name"] for each in judge(finished_report(**{**border, **beyond})) if not each["reached"]
    ]
    assert name in unreached
    assert set(unreached) <= {each.name for each in PROMISES if each.name.startswith("accuracy")} | {name}


def test_a_sentence_has_its_figure_and_what_was_promised() -> None:
    assert said(decomposable=0.007) == ["forked on 0.7 % of decomposable problems, promised: 90 % or more"]
    assert said(chain=0.2) == ["forked on 20.0 % of chain problems, promised: 5 % or less"]
    assert said(accuracy=0.98, baseline=0.9967) == [
        "accuracy 98.0 %, promised: 98.7 % or more (the sequential baseline's − 1 point)",
        "accuracy 98.0 %, promised: 99 % or more (SFT's − 1 point)",
    ]
    assert said(token_latency=0.7) == [
        "token latency: speed-up of 0.70× on decomposable problems, promised: 1.5× or more"
    ]


def test_a_figure_that_missed_does_not_read_as_what_was_promised() -> None:
    assert "speed-up of 1.299× on" in said(wall_clock=1.299)[0]
    assert "forked on 89.98 % of" in said(decomposable=0.8998)[0]
    assert words(wall_clock=1.2999).endswith("its wall clock is better, but less than promised (1.2999×).")


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        ("wall_clock", "wall clock"),
        ("decomposable", "activation on decomposable problems"),
        ("chain", "activation on chain problems"),
    ],
)
def test_what_was_not_measured_was_not_reached(figure: str, name: str) -> None:
    (sentence,) = said(**{figure: None})
    assert sentence.startswith(f"{name} was not measured, promised: ")
    assert "not measured" in words(**{figure: None})


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({}, "The model learned to fork where it pays, and only there."),
        ({"decomposable": 0.9, "chain": 0.03}, "The model learned to fork where it pays."),
        ({"chain": 1.0}, "The model forks on everything, chains included."),
        ({"chain": 0.2}, "The model forks where it pays, but on 20.0 % of chains too."),
        ({"decomposable": 0.45}, "The model forks on only 45.0 % of the problems where it pays."),
        (
            {"decomposable": 0.45, "chain": 0.12},
            "The model forks on only 45.0 % of the problems where it pays, and on 12.0 % of chains.",
        ),
        ({"decomposable": 0.007}, "The model hardly forks, on 0.7 % of the problems where it pays."),
        ({"decomposable": 0.0, "token_latency": 1.0, "wall_clock": 0.7}, "The model does not fork."),
        (
            {"decomposable": 0.0, "chain": 0.3},
            "The model does not fork where it pays, and on 30.0 % of chains.",
        ),
        (
            {"accuracy": 0.92},
            "The model learned to fork where it pays, and only there; it lost accuracy (92.0 % right, SFT "
            "100.0 %, the sequential baseline 100.0 %).",
        ),
        (
            {"accuracy": 0.9, "sft": 0.9, "baseline": 0.9, "decomposable": 0.0},
            "The model does not fork; only 90.0 % of its answers are right, the baseline's 90.0 %.",
        ),
        (
            {"token_latency": 0.8, "wall_clock": 0.7},
            "The model learned to fork where it pays, and only there; it needs more tokens in sequence "
            "(0.80×); it is slower in wall clock (0.70×).",
        ),
        (
            {"token_latency": 1.2, "wall_clock": 1.0},
            "The model learned to fork where it pays, and only there; its token latency is better, but less "
            "than promised (1.20×); it is no faster in wall clock (1.00×).",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_what_the_model_does(figures: dict[str, Any], sentence: str) -> None:
    assert words(**figures) == sentence


def printed(folder: Path, report: dict[str, Any], smoke: bool = False) -> str:
    console = Console(file=io.StringIO(), width=200)
    report = judged(report, smoke)
    summary(plan_of("verl", folder, fast=True), report, console)
    verdict(report, console)
    return console.file.getvalue().replace("\u00a0", " ")  # type: ignore[attr-defined, no-any-return]


def test_the_summary_and_the_page_say_what_happened(tmp_path: Path) -> None:
    nothing = finished_report(decomposable=0.0, token_latency=1.0, wall_clock=0.7)
    text = printed(tmp_path, nothing)
    assert "The model does not fork." in text
    assert "token latency 1.00× (as many tokens in sequence), wall clock 0.70× (slower)" in text
    assert text.rstrip().endswith("4 of 7 promises of the quickstart are reached")
    assert text.count("not reached: ") == 3 and "better" not in text
    page = (tmp_path / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert '<p class="outcome">The model does not fork.</p>' in page
    assert page.count('<li class="missed">') == 3 and page.count('<li class="kept">') == 4
    assert [each["reached"] for each in read_report(tmp_path)["promises"]].count(False) == 3


def test_a_smoke_run_is_not_judged(tmp_path: Path) -> None:
    report = judged(finished_report(accuracy=0.0), smoke=True)
    assert report["outcome"] == SMOKE and report["task"] == task() and "promises" not in report
    assert settings_of(fast=True).smoke and not settings_of().smoke


def test_the_task_is_explained_in_four_lines_with_the_figures_of_a_real_problem() -> None:
    shown = task()
    assert len(shown["lines"]) == 4 and shown["text"].endswith(f"\\boxed{{{EXAMPLE.answer}}}")
    assert f"{group_lines(EXAMPLE)[0]}, " in shown["lines"][2]
    first, second = EXAMPLE.results
    assert f"|{second} − {first}| = {EXAMPLE.answer}." in shown["lines"][3]


@pytest.mark.parametrize(
    ("figures", "options", "status"),
    [
        ({}, {}, 0),
        ({}, {"strict": True}, 0),
        ({"chain": 1.0}, {}, 0),
        ({"chain": 1.0}, {"strict": True}, 1),
        ({"chain": 1.0}, {"fast": True}, 0),
        ({"chain": 1.0}, {"fast": True, "strict": True}, 1),
    ],
)
def test_strict_ends_with_an_error_after_the_report(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    figures: dict[str, float],
    options: dict[str, bool],
    status: int,
) -> None:
    monkeypatch.setattr(quickstart, "check_framework", lambda framework: None)
    monkeypatch.setattr(quickstart, "run_plan", lambda *given, **more: {})
    monkeypatch.setattr(quickstart, "build_report", lambda *given: finished_report(**figures))
    try:
        quickstart.main(out=tmp_path, **options)  # type: ignore[arg-type]
        ended = 0
    except Exit as end:
        ended = end.exit_code
    assert ended == status
    assert (tmp_path / ("verl-fast" if "fast" in options else "verl") / "report.html").exists()
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    judged_aloud = options != {"fast": True}
    assert last.endswith("promises of the quickstart are reached") == judged_aloud


def test_strict_needs_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickstart, "check_framework", lambda framework: None)
    with pytest.raises(BadParameter, match="after the stage eval, add it"):
        quickstart.main(stages="data,sft", strict=True)
