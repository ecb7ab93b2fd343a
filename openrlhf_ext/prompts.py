"""RL's prompts for OpenRLHF: each row as it was meant, through the template's guard.

Seam: `openrlhf.datasets.PromptDataset`, the name that `trainer/ppo_trainer.py` imports. Prompts travel on as
templated text, which the agent encodes again: so the guard looks at the ids of just that text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from openrlhf.datasets import PromptDataset as UpstreamDataset

from openrlhf_ext.blending import rows_in
from openrlhf_ext.data_check import columns_of, template_of
from openrlhf_ext.label import Label
from openrlhf_ext.settings import RLSettings
from tw_plugins.datasets.examples import examples_of, wanted_by
from tw_plugins.datasets.holes import Holes
from tw_plugins.datasets.questions import Question, questions
from tw_plugins.storage.parquet import DataFileError

logger = logging.getLogger(__name__)


class PromptDataset(UpstreamDataset):  # type: ignore[misc]
    """Upstream's signature and items: data source, prompt, label, no images."""

    def __init__(
        self, dataset: Any, tokenizer: Any, strategy: Any, input_template: str | None = None
    ) -> None:
        """Reads every prompt.

        Raises:
            DataFileError: no prompt is left, or a column is missing.
            BadRowError: a row that cannot be used, with `--tw.strict`.
        """
        self.strategy, self.tokenizer, self.input_template = strategy, tokenizer, input_template
        self.image_key = "images"
        asked, holes = read_prompts(dataset, tokenizer, strategy.args.data, input_template)
        holes.warn(logger, len(asked))
        longest = max(len(one.prompt.ids) for one in asked)
        name = str(getattr(strategy.args.data, "prompt_dataset", "the data set"))
        strategy.print(holes.summary(name, len(asked), "prompts to ask", longest))
        self.prompts = [one.prompt.text for one in asked]
        self.labels = list(map(Label.of, asked))
        self.images = [None] * len(asked)
        self.datasources = [str(one.example.columns.get("datasource") or "default") for one in asked]


def read_prompts(
    dataset: Iterable[dict[str, Any]], tokenizer: Any, data: Any, input_template: str | None
) -> tuple[list[Question], Holes]:
    """The prompts of a data set, and what was left out; raises as `PromptDataset`.

    Args:
        data: OpenRLHF's `args.data`.
    """
    settings = RLSettings.from_environment()
    holes = Holes(settings.strict)
    name = str(getattr(data, "prompt_dataset", "the data set"))
    columns = columns_of(data, answer=data.label_key)
    examples = examples_of(rows_in(dataset, name), wanted_by(settings.verifier), columns)
    asked = questions(examples, template_of(tokenizer, data, input_template), settings.instruction)
    found = list(holes.out_of(asked))
    if not found:
        raise DataFileError(f"{name}: no prompt is left; {'; '.join(holes.lines())}. Mend the data")
    return found, holes


def register(datasets: Any) -> None:
    """Called once `openrlhf.datasets` is imported."""
    datasets.PromptDataset = PromptDataset
