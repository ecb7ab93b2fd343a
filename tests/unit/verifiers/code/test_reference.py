"""Asserts of programs as they are published, and as the reader of data passes them on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tw_plugins.datasets.examples import Example, example_of, wanted_by
from tw_plugins.datasets.holes import Hole
from tw_plugins.datasets.rows import Row
from tw_plugins.verifiers.code.reference import Asserts, Calls, Inputs, read_tests

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n"
STDIN = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
FUNCTIONAL = [{"input": '[1, 2]\n"x"', "output": "[3]", "testtype": "functional"}]
FORMATS = [
    ({"test": CHECK, "entry_point": "f"}, {}, Asserts([CHECK], "f")),
    (CHECK, {"entry_point": "Solution().f"}, Asserts([CHECK], "f")),
    (["assert f(1) == 2"], {}, Asserts(["assert f(1) == 2"])),
    ("assert f(1) == 2", {}, Asserts(["assert f(1) == 2"])),
    ("[1, 2] == f(1) or quit()", {}, Asserts(["[1, 2] == f(1) or quit()"])),
    (
        {"test_list": ["assert f(1)"], "test_setup_code": "a = 1", "test_imports": ["import math"]},
        {},
        Asserts(["import math", "assert f(1)"], setup="a = 1"),
    ),
    ({"inputs": ["1\n"], "outputs": ["2\n"], "fn_name": None}, {}, Inputs([("1\n", "2\n")])),
    ({"inputs": [["1", "2"]], "outputs": [["3"]], "tolerance": 1e-6}, {}, Inputs([("1\n2", "3")], 1e-6)),
    ({"inputs": [[[1], 2]], "outputs": [[3]], "fn_name": "f"}, {}, Calls("f", [([[1], 2], [[3], 3])])),
    ({"inputs": ["[1]\n2"], "outputs": ["[3, 4]"], "fn_name": "f"}, {}, Calls("f", [([[1], 2], [[3, 4]])])),
    (STDIN, {}, Inputs([("1 2\n", "3\n")])),
    (FUNCTIONAL, {"metadata": '{"func_name": "f"}'}, Calls("f", [([[1, 2], "x"], [[3]])])),
]


@pytest.mark.parametrize(("reference", "extra", "tests"), FORMATS)
def test_formats(reference: Any, extra: dict[str, Any], tests: Any) -> None:
    assert read_tests(reference, extra) == tests
    if not isinstance(reference, str):
        assert read_tests(json.dumps(reference), extra) == tests


@pytest.mark.parametrize(
    "reference",
    ["", None, 7, [], {}, [7], [""], {"inputs": ["1"], "outputs": []}, {"inputs": [1], "outputs": [2]}, CHECK,
     FUNCTIONAL, {"inputs": ["{"], "outputs": ["1"], "fn_name": "f"}, [{"input": "1"}], {"test": 7}],
)  # fmt: skip
def test_what_is_no_tests_is_named(reference: Any) -> None:
    with pytest.raises(
        ValueError, match=r"reference .* (has no tests|has tests that cannot be read)"
    ) as caught:
        read_tests(reference)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "tests"),
    [
        ({"test": CHECK, "entry_point": "f", "canonical_solution": "…"}, FORMATS[0][2]),
        (
            {"test_list": ["assert f(1)"], "test_setup_code": "a = 1", "code": "…"},
            Asserts(["assert f(1)"], None, "a = 1"),
        ),
        ({"input_output": '{"inputs": ["1\\n"], "outputs": ["2\\n"]}', "solutions": "[]"}, FORMATS[6][2]),
        ({"public_test_cases": json.dumps(FUNCTIONAL), "metadata": '{"func_name": "f"}'}, FORMATS[11][2]),
        (
            {"reward_model": {"ground_truth": {"inputs": ["1\n"], "outputs": ["2\n"], "fn_name": None}}},
            FORMATS[6][2],
        ),
        ({"answer": "assert f(1) == 2"}, FORMATS[3][2]),
    ],
)
@pytest.mark.parametrize("verifier", ["code", "code_without_sandbox"])
def test_rows_keep_their_tests(columns: dict[str, Any], tests: Any, verifier: str) -> None:
    example = example_of(Row("f.jsonl, line 1", {"prompt": "Write f.", **columns}), wanted_by(verifier))
    assert isinstance(example, Example) and isinstance(example.target, str)
    assert read_tests(example.target, example.extra) == tests


def test_a_row_without_tests_is_left_out() -> None:
    hole = example_of(Row("f.jsonl, line 1", {"prompt": "Write f.", "answer": None}), wanted_by("code"))
    assert isinstance(hole, Hole) and hole.reason == "reference is no tests of a program"
