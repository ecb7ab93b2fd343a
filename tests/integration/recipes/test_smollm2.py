"""A real pretrained model through conversion, `data add-tokens`, one step of SFT and one rollout."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.smollm2.dataset import make_dataset
from recipes.smollm2.handovers import NAMES, THINGS
from recipes.smollm2.model import convert
from tests.support.smollm2 import needs_smollm2
from tw_plugins.collator import TrieCollator
from tw_plugins.data.add_tokens import add_tokens
from tw_plugins.rollout import Completion, Limits, fork_join
from tw_plugins.trajectory import ControlTokens, encode_trajectory
from tw_plugins.trie import TrieRow, row_from_ids, row_from_rollout

pytestmark = needs_smollm2

CAPITAL = "What is the capital of France?"
HEAD = "<think>\n<Parallel>\n<Outlines>\n<Outline>1: {0}</Outline>\n<Outline>2: {1}</Outline>\n</Outlines>"
LIMITS = Limits(max_tokens=150, max_thread_tokens=12, answer_reserve=16)
NEAR = 1e-3  # logits of the best two tokens may be closer than float32 keeps apart


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("smollm2")
    convert(made / "base")
    add_tokens(str(made / "base"), made / "model")
    return made / "model"


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")


@pytest.fixture(scope="module")
def tags(tokenizer: Any) -> ControlTokens:
    return ControlTokens.from_tokenizer(tokenizer)


def prompt_ids(tokenizer: Any, content: str) -> list[int]:
    turn = [{"role": "user", "content": content}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False))


class Greedy:
    """The model's own next tokens, but for a first reply that may be given."""

    def __init__(self, model: Any, first: list[int] | None = None) -> None:
        self.model, self.first = model, first

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        if self.first:
            first, self.first = self.first, None
            return Completion(first, None, "stop")
        asked = torch.tensor([list(prompt_ids)])
        ids = self.model.generate(
            asked, attention_mask=torch.ones_like(asked), do_sample=False, max_new_tokens=max_tokens,
            eos_token_id=list(stop_token_ids),
        )  # fmt: skip
        said = ids[0, len(prompt_ids) :].tolist()
        return Completion(said, None, "stop" if said[-1] in stop_token_ids else "length")


def trained_logits(model: Any, tokenizer: Any, rows: list[TrieRow]) -> tuple[Tensor, Tensor]:
    """(T, V) logits and (T,) ids of all trained tokens."""
    batch = TrieCollator(tokenizer.pad_token_id)(rows)
    trained = batch["labels"][:, 1:] != -100
    inputs = {key: batch[key] for key in ("input_ids", "position_ids", "attention_mask")}
    return model(**inputs).logits[:, :-1][trained], batch["labels"][:, 1:][trained]


def test_the_model_is_the_pretrained_one(model: Any, tokenizer: Any) -> None:
    engine = Greedy(model)
    ids = prompt_ids(tokenizer, CAPITAL)
    said = asyncio.run(
        engine.generate(ids, stop_token_ids=[tokenizer.eos_token_id], max_tokens=24, request_id="")
    )
    assert "Paris" in tokenizer.decode(said.token_ids)


def test_tokenizer_config_and_generation_config_agree(model: Any, tokenizer: Any) -> None:
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.eos_token_id == model.config.eos_token_id == model.generation_config.eos_token_id
    text = "On 25 May it's “café”:\n two  blanks"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [tokenizer.decode(i) for i in tokenizer.encode("1234")] == [*"1234"]


def test_names_and_things_are_one_token_each(tokenizer: Any) -> None:
    """Else a name is looked up in pieces; a thing's is the same inside an answer and at its beginning."""
    words = [*(f" {name}" for name in NAMES), *(f" {thing}" for thing in THINGS), *THINGS]
    assert [word for word in words if len(tokenizer.encode(word)) != 1] == []


def test_one_step_of_sft_lowers_the_loss(
    model: Any, tokenizer: Any, tags: ControlTokens, folder: Path
) -> None:
    learner = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")
    forked = [r for r in make_dataset(8, 0, "train", 1.0, 1.0) if "<Parallel>" in r["response"]][:2]
    rows = []
    for record in forked:
        asked = prompt_ids(tokenizer, record["prompt"][0]["content"])
        ids = [*asked, *encode_trajectory(record["response"], tags), tokenizer.eos_token_id]
        rows.append(row_from_ids(ids, tags, len(asked)))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-4)
    losses = []
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(*trained_logits(learner, tokenizer, rows))
        losses.append(loss.item())
        optimizer.zero_grad()
        if len(losses) == 1:
            loss.backward()
            optimizer.step()
    assert losses[1] < losses[0] - 0.1


def test_what_a_forked_rollout_samples_is_what_its_row_trains(
    model: Any, tokenizer: Any, tags: ControlTokens
) -> None:
    """Threads and the text after them are the model's own; their logits in the row say the same tokens."""
    head = encode_trajectory(HEAD.format("a poem", "a story"), tags)
    asked = prompt_ids(tokenizer, CAPITAL)
    rollout = asyncio.run(fork_join(Greedy(model, head), asked, tags, LIMITS))
    assert [call.thread for call in rollout.calls] == [None, 1, 2, None]
    row = row_from_rollout(rollout)
    assert len(row.branches) == 1  # thread 2; thread 1 stands on the main path
    with torch.no_grad():
        logits, ids = trained_logits(model, tokenizer, [row])
    given = [True] * len(head) + [False] * (len(ids) - len(head))
    below = logits.amax(-1) - logits.gather(-1, ids[:, None])[:, 0]
    assert all(gap < NEAR for gap, is_given in zip(below.tolist(), given, strict=True) if not is_given)
