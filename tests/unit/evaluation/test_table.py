"""Evaluations on several data sets joined in one table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.messages import assert_message
from tests.support.records import RECORD
from tw_plugins.cli import app as cli
from tw_plugins.evaluation.compare import compare
from tw_plugins.evaluation.figures import describe
from tw_plugins.evaluation.records import EvalRecord, write_records
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.table import PAPER, join, table_markdown
from tw_plugins.rollout import Mode


def records(latencies: list[int], right: int, mode: Mode = "parallel") -> list[EvalRecord]:
    """One sample of each problem; the first ``right`` are correct."""
    return [
        replace(RECORD, index=i, prompt=f"problem {i}", longest=longest, correct=i < right, mode=mode)
        for i, longest in enumerate(latencies)
    ]


OWN = {"aime24": records([10, 20], 1), "math500": records([8, 8, 8, 8], 4)}
BASE = {
    "aime24": records([20, 20], 2, "autoregressive"),
    "math500": records([8, 16, 8, 16], 2, "autoregressive"),
}


def rows_of(markdown: str) -> dict[str, list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {13}
    return {row[0]: row[1:] for row in cells[2:]}


def test_each_data_set_is_compared_and_the_average_weighs_them_alike() -> None:
    joined = join(OWN, BASE)
    for name, found in joined["data_sets"].items():
        against = compare(OWN[name], BASE[name])
        assert {key: found[key] for key in found if key != "paper"} == {
            key: against[key] for key in ("own", "baseline", "speedup", "speedup_correct_only", "speedup_max")
        }
    average = joined["average"]
    assert average["own"] == {"accuracy": fmean([0.5, 1]), "token_latency": fmean([15, 8])}
    assert average["baseline"] == {"accuracy": fmean([1, 0.5]), "token_latency": fmean([20, 12])}
    assert average["speedup"] == fmean([fmean([2, 1]), fmean([1, 2, 1, 2])])
    assert average["paper"]["accuracy"] == pytest.approx(fmean([0.799, 0.914]))


def test_the_papers_figures_stand_beside() -> None:
    rows = rows_of(table_markdown(join(OWN, BASE)))
    assert list(rows) == ["aime24", "math500", "average"]
    assert rows["aime24"][:2] == ["2", "2"] and rows["aime24"][2].startswith("50.0% [")
    assert rows["aime24"][9:] == ["79.9% / 78.3%", "16900 / 19400", "1.14×"]
    assert rows["average"][2:7] == ["75.0%", "75.0%", "12", "16", "1.50×"]


def test_the_papers_averages_are_its_own() -> None:
    every = {name: records([1], 1) for name in PAPER}
    paper = join(every, {})["average"]["paper"]
    assert paper["accuracy"] == pytest.approx(0.719, abs=5e-4)
    assert paper["baseline_accuracy"] == pytest.approx(0.722, abs=5e-4)
    assert paper["token_latency"] == pytest.approx(13_200, abs=50)
    assert paper["baseline_token_latency"] == pytest.approx(15_100, abs=50)
    assert paper["speedup"] == pytest.approx(1.22, abs=5e-3)


def test_without_a_baseline_or_a_figure_of_the_papers() -> None:
    joined = join({"toy": OWN["aime24"], "math500": OWN["math500"]}, {})
    rows = rows_of(table_markdown(joined))
    assert joined["data_sets"]["toy"]["own"] == describe(OWN["aime24"])
    assert rows["toy"][3] == rows["toy"][5] == rows["toy"][6] == "–" and rows["toy"][9:] == ["–"] * 3
    assert rows["average"][9:] == ["–"] * 3 and rows["average"][2] == "75.0%"


def test_data_sets_must_match() -> None:
    with pytest.raises(EvaluationError) as error:
        join(OWN, {"aime24": BASE["aime24"], "amc23": BASE["aime24"]})
    assert_message(
        error.value, "only one side has the data set amc23, math500: give each folder a --baseline"
    )


def folder(path: Path, data: str, found: list[EvalRecord]) -> str:
    write_records(found, path / f"{found[0].mode}.jsonl")
    (path / "settings.json").write_text(json.dumps({"data": data}))
    return str(path)


def invoke(*words: str) -> Any:
    return CliRunner().invoke(cli.app, ["eval", "table", *words])


def test_the_command(tmp_path: Path) -> None:
    """Folders are matched by data set, in any order; a file is known by its name."""
    own = [
        folder(tmp_path / "a", "aime24", OWN["aime24"]),
        folder(tmp_path / "b", "x/math500.jsonl", OWN["math500"]),
    ]
    base = [
        folder(tmp_path / "c", "math500", BASE["math500"]),
        folder(tmp_path / "d", "aime24", BASE["aime24"]),
    ]
    options = [part for path in base for part in ("--baseline", path)]
    done = invoke(*own, *options)
    assert done.exit_code == 0 and done.output == table_markdown(join(OWN, BASE)) + "\n"
    done = invoke(*own, *options, "--out", str(tmp_path / "t.md"), "--json", str(tmp_path / "t.json"))
    assert done.output.strip() == str(tmp_path / "t.md")
    assert json.loads((tmp_path / "t.json").read_text()) == join(OWN, BASE)


def test_the_commands_errors_are_one_line(tmp_path: Path) -> None:
    one, same = (folder(tmp_path / name, "aime24", OWN["aime24"]) for name in "ab")
    bare = tmp_path / "bare"
    write_records(OWN["aime24"], bare / "parallel.jsonl")
    for words, pattern in (
        ([one, same], "are both evaluations of aime24: give one of each"),
        ([one, "--baseline", same], "b has no records of mode autoregressive: give --mode-b parallel"),
        ([str(tmp_path / "none")], "none has no records, .*: give the --out of"),
    ):
        done = invoke(*words)
        assert done.exit_code == 2 and len(done.output.splitlines()) == 1
        assert_message(done.output, pattern)
    assert "no such file" in invoke(str(bare)).output
