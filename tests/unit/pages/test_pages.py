"""The pages of `threadweaver view`: escaping, what they are given, what the commands say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.fakes import char_tokenizer
from tests.support.tokenizers import tokenizer as chat_tokenizer
from tests.support.view_files import EVIL, FORKED, record, verl_dump, write
from tw_plugins.adapter.run_start import FILE as START
from tw_plugins.cli import app as cli
from tw_plugins.cli.eval_rerun import RERUN
from tw_plugins.cli.eval_run import SUMMARY
from tw_plugins.data.selftrain import FUNNEL
from tw_plugins.data.stage1.steps import ANSWERS, STATISTICS, USAGE
from tw_plugins.evaluation.clock.file import SUMMARY as CLOCK_SUMMARY
from tw_plugins.evaluation.clock.file import clock_file
from tw_plugins.evaluation.manifest import MANIFEST
from tw_plugins.evaluation.report import FIGURES
from tw_plugins.evaluation.resume import SETTINGS
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.shapes import shapes_of
from tw_plugins.pages.browser.trajectories import browser_data
from tw_plugins.pages.page import embedded
from tw_plugins.pages.reading.files import read, read_one
from tw_plugins.pages.reading.folders import BESIDE
from tw_plugins.pages.reading.trajectory import ViewError
from tw_plugins.pages.report import JSON_NAME
from tw_plugins.pages.row.row import row_data, row_of
from tw_plugins.pipeline.stages import BEGUN, DONE
from tw_plugins.sft import RowMaker
from tw_plugins.sft.examples import SFTExample
from tw_plugins.trajectory import ControlTokens

runner = CliRunner()


class Page(HTMLParser):
    """Elements with their attributes, text, and the content of each script and style as it stands."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[str] = []
        self.text = ""
        self.is_raw = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.is_raw = tag in ("script", "style")
        self.raw += [""] * self.is_raw

    def handle_endtag(self, tag: str) -> None:
        self.is_raw = False

    def handle_data(self, data: str) -> None:
        if self.is_raw:
            self.raw[-1] += data
        else:
            self.text += data

    @property
    def data(self) -> Any:
        return json.loads(self.raw[1])


def view(*arguments: Any) -> Any:
    return runner.invoke(cli.app, ["view", *map(str, arguments)], env={"COLUMNS": "200"})


def evil_files(folder: Path) -> list[Path]:
    """Hostile text wherever a file has text."""
    first = record(text=EVIL, prompt=EVIL, kind=EVIL, mode=EVIL, limits_hit={EVIL: 1}, well_formed=False)
    second = record(text=FORKED.replace("one", EVIL).replace("left", EVIL))
    third = verl_dump(input=EVIL, output=EVIL, gts=EVIL, **{EVIL: EVIL})
    return [write(folder / "a.jsonl", first, second, {EVIL: 1}), write(folder / "<i>b.jsonl", third)]


def check_self_contained(page: Page) -> None:
    """Only what the policy names runs, and nothing is loaded from anywhere."""
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    hashes = {base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode() for raw in page.raw}
    allowed = set(re.findall(r"sha256-([^']+)", policy))
    assert len(hashes & allowed) == 2
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "img", "base")
        assert not {"src", "href", "srcset", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)


