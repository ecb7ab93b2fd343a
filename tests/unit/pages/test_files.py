"""Which files `threadweaver view` reads, and what it makes of bad lines."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.view_files import BLOCK, EVIL, FORKED, record, verl_dump, write
from tw_plugins.evaluation.shapes import Part, outlines_of, parts_of
from tw_plugins.pages.reading.files import read, read_one
from tw_plugins.pages.reading.forms import CUT, NO_TAGS, WHOLE_ROW
from tw_plugins.pages.reading.trajectory import ViewError


def test_an_evaluation(tmp_path: Path) -> None:
    (one,) = read([write(tmp_path / "a.jsonl", record(limits_hit={"max_blocks": 2}))]).trajectories
    spans, latency = one.measure(len)
    assert (one.form, one.line, one.text, one.correct, one.wall_s) == ("evaluation", 1, FORKED, True, 1.5)
    assert (latency.total, latency.longest, latency.blocks, latency.threads) == (38, 30, 1, 2)
    assert [span.tokens for span in spans] == [10, 8, 12, 8] and one.limits == {"max_blocks": 2}
    assert one.reasons == []


def test_what_was_expected_and_what_was_given(tmp_path: Path) -> None:
    lines = [
        record(correct=False, reference="3", answer="4"),
        record(correct=False, reference=["3", "é"], unanswered=True),
        record(),
    ]
    wrong, silent, older = read([write(tmp_path / "a.jsonl", *lines)]).trajectories
    assert (wrong.answer, wrong.given, wrong.unanswered) == ("3", "4", False)
    assert (silent.answer, silent.given, silent.unanswered) == ('["3", "é"]', "", True)
    assert (older.answer, older.given, older.unanswered) == ("", "", False)


def test_fields_that_come_later_do_no_harm(tmp_path: Path) -> None:
    (one,) = read([write(tmp_path / "a.jsonl", record(truncated=False))]).trajectories
    assert one.form == "evaluation"


def test_a_dump_of_verl_without_tags_says_so(tmp_path: Path) -> None:
    (one,) = read([write(tmp_path / "7.jsonl", verl_dump())]).trajectories
    assert (one.form, one.prompt, one.answer, one.score) == ("verl rollout", "user\n1 + 2?", "3", 1.1)
    assert one.note == NO_TAGS and one.more == {"step": "7", "uid": "ab_0_0"} and one.correct is None


def test_a_validation_dump_of_verl_brings_its_measures(tmp_path: Path) -> None:
    measures = {"total": 38.0, "longest": 30.0, "acceleration": 0.21, "parallel_ratio": 0.5, "blocks": 1.0}
    more = {"threads_per_block": 2.0, "acc": 0.0, "format": 0.0, "limits_hit": 1.0}
    (one,) = read([write(tmp_path / "7.jsonl", verl_dump(**measures, **more))]).trajectories
    spans, latency = one.measure(len)
    assert spans == () and (latency.total, latency.longest, latency.threads) == (38, 30, 2)
    assert (
        one.correct is False and one.limits == {"any": 1} and one.malformed and "token ids" in one.reasons[0]
    )
    measures |= {"blocks": 0.0, "longest": 38.0}
    (one,) = read([write(tmp_path / "8.jsonl", verl_dump(**measures, **more))]).trajectories
    assert one.note == ""  # a sequential row has no branches


@pytest.mark.parametrize(
    ("output", "text", "note"),
    [
        (f"{FORKED}\n<Thread>\n2: two more\n</Thread>", FORKED, CUT),
        (FORKED, FORKED, ""),
        (f"{BLOCK} then <Parallel>\n<Outlines>", f"{BLOCK} then <Parallel>\n<Outlines>", WHOLE_ROW),
        ("<Parallel><Thread>", "<Parallel><Thread>", WHOLE_ROW),
    ],
)
def test_branches_are_cut_where_tags_show_them(tmp_path: Path, output: str, text: str, note: str) -> None:
    (one,) = read([write(tmp_path / "7.jsonl", verl_dump(output=output))]).trajectories
    assert (one.text, one.note) == (text, note)


def test_samples_of_openrlhf(tmp_path: Path) -> None:
    table = {"columns": ["global_step", "text", "reward"], "data": [[3, "1 + 2? 3", 1.0]], "ncols": 3}
    logged = tmp_path / "generated_samples.table.json"
    logged.write_text(json.dumps(table))
    sampled = write(tmp_path / "s.jsonl", {"input": "1 + 2?", "output": FORKED, "label": "3", "reward": 0.5})
    first, second = read([logged, sampled]).trajectories
    assert (first.form, first.score, first.text) == ("OpenRLHF sample", 1.0, "1 + 2? 3")
    assert (second.form, second.score, second.answer, second.note) == ("samples", 0.5, "3", "")


def test_an_sft_set_as_parquet_and_as_lines(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": "1 + 2?"}],
            "response": FORKED,
            "reward_model": {"ground_truth": "3"},
            "extra_info": {"kind": "chain"},
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sft.parquet")
    write(tmp_path / "sft.jsonl", *rows, {"prompt": "1 + 2?", "response": FORKED, "label": 3})
    first, second, third = read([tmp_path / "sft.parquet", tmp_path / "sft.jsonl"]).trajectories
    assert (first.prompt, first.kind, first.answer, first.text) == ("1 + 2?", "chain", "3", FORKED)
    assert (second.messages, second.source) == (first.messages, "sft.jsonl")
    assert (third.messages, third.prompt, third.answer) == ([], "1 + 2?", "3")


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    half = json.dumps(record()).encode()[:90]
    lines = [record(), b"", b"\xff{}", [1], {"text": 1}, record(prompt=3), record(spans=[{"block": 1}])]
    lines += [
        record(spans=[{"block": None, "thread": None, "tokens": -1}]),
        b"[" * 100_000,
        record(text=EVIL),
        half,
    ]
    reading = read([write(tmp_path / "a.jsonl", *lines)])
    assert [one.line for one in reading.trajectories] == [1, 10]
    assert reading.trajectories[1].text == EVIL  # U+2028 ends no line
    reasons = {one.line: one.reason for one in reading.unreadable}
    assert list(reasons) == [3, 4, 5, 6, 7, 8, 9, 11]
    assert "UTF-8" in reasons[3] and "a list, not an object" in reasons[4] and 'keys "text"' in reasons[5]
    assert "prompt is a int" in reasons[6] and "thread" in reasons[7] and "whole numbers" in reasons[8]
    assert "nested" in reasons[9] and "not a whole JSON record" in reasons[11]
    assert str(reading.unreadable[-1]).startswith("a.jsonl, line 11: ")


def test_figures_that_are_none_are_left_out(tmp_path: Path) -> None:
    lines = [b'{"input": "", "output": "", "gts": null, "score": NaN, "step": 1}']
    (one,) = read([write(tmp_path / "a.jsonl", *lines)]).trajectories
    assert one.score is None and one.answer == ""


@pytest.mark.parametrize("content", [b"", b"nothing\n", b"\n\n", b'{"a": 1}'])
def test_a_file_of_nothing_names_the_known_forms(tmp_path: Path, content: bytes) -> None:
    good = write(tmp_path / "good.jsonl", record())
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(
        ViewError, match=r"bad\.jsonl: nothing can be read .*verl.*gts.*OpenRLHF.*prompt, response"
    ):
        read([good, tmp_path / "bad.jsonl"])


def test_a_missing_and_a_broken_file(tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.parquet"):
        with pytest.raises(FileNotFoundError):
            read([tmp_path / name])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ViewError, match=r"bad\.parquet: it cannot be read as Parquet"):
        read([tmp_path / "bad.parquet"])


def test_a_folder_is_read_in_the_order_of_its_steps(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    for step in (10, 9, 1):
        write(tmp_path / "dump" / f"{step}.jsonl", verl_dump(step=step))
    reading = read([tmp_path / "dump"])
    assert reading.sources == ["1.jsonl", "9.jsonl", "10.jsonl"]
    assert [one.more["step"] for one in reading.trajectories] == ["1", "9", "10"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ViewError, match="empty has no file of trajectories"):
        read([tmp_path / "empty"])


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("rl", "sft"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "p.jsonl", record())
    assert read([tmp_path / "rl" / "p.jsonl", tmp_path / "sft" / "p.jsonl"]).sources == [
        "rl/p.jsonl",
        "sft/p.jsonl",
    ]


def test_limit_counts_over_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", record(), record()) for name in "abc"]
    reading = read(files, limit=3)
    assert [one.source for one in reading.trajectories] == ["a.jsonl", "a.jsonl", "b.jsonl"]


def test_of_each_file_at_most_so_many(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", record(), record()) for name in "ab"]
    sources = [one.source for one in read(files, of_each=1).trajectories]
    assert sources == ["a.jsonl", "b.jsonl"]


def test_one_record_by_its_index(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", record(index=1), b"{", record(index=3))
    assert read_one(path, 2).more == {"index": "3"}
    with pytest.raises(ViewError, match=r"a\.jsonl, line 2: not a whole JSON record"):
        read_one(path, 1)
    with pytest.raises(ViewError, match="has no record 3: the last one is 2"):
        read_one(path, 3)


def test_parts_and_outlines_of_whole_and_malformed_text(tmp_path: Path) -> None:
    (one,) = read(
        [write(tmp_path / "a.jsonl", {"prompt": "", "response": f"{FORKED} {BLOCK[:-22]}"})]
    ).trajectories
    parts = parts_of(one)
    assert [(part.block, part.thread) for part in parts] == [
        (None, None), (1, 1), (1, 2), (None, None), (2, 1), (2, 2),
    ]  # fmt: skip
    assert parts[1] == Part(1, 1, " one\n</Thread>") and parts[5].text == " two more"
    assert list(outlines_of(parts[0].text)) == [(1, "left"), (2, "right")]
    assert one.malformed and "unclosed" in one.reasons[-1]
