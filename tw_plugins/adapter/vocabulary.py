"""Tokenizer and model must agree, and the control tokens must be there."""

from __future__ import annotations

import logging
from typing import Any

from tw_plugins.adapter.model_folder import check_model_folder
from tw_plugins.errors import UserError
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.ends import Ends

logger = logging.getLogger(__name__)


class VocabularyError(UserError, ValueError):
    """A model that cannot be loaded, or whose embedding is smaller than its tokenizer."""


def check_vocabulary(model_path: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Check the tokenizer and the config of a Hugging Face model folder or name; returns both.

    Raises:
        ControlTokenError: a control tag is missing from the tokenizer or is several ids.
        ModelFolderError: the folder is that of something else.
        VocabularyError: there is no model, or it has fewer embedding rows than the tokenizer has ids.
    """
    from transformers import AutoConfig, AutoTokenizer

    check_model_folder(model_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_path, trust_remote_code=trust_remote_code)
        config = AutoConfig.from_pretrained(model_path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise VocabularyError(
            f"no tokenizer and config can be loaded from {model_path}: {reason} "
            "Give the folder of a Hugging Face model."
        ) from error
    ControlTokens.from_tokenizer(tokenizer)
    rows = config.get_text_config().vocab_size
    check_embedding(model_path, rows, len(tokenizer))
    if rows > len(tokenizer):
        logger.warning(
            "%s: the model has %d embedding rows, the tokenizer %d ids. verl's rollout never samples the "
            "extra rows but the actor's softmax counts them: log-probs differ by the weight of those rows",
            model_path, rows, len(tokenizer),
        )  # fmt: skip
    return tokenizer, config


def warn_of_ends(tokenizer: Any) -> None:
    """Say where rows would end with what an engine does not stop at by itself, or the reverse.

    Args:
        tokenizer: as loaded from the model, with the chat template of the run.
    """
    ends = Ends.of(tokenizer)
    if not ends.agree:
        logger.warning(
            "%s: %s. `threadweaver data add-tokens` writes a model in which they agree",
            tokenizer.name_or_path, ends.described(),
        )  # fmt: skip


def check_embedding(model_path: str, rows: int, ids: int) -> None:
    """Raise where a model has fewer embedding `rows` than its tokenizer has `ids`.

    Raises:
        VocabularyError: says how to resize the model.
    """
    if rows < ids:
        raise VocabularyError(
            f"{model_path}: the tokenizer has {ids} ids, the model only {rows} embedding rows; start from a "
            "model that `threadweaver data add-tokens` has written, or resize it "
            "(model.resize_token_embeddings(len(tokenizer))) and save it again"
        )
