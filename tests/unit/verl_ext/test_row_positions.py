"""Rows come to verl's engine as the agent loop made them, or not at all."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from verl.trainer.ppo.padding_utils import SYNTHETIC_PADDING_SEQ_LEN, construct_minimal_padding_template
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from tests.support.agents import agent, depth_of
from tests.support.verl.engines import as_stored
from tw_plugins.trie import TrieRow, promise, row_from_units
from verl_ext.row_output import row_output
from verl_ext.row_positions import CutRow, with_branch_positions

ROWS = [row_from_units(agent(seed)) for seed in range(4)]
EOS = 7


@pytest.fixture(autouse=True)
def promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "_promised", True)


def stored(row: TrieRow, stop: int | None = None, start: int = 0) -> dict[str, Any]:
    fields = as_stored(row_output(row, 2))
    names = ("input_ids", "position_ids")
    return {**fields, **{name: fields[name][start:stop] for name in names}}


def positions_of(*rows: dict[str, Any]) -> list[list[int]]:
    names = ("input_ids", "position_ids", "extra_fields")
    batch = list_of_dict_to_tensordict([{name: row[name] for name in names} for row in rows])
    return [row.tolist() for row in with_branch_positions(batch)["position_ids"].unbind()]


def test_rows_of_any_depth_have_their_positions_again() -> None:
    assert max(map(depth_of, ROWS)) > 2
    assert positions_of(*map(stored, ROWS)) == [row.position_ids for row in ROWS]


@pytest.mark.parametrize("place", [{"stop": -1}, {"start": 1}, {"stop": 3}])
def test_a_row_that_was_cut_is_refused(place: dict[str, int]) -> None:
    with pytest.raises(CutRow, match=rf"gave {len(ROWS[1])} tokens comes to the engine with"):
        positions_of(stored(ROWS[0]), stored(ROWS[1], **place))


def test_without_branches_it_is_too() -> None:
    plain = TrieRow([5, 6, 7, 8], [0, 1, 2, 3], [0, 0, 1, 1])
    assert positions_of(stored(plain), stored(TrieRow([5, 6, 7], [0, 1, 2], [0, 1, 1]))) == [
        [0, 1, 2, 3],
        [0, 1, 2],
    ]
    with pytest.raises(CutRow, match="gave 4 tokens comes to the engine with 3"):
        positions_of(stored(ROWS[0]), stored(plain, stop=3))


def test_verls_filling_row_is_plain_and_other_rows_of_its_length_are_not_taken_for_it() -> None:
    filling, _ = construct_minimal_padding_template(as_stored(row_output(ROWS[0], 2)), {}, EOS)
    plain = list(range(SYNTHETIC_PADDING_SEQ_LEN))
    assert positions_of(stored(ROWS[0]), filling) == [ROWS[0].position_ids, plain]
    rng = random.Random(0)
    other = {**filling, "input_ids": torch.tensor([rng.randint(5, 60) for _ in plain])}
    with pytest.raises(CutRow):
        positions_of(stored(ROWS[0]), other)


def test_a_row_with_branches_needs_the_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "_promised", False)
    with pytest.raises(promise.UnmaskedRows):
        row_output(ROWS[0], 2)
    row_output(TrieRow([5, 6], [0, 1], [0, 1]), 1)


@pytest.mark.parametrize("prompt", [0, 2])
def test_a_row_without_a_prompt_or_a_response_is_refused(prompt: int) -> None:
    with pytest.raises(ValueError, match=rf"2 tokens has a prompt of {prompt}: expected 1\.\.1"):
        row_output(TrieRow([5, 6], [0, 1], [0, 1]), prompt)
