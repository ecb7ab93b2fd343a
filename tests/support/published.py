"""Questions and examples as people publish them, and what each comes to: read alike on both frameworks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "ANSWER",
    "ASKED",
    "FILES",
    "NO_EXAMPLES",
    "NO_FILES",
    "NO_PROMPTS",
    "PUBLISHED",
    "TAUGHT",
    "written",
]

ASKED = "a1?"
"""What each of `PUBLISHED` and `FILES` asks; its answer is 1."""
_PARTS = [{"type": "text", "text": "a1"}, {"type": "text", "text": "?"}]
PUBLISHED: dict[str, dict[str, Any]] = {
    "verl's own": {"prompt": [{"role": "user", "content": ASKED}], "reward_model": {"ground_truth": "1"}},
    "text": {"prompt": ASKED, "answer": 1},
    "parts": {"prompt": [{"role": "user", "content": _PARTS}], "answer": "1"},
    "human": {"prompt": [{"role": "human", "content": ASKED}], "answer": "1"},
    "ShareGPT": {"conversations": [{"from": "human", "value": ASKED}], "ground_truth": "1"},
    "a worked answer": {"messages": [{"role": "User", "content": ASKED}], "answer": "so\n#### 1"},
    "messages as text": {"prompt": json.dumps([{"role": "user", "content": ASKED}]), "label": ["1"]},
}

NO_PROMPTS: dict[str, tuple[dict[str, Any], str]] = {
    "null": ({"prompt": None, "answer": 1}, "no prompt"),
    "nothing": ({"prompt": " ", "answer": 1}, "empty user message"),
    "an image": (
        {"prompt": [{"role": "user", "content": [{"type": "image", "image": "a.png"}]}], "answer": 1},
        "a part of a content is not text",
    ),
    "a role": ({"prompt": [{"role": "bot", "content": ASKED}], "answer": 1}, "unknown role"),
    "no answer": ({"prompt": ASKED, "answer": None}, "no reference answer"),
    "NaN": ({"prompt": ASKED, "answer": float("nan")}, "no reference answer"),
    "several answers": ({"prompt": ASKED, "answer": ["1", "2"]}, "several reference answers"),
    "an answer by name": ({"prompt": ASKED, "answer": {"x": 1}}, "reference answer is not text"),
    "half a character": ({"prompt": ASKED + "\ud83d", "answer": 1}, "half of a surrogate pair"),
    "answered already": (
        {
            "prompt": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "1"}],
            "answer": 1,
        },
        "the prompt's last message is not to be answered",
    ),
}
"""Rows that are left out, and why."""


def written(path: Path, *rows: Any) -> str:
    """A file of lines, packed where it is called so; returns its name."""
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def _array(path: Path) -> str:
    path.write_text(json.dumps(list(PUBLISHED.values())))
    return str(path)


def _shards(folder: Path) -> str:
    folder.mkdir()
    for number in range(2):
        table = pa.table({"Problem ": [ASKED] * 2, "Short Answer": [1.0, 1.0], "id": [number] * 2})
        table = table.rename_columns(["prompt", "Short Answer", "id"])
        pq.write_table(table, folder / f"train-0000{number}-of-00002.parquet")
    pq.write_table(pa.table({"prompt": ["other"], "answer": [5]}), folder / "test-00000-of-00001.parquet")
    return str(folder)


def _table(path: Path) -> str:
    path.write_text(f'prompt,final_answer\n"{ASKED}",1\n')
    return str(path)


FILES: dict[str, tuple[Callable[[Path], str], int]] = {
    "lines": (lambda folder: written(folder / "a.jsonl", *PUBLISHED.values()), len(PUBLISHED)),
    "packed lines": (lambda folder: written(folder / "a.jsonl.gz", *PUBLISHED.values()), len(PUBLISHED)),
    "an array": (lambda folder: _array(folder / "a.json"), len(PUBLISHED)),
    "shards": (lambda folder: _shards(folder / "shards"), 4),
    "a table": (lambda folder: _table(folder / "a.csv"), 1),
    "an @ in its name": (lambda folder: written(folder / "v1@2.jsonl", PUBLISHED["text"]), 1),
}
"""Makes a source in a folder, and how many rows it has."""


def _twice(path: Path) -> str:
    arrays = [pa.array([ASKED]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(arrays, ["prompt", "answer", "answer"]), path)
    return str(path)


def _utf16(path: Path) -> str:
    path.write_bytes(json.dumps(PUBLISHED["text"]).encode("utf-16"))
    return str(path)


NO_FILES: dict[str, tuple[Callable[[Path], str], str]] = {
    "two columns of one name": (lambda folder: _twice(folder / "a.parquet"), "has two columns 'answer'"),
    "UTF-16": (lambda folder: _utf16(folder / "a.jsonl"), "is UTF-16: write it as UTF-8"),
    "nothing in it": (lambda folder: written(folder / "a.jsonl"), "has no rows: give a file that has some"),
    "nothing there": (lambda folder: str(folder / "b.jsonl"), "is no file or folder: check the path"),
    "nothing there, inside": (lambda folder: str(folder / "b@sub"), "is no file or folder: check the path"),
    "another form": (lambda folder: written(folder / "a.txt", PUBLISHED["text"]), "rows are read from"),
    "no column": (lambda folder: written(folder / "a.jsonl", {"x": 1}), "has no column prompt or"),
}
"""Sources that are refused, and why."""


# ── SFT ──

ANSWER = "<think>\na1\n</think>1"
_ANSWERED = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWER}]
TAUGHT: dict[str, dict[str, Any]] = {
    "two columns": {"prompt": ASKED, "response": ANSWER},
    "Alpaca": {"instruction": ASKED, "input": "", "output": ANSWER},
    "a conversation": {"messages": _ANSWERED},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWER}],
        "system": None,
    },
    "parts": {
        "messages": [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in _ANSWERED]
    },
    "a weight": {"messages": [_ANSWERED[0], {**_ANSWERED[1], "weight": 1}]},
    "an answer in a list": {"prompt": ASKED, "completion": _ANSWERED[1:]},
}
"""Rows that all teach `ANSWER` to `ASKED`."""

NO_EXAMPLES: dict[str, tuple[dict[str, Any], str]] = {
    "no response": ({"prompt": ASKED, "response": None}, "no response"),
    "a number": ({"prompt": ASKED, "response": 5}, "content is not text"),
    "weight 0": (
        {"messages": [_ANSWERED[0], {**_ANSWERED[1], "weight": 0}]},
        "the answer is not to be trained",
    ),
    "a question at the end": (
        {"messages": [*_ANSWERED, _ANSWERED[0]]},
        "the conversation does not end with an answer",
    ),
    "an end inside": ({"prompt": ASKED, "response": f"{ANSWER}<|im_end|>{ANSWER}"}, ""),
    "half a character": ({"prompt": ASKED, "response": "\ud83d"}, "half of a surrogate pair"),
    "calls of tools": (
        {"messages": [_ANSWERED[0], {**_ANSWERED[1], "tool_calls": [{"id": "x"}]}]},
        "a message has more than text",
    ),
}
"""Rows that are left out, and why."""
