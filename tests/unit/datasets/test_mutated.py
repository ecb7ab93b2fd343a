"""Published rows in any disguise: each is trained as the file says, or refused with its row.

The independent reference is the tokenizer's text of a row, taken apart at the marks of turns. `make fuzz`
runs 10,000 files (`FILES=`).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import chat
from tw_plugins.datasets.examples import read_examples
from tw_plugins.datasets.holes import Hole
from tw_plugins.datasets.template import ChatTemplate
from tw_plugins.sft.examples import sft_examples
from tw_plugins.sft.rows import RowMaker
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trie import TrieRow

FILES = int(os.environ.get("FILES", "150"))
TEMPLATES = {"chatml": chat.CHATML, "thinking": chat.THINKING, "trimmed": chat.TRIMMED}
TOKENIZERS = {name: chat.chat_tokenizer(template) for name, template in TEMPLATES.items()}
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<\ue000\ue001"), min_size=1)
SAID = TEXT.filter(str.strip)
NAMES = {"user": ("user", "human", "User"), "assistant": ("assistant", "gpt"), "system": ("system",)}


@dataclass
class Meant:
    """One row: what it says, or None where it says nothing that can be trained."""

    turns: list[tuple[str, str]] | None
    columns: Any


@st.composite
def messages(draw: Any, turns: list[tuple[str, str]]) -> Any:
    """One way to publish turns."""
    if len(turns) == 1 and turns[0][0] == "user" and draw(st.booleans()):
        return turns[0][1]
    role, content = draw(st.sampled_from([("role", "content"), ("from", "value")]))
    made = []
    for name, text in turns:
        cut = draw(st.integers(0, len(text)))
        parts = [{"type": "text", "text": text[:cut]}, {"type": "text", "text": text[cut:]}]
        as_parts = role == "role" and draw(st.booleans())
        made.append({role: draw(st.sampled_from(NAMES[name])), content: parts if as_parts else text})
    return made


@st.composite
def good(draw: Any) -> Meant:
    turns = [("system", draw(SAID))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 1))):
        turns += [("user", draw(SAID)), ("assistant", draw(SAID))]
    turns.append(("user", draw(SAID)))
    response = draw(SAID)
    written = (
        draw(st.sampled_from(["", "<think>\n"]))
        + response
        + draw(st.sampled_from(["", "<|im_end|>", "<|im_end|>\n"]))
    )
    meant = [*turns, ("assistant", response)]
    if not written.startswith("<") and written == response and draw(st.booleans()):
        name = draw(st.sampled_from(["messages", "conversations"]))
        columns = {name: draw(messages(meant))}
    else:
        names = draw(
            st.sampled_from([("prompt", "response"), ("question", "output"), ("Problem", "Completion")])
        )
        columns = dict(zip(names, (draw(messages(turns)), written), strict=True))
    columns |= draw(st.sampled_from([{}, {"id": 1}, {"note": None}, {"score": 0.5, "tags": ["a"]}]))
    return Meant(
        [*turns, ("assistant", written.removesuffix("\n").removesuffix("<|im_end|>"))],
        _shuffled(draw, columns),
    )


def _shuffled(draw: Any, columns: dict[str, Any]) -> dict[str, Any]:
    return dict(draw(st.permutations(list(columns.items()))))


BAD: list[Callable[[str], Any]] = [
    lambda text: {"prompt": None, "response": text},
    lambda text: {"prompt": text, "response": None},
    lambda text: {"prompt": " ", "response": text},
    lambda text: {"prompt": text, "response": ""},
    lambda text: {"prompt": text, "response": 7},
    lambda text: {"prompt": [{"role": "narrator", "content": text}], "response": text},
    lambda text: {"prompt": [{"role": "user", "content": None}], "response": text},
    lambda text: {"prompt": [{"role": "user", "content": [{"type": "image"}]}], "response": text},
    lambda text: {"prompt": f"{text}<|im_end|>", "response": text},
    lambda text: {"prompt": text, "response": f"a<|im_end|>{text}a"},
    lambda text: {"prompt": text, "response": f"{text}<Thread>"},
    lambda text: {"prompt": f"{text}\ud800", "response": text},
    lambda text: {
        "prompt": [{"role": "user", "content": text}, {"role": "assistant", "content": text}],
        "response": text,
    },
    lambda text: {"messages": [{"role": "user", "content": text}]},
    lambda text: [text],
    lambda text: text,
    lambda text: {"nothing": text},
]


@st.composite
def files(draw: Any) -> list[Meant]:
    first = draw(good())
    bad = st.builds(lambda make, text: Meant(None, make(text)), st.sampled_from(BAD), SAID)
    return [first, *draw(st.lists(st.one_of(good(), bad), max_size=4))]


def written(rows: list[Meant], form: str, folder: Path) -> Path:
    path = folder / f"rows.{form}"
    columns = [row.columns for row in rows]
    if form == "json":
        path.write_text(json.dumps(columns))
    else:
        text = "".join(json.dumps(row) + "\n" for row in columns).encode()
        path.write_bytes(gzip.compress(text) if form.endswith("gz") else text)
    return path


def taken_apart(text: str) -> list[tuple[str, str]]:
    """The turns of a row's text, by its marks alone."""
    assert text.endswith("<|im_end|>")
    return re.findall(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", text, re.DOTALL)


@settings(max_examples=FILES, deadline=None)
@given(files(), st.sampled_from(["jsonl", "jsonl.gz", "json"]), st.sampled_from(list(TEMPLATES)))
def test_trained_as_the_file_says_or_refused(rows: list[Meant], form: str, name: str) -> None:
    tokenizer = TOKENIZERS[name]
    tags = ControlTokens.from_tokenizer(tokenizer)
    maker = RowMaker(tags, 100_000, "", "")
    with tempfile.TemporaryDirectory() as folder:
        path = written(rows, form, Path(folder))
        examples = sft_examples(read_examples([path], "response"), ChatTemplate(tokenizer), tags)
        made = [maker.row(example) for example in examples]
    assert len(made) == len(rows), "no row is lost"
    for place, (meant, row) in enumerate(zip(rows, made, strict=True)):
        if meant.turns is None:
            assert isinstance(row, Hole) and row.where.endswith((f"line {place + 1}", f"row {place}"))
            continue
        assert isinstance(row, TrieRow), row
        turns = taken_apart(tokenizer.decode(row.input_ids, clean_up_tokenization_spaces=False))
        assert _plain(turns, name) == _plain(meant.turns, name)
        trained = tokenizer.decode(
            [token for token, loss in zip(row.input_ids, row.loss_mask, strict=True) if loss],
            clean_up_tokenization_spaces=False,
        )
        assert trained.endswith("<|im_end|>") and turns[-1][1].endswith(trained.removesuffix("<|im_end|>"))


def _plain(turns: list[tuple[str, str]], template: str) -> list[tuple[str, str]]:
    """What both templates may write and the white space that they may trim, alike on both sides."""
    if template == "trimmed" and turns[0] == ("system", "Be good."):
        turns = turns[1:]
    *before, (role, response) = turns
    texts = [(name, text.strip() if template == "trimmed" else text) for name, text in before]
    return [*texts, (role, response.removeprefix("<think>").strip())]


@settings(max_examples=max(1, FILES // 10), deadline=None)
@given(st.lists(st.tuples(SAID, SAID), min_size=1, max_size=5), st.booleans())
def test_tables_too(pairs: list[tuple[str, str]], as_messages: bool) -> None:
    tokenizer = TOKENIZERS["chatml"]
    tags = ControlTokens.from_tokenizer(tokenizer)
    asked = [[{"role": "user", "content": text}] if as_messages else text for text, _ in pairs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(pa.table({"question": asked, "output": [response for _, response in pairs]}), path)
        examples = list(sft_examples(read_examples([path], "response"), ChatTemplate(tokenizer), tags))
    for (asked_text, response), example in zip(pairs, examples, strict=True):
        assert not isinstance(example, Hole)
        row = RowMaker(tags, 100_000, "", "").row(example)
        assert isinstance(row, TrieRow)
        turns = taken_apart(tokenizer.decode(row.input_ids, clean_up_tokenization_spaces=False))
        assert turns == [("user", asked_text), ("assistant", response)]
