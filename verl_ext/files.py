"""verl's data settings, checked before any process starts."""

from __future__ import annotations

import logging
from typing import Any

from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import read_examples, wanted_by
from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.errors import UserError
from tw_plugins.storage.parquet import DataFileError, as_paths, check_columns
from verl_ext.settings import prompt_settings

logger = logging.getLogger(__name__)

CLASS_KEY = "data.custom_cls"
OURS = {"path": "pkg://verl_ext.prompts", "name": "PromptDataset"}


def check_prompt_files(data: Any, tokenizer: Any) -> set[str]:
    """Check `data.train_files` and `data.val_files` of a verl config, and say what is left out of them.

    Returns:
        Every `data_source` in them.

    Raises:
        DataFileError: a file that cannot be used, or a row that verl's own data set would take for something
            else; the message begins with the setting.
        UserError: see `verl_ext.prompts`, where that is the data set.
    """
    given = data.get("custom_cls") or {}
    found: set[str] = set()
    for setting in ("train_files", "val_files"):
        # What is remote is verl's to copy first.
        sources = [path for path in as_paths(data.get(setting) or []) if "://" not in path]
        if not sources:
            continue
        try:
            if given.get("name") == OURS["name"]:
                found |= _check_read(sources, data, setting, tokenizer)
            elif given.get("path") is None:
                found |= _check_as_verl_reads(sources, data)
        except UserError as error:
            raise DataFileError(f"data.{setting}: {error}") from error
    return found


def _check_read(sources: list[str], data: Any, setting: str, tokenizer: Any) -> set[str]:
    from verl_ext.prompts import read_prompts

    rows, holes = read_prompts(sources, data, tokenizer)
    print(f"data.{holes.summary(setting, len(rows), 'prompts to ask')}")  # as verl's own data sets do
    for line in holes.lines():
        logger.warning("data.%s: of %d rows %s", setting, len(rows) + holes.total, line)
    return {row["data_source"] for row in rows}


def _check_as_verl_reads(sources: list[str], data: Any) -> set[str]:
    """verl hands on what a row has: a text becomes letters, parts and other roles an empty turn."""
    prompt_key = data.get("prompt_key", "prompt")
    check_columns(sources, [prompt_key, "data_source", "reward_model"])
    wanted, columns = (
        wanted_by(prompt_settings(data).verifier),
        Columns(prompt_key, "reward_model.ground_truth"),
    )
    found = set()
    for example in read_examples(sources, wanted, columns):
        if isinstance(example, Hole):
            bad = f"{example.where}: {BadRow(example.reason, example.detail)}"
        elif example.messages != _as_it_is(example.columns[prompt_key]):
            bad = f"{example.where}: {prompt_key} is no list of messages with role and content"
        else:
            found.add(str(example.columns["data_source"]))
            continue
        raise DataFileError(
            f"{bad}. verl would ask something else without a word: mend the row, or have it read or left out "
            f"by {CLASS_KEY}.path={OURS['path']} {CLASS_KEY}.name={OURS['name']}"
        )
    return found


def _as_it_is(prompt: Any) -> Any:
    """Without the fields that a table fills with null."""
    if not isinstance(prompt, list):
        return None
    return [{name: value for name, value in message.items() if value is not None} for message in prompt]
