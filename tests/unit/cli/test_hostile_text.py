"""Text that others wrote, in every command: shown as it is, never obeyed by rich, a terminal or Markdown."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from tests.support.fakes import char_tokenizer
from tests.support.records import RECORD
from tests.support.report_data import report
from tw_plugins import doctor
from tw_plugins.cli import eval_run
from tw_plugins.cli.app import app
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.progress import progress_bars
from tw_plugins.errors import UserError, in_one_line, visible
from tw_plugins.evaluation.records import write_records
from tw_plugins.evaluation.report import as_markdown
from tw_plugins.evaluation.run import EvalSettings

MARKUP = "[red]a[/red][/][link=http://evil]b[/link]:smile:"
ORDERS = "\x1b]0;title\x07\x1b[2J\r\x9b1m\u202e\u2066\u2028\x00\ud800"
EVIL = f"{MARKUP}{ORDERS}|`c`<b>"
NAME = EVIL.replace("/", "|").replace("\x00", "").replace("\ud800", "\udcff")  # what a file can be called
SHOWN = "[red]a[/red][/][link=http://evil]b[/link]:smile:\\x1b]0;title\\x07\\x1b[2J\\r\\x9b1m\\u202e\\u2066\\u2028"
SHOWN_NAME = SHOWN.replace("/", "|")
WIDE = {"COLUMNS": "3000", "TERM": "dumb", "NO_COLOR": "1", "FORCE_COLOR": ""}  # else a dumb terminal has 80


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env=WIDE)


def assert_obeys_nothing(shown: str) -> None:
    orders = [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]
    assert not orders, ascii(shown)


def test_what_is_visible() -> None:
    assert visible("plain ü 你好 👩\u200d🔬\n\tnext") == "plain ü 你好 👩\u200d🔬\n\tnext"
    assert visible(EVIL).startswith(SHOWN) and visible("\x00\ud800") == "\\x00\\ud800"
    assert_obeys_nothing(visible(EVIL))


def test_in_markdown() -> None:
    assert as_markdown("minerva_math") == "minerva_math", "a name stays a name"
    assert as_markdown("a\nb`c`[d](e)<f>_g_*h*") == r"a\\nb\`c\`\[d\](e)\<f\>\_g\_\*h\*"
    assert_obeys_nothing(as_markdown(EVIL))


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Files whose names and contents are hostile."""
    folder = tmp_path / NAME
    folder.mkdir()
    records = [replace(RECORD, kind=kind, index=i, prompt=EVIL) for i, kind in enumerate((EVIL, "chain"))]
    for mode in ("parallel", "autoregressive"):
        write_records([replace(one, mode=mode) for one in records], folder / f"{mode}.jsonl")  # type: ignore[arg-type]
    (folder / "settings.json").write_text(json.dumps({"data": NAME}))
    lines = tmp_path / f"{NAME}.jsonl"
    lines.write_text(f"{json.dumps({'id': EVIL, 'prompt': EVIL, 'response': EVIL})}\n{{\n")
    columns = tmp_path / f"{NAME}.parquet"
    with columns.open("wb") as file:
        pq.write_table(pa.table({MARKUP + "\x1b[2J": [1]}), file)
    metrics = tmp_path / "metrics" / NAME
    metrics.parent.mkdir()
    metrics.write_text(json.dumps({"data": {"timing_s/step": 2.0, "timing_s/gen": 1.0}}) + "\n")
    tokenizer = char_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    monkeypatch.setattr("tw_plugins.evaluation.run.load_tokenizer", lambda _: tokenizer)
    return {"folder": folder, "lines": lines, "columns": columns, "metrics": metrics, "out": tmp_path / "o"}


