"""RL's prompts from what people publish, for verl's trainer.

    data.custom_cls.path=pkg://verl_ext.prompts  data.custom_cls.name=PromptDataset

Seam: `get_dataset_class` (`verl/utils/dataset/rl_dataset.py`). verl's own class takes .parquet and .json
files of chat messages and looks at nothing in them; a prompt that is none fails in the agent loop, group by
group.
Here every source goes through the one reader and the template's guard, and what is left is written as the
Parquet file that verl's class reads, so that selecting, filtering and resuming stay verl's.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.fs import copy_to_local

from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import read_examples, wanted_by
from tw_plugins.datasets.holes import Holes
from tw_plugins.datasets.questions import Question, questions
from tw_plugins.datasets.template import ChatTemplate
from tw_plugins.storage.parquet import DataFileError, as_paths, write_parquet
from verl_ext.settings import prompt_settings

__all__ = ["PromptDataset", "read_prompts"]

logger = logging.getLogger(__name__)

KEPT = ("ability", "agent_name", "tools_kwargs", "interaction_kwargs")
"""Columns that verl or its reward managers look at, beside those that every row gets."""


class PromptDataset(RLHFDataset):  # type: ignore[misc]
    """verl's data set of prompts; `data_files` are any sources that `tw_plugins.datasets.rows` reads."""

    def _download(self, use_origin_parquet: bool = False) -> None:
        """Copies remote files as verl does, reads all sources, and names the file that holds their prompts.

        Raises:
            DataFileError, ChatTemplateError: a source or the tokenizer that cannot be used.
            BadRowError: a row that cannot be used, with `strict`.
        """
        sources = [
            copy_to_local(src=source, cache_dir=self.cache_dir, use_shm=self.use_shm)
            if "://" in source
            else source
            for source in self.original_data_files
        ]
        rows, holes = read_prompts(sources, self.config, self.tokenizer)
        holes.warn(logger, len(rows))
        self.data_files = [str(_written(rows, Path(self.cache_dir)))]


def read_prompts(sources: Any, data: Any, tokenizer: Any) -> tuple[list[dict[str, Any]], Holes]:
    """Rows with the columns that verl reads, and what was left out.

    Args:
        data: verl's `data` section.

    Raises:
        see `PromptDataset._download`.
    """
    settings = prompt_settings(data)
    prompt_key = data.get("prompt_key", "prompt")
    columns = Columns(None if prompt_key == "prompt" else prompt_key, settings.answer_key)
    template = ChatTemplate(tokenizer, data.get("apply_chat_template_kwargs"))
    holes = Holes(settings.strict)
    examples = read_examples(as_paths(sources), wanted_by(settings.verifier), columns, settings.split)
    asked = questions(examples, template, settings.instruction)
    rows = [_row(question, prompt_key) for question in holes.out_of(asked)]
    if not rows:
        raise DataFileError(f"{', '.join(as_paths(sources))}: no prompt is left; {'; '.join(holes.lines())}")
    return rows, holes


def _row(question: Question, prompt_key: str) -> dict[str, Any]:
    columns = question.example.columns
    extra = question.example.extra
    return {
        **{name: columns[name] for name in KEPT if columns.get(name) is not None},
        prompt_key: question.messages,
        "data_source": extra.pop("data_source"),
        "reward_model": {**_object(columns.get("reward_model")), "ground_truth": question.example.target},
        "extra_info": {"index": question.place, **extra},
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _written(rows: Iterable[Mapping[str, Any]], folder: Path) -> Path:
    """A Parquet file of the rows under a name that says what is in it, so that it is written once."""
    try:
        table = pa.Table.from_pylist(list(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataFileError(
            f"a key of extra_info or reward_model holds values of several types ({error}): give it one type"
        ) from error
    digest = hashlib.sha256(table.schema.to_string().encode())
    for column in table.to_pylist():
        digest.update(repr(column).encode())
    path = folder / f"prompts-{digest.hexdigest()[:16]}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(table, path)
    return path
