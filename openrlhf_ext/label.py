"""What upstream hands from a row to the executor, its label: the reference, and what else a verifier reads.

Upstream carries labels from `PromptDataset` to `AgentExecutor.execute` unread
(`trainer/ppo_utils/samples_generator.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from tw_plugins.datasets.questions import Question

__all__ = ["Label", "task_of"]


class Label(str):
    """The reference as text, as upstream has it and other executors expect it."""

    prompt: str
    reference: Any
    extra: Mapping[str, Any]

    @classmethod
    def of(cls, asked: Question) -> Self:
        """Of one row, as it is asked."""
        reference = asked.example.target
        label = cls(reference if isinstance(reference, str) else json.dumps(reference, default=str))
        label.prompt = str(asked.messages[-1]["content"])
        label.reference, label.extra = reference, asked.example.extra
        return label


def task_of(prompt: str, label: Any) -> tuple[str, Any, Mapping[str, Any]]:
    """Prompt, reference and extra; of a label that is not ours the templated prompt and the label itself."""
    return (label.prompt, label.reference, label.extra) if isinstance(label, Label) else (prompt, label, {})
