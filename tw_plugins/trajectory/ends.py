"""The ids that end a model's turn: its tokenizer's, and those of its generation config.

Llama 3 and Gemma end turns with an id that is not the tokenizer's EOS; engines stop at all of them. One that
we did not know would stay inside a thread as its last token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["ends_of"]

FILE = "generation_config.json"
_ANSWER = "\ue000"


def ends_of(tokenizer: Any) -> tuple[int, ...]:
    """All of them, each once; first the one that the chat template writes behind an answer."""
    own = tokenizer.eos_token_id
    ids = [*([] if own is None else [own]), *_configured(getattr(tokenizer, "name_or_path", ""))]
    behind = _behind_an_answer(tokenizer)
    return tuple(dict.fromkeys([*(token_id for token_id in behind if token_id in ids), *ids]))


def _configured(model: str) -> Iterable[int]:
    """Of the folder that the tokenizer was loaded from, or of the hub's copy on this machine."""
    path = Path(model) / FILE
    if model and not path.exists() and not Path(model).exists():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            path = Path(try_to_load_from_cache(model, FILE) or path)
        except (HFValidationError, TypeError):  # no name of the hub; known there to have none
            return ()
    if not model or not path.is_file():
        return ()
    ids = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
    return () if ids is None else ids if isinstance(ids, list) else (ids,)


def _behind_an_answer(tokenizer: Any) -> list[int]:
    if not getattr(tokenizer, "chat_template", None):
        return []
    from jinja2 import TemplateError

    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = tokenizer.apply_chat_template(talk, tokenize=False)
    except TemplateError:
        return []
    _, found, behind = text.rpartition(_ANSWER)
    return list(tokenizer.encode(behind, add_special_tokens=False)) if found else []
