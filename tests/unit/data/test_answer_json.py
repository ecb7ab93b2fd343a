r"""Answers of the model as JSON: LaTeX that was not escaped, reasoning and prose around, what is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_plugins.data.stage1.answer_json import Malformed, json_in
from tw_plugins.data.stage1.step3_rewrite import apply_edits
from tw_plugins.data.stage1.step4_outline import read_outlines

LATEX = [
    r"\frac{1}{2}", r"2 \times 3", r"\nu + \beta", r"x \neq \rho", r"\theta \to \tau", r"\right) \text{so}",
    r"\sqrt{3} \cdot \pi", r"\underline{x} \{a\}", r"\binom{n}{k} \not\in \forall", r"a \\ b", r"\nabla f",
]  # fmt: skip


@pytest.mark.parametrize("latex", LATEX)
def test_latex_is_read_as_it_was_meant_escaped_or_not(latex: str) -> None:
    assert json_in(json.dumps({"text": latex})) == {"text": latex}
    if r"\\" not in latex:
        assert json_in('{"text": "' + latex + '"}') == {"text": latex}


@given(st.text(st.sampled_from('ab \n\t"é/{}[]<1'), max_size=30))
def test_what_json_escapes_stays_what_it_is(text: str) -> None:
    for ascii_only in (True, False):
        answer = json.dumps({"text": text}, ensure_ascii=ascii_only)
        assert json_in(answer) == {"text": text}


def test_a_line_that_begins_with_a_word_is_no_command() -> None:
    assert json_in(r'{"text": "end.\nNow the next\nthree, \"so\"\u00e9"}') == {
        "text": 'end.\nNow the next\nthree, "so"é'
    }


DATA = {"groups": [["2", "3"]], "steps": [{"a": "}"}]}
TEXT = json.dumps(DATA)
AROUND = {
    "plain": TEXT,
    "fenced": f"So:\n```json\n{TEXT}\n```\nDone.",
    "fenced in capitals": f"```JSON\n{TEXT}\n```",
    "fence not closed": f"```json\n{TEXT}",
    "after reasoning": f"<think>\nLet me see {{a}} b, or {{}}\n</think>\n\n{TEXT}",
    "reasoning without its tag": f"a draft: {{\"steps\": 1}}\n</think>{TEXT}",
    "prose": f"As [1] says, here is the JSON: {TEXT}. I hope {{that}} helps.",
    "a fence after it": f"{TEXT}\n```\nnot this\n```",
}  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
def test_json_is_found_behind_reasoning_and_prose(name: str) -> None:
    assert json_in(AROUND[name]) == DATA


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "not JSON"),
        ("I would rather not", "not JSON"),
        ('{"steps": [', "not JSON"),
        (f"<think> perhaps {TEXT}", "the reasoning does not end"),
        (r'{"text": "\ud83d"}', "surrogate"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_read_is_malformed(answer: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        json_in(answer)


@pytest.mark.parametrize("answer", ["[" * 100_000, "[" * 900 + "1," * 50_000], ids=["nest", "list"])
def test_brackets_that_never_close_cost_little(answer: str) -> None:
    """Stage 1 reads answers on its event loop: seconds here are seconds without a request."""
    began = time.process_time()
    with pytest.raises(Malformed):
        json_in(answer)
    assert time.process_time() - began < 1


def test_an_answer_is_found_behind_brackets_that_do_not_close() -> None:
    assert json_in(f"In [0, 1) and [2, 3): [so {TEXT}") == DATA


@pytest.mark.parametrize("control", [r"\f", r"\b", r"\r", r"\t", r"\u0007"])
def test_control_characters_reach_neither_thread_nor_outline(control: str) -> None:
    """What is left of LaTeX that the list of commands does not have."""
    edit = f'[{{"source": "old", "replacement": "{control}Zeta"}}]'
    with pytest.raises(Malformed, match="double each backslash"):
        apply_edits(edit, "the old thread", 0)
    outline: Any = f'{{"outlines": [{{"number": 1, "text": "find {control}Zeta"}}]}}'
    with pytest.raises(Malformed, match="double each backslash"):
        read_outlines(outline, ["thread"], "")
    if control == r"\t":
        assert apply_edits(edit, "the old\tthread", 0) == "the \tZeta\tthread"