def test_text_from_a_model_ends_no_script(tmp_path: Path) -> None:
    done = view("trajectories", *evil_files(tmp_path), "--out", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    page = Page(tmp_path / "page.html")
    check_self_contained(page)
    assert [tag for tag, _ in page.elements].count("script") == 2
    first, second, third = page.data["trajectories"]
    assert first["prompt"] == first["parts"][0][0] == EVIL and first["limits"] == {EVIL: 1}
    assert second["parts"][1][3] == EVIL and third["prompt"] == third["answer"] == EVIL
    assert (
        page.data["unreadable"][0].startswith("a.jsonl, line 3: ") and page.data["files"][1] == "<i>b.jsonl"
    )
    assert "\u2028" not in page.raw[1] and "<" not in page.raw[1]


@pytest.mark.parametrize("text", [EVIL, "]]>", "\u2029", "é𝔘", "\\u003c", '"', "\x7f"])
def test_embedded_data_come_back_as_they_were(text: str) -> None:
    assert json.loads(embedded({text: [text]})) == {text: [text]}
    assert embedded(text).isascii() and "<" not in embedded(text)


def test_what_the_browser_is_given(tmp_path: Path) -> None:
    lines = [
        record(),
        record(
            blocks=0,
            text="3",
            spans=[{"block": None, "thread": None, "tokens": 7}],
            wall_s=None,
            correct=False,
        ),
        record(text=FORKED[:-40], well_formed=False, limits_hit={"max_tokens": 1}),
    ]
    given = browser_data(read([write(tmp_path / "a.jsonl", *lines)]))
    forked, sequential, malformed = given["trajectories"]
    assert (forked["total"], forked["longest"], forked["blocks"], forked["unit"]) == (38, 30, 1, "tokens")
    assert forked["parts"][1:3] == [[1, 1, "one", "left", 8], [1, 2, "two more", "right", 12]]
    assert forked["parts"][0][0].startswith("<think>") and "reasons" not in forked and "limits" not in forked
    assert [lane[3] for lane in forked["timeline"]["lanes"]] == [0, 1, 2, 0]
    drawn = forked["timeline"]
    assert drawn["ticks"][-1] == [948.0, "30"]
    clock = forked["clock"]
    assert clock["ticks"][-1] == [885.6, "1.4"]
    assert [lane[0] for lane in clock["lanes"]] == [12.0, 324.0, 324.0, 636.0]
    assert [lane[2] for lane in clock["lanes"]] == [312.0, 187.2, 312.0, 312.0]
    assert clock["lanes"][1][5] == "block 1, thread 1: 0.30 s for 8 tokens"
    assert clock["forks"] == [[324.0, 636.0, *drawn["forks"][0][2:]]]
    assert sequential["correct"] is False and sequential["blocks"] == 0
    assert "clock" not in sequential and "wall" not in sequential
    assert malformed["reasons"] and malformed["limits"] == {"max_tokens": 1}


def test_lengths_without_a_tokenizer_are_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "x", "response": FORKED})
    (one,) = browser_data(read([path]))["trajectories"]
    assert one["unit"] == "characters" and one["parts"][1][4] == len(" one\n</Thread>")
    tags = ControlTokens.from_tokenizer(char_tokenizer())
    (one,) = browser_data(read([path]), lambda text: len(tags.encode(text)))["trajectories"]
    assert one["unit"] == "tokens" and one["parts"][1][4] == len(" one\n") + 1
    assert "tokens" in one["timeline"]["lanes"][1][5]


def test_a_row_is_the_one_that_training_makes(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer()
    path = write(tmp_path / "a.jsonl", {"prompt": "1 + 2?", "response": FORKED + "<|im_end|>"})
    shown = row_of(read_one(path, 0), tokenizer)
    prompt = tokenizer.encode("1 + 2?>")
    tags = ControlTokens.from_tokenizer(tokenizer)
    (row,) = RowMaker(tags, 10_000, "", "").rows([SFTExample(prompt, FORKED)])
    assert shown.row == row and shown.prompt_length == len(prompt) and shown.threads == [(1, 2)]
    given = row_data(shown)
    assert given["positions"] == row.position_ids and given["loss"] == row.loss_mask  # type: ignore[union-attr]
    assert given["branches"] == [[*row.branches[0]._replace(fork=row.branches[0].length)[:2], 1, 2]]  # type: ignore[union-attr]
    assert "".join(given["texts"][str(token)] for token in given["ids"][: len(prompt)]) == "1 + 2?>"
    without = row_of(read_one(path, 0), tokenizer, autoregressive_unit=False)
    assert sum(without.row.loss_mask) < sum(row.loss_mask)  # type: ignore[union-attr]


def test_what_cannot_be_a_row_is_one_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", {"prompt": "x", "response": FORKED[:-40]}, {"prompt": "", "response": "y"}
    )
    with pytest.raises(ViewError, match=r"a\.jsonl, line 1 makes no row, .*: unclosed"):
        row_of(read_one(path, 0), chat_tokenizer())
    with pytest.raises(ViewError, match="empty user message"):
        row_of(read_one(path, 1), chat_tokenizer())


