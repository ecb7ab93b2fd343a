"""The ids that end a model's turn: what its tokenizer, config.json and generation_config.json say of them.

Llama 3 and Gemma end turns with an id that is not the tokenizer's EOS; engines stop at all of them. One that
we did not know would stay inside a thread as its last token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.storage.files import is_there, read_text

__all__ = ["CONFIG", "GENERATION", "Ends", "EndsError", "ends_of"]

CONFIG, GENERATION = "config.json", "generation_config.json"
_ANSWER = "\ue000"


class EndsError(UserError, ValueError):
    """A file of a model that does not say what ends its turns in a way that can be read."""


def ends_of(tokenizer: Any) -> tuple[int, ...]:
    """All of them, each once; first the one that rows end with."""
    return Ends.of(tokenizer).ids


@dataclass(frozen=True)
class Ends:
    """Who says what.

    Attributes:
        tokenizer: its EOS, if it has one.
        config, generation: of the two files; None where there is no such file.
        behind: ids that the chat template writes behind an answer.
    """

    tokenizer: int | None
    config: tuple[int, ...] | None
    generation: tuple[int, ...] | None
    behind: tuple[int, ...]
    _tokenizer: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls, tokenizer: Any) -> Ends:
        """Of a Hugging Face tokenizer, and of the folder or the hub's copy here that it was loaded from.

        Raises:
            EndsError, FileError, OSError: one of the two files is there and cannot be read.
        """
        model = getattr(tokenizer, "name_or_path", "")
        files = (_configured(model, CONFIG), _configured(model, GENERATION))
        return cls(tokenizer.eos_token_id, *files, tuple(_behind_an_answer(tokenizer)), tokenizer)

    @property
    def engine(self) -> tuple[int, ...]:
        """Those at which vLLM and `generate` stop untold; vLLM also stops at the tokenizer's.

        Source: `try_get_generation_config` (`vllm/transformers_utils/config.py`).
        """
        return (self.config if self.generation is None else self.generation) or ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All, each once; first the one that the template writes behind an answer."""
        own = [] if self.tokenizer is None else [self.tokenizer]
        # SGLang stops at those of both files. config.json may have the default of its class, any word's id.
        ids = [*own, *self.engine, *filter(self.is_special, self.config or ())]
        return tuple(dict.fromkeys([*(token_id for token_id in self.behind if token_id in ids), *ids]))

    def is_special(self, token_id: int) -> bool:
        """Whether no text is written with it."""
        added: Mapping[int, Any] = getattr(self._tokenizer, "added_tokens_decoder", {})
        return token_id in added or token_id in getattr(self._tokenizer, "all_special_ids", ())

    @property
    def agree(self) -> bool:
        """Whether what rows end with, and the tokenizer's EOS, which frameworks write into the checkpoints'
        config.json, stop an engine by itself, and no word does."""
        if not self.engine:
            return True  # nobody contradicts the tokenizer
        return {self.ids[0], self.tokenizer} <= {*self.engine} and all(map(self.is_special, self.engine))

    def described(self) -> str:
        """In one line: who says what, and what rows end with."""
        said = {
            "the tokenizer": None if self.tokenizer is None else (self.tokenizer,),
            CONFIG: self.config,
            GENERATION: self.generation,
        }
        sources = ", ".join(f"{source} {self._named(ids)}" for source, ids in said.items())
        written = "it" if self.ids[0] in self.behind else "none of them"
        return (
            f"end of turn: {sources}; rows end with {self._named(self.ids[:1])}, for the chat template "
            f"writes {written} behind an answer"
        )

    def _named(self, ids: tuple[int, ...] | None) -> str:
        def name(token_id: int) -> str:
            return f"{self._tokenizer.decode([token_id])!r} ({token_id})"

        return " and ".join(map(name, ids)) if ids else "none"


def _configured(model: str, file: str) -> tuple[int, ...] | None:
    """Of a file in the folder that the tokenizer was loaded from, or in the hub's copy on this machine."""
    path = Path(model) / file
    if model and not path.exists() and not Path(model).exists():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            path = Path(try_to_load_from_cache(model, file) or path)
        except (HFValidationError, TypeError):  # no name of the hub; known there to have none
            return None
    return _ids_in(path) if model and is_there(path) else None


def _ids_in(path: Path) -> tuple[int, ...]:
    try:
        ids = json.loads(read_text(path)).get("eos_token_id")
    except (json.JSONDecodeError, AttributeError, RecursionError) as error:
        raise EndsError(f"{path} is no JSON object: {error}. Fetch it again") from error
    found = [] if ids is None else ids if isinstance(ids, list) else [ids]
    if odd := [one for one in found if type(one) is not int or one < 0]:
        raise EndsError(f"{path} has the eos_token_id {odd[0]!r:.60}, which is no token id: mend it")
    return tuple(found)


def _behind_an_answer(tokenizer: Any) -> Iterable[int]:
    if not getattr(tokenizer, "chat_template", None):
        return []
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = tokenizer.apply_chat_template(talk, tokenize=False)
    except Exception:  # templates are programs; whoever asks through one is told
        return []
    _, found, behind = text.rpartition(_ANSWER)
    return list(tokenizer.encode(behind, add_special_tokens=False)) if found else []
