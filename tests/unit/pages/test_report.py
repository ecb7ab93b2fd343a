"""The report: what it must hold, what its page shows, and the geometry of its charts."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.report_data import report, spans
from tw_plugins.pages.chart_marks import LETTER
from tw_plugins.pages.charts import (
    BOTTOM,
    LEFT,
    NARROW,
    RIGHT,
    TALL,
    TOP,
    WIDE,
    H,
    W,
    histogram,
    learning_curve,
    nice_ticks,
    tally,
)
from tw_plugins.pages.report import ReportError, check, read_report, write_report
from tw_plugins.pages.timeline import axis_ticks, coloured, timeline

VOID = {"meta", "link", "br", "rect", "line", "circle", "path"}


class Page(HTMLParser):
    """Checks that tags nest, and collects text and outside references."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.text = ""
        self.raw = False
        self.outside: list[str] = []
        self.feed(page)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [
            str(value) for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")
        ]
        assert tag not in ("link", "iframe") and not any(name in ("style", "onclick") for name, _ in attrs)
        self.raw = tag in ("script", "style")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.raw = False
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.raw else data


def page(folder: Path, data: dict[str, Any] | None = None) -> Page:
    return Page(write_report(data or report(), folder).read_text(encoding="utf-8"))


def test_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    drawn = page(tmp_path / "runs" / "verl")
    assert drawn.outside == []
    source = (tmp_path / "runs" / "verl" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|https?://", source)
    assert "prefers-color-scheme: dark" in source and "width=device-width" in source


def test_page_shows_the_figures(tmp_path: Path) -> None:
    text = page(tmp_path).text
    for figure in (
        "1.62×",
        "2.50×",
        "–",
        "95.0%",
        "−1.0 points",
        "2 min 05 s",
        "Seed 3",
        "0.9.1",
        "rho",
        "18 tokens",
    ):
        assert figure in text, figure
    for title in (
        "SFT: loss",
        "RL: reward",
        "answered correctly",
        "1 of 4 became slower, 0 unchanged",
        "decomposable problems",
    ):
        assert title in text, title
    assert "empty" not in text and "RL: empty" not in text


@pytest.mark.parametrize(
    ("value", "tokens", "clock"),
    [
        (1.625, "fewer tokens in sequence; best", "faster at batch size 1"),
        (0.7, "more tokens in sequence; best", "slower at batch size 1"),
        (1.0, "as many tokens in sequence; best", "no change at batch size 1"),
        (1.004, "as many tokens in sequence; best", "no change at batch size 1"),
        (0.994, "more tokens in sequence; best", "slower at batch size 1"),
    ],
)
def test_headlines_have_the_words_that_fit(tmp_path: Path, value: float, tokens: str, clock: str) -> None:
    data = report()
    data["speedup"].update(token_latency=value, wall_clock=value)
    text = page(tmp_path, data).text
    assert tokens in text and clock in text


def test_nothing_is_said_to_be_learned_or_promised_unless_the_report_says_so(tmp_path: Path) -> None:
    text = page(tmp_path).text
    assert "learned" not in text and "reached" not in text and "not measured at batch size 1" in text
    data = report()
    data["outcome"] = "It forks."
    data["promises"] = [{"text": "more <b>", "reached": False}, {"text": "less", "reached": True}]
    text = page(tmp_path, data).text
    assert "It forks." in text and "not reached more <b>" in text and "reached less" in text


def test_everything_is_escaped(tmp_path: Path) -> None:
    data = report()
    evil = "<script>alert(1)</script>\"'&"
    data["framework"] = data["versions"]["verl"] = evil
    data["samples"]["trajectory"].update(text=evil, prompt=evil)
    data["stages"][evil] = 1.0
    data["eval"]["rl"]["parallel"]["activation"] = {evil: 1.0}
    data["rl"]["curves"][evil] = [1.0]
    assert page(tmp_path, data).text.count("alert(1)") >= 8


def test_the_reports_json_is_read_back(tmp_path: Path) -> None:
    page(tmp_path)
    assert read_report(tmp_path) == report()


def test_unusable_json(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text('{"seed": 1,\n')
    with pytest.raises(ReportError, match=r"report\.json is not JSON \(line 2"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(ReportError, match="holds a list"):
        read_report(tmp_path)


def test_how_the_clock_was_read_stands_beside_its_figure(tmp_path: Path) -> None:
    interval = {"median": 1.62, "low": 1.5, "high": 1.75}
    clock = {"problems": 30, "wall_clock": interval, "others_cpu": {"median": 0.124, "most": 0.5}}
    clock["load_average"] = {"before": 2.0, "median": 1.25, "after": 1.0}
    shown = page(tmp_path, report() | {"clock": clock}).text
    assert "median of 30 problems decoded by both in turn (95 %: 1.50×–1.75×)" in shown
    assert "while other work took 12% of the machine (load 1.2)" in shown and "on this machine" not in shown
    assert "at batch size 1, on this machine" in page(tmp_path, report()).text
    with pytest.raises(ReportError, match=r"no key clock\.others_cpu"):
        check(report() | {"clock": {"problems": 30, "wall_clock": interval}})


@pytest.mark.parametrize(
    "path",
    [
        "seed", "versions", "sft.curves", "rl.steps", "eval.baseline", "eval.rl.parallel",
        "eval.baseline.autoregressive.accuracy", "eval.sft.parallel.wall_s_mean", "speedup.wall_clock",
        "samples.trajectory.spans",
    ],
)  # fmt: skip
def test_a_missing_key_is_named(tmp_path: Path, path: str) -> None:
    data = report()
    *parents, last = path.split(".")
    section = data
    for name in parents:
        section = section[name]
    del section[last]
    with pytest.raises(ReportError, match=f"no key {re.escape(path)}"):
        write_report(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_key_of_a_promise_is_named() -> None:
    with pytest.raises(ReportError, match=r"no key promises\.1\.reached"):
        check({**report(), "promises": [{"text": "", "reached": True}, {"text": ""}]})


def test_a_section_of_the_wrong_type_is_named() -> None:
    data = report()
    data["rl"] = 3
    with pytest.raises(ReportError, match="key rl must be an object, it is int"):
        check(data)


def test_samples_settings_and_baseline_modes_are_optional(tmp_path: Path) -> None:
    data = report()
    del data["samples"], data["settings"]
    assert "One trajectory" not in page(tmp_path, data).text


def test_the_task_and_the_page_of_answers_are_shown_where_the_report_has_them(tmp_path: Path) -> None:
    drawn = page(tmp_path)
    assert "The task" not in drawn.text and "Every evaluated answer" not in drawn.text
    task = {"lines": ["Digits <b>.", "Add."], "prompt": "1+2?", "text": "<Thread>\n1: a</Thread>"}
    drawn = page(tmp_path, {**report(), "task": task, "trajectories": "a b.html"})
    assert "Digits <b>." in drawn.text and "1+2?" in drawn.text and "1: a" in drawn.text
    assert drawn.outside == ["a b.html"]
    assert page(tmp_path, {**report(), "trajectories": "/etc/x"}).outside == ["x"]  # beside it, nowhere else


def test_the_drawn_answer_says_what_was_expected(tmp_path: Path) -> None:
    data = report()
    assert "expected" not in page(tmp_path, data).text
    data["samples"]["trajectory"] |= {"reference": 0, "answer": "yes <b>"}
    assert "answered correctly: expected 0, got yes <b>." in page(tmp_path, data).text


@pytest.mark.parametrize(
    ("activation", "said"),
    [(0.0, "no answer of this model forked."), (0.5, "no answer of this model that forked was right.")],
)
def test_where_nothing_is_drawn_the_page_says_why(tmp_path: Path, activation: float, said: str) -> None:
    data = report()
    del data["samples"]["trajectory"]
    data["eval"]["rl"]["parallel"]["activation"] = {"decomposable": activation}
    text = page(tmp_path, data).text
    assert said in text and ("nothing forked" in text) == (not activation)


def test_settings_are_named_for_people(tmp_path: Path) -> None:
    data = report()
    data["rl"] |= {"rollout_actor_probability_difference_max": 1e-7}
    data["settings"] = {
        "rl_lr": 0.002,
        "preset": {"fast": False, "sizes": [[4, 5], [2, 2]]},
        "sft": {"x": None},
    }
    text = page(tmp_path, data).text
    for said in (
        "P-GRPO",
        "SFT",
        "largest difference of probabilities",
        "RL learning rate",
        "4, 5, 2, 2",
        "no",
    ):
        assert said in text, said
    assert "rl_lr" not in text and "[[4" not in text and "None" not in text


def test_reward_is_shown_where_it_is_known(tmp_path: Path) -> None:
    data = report()
    assert "1.125" not in page(tmp_path, data).text
    data["eval"]["rl"]["parallel"]["reward"] = 1.125
    assert "1.125" in page(tmp_path, data).text


def test_a_report_of_other_kinds_of_problems(tmp_path: Path) -> None:
    data = json.loads(json.dumps(report()).replace('"decomposable": 0.5, "chain": 0.25', '"all": 0.5'))
    assert "forked on all problems" in page(tmp_path, data).text


@pytest.mark.parametrize("low", [-3.2, 0.0, 0.013, 97.0])
@pytest.mark.parametrize("width", [0.0, 0.004, 1.0, 7.7, 12_345.0])
def test_nice_ticks_enclose_and_are_evenly_round(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)
    steps = [after - before for before, after in pairwise(ticks)]
    assert ticks[0] <= low + 1e-9 and ticks[-1] >= low + width - 1e-9 and 2 <= len(ticks) <= 9
    assert max(steps) - min(steps) < 1e-6 * max(abs(tick) for tick in ticks)
    assert f"{steps[0]:.4e}"[:6] in ("1.0000", "2.0000", "5.0000")


def test_a_curve_spans_its_chart() -> None:
    chart = learning_curve({"own": [(1, 0.0), (2, 1.0), (5, 0.5)], "baseline": [(1, 1.0)]})
    own, baseline = chart.lines
    assert (
        own.path
        == f"M{LEFT},{H - BOTTOM} L{LEFT + (W - LEFT - RIGHT) / 4:g},{TOP} L{W - RIGHT},{own.end[1]:g}"
    )
    assert own.end == (W - RIGHT, pytest.approx((TOP + H - BOTTOM) / 2)) and own.last == "0.5"
    assert baseline.end == (LEFT, TOP)
    assert [tick.label for tick in chart.x_ticks] == ["1", "2", "3", "4", "5"]


def test_a_curve_of_one_value_is_drawn() -> None:
    (line,) = learning_curve({"own": [(3, 0.7)]}).lines
    assert TOP < line.end[1] < H - BOTTOM and line.end[0] == LEFT


def test_histogram_counts_every_value_beside_the_mark() -> None:
    values = [0.8, 0.99, 1.0, 1.01, 1.5, 1.5, 1.5, 2.0]
    chart = histogram(values)
    count_of = {bar.title: int(re.search(r": (\d+) problem", bar.title)[1]) for bar in chart.bars}  # type: ignore[index]
    assert sum(count_of.values()) == len(values)
    one, mean = chart.marks
    assert mean.label == "mean 1.29×"
    for bar in chart.bars:
        assert (bar.side == "below") == (bar.x < one.at - 0.01)
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDE - RIGHT
        assert bar.y >= TOP and bar.y + bar.height <= TALL - BOTTOM + 0.01
    of_side = {
        side: sum(count_of[bar.title] for bar in chart.bars if bar.side == side)
        for side in ("below", "at", "above")
    }
    assert of_side == {"below": 2, "at": 1, "above": 5}
    tallest = max(chart.bars, key=lambda bar: bar.height)
    assert count_of[tallest.title] == 3


def test_what_is_unchanged_has_a_bar_of_its_own_below_what_is_faster() -> None:
    unchanged, faster = histogram([1.0, 1.0 + 1e-12, 1.0001, 2.0]).bars[:2]
    assert (unchanged.side, faster.side) == ("at", "above") and unchanged.x == faster.x
    assert unchanged.title == "1.00×: 2 problems" and faster.title.endswith(": 1 problem")
    assert faster.y + faster.height == pytest.approx(unchanged.y)
    assert unchanged.y + unchanged.height == pytest.approx(TALL - BOTTOM)


@pytest.mark.parametrize("size", [(WIDE, TALL), NARROW])
@pytest.mark.parametrize(
    "values", [[1.74], [0.5], [1.0], [1.01], [0.99, 1.0], [0.2] * 9 + [1.02], [1.0, 30.0], [0.9] * 99 + [2.4]]
)
def test_labels_of_marks_have_room(values: list[float], size: tuple[int, int]) -> None:
    fixed, mean = histogram(values, size=size).marks
    spans = {}
    for mark in filter(lambda mark: mark.label, (fixed, mean)):
        length = LETTER * len(mark.label)
        left = mark.x - (length if mark.anchor == "end" else 0)
        assert left >= LEFT and left + length <= size[0], mark
        spans[mark.name] = (left, left + length)
    assert "mean" in spans
    if len(spans) == 2:
        first, second = sorted(spans.values())
        assert first[1] <= second[0]


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.5], [100.0, 0.01]])
def test_histogram_of_odd_values(values: list[float]) -> None:
    assert sum(int(bar.title.split(": ")[1].split()[0]) for bar in histogram(values).bars) == len(values)


def test_timeline_forks_waits_and_joins() -> None:
    drawn = timeline(spans(10, [5, 20], 15, [8], 2), baseline_tokens=110)
    unit = drawn.baseline.width / 110  # type: ignore[union-attr]
    starts = [0, 10, 10, 30, 45, 53]
    assert [lane.x for lane in drawn.lanes] == [pytest.approx(12 + at * unit, abs=0.02) for at in starts]
    assert [round(lane.width / unit) for lane in drawn.lanes] == [10, 5, 20, 15, 8, 2]
    assert [lane.colour for lane in drawn.lanes] == [0, 1, 2, 0, 1, 0]
    first, second = drawn.forks
    assert drawn.lanes[1].wait == drawn.lanes[2].wait == first.end == drawn.lanes[3].x
    assert (first.x, second.x) == (drawn.lanes[1].x, drawn.lanes[4].x)
    assert (
        drawn.lanes[1].y == drawn.lanes[0].y < drawn.lanes[2].y < drawn.baseline.y < drawn.axis < drawn.height
    )  # type: ignore[union-attr]
    assert all(lane.x + lane.width <= drawn.width for lane in drawn.lanes)


def test_timeline_of_nothing_and_of_many_threads() -> None:
    assert timeline([]).lanes == ()
    assert timeline(spans(0)).lanes[0].width == 0
    assert {lane.colour for lane in timeline(spans([3] * 50)).lanes} == set(range(1, 7))


@pytest.mark.parametrize(
    "text", ["", "plain", "<Thread>", "<Thread>x", "</Thread><Thread>\n12: a</Thread>b<Parallel>"]
)
def test_coloured_text_is_the_text(text: str) -> None:
    assert "".join(piece.text for piece in coloured(text)) == text


def test_threads_have_the_colours_of_their_lanes() -> None:
    pieces = coloured("a<Thread>\n1: b</Thread><Thread>\n2: c\n</Thread>d")
    assert [(piece.kind, piece.colour) for piece in pieces] == [
        ("text", 0), ("tag", 1), ("thread", 1), ("tag", 1), ("tag", 2), ("thread", 2), ("tag", 2),
        ("text", 0),
    ]  # fmt: skip


def test_a_histogram_without_a_mark_has_one_line_and_its_own_unit() -> None:
    chart = histogram([10.0, 20.0, 20.0], None, unit=" s", nouns=("box", "boxes"))
    assert [mark.label for mark in chart.marks] == ["mean 16.67 s"] and {bar.side for bar in chart.bars} == {
        "above"
    }
    assert [bar.title.partition(": ")[2] for bar in chart.bars] == ["1 box", "2 boxes"]


@pytest.mark.parametrize("values", [[4], [1, 1, 2, 5], list(range(40))])
def test_a_tally_has_one_bar_for_each_whole_number(values: list[int]) -> None:
    chart = tally(values, ("box", "boxes"))
    assert [int(bar.title.split(":")[0]) for bar in chart.bars] == sorted(set(values))
    assert sum(int(bar.title.split()[1]) for bar in chart.bars) == len(values)
    for bar in chart.bars:
        assert bar.x >= LEFT and bar.x + bar.width <= WIDE - RIGHT and bar.y >= TOP
    (mean,) = chart.marks
    assert chart.bars[0].x < mean.at < chart.bars[-1].x + chart.bars[-1].width


def test_another_axis_over_the_same_width() -> None:
    drawn = timeline(spans(10, [5, 20]), noun="characters")
    assert drawn.ticks == axis_ticks(30) and drawn.lanes[1].title == "block 1, thread 1: 5 characters"
    assert axis_ticks(1.5)[0].label == "0" and axis_ticks(1.5)[-1].at <= drawn.width
