"""The control tokens in a Hugging Face model: tokenizer, embedding and head (P8).

A new row is the mean of the rows of the tag's word pieces, ``<``, ``Parallel``, ``>``, so that a tag begins
with a meaning; rows that only pad the vocabulary are the mean of all, which is never likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tw_plugins.adapter.model_folder import check_model_folder
from tw_plugins.datasets.template import with_template
from tw_plugins.errors import UserError
from tw_plugins.storage.atomic import whole
from tw_plugins.trajectory import TAGS, ControlTokens
from tw_plugins.trajectory.ends import Ends

if TYPE_CHECKING:
    import torch

__all__ = ["AddTokensError", "Added", "add_tokens"]

ROWS_MULTIPLE = 64


class AddTokensError(UserError, ValueError):
    """A model that cannot be loaded, or a folder that is taken or cannot be written."""


@dataclass(frozen=True)
class Added:
    """What was changed.

    Attributes:
        ids: of the tags that were new to the tokenizer, or beyond the embedding's rows.
        rows_before, rows: of the embedding; afterwards a multiple of 64.
        ends: what the model that was given says of the end of turn; it is written as one.
    """

    ids: dict[str, int]
    rows_before: int
    rows: int
    ends: Ends


def add_tokens(
    model: str, out: Path, trust_remote_code: bool = False, chat_template: str | None = None
) -> Added:
    """Write the model to ``out`` with the tags that its tokenizer or embedding lacks, and one end of turn.

    One that lacks none, has a multiple of 64 rows and agrees on its end is written as it is. ``out`` is there
    whole or not at all.

    Args:
        model: folder or name of a causal LM with its tokenizer.
        out: folder that does not exist yet.
        chat_template: what `with_template` takes, in the place of the tokenizer's own.

    Raises:
        ModelFolderError: the folder is that of something else.
        ChatTemplateError, FileError, OSError: there is no such chat template.
        AddTokensError: the model cannot be loaded; its tokenizer cannot write a tag; ``out`` exists or
            cannot be written.
        ControlTokenError: the tokenizer has a tag as several ids, or no EOS.
    """
    from safetensors import SafetensorError
    from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer

    if out.exists():
        raise AddTokensError(f"{out} exists: give a folder that does not, or remove it")
    check_model_folder(model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=trust_remote_code)
        network = AutoModelForCausalLM.from_pretrained(
            model, dtype="auto", trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise AddTokensError(f"no tokenizer and model can be loaded from {model}: {reason}") from error
    with_template(tokenizer, chat_template)
    vocabulary = tokenizer.get_vocab()
    before = network.get_input_embeddings().weight.shape[0]
    missing = [tag for tag in TAGS if tag not in vocabulary]
    new = [tag for tag in TAGS if vocabulary.get(tag, before) >= before]
    pieces = {tag: _pieces(tokenizer, tag) for tag in new}  # before the tags are tokens
    if missing:
        tags = [AddedToken(tag, special=True, normalized=False) for tag in missing]
        tokenizer.add_tokens(tags, special_tokens=True)
    ControlTokens.from_tokenizer(tokenizer)
    ids = {tag: tokenizer.convert_tokens_to_ids(tag) for tag in new}
    rows = -(-max(before, len(tokenizer)) // ROWS_MULTIPLE) * ROWS_MULTIPLE
    if rows > before:
        network.resize_token_embeddings(rows, mean_resizing=False)
    for weight in _matrices(network):
        _fill(weight, before, {row: pieces[tag] for tag, row in ids.items()})
    ends = Ends.of(tokenizer)
    _agree(ends, tokenizer, network)
    try:
        with whole(out) as unfinished:
            network.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise AddTokensError(
            f"{out} cannot be written: {error}. Make room, or choose another place"
        ) from error
    return Added(ids, before, rows, ends)


def _agree(ends: Ends, tokenizer: Any, network: Any) -> None:
    """What rows end with is the tokenizer's EOS and stops every engine; words of text no longer do."""
    if ends.agree and ends.engine:
        return
    kept = list(dict.fromkeys([ends.ids[0], *filter(ends.is_special, ends.engine)]))
    if ends.tokenizer not in kept:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(kept[0])
    for config in (network.config, network.generation_config):
        config.eos_token_id = kept if len(kept) > 1 else kept[0]


def _pieces(tokenizer: Any, tag: str) -> list[int]:
    """Ids of the tag's word pieces, also where the tokenizer has the tag as one token."""

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids

    try:
        ids = encode(tag)
        return ids if len(ids) > 1 else [id_ for part in (tag[0], tag[1:-1], tag[-1]) for id_ in encode(part)]
    except Exception as error:  # tokenizers raises bare ones
        raise AddTokensError(
            f"the tokenizer cannot write {tag}: {error}. Take one that knows < and >"
        ) from error


def _matrices(network: Any) -> list[torch.Tensor]:
    """(rows, hidden) of the embedding, and of the head where it is another."""
    embedding, head = network.get_input_embeddings().weight, network.get_output_embeddings().weight
    return [embedding.data] if head is embedding else [embedding.data, head.data]


def _fill(weight: torch.Tensor, before: int, pieces: dict[int, list[int]]) -> None:
    """Rows from ``before`` on become the mean of the old rows, each tag's row the mean of its pieces'."""
    old = weight[:before].float()  # bf16 sums of a hundred thousand rows would lose the mean
    weight[before:] = old.mean(0).to(weight.dtype)
    for row, of in pieces.items():
        weight[row] = old[of].mean(0).to(weight.dtype)
