"""verl's data settings, checked before any process starts."""

from __future__ import annotations

from typing import Any

from tw_plugins.storage.parquet import DataFileError, as_paths, check_columns


def check_prompt_files(data: Any) -> None:
    """Check `data.train_files` and `data.val_files` of a verl config.

    Raises:
        DataFileError: see `check_columns`; the message begins with the setting.
    """
    needed = [data.get("prompt_key", "prompt"), "data_source", "reward_model"]
    for setting in ("train_files", "val_files"):
        try:
            check_columns(as_paths(data.get(setting) or []), needed)
        except DataFileError as error:
            raise DataFileError(f"data.{setting}: {error}") from error