def test_a_decoded_dump_as_a_row_says_what_it_is(tmp_path: Path) -> None:
    shown = row_of(read_one(write(tmp_path / "7.jsonl", verl_dump()), 0), char_tokenizer())
    assert "decoded text, not ids" in shown.note and "control tags" in shown.note


def test_the_row_command(tmp_path: Path) -> None:
    chat_tokenizer().save_pretrained(tmp_path / "model")
    path = write(tmp_path / "a.jsonl", {"prompt": EVIL[:30], "response": f"{EVIL[:35]} {FORKED}"})
    out = tmp_path / "deep" / "row.html"
    done = view("row", path, "--tokenizer", tmp_path / "model", "--out", out)
    assert done.exit_code == 0 and "1 branches" not in done.output and "1 branch;" in done.output, done.output
    page = Page(out)
    check_self_contained(page)
    assert page.data["prompt"] == 31
    done = view("row", path, "--tokenizer", tmp_path / "none", "--out", out)
    assert done.exit_code == 2 and done.output.startswith("error: cannot load the tokenizer")
    done = view("row", path, "--index", 5, "--tokenizer", tmp_path / "model", "--out", out)
    assert done.exit_code == 2 and "has no record 5" in done.output


def test_shapes_are_those_of_table_8(tmp_path: Path) -> None:
    spans = [
        *({"block": None, "thread": None, "tokens": 10},),
        *({"block": 1, "thread": n, "tokens": 10 * n} for n in (1, 2, 3)),
        *({"block": 2, "thread": n, "tokens": 5} for n in (1, 2)),
    ]
    sequential = record(
        spans=[{"block": None, "thread": None, "tokens": 7}], well_formed=False, text="<Thread>"
    )
    shapes = shapes_of(read([write(tmp_path / "a.jsonl", record(spans=spans), sequential)]).trajectories)
    assert (shapes.trajectories, shapes.forked, shapes.malformed, shapes.sequential) == (2, 1, 1, [7])
    assert (shapes.blocks, shapes.threads, shapes.thread_lengths) == ([2], [3, 2], [10, 20, 30, 5, 5])
    assert (shapes.longest, shapes.total, shapes.outlines) == ([45], [80], [])
    assert shapes.acceleration == [pytest.approx(1 - 45 / 80)] and set(shapes.errors) >= {"unexpected_tag"}


def test_stats_of_characters_and_of_mixed_files(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.jsonl", {"prompt": "x", "response": FORKED})
    shapes = shapes_of(read([plain]).trajectories)
    assert shapes.unit == "characters" and shapes.outlines == [5, 6]
    with pytest.raises(EvaluationError, match=r"a\.jsonl has no token counts.*--tokenizer"):
        shapes_of(read([plain, write(tmp_path / "b.jsonl", record())]).trajectories)


def test_the_stats_command(tmp_path: Path) -> None:
    char_tokenizer().save_pretrained(tmp_path / "model")
    rows = [
        {"prompt": [{"role": "user", "content": "x"}], "response": text}
        for text in (FORKED, EVIL[:30], FORKED)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sft.parquet")
    bad = write(tmp_path / "<b>.jsonl", {"prompt": "x", "response": f"{FORKED} <Thread>"}, {EVIL[:30]: 1})
    out = tmp_path / "stats.html"
    done = view("stats", tmp_path / "sft.parquet", bad, "--tokenizer", tmp_path / "model", "--out", out)
    assert done.exit_code == 0, done.output
    assert 'left out: <b>.jsonl, line 2: no known form has the keys "</script>' in done.output
    page = Page(out)
    check_self_contained(page)
    assert "unexpected tag" in page.text and "541" in page.text and "<b>.jsonl, line 2" in page.text
    assert [tag for tag, _ in page.elements].count("svg") == 7


def test_nothing_forks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "x", "response": "3"})
    assert view("stats", path, "--out", tmp_path / "s.html").exit_code == 0
    assert "characters of a sequential one" in Page(tmp_path / "s.html").text


