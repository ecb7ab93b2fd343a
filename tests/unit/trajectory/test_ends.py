"""All ids that a model ends its turns with are known, the one that its template writes first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import chat
from tw_plugins.errors import UserError
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.ends import Ends, ends_of


def saved(
    folder: Path, eos: str, configured: Any, template: str | None = chat.CHATML, config: Any = None
) -> Any:
    """A tokenizer as it is loaded from a model's folder; `configured` is of the generation config."""
    from transformers import AutoTokenizer

    made = chat.chat_tokenizer(template)
    made.eos_token = eos
    made.save_pretrained(folder)
    for file, tokens in (("generation_config.json", configured), ("config.json", config)):
        if tokens is not None:
            ids = {"eos_token_id": made.convert_tokens_to_ids(tokens)}
            (folder / file).write_text(json.dumps({"model_type": "qwen3", **ids}))
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


START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        (None, END, [END, START]),  # as vLLM reads it, which then stops there
        (TEXT_END, END, [END, START, TEXT_END]),  # as SGLang reads both
        (END, "a", [END, START]),  # the default of a class, an id of text
        (None, "a", [START, "a"]),  # vLLM takes it all the same
    ],
)
def test_config_json_counts_as_engines_read_it(
    tmp_path: Path, generation: Any, config: Any, ends: list[str]
) -> None:
    tokenizer = saved(tmp_path, START, generation, config=config)
    assert tokenizer.convert_ids_to_tokens(list(ends_of(tokenizer))) == ends


@pytest.mark.parametrize(
    ("eos", "generation", "config", "agree"),
    [
        (END, [END, TEXT_END], END, True),
        (TEXT_END, [END, TEXT_END], TEXT_END, True),  # Gemma's way
        (END, None, END, True),
        (END, None, None, True),
        (START, END, END, False),  # the tokenizer's end is nobody else's
        (START, None, END, False),
        (END, TEXT_END, END, False),  # `generate` goes on behind a row's end
        (END, [END, "a"], END, False),  # text would end a turn
    ],
)
def test_what_disagrees_in_a_way_that_matters(
    tmp_path: Path, eos: str, generation: Any, config: Any, agree: bool
) -> None:
    assert Ends.of(saved(tmp_path, eos, generation, config=config)).agree is agree


def test_who_says_what_and_who_wins(tmp_path: Path) -> None:
    tokenizer = saved(tmp_path, START, None, config=END)
    start, end = (f"'{token}' ({tokenizer.convert_tokens_to_ids(token)})" for token in (START, END))
    assert Ends.of(tokenizer).described() == (
        f"end of turn: the tokenizer {start}, config.json {end}, generation_config.json none; "
        f"rows end with {end}, for the chat template writes it behind an answer"
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"{", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b"\xff", "is not UTF-8"),
        (b'{"eos_token_id": "</s>"}', "no token id"),
        (b'{"eos_token_id": [0, null]}', "no token id"),
        (b'{"eos_token_id": -1}', "no token id"),
    ],
)
def test_a_broken_file_of_a_model_is_one_line(tmp_path: Path, written: bytes, said: str) -> None:
    tokenizer = saved(tmp_path, "<|im_end|>", None)
    (tmp_path / "generation_config.json").write_bytes(written)
    with pytest.raises(UserError, match=f"generation_config.json .*{said}"):
        ends_of(tokenizer)
