r"""A character tokenizer for the toy task, built in code.

Every character of the task is one token, and so is every control tag, ``<think>``, ``</think>`` and
``\boxed{``. Pieces that are encoded apart therefore give the ids of the whole text, and ``decode`` gives the
exact text back.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

from tw_plugins.toy.digits import GROUP_NAMES, LINKS, RESULT_NAMES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS = "<pad>", "<|im_end|>"  # the end token that verl looks for in a Qwen3 tokenizer
CONTROL_TAGS = tuple(
    f"<{slash}{name}>"
    for name in ("Parallel", "Outlines", "Outline", "Thread", "Conclusion")
    for slash in ("", "/")
)
SPECIAL = (PAD, EOS, *CONTROL_TAGS, "<think>", "</think>")
BOXED = "\\boxed{"
CHARACTERS = (
    "0123456789" + ascii_lowercase + GROUP_NAMES + RESULT_NAMES + "".join(LINKS.values()) + "?:-=} \n"
)
TOKENS = (*SPECIAL, BOXED, *CHARACTERS)
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; its chat template only joins the messages' contents.

    Encoding text that is not of the task raises: there is no unknown token to hide behind.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    backend = Tokenizer(models.WordLevel(vocabulary))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    backend.add_tokens([AddedToken(BOXED, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=list(SPECIAL[2:]),
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