def test_what_the_command_says_of_bad_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", record(), *[b"{"] * 12)
    done = view("trajectories", path, "--out", tmp_path / "page.html")
    assert done.exit_code == 0 and done.output.count("left out: a.jsonl, line") == 10
    assert (
        "2 more, named on the page" in done.output
        and "1 trajectory of 1 file, 12 lines left out" in done.output
    )
    done = view("trajectories", write(tmp_path / "b.jsonl", b"{"), "--out", tmp_path / "none.html")
    assert (
        done.exit_code == 2 and len(done.output.splitlines()) == 1 and not (tmp_path / "none.html").exists()
    )
    done = view("trajectories", tmp_path / "c.jsonl", "--out", tmp_path / "none.html")
    assert done.exit_code == 2 and done.output.startswith("error: no such file: ")


def test_folders_of_the_project_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    write(tmp_path / "eval" / "parallel.jsonl", record(), b"{")
    (tmp_path / "eval" / "theirs.json").write_text('{\n  "modes": {}\n}\n')
    write(tmp_path / "eval" / "empty.jsonl")
    (tmp_path / "eval" / "half.parquet").write_bytes(b"PAR1")
    for what in ("trajectories", "stats"):
        done = view(what, tmp_path / "eval", "--out", tmp_path / "page.html")
        assert done.exit_code == 0, done.output
        assert "1 trajectory of 1 file, 1 line and 3 files left out" in done.output
        assert "left out: theirs.json: nothing can be read (line 1: " in done.output
        assert "left out: empty.jsonl: nothing can be read (it has no record)" in done.output
        assert "1 line and 3 files left out" in (tmp_path / "page.html").read_text()
        assert "half.parquet: it cannot be read as Parquet" in (tmp_path / "page.html").read_text()


def test_a_runs_folder_is_gone_down_into_and_what_we_write_beside_answers_is_no_complaint(
    tmp_path: Path,
) -> None:
    for name in ("rl", "baseline"):
        (tmp_path / "run" / "eval" / name).mkdir(parents=True)
        write(tmp_path / "run" / "eval" / name / "parallel.jsonl", record(), record())
        for beside in BESIDE:
            (tmp_path / "run" / "eval" / name / beside).write_text("{}\n")
    for hidden in ("data/model", "sft/checkpoints/global_step_2"):
        (tmp_path / "run" / hidden).mkdir(parents=True)
        for name in ("config.json", "tokenizer.json"):
            (tmp_path / "run" / hidden / name).write_text("{}\n")
    done = view("trajectories", tmp_path / "run", "--out", tmp_path / "page.html")
    assert done.exit_code == 0 and len(done.output.splitlines()) == 1, done.output
    assert done.output.startswith("4 trajectories of 2 files; ")
    assert Page(tmp_path / "page.html").data["files"] == ["baseline/parallel.jsonl", "rl/parallel.jsonl"]


def test_every_file_that_we_write_beside_answers_is_known() -> None:
    ours = {FIGURES, SUMMARY, SETTINGS, MANIFEST, RERUN, BEGUN, DONE, CLOCK_SUMMARY, clock_file(Path()).name}
    ours |= {FUNNEL, STATISTICS, ANSWERS, USAGE, JSON_NAME, START}
    assert ours <= BESIDE


def test_a_folder_has_no_row(tmp_path: Path) -> None:
    write(tmp_path / "parallel.jsonl", record())
    char_tokenizer().save_pretrained(tmp_path / "model")
    done = view("row", tmp_path, "--tokenizer", tmp_path / "model", "--out", tmp_path / "row.html")
    assert done.exit_code == 2 and len(done.output.splitlines()) == 1
    assert f"name one, like {tmp_path / 'parallel.jsonl'}" in done.output


def test_a_folder_of_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    for name in ("figures.json", "settings.json"):
        (tmp_path / "eval" / name).write_text("{}\n")
    done = view("trajectories", tmp_path / "eval", "--out", tmp_path / "page.html")
    assert done.exit_code == 2 and len(done.output.splitlines()) == 1
    assert "eval has no file of trajectories" in done.output
    done = view("trajectories", tmp_path / "eval" / "figures.json", "--out", tmp_path / "page.html")
    assert done.exit_code == 2 and "figures.json: nothing can be read" in done.output


def test_ten_thousand_trajectories_are_some_megabytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *[record()] * 300)
    assert view("trajectories", path, "--out", tmp_path / "page.html").exit_code == 0
    assert (tmp_path / "page.html").stat().st_size < 1.7e3 * 300
