"""Training rollouts in files, for `threadweaver view trajectories` (`--tw.rollouts_dir`): DIR/<step>.jsonl.

A line is a trajectory, in the form of verl's dumps (`trainer.rollout_data_dir`) with what `verl_ext.dumps`
adds. Upstream keeps no rollouts in files.
Seam: `BasePPOTrainer.train_step` (`openrlhf/trainer/ppo_trainer.py`), see `openrlhf_ext.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from openrlhf_ext.label import task_of
from openrlhf_ext.scores import scores_of
from tw_plugins.reward.facts import EXTRA_FIELD
from tw_plugins.rollout import Mode
from tw_plugins.storage.jsonl import Record, write
from tw_plugins.trajectory import ControlTokens

__all__ = ["write_rollouts"]


def write_rollouts(folder: str | Path, step: int, samples: Sequence[Any], tokenizer: Any, mode: Mode) -> None:
    """Writes the trajectories of a step, whole or not at all; a step that is made again writes them anew.

    Args:
        samples: one `Experience` per trajectory.
        mode: of the rollouts.
    """
    tags = ControlTokens.from_tokenizer(tokenizer)
    write(_records(step, samples, tokenizer, tags, mode), Path(folder) / f"{step}.jsonl")


def _records(
    step: int, samples: Sequence[Any], tokenizer: Any, tags: ControlTokens, mode: Mode
) -> Iterator[Record]:
    for sample in samples:
        templated, label = sample.prompts[0], sample.labels[0]
        prompt, reference, _ = task_of(templated, label)
        begins = len(tokenizer(text=templated, add_special_tokens=False)["input_ids"])
        # branches, which follow in a row, are copies: the main path is the joined trajectory
        response = sample.sequences[0][begins:][: int(sample.response_length[0])].tolist()
        text = tags.decode(response)
        scores = scores_of(sample)
        yield {
            "input": prompt,
            "output": text,
            "gts": reference,
            "score": float(sample.rewards[0]),
            "step": step,
            **{name: value for name, value in scores.items() if name != "score"},
            EXTRA_FIELD: {"text": text, "mode": mode},
        }