ASK = "--base-url http://127.0.0.1:9/v1 --model {name}"
COMMANDS = {
    "report": ("report {folder}", 2, SHOWN_NAME),
    "compare": ("eval compare {folder} {folder}", 0, "B, the baseline: "),
    "compare, a file": ("eval compare {folder} {folder} --out {folder}/a", 0, SHOWN_NAME),
    "compare, nothing": ("eval compare {folder}/x {folder}", 2, SHOWN_NAME),
    "table": ("eval table {folder}", 0, "| average |"),
    "table, twice": ("eval table {folder} {folder}", 2, SHOWN_NAME),
    "trajectories": ("view trajectories {folder} --out {folder}/a.html", 0, SHOWN_NAME),
    "trajectories, other lines": ("view trajectories {lines} --out {out}", 0, SHOWN_NAME),
    "trajectories, other columns": ("view trajectories {columns} --out {out}", 2, SHOWN_NAME),
    "stats": ("view stats {folder} --out {folder}/a.html", 0, SHOWN_NAME),
    "row, another column": ("view row {columns} --tokenizer t --out {out}", 2, SHOWN_NAME),
    "extract": ("data extract {lines} --out {out}", 1, "not_text"),
    "filter": ("data filter {lines} --out {folder}/a", 1, "nothing is left"),
    "structure": ("data structure {lines} --out {folder}/a " + ASK, 1, "not_text"),
    "toy": ("data toy --preset {name} --out {out}", 2, "choose from"),
    "add-tokens": ("data add-tokens --model m --out {folder}", 2, SHOWN_NAME),
    "run, no data": ("eval run --model m --data {folder}x.parquet --out {out}", 2, SHOWN_NAME),
    "run, other columns": ("eval run --model m --data {columns} --out {out}", 2, "[red]a"),
    "run, a mode": ("eval run --model m --data d --out o --mode {name}", 2, "[red]a"),
    "clock": ("eval clock --model m --baseline b --data {columns} --out {out}", 2, "[red]a"),
    "rollout": ("rollout --model m --prompt p --mode {name}", 2, "[red]a"),
    "rollout, a server": ("rollout --model m --prompt p --base-url u --server {name}", 2, "[red]a"),
    "rollout, not UTF-8": ("rollout --model m --prompt \udcff", 2, "--prompt is not UTF-8"),
    "bench step": ("bench step {metrics}", 0, SHOWN_NAME),
    "bench": ("bench update --shape {name}", 2, "[red]a"),
    "an option": ("eval run --{name}", 2, "[red]a"),
    "a command": ("{name}", 2, "[red]a"),
    "a value": ("bench reward --answers {name}", 2, "--answers"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_in_every_command(name: str, hostile: dict[str, Path]) -> None:
    command, status, named = COMMANDS[name]
    done = run(*(argument.format(name=NAME, **hostile) for argument in command.split(" ")))
    assert done.exit_code == status, (done.output, done.exception)
    assert_obeys_nothing(done.output)
    assert named in done.output, ascii(done.output)


def test_the_table_of_an_evaluation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    records = [replace(RECORD, kind=kind, index=i) for i, kind in enumerate((EVIL, "chain"))]
    monkeypatch.setattr(eval_run, "evaluate_model", lambda *_: {"parallel": records})
    console = PlainConsole(record=True, width=500, color_system=None)
    eval_run.run("m", NAME, ["parallel"], tmp_path, EvalSettings(), None, console)
    shown = console.export_text()
    assert_obeys_nothing(shown)
    assert shown.count(SHOWN) == 2 and SHOWN_NAME in shown
    written = (tmp_path / "report.md").read_text()
    (row,) = [line for line in written.splitlines() if "http://evil" in line][:1]
    assert row.count(" | ") == 6 and r"\`c\`\<b\>" in row
    assert_obeys_nothing(written)


def test_what_the_doctor_found(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [doctor.Check(EVIL, EVIL, "fail", EVIL)]
    monkeypatch.setattr(doctor, "all_checks", lambda *_: checks)
    done = run("doctor", "--no-ray")
    assert_obeys_nothing(done.output)
    assert "".join(done.output.split()).count(SHOWN) == 3, "however wide the terminal is taken for"


def test_titles_of_bars_and_status_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole(force_terminal=True, color_system=None, width=500)
    with console.working(EVIL):
        pass
    with progress_bars(console) as bars:
        bars.add_task(visible(EVIL), total=1)
    assert capsys.readouterr().out.count(SHOWN) >= 2


def test_a_report_is_a_page_of_text(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({**report(), "framework": EVIL, "outcome": EVIL}))
    done = run("report", tmp_path)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "`c`<b>" not in page and "`c`&lt;b&gt;" in page


def test_in_a_frameworks_command() -> None:
    with pytest.raises(SystemExit) as ended, in_one_line():
        raise UserError(EVIL)
    assert_obeys_nothing(str(ended.value))
