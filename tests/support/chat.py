"""Tokenizers of words and bytes with chat templates like those of well-known families."""

from __future__ import annotations

from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
TRIMMED = (  # headers, contents trimmed, a system prompt of its own
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}"
    + CHATML.replace("m.content", "m.content | trim")
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + CHATML
)
USERS_ONLY = CHATML.replace("in messages", "in messages if m.role == 'user'")
TWICE = CHATML + "{{ messages[0].content }}"
CUT_THOUGHTS = CHATML.replace("m.content", "m.content.split('</think>')[-1]")


def chat_tokenizer(template: str | None = CHATML) -> Any:
    """Ids of single bytes, the control tags and the marks of turns; the end of a turn is `<|im_end|>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from tw_plugins.trajectory import TAGS

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    marks = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *TAGS)
    backend.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in marks])
    backend.add_tokens([AddedToken(mark, normalized=False) for mark in ("<think>", "</think>")])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"], clean_up_tokenization_spaces=False,
    )  # fmt: skip
    made.chat_template = template
    return made
