"""`--tw.rollouts_dir`: what a step trained, as `threadweaver view` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from openrlhf.trainer.ppo_utils.experience import Experience

from openrlhf_ext.rollouts import write_rollouts
from tests.support.fakes import EOS, char_tokenizer, control_tokens
from tw_plugins.pages.reading.files import read

TAGS = control_tokens()
PROMPT = "3+4?"
FORKED = (
    "<think><Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n</Outlines>"
    "\n<Thread>\n1: x</Thread>\n<Thread>\n2: y</Thread>\n</Parallel></think>\\boxed{7}" + EOS
)
BRANCH = "\n<Thread>\n2: y</Thread>"


def sample(text: str, branch: str, reward: float) -> Any:
    response = TAGS.encode(text)
    ids = [*TAGS.encode(PROMPT), *response, *TAGS.encode(branch)]
    return Experience(
        sequences=torch.tensor([ids]),
        response_length=torch.tensor([len(response)]),
        rewards=torch.tensor([reward]),
        prompts=[PROMPT],
        labels=["7"],
        info={"threadweaver/acc/mean": torch.tensor([1.0]), "reward": torch.tensor([reward])},
    )


def test_joined_trajectories_without_the_rows_branches(tmp_path: Path) -> None:
    samples = [sample(FORKED, BRANCH, 1.125), sample("<think></think>7" + EOS, "", 0.0)]
    for _ in range(2):  # a step that is made again after a break
        write_rollouts(tmp_path / "out", 3, samples, char_tokenizer(), "parallel")
    shown = read([tmp_path / "out"])
    assert shown.sources == ["3.jsonl"] and not shown.unreadable
    forked, plain = shown.trajectories
    assert forked.text == FORKED and plain.text == "<think></think>7" + EOS
    assert (forked.prompt, forked.answer, forked.score, forked.mode) == (PROMPT, "7", 1.125, "parallel")
    assert forked.correct and forked.measure(len)[1].blocks == 1
