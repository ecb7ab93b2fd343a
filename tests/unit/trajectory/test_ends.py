"""All ids that a model ends its turns with are known, the one that its template writes first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import chat
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.ends import ends_of


def saved(folder: Path, eos: str, configured: Any, template: str | None = chat.CHATML) -> Any:
    """A tokenizer as it is loaded from a model's folder."""
    from transformers import AutoTokenizer

    made = chat.chat_tokenizer(template)
    made.eos_token = eos
    made.save_pretrained(folder)
    if configured is not None:
        ids = made.convert_tokens_to_ids(configured)
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("eos", "configured", "ends"),
    [
        ("<|im_end|>", None, ["<|im_end|>"]),
        ("<|im_end|>", "<|im_end|>", ["<|im_end|>"]),
        ("<|endoftext|>", ["<|im_end|>", "<|endoftext|>"], ["<|im_end|>", "<|endoftext|>"]),
        ("<|endoftext|>", "<|im_end|>", ["<|im_end|>", "<|endoftext|>"]),
        ("<|endoftext|>", ["<|im_start|>", "<|im_end|>"], ["<|im_end|>", "<|endoftext|>", "<|im_start|>"]),
        ("<|endoftext|>", None, ["<|endoftext|>"]),
    ],
)
def test_tokenizers_and_configured_ones(tmp_path: Path, eos: str, configured: Any, ends: list[str]) -> None:
    tokenizer = saved(tmp_path, eos, configured)
    assert tokenizer.convert_ids_to_tokens(list(ends_of(tokenizer))) == ends
    assert ControlTokens.from_tokenizer(tokenizer).eos_ids == ends_of(tokenizer)


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no') }}", chat.USERS_ONLY])
def test_without_a_template_for_answers_the_tokenizers_is_first(tmp_path: Path, template: str | None) -> None:
    tokenizer = saved(tmp_path, "<|endoftext|>", ["<|im_end|>"], template)
    assert tokenizer.convert_ids_to_tokens(list(ends_of(tokenizer))) == ["<|endoftext|>", "<|im_end|>"]


def test_of_a_model_of_the_hub_the_copy_here_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = saved(tmp_path, "<|endoftext|>", "<|im_end|>")
    file = tmp_path / "generation_config.json"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: str(file))
    tokenizer.name_or_path = "owner/name"
    assert len(ends_of(tokenizer)) == 2
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: None)
    assert len(ends_of(tokenizer)) == 1
    monkeypatch.undo()
    tokenizer.name_or_path = "no/name/of/the/hub"
    assert len(ends_of(tokenizer)) == 1
