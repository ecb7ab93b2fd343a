"""Figures of one evaluation, two compared, and both as Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.records import RECORD
from tests.support.texts import TEN, block, text_of
from tw_plugins.cli import app as cli
from tw_plugins.evaluation.compare import compare, compare_by_kind
from tw_plugins.evaluation.figures import ALL, by_kind, describe
from tw_plugins.evaluation.records import EvalRecord, write_records
from tw_plugins.evaluation.report import markdown_table, write_report
from tw_plugins.evaluation.scores import EvaluationError, speedup, summarise

FORKED = text_of(block(f"{TEN} 3 + 4 = 7", f"{TEN} 3 + 4 = 7"))


def record(index: int, longest: int, correct: bool = True, **changes: Any) -> EvalRecord:
    return replace(
        RECORD, index=index, prompt=f"problem {index}", longest=longest, correct=correct, **changes
    )


# problem 0 has two samples on one side and one on the other; problem 2 is wrong on one side
OWN = [record(0, 10, True, wall_s=1.0), record(0, 30, False, wall_s=3.0), record(1, 10), record(2, 40, False)]
BASE = [
    record(0, 40, True, blocks=0, wall_s=4.0),
    record(1, 20, True, blocks=0),
    record(2, 40, True, blocks=0, wall_s=9.0),
]


def test_figures_are_means_over_problems_of_means_over_samples() -> None:
    found = describe(OWN)
    assert (found["problems"], found["samples"], found["wall_s_problems"]) == (3, 4, 1)
    for name, expected in {
        "accuracy": fmean([0.5, 1, 0]),
        "token_latency": fmean([20, 10, 40]),
        "total_tokens": 40,
        "self_parallelism": fmean([fmean([4, 4 / 3]), 4, 1]),
        "wall_s": 2.0,
        "activation": 1,
    }.items():
        assert found[name]["value"] == pytest.approx(expected), name
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert describe(BASE)["activation"]["value"] == 0
    scores = summarise(OWN)
    assert (scores["n"], scores["accuracy"]) == (3, pytest.approx(0.5))
    assert (scores["token_latency"], scores["wall_s_mean"]) == (pytest.approx(70 / 3), 2.0)


def test_limits_are_counted_and_shared_out() -> None:
    hit = [record(0, 1, limits_hit={"max_tokens": 2}), record(1, 1, limits_hit={"max_tokens": 1, "a": 1})]
    found = describe([*hit, record(2, 1, limits_hit={"a": 0}), record(3, 1)])
    assert found["limits_hit"] == {"a": 1, "max_tokens": 3} and found["limited"]["value"] == 0.5


def test_redundancy_counts_what_it_cannot_read() -> None:
    texts = [FORKED, "plain", "<Parallel> broken", text_of(block("a", "b"))]
    found = describe([record(i, 1, text=text) for i, text in enumerate(texts)])["redundancy"]
    assert (found["trajectories"], found["malformed"], found["blocks"]) == (2, 1, 2)
    assert found["ngram_share"]["value"] == 1.0, "threads too short for an 8-gram have no share"
    assert found["equation_share"]["value"] == 1.0 and found["repeated"]["value"] == 0.5
    nothing = describe([record(0, 1, text="plain")])["redundancy"]
    assert nothing["trajectories"] == 0 and nothing["ngram_share"] is None and nothing["repeated"] is None


def test_no_record_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no record"):
        describe([])


def test_a_comparison() -> None:
    found = compare(OWN, BASE)
    assert found["accuracy_difference"]["value"] == pytest.approx(0.5 - 1)
    assert found["speedup"]["value"] == pytest.approx(fmean([40 / 20, 20 / 10, 1]))
    assert found["speedup_of_means"]["value"] == pytest.approx(100 / 70)
    assert found["speedup_correct_only"] == {"value": 3, "low": 2, "high": 4}
    assert found["speedup_max"] == {"value": 2, "low": 1, "high": 2}
    own = speedup(OWN, BASE, None)
    assert own["token_latency_correct_only"] == found["speedup_correct_only"]["value"]
    clock = found["wall_clock"]
    assert (clock["problems"], clock["own_s"]["value"], clock["baseline_s"]["value"]) == (1, 2, 4)
    assert clock["speedup_of_means"]["value"] == 2
    assert found["own"] == describe(OWN) and found["baseline"] == describe(BASE)


def test_without_a_clock_or_a_right_answer_there_is_no_figure() -> None:
    found = compare([record(0, 1, False)], [record(0, 2)])
    assert found["wall_clock"] is None and found["speedup_correct_only"] is None


def test_the_same_records_differ_in_nothing() -> None:
    found = compare(OWN, OWN)
    assert set(found["accuracy_difference"].values()) == {0.0}
    assert set(found["speedup"].values()) == {1.0}
    assert set(found["speedup_of_means"].values()) == {1.0}


def test_other_problems_are_refused() -> None:
    ours, theirs = [record(i, 1) for i in range(9)], [record(i, 1) for i in (0, 1, 30)]
    message = (
        r"9 and 3, 7 \(index 2, 3, 4, 5, 6, …\) only in the first, 1 \(index 30\) only in the second\. Eval"
    )
    with pytest.raises(EvaluationError, match=message):
        compare(ours, theirs)
    with pytest.raises(EvaluationError, match="none only in the second"):
        compare_by_kind(ours, ours[:3])


def test_other_prompts_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"1 \(index 2\) of 3 stand for different prompts"):
        compare(OWN, [*BASE[:2], replace(BASE[2], prompt="another")])


def test_kinds() -> None:
    kinds = [record(0, 4), record(1, 6, kind="chain")]
    slow = [replace(one, longest=12) for one in kinds]
    assert list(by_kind(kinds)) == [ALL, "chain", "decomposable"] and list(by_kind(OWN)) == [ALL]
    found = compare_by_kind(kinds, slow)
    assert {kind: part["speedup"]["value"] for kind, part in found.items()} == {
        ALL: 2.5,
        "chain": 2,
        "decomposable": 3,
    }
    with pytest.raises(EvaluationError, match="only one of the two has problems of kind"):
        compare_by_kind(kinds, [replace(one, kind="chain") for one in slow])


def test_a_table() -> None:
    assert markdown_table(["", "a"], [["x|y", "1"]]).splitlines() == [
        "|  | a |",
        "| --- | ---: |",
        "| x&#124;y | 1 |",
    ]


def columns(markdown: str, heading: str) -> list[dict[str, str]]:
    """The rows of the table under a heading."""
    lines = markdown.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    head, _, *rows = (line.strip("| ").split(" | ") for line in lines if line.startswith("|"))
    return [dict(zip(["", *head], row, strict=True)) for row in rows]


def test_the_report_of_an_evaluation(tmp_path: Path) -> None:
    write_report({"parallel": OWN, "autoregressive": BASE}, tmp_path)
    report = (tmp_path / "report.md").read_text()
    first, second = columns(report, "Accuracy and token latency")
    assert first[""] == f"parallel, {ALL}" and second[""] == f"autoregressive, {ALL}"
    assert first["accuracy"] == "50.0% [0.0, 100.0]" and (first["problems"], first["samples"]) == ("3", "4")
    assert columns(report, "Wall clock at batch size 1")[0]["seconds"] == "2.000 [2.000, 2.000]"
    assert columns(report, "Forks, format and limits")[1]["forked"] == "0.0% [0.0, 0.0]"
    (against,) = columns(report, "Parallel against autoregressive, the same model")
    assert against["of means"].startswith("1.43× [") and against["max"] == "2.00× [1.00, 2.00]"
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["modes"]["parallel"][ALL] == describe(OWN)
    assert figures["parallel_against_autoregressive"] == compare_by_kind(OWN, BASE)


def test_the_report_of_one_mode_compares_nothing(tmp_path: Path) -> None:
    write_report({"parallel": [record(0, 3, text=FORKED)]}, tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert "against" not in report
    (row,) = columns(report, "Redundancy between sibling threads")
    assert row["shared 8-grams"] == "100.0% [100.0, 100.0]" and row["repeated results"] == "1.00 [1.00, 1.00]"
    assert columns(report, "Wall clock at batch size 1")[0]["seconds"] == "–"


def folders(tmp_path: Path) -> list[str]:
    write_records(OWN, tmp_path / "a" / "parallel.jsonl")
    write_records(BASE, tmp_path / "b" / "autoregressive.jsonl")
    return ["eval", "compare", str(tmp_path / "a"), str(tmp_path / "b")]


def test_the_command_shows_markdown(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, folders(tmp_path))
    assert done.exit_code == 0, done.output
    assert f"A: {tmp_path / 'a' / 'parallel.jsonl'}" in done.output
    (row,) = columns(done.output, "A against B")
    assert row["accuracy"].startswith("-50.0 points [") and row["correct only"] == "3.00× [2.00, 4.00]"
    assert len(columns(done.output, "Accuracy and token latency")) == 2


def test_the_command_writes_files(tmp_path: Path) -> None:
    out, figures = tmp_path / "new" / "c.md", tmp_path / "c.json"
    command = [*folders(tmp_path), "--out", str(out), "--json", str(figures)]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0 and done.output.strip() == str(out), done.output
    assert out.read_text().startswith("# Comparison\n")
    written = json.loads(figures.read_text())
    assert written["comparison"] == compare_by_kind(OWN, BASE)
    assert written["a"].endswith("a/parallel.jsonl") and written["b"].endswith("b/autoregressive.jsonl")


def test_the_commands_errors_are_one_line(tmp_path: Path) -> None:
    command = folders(tmp_path)
    (tmp_path / "a" / "autoregressive.jsonl").write_text("")
    for options, message in (
        (["--mode-a", "both"], "--mode-a is 'both': choose one of parallel, autoregressive"),
        (["--mode-b", "parallel"], f"{tmp_path / 'b'} has no records of mode parallel: give --mode-b auto"),
        (["--mode-a", "autoregressive"], "autoregressive.jsonl has no record"),
        (
            [str(tmp_path)],
            f"{tmp_path} has no records, neither parallel.jsonl nor autoregressive.jsonl: give",
        ),
    ):
        words = [*command[:3], *options] if len(options) == 1 else [*command, *options]
        done = CliRunner().invoke(cli.app, words)
        assert done.exit_code == 2 and message in done.output and len(done.output.splitlines()) == 1


def test_a_bad_line_is_named_and_the_rest_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    command = folders(tmp_path)
    with (tmp_path / "a" / "parallel.jsonl").open("a") as file:
        file.write('{"index": 3')
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0 and "parallel.jsonl, line 5: not a whole JSON record" in caplog.text
    assert columns(done.output, "Accuracy and token latency")[0]["samples"] == "4"
