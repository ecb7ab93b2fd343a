"""Records of `data stage1` in the viewer: parts as threads, rejected ones with their reason."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.view_files import EVIL, write
from tw_plugins.cli import app as cli
from tw_plugins.data.stage1.step5_filter import check
from tw_plugins.evaluation.shapes import parts_of, shapes_of
from tw_plugins.pages.browser.trajectories import browser_data
from tw_plugins.pages.reading.files import read
from tw_plugins.pages.reading.forms import UnknownRecord, viewed_from
from tw_plugins.trajectory import validate

TRACE = "<think>\nTwo sums.\n3 + 4 = 7\n5 + 6 = 11\nSo 77.\n</think>\n\\boxed{77}"
BLOCK = {"threads": ["3 + 4 = 7", "5 + 6 = 11"]}


def record(**changed: Any) -> dict[str, Any]:
    """A record as step 2 and 3 leave it."""
    parts = ["Two sums.", BLOCK, "So 77."]
    made = {"id": "p0", "prompt": "(3 + 4) (5 + 6)?", "response": TRACE, "answer": "77", "status": "ok"}
    return {**made, "parts": parts, "output": "\n\\boxed{77}", **changed}


def rejected() -> dict[str, Any]:
    """A record that step 1 rejects."""
    why = {"reason": "verification_failed", "detail": f"thread 2 needs {EVIL[:20]}"}
    return {key: value for key, value in record(status="rejected", **why).items() if key != "parts"}


def test_threads_are_seen_before_they_have_outlines() -> None:
    one = viewed_from(record(), "3-rewrite.jsonl", 1)
    assert [(part.block, part.thread, part.text.strip()) for part in parts_of(one)][1:3] == [
        (1, 1, "3 + 4 = 7\n</Thread>"), (1, 2, "5 + 6 = 11\n</Thread>"),
    ]  # fmt: skip
    assert not one.malformed and "step 4" in one.note and one.more["id"] == "p0" and one.answer == "77"


def test_the_text_is_the_one_that_step_5_writes() -> None:
    made = record(parts=["Two sums.", {**BLOCK, "outlines": ["left", "right"]}, "So 77."])
    one = viewed_from(made, "4-outline.jsonl", 1)
    assert one.text == asyncio.run(check(made))["response"] and validate(one.text) == []
    assert not one.malformed and one.note == ""


def test_the_lines_that_step_1_found_are_named() -> None:
    group = [{"number": "2", "title": "left", "first": 2, "last": 4}]
    made = {**rejected(), "status": "ok", "groups": [group], "prompt": [{"role": "user", "content": "hm?"}]}
    one = viewed_from(made, "1-structure.jsonl", 1)
    assert one.more["block 1:"] == "left (lines 2–4)" and (one.text, one.prompt) == (TRACE, "hm?")


def test_a_rejected_record_says_why(tmp_path: Path) -> None:
    unreadable = {"id": "line-3", "status": "rejected", "reason": "unreadable_line", "detail": "line 3: half"}
    reading = read([write(tmp_path / "a.jsonl", record(), rejected(), unreadable)])
    fine, failed, bad = browser_data(reading)["trajectories"]
    assert "rejected" not in fine and fine["form"] == "stage 1"
    assert (failed["rejected"], failed["detail"]) == ("verification_failed", f"thread 2 needs {EVIL[:20]}")
    assert bad["rejected"] == "unreadable_line" and bad["more"] == {"id": "line-3"} and "parts" not in bad
    shapes = shapes_of(reading.trajectories)
    assert (shapes.trajectories, shapes.forked, shapes.malformed) == (1, 1, 0)
    assert shapes.rejected == {"verification_failed": 1, "unreadable_line": 1}


def test_nothing_but_rejected_records(tmp_path: Path) -> None:
    path, out = write(tmp_path / "a.jsonl", rejected()), tmp_path / "stats.html"
    done = CliRunner().invoke(cli.app, ["view", "stats", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "verification failed" in out.read_text()


@pytest.mark.parametrize("changed", [{"status": "late"}, {"parts": [3]}, {"parts": [{}]}, {"groups": [[1]]}])
def test_other_values_are_unknown(changed: dict[str, Any]) -> None:
    with pytest.raises(UnknownRecord, match="not as data stage1 writes it"):
        viewed_from(record(**changed), "a.jsonl", 1)
