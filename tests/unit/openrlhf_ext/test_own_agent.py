"""docs/trees.md on OpenRLHF: the agent that it shows, through its executor, as one row."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from openrlhf.trainer.ray.vllm_engine import _load_agent_executor
from vllm import SamplingParams

from openrlhf_ext.row_codes import decode
from tests.support.documented import write_files
from tests.support.fakes import ScriptedEngine, logprobs_of
from tests.support.openrlhf.actors import FakeActor
from tests.support.openrlhf.models import TAGS, TOKENIZER, generator
from tests.support.units import sampled_units, trained_units
from tw_plugins.rollout import Call, Completion
from tw_plugins.trie import Branch, TrieRow, promise

PROMPT = "1+1?"
REPLIES = ("ab", "cdef", "g", "cd", "so 42")


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As upstream's vLLM actor loads it."""
    assert {"my_agent.py", "my_executor.py"} <= set(write_files("docs/trees.md", tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    yield _load_agent_executor(str(tmp_path / "my_executor.py"))
    sys.modules.pop("my_agent", None)


def execute(executor: Any) -> dict[str, Any]:
    actor = FakeActor(ScriptedEngine.from_texts(TAGS, *REPLIES))
    sampling = SamplingParams(temperature=1.0, max_tokens=200)
    found: dict[str, Any] = asyncio.run(executor.execute(PROMPT, "42", sampling, 400, TOKENIZER, actor))
    return found


def test_the_documents_agent_is_one_row(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "_promised", True)
    found = execute(executor)
    assert found["reward"] == 1.0
    experience = generator()._process_response_into_experience(found, max_len=10)
    positions = decode(experience.attention_mask)[0].tolist()
    row = TrieRow(
        found["observation_tokens"],
        positions,
        [0, *experience.action_mask[0].int().tolist()],
        [Branch(*branch) for branch in found["threadweaver_row"]["branches"]],
        found["rollout_log_probs"],
    )
    assert len(row.branches) == 3 and experience.sequences[0].tolist() == row.input_ids
    calls = [
        Call(TAGS.encode(context), Completion(ids, logprobs_of(ids), "stop"))
        for context, ids in zip(
            [*[PROMPT] * 4, f"{PROMPT}cdef\nThe tool says 42.\n"], map(TAGS.encode, REPLIES), strict=True
        )
    ]
    assert trained_units(row) == sampled_units(calls)


def test_under_upstreams_own_command_it_is_refused(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promise, "_promised", False)
    with pytest.raises(promise.UnmaskedRows, match="start OpenRLHF by openrlhf_ext's commands"):
        execute(executor)
