"""A tokenizer with a chat template."""

from __future__ import annotations

from typing import Any

from tests.support.fakes import char_tokenizer


def tokenizer() -> Any:
    made = char_tokenizer()
    made.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{{ '>' if add_generation_prompt }}"
    )
    return made
