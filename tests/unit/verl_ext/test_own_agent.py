"""docs/trees.md on verl: the agent that it shows, through its loop, as one row."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

from tests.support.documented import write_files
from tests.support.fakes import logprobs_of
from tests.support.units import sampled_units, trained_units
from tests.support.verl.loops import TAGS, TOKENIZER, Client, build, script
from tw_plugins.rollout import Call, Completion
from tw_plugins.trie import Branch, TrieRow, position_ids_from_branches

REPLIES = ("ab", "cdef", "g", "cd", "so 42")


async def test_the_documents_agent_is_one_row(
    toy: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"my_agent.py", "my_loop.py"} <= set(write_files("docs/trees.md", tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(_agent_loop_registry, "threadweaver", {"_target_": "my_loop.MyLoop"})
    client = Client(script(*REPLIES))
    output = await build(client, toy).run(
        {"temperature": 1.0}, raw_prompt=[{"role": "user", "content": "1+1?"}]
    )
    assert output.reward_score == 1.0 and TOKENIZER.decode(output.prompt_ids) == "1+1?"
    assert client.calls[-1]["prompt"] == TAGS.encode("1+1?cdef\nThe tool says 42.\n")
    fields, ids = output.extra_fields["threadweaver_row"], [*output.prompt_ids, *output.response_ids]
    branches = [Branch(*branch) for branch in fields["branches"]]
    assert fields["length"] == len(ids) and len(branches) == 3
    row = TrieRow(
        ids,
        position_ids_from_branches(len(ids), branches),
        [0] * 4 + output.response_mask,
        branches,
        [0.0] * 4 + output.response_logprobs,
    )
    calls = [
        Call(call["prompt"], Completion(reply, logprobs_of(reply), "stop"))
        for call, reply in zip(client.calls, client.engine.replies, strict=True)
    ]
    assert trained_units(row) == sampled_units(calls)
    for name in ("my_agent", "my_loop"):
        sys.modules.pop(name)
