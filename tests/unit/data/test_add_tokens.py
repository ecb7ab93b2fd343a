"""Control tokens in models that lack them, on stock Hugging Face models and a byte-level BPE tokenizer."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from typer.testing import CliRunner

from tests.support import chat
from tests.support.tokenizers import tokenizer
from tw_plugins.adapter.vocabulary import check_vocabulary
from tw_plugins.cli.app import app
from tw_plugins.data.add_tokens import AddTokensError, add_tokens
from tw_plugins.trajectory import TAGS, ControlTokens
from tw_plugins.trajectory.ends import Ends

SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
KINDS = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}


def bpe() -> PreTrainedTokenizerFast:
    """As real models have it: bytes, and some merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<eos>"]
    )
    tokenizer.train_from_iterator(["Thread Parallel Outline Outlines Conclusion"] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


def saved(folder: Path, kind: str = "qwen3", tied: bool = True, rows: int | None = None) -> Path:
    tokenizer, (config, model) = bpe(), KINDS[kind]
    torch.manual_seed(0)
    made = model(config(vocab_size=rows or len(tokenizer), tie_word_embeddings=tied, **SHAPE))
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def matrices(folder: Path) -> list[torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return [model.get_input_embeddings().weight.data, model.get_output_embeddings().weight.data]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [None, 640])
def test_rows_are_the_means_of_their_pieces(tmp_path: Path, kind: str, tied: bool, rows: int | None) -> None:
    """With room for the tags in the embedding, as Qwen3 has it, and without."""
    source, out = saved(tmp_path / "in", kind, tied, rows), tmp_path / "out"
    before, old = AutoTokenizer.from_pretrained(source), matrices(source)
    added = add_tokens(str(source), out)
    after, new = AutoTokenizer.from_pretrained(out), matrices(out)
    assert list(added.ids) == list(TAGS) and added.rows % 64 == 0
    assert added.rows == (rows or -(-(len(before) + 10) // 64) * 64)
    assert (torch.equal(new[0], new[1])) == tied
    for was, weight in zip(old, new, strict=True):
        assert weight.shape == (added.rows, 16)
        kept = [row for row in range(len(was)) if row not in added.ids.values()]
        assert torch.equal(weight[kept], was[kept])
        for tag, row in added.ids.items():
            pieces = before.encode(tag)
            assert len(pieces) > 1
            torch.testing.assert_close(weight[row], was[pieces].mean(0))
        padding = weight[max(len(was), len(after)) :]
        torch.testing.assert_close(padding, was.mean(0).expand_as(padding))
    check_vocabulary(str(out))
    assert ControlTokens.from_tokenizer(after).thread == added.ids["<Thread>"]
    text = "a <Parallel>b</Thread> c"
    assert after.decode(after.encode(text)) == text


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    add_tokens(str(saved(tmp_path / "in")), first)
    added = add_tokens(str(first), second)
    assert added.ids == {} and added.rows == added.rows_before
    for one, other in zip(matrices(first), matrices(second), strict=True):
        assert torch.equal(one, other)
    vocabularies = [AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (first, second)]
    assert vocabularies[0] == vocabularies[1]


def test_only_what_is_missing_is_added(tmp_path: Path) -> None:
    source = saved(tmp_path / "in", rows=640)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.add_tokens(["<Parallel>"], special_tokens=True)
    tokenizer.save_pretrained(source)
    added = add_tokens(str(source), tmp_path / "out")
    assert list(added.ids) == list(TAGS[1:])
    there = tokenizer.convert_tokens_to_ids("<Parallel>")
    assert torch.equal(matrices(source)[0][there], matrices(tmp_path / "out")[0][there])


def test_the_dtype_stays(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16).save_pretrained(source)
    add_tokens(str(source), tmp_path / "out")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").dtype == torch.bfloat16


def test_bad_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(AddTokensError, match=r"^no tokenizer and model can be loaded from .*nothing"):
        add_tokens(str(tmp_path / "nothing"), tmp_path / "out")
    with pytest.raises(AddTokensError, match="exists: give a folder that does not"):
        add_tokens(str(saved(tmp_path / "in")), tmp_path)


def test_a_tokenizer_that_cannot_write_a_tag(tmp_path: Path) -> None:
    source = saved(tmp_path / "in")
    words = Tokenizer(models.WordLevel({"<eos>": 0, "a": 1}))  # and nothing for what it does not know
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>").save_pretrained(source)
    with pytest.raises(AddTokensError, match=r"^the tokenizer cannot write <Parallel>: .*UNK.*Take one that"):
        add_tokens(str(source), tmp_path / "out")


def test_where_no_tag_is_new_none_is_written(tmp_path: Path) -> None:
    """The toy's tokenizer has all tags and cannot encode their pieces."""
    source = saved(tmp_path / "in")
    tokenizer().save_pretrained(source)
    assert add_tokens(str(source), tmp_path / "out").ids == {}


def test_the_command(tmp_path: Path) -> None:
    options = ["--model", str(saved(tmp_path / "in")), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["data", "add-tokens", *options])
    assert result.exit_code == 0, result.output
    assert "10 control tokens added, ids 287–296; embedding 287 → 320 rows; written to" in result.output
    assert "end of turn: the tokenizer '<eos>' (0), config.json none" in result.output
    again = CliRunner().invoke(app, ["data", "add-tokens", *options])
    assert again.exit_code == 2 and "exists" in again.output


@pytest.mark.parametrize("tied", [True, False])
def test_tags_beyond_the_embedding_get_rows(tmp_path: Path, tied: bool) -> None:
    """A tokenizer that has the tags does not say that the model has."""
    source = saved(tmp_path / "in", tied=tied)
    before, old = AutoTokenizer.from_pretrained(source), matrices(source)
    with_tags = AutoTokenizer.from_pretrained(source)
    with_tags.add_tokens(list(TAGS), special_tokens=True)
    with_tags.save_pretrained(source)
    added = add_tokens(str(source), tmp_path / "out")
    assert list(added.ids) == list(TAGS) and (added.rows_before, added.rows) == (len(before), 320)
    for was, weight in zip(old, matrices(tmp_path / "out"), strict=True):
        for tag, row in added.ids.items():
            pieces = [i for part in (tag[0], tag[1:-1], tag[-1]) for i in before.encode(part)]
            torch.testing.assert_close(weight[row], was[pieces].mean(0))
    check_vocabulary(str(tmp_path / "out"))


@pytest.mark.parametrize("rows", [287, 405, 568])
def test_rows_are_padded_whatever_they_were(tmp_path: Path, rows: int) -> None:
    added = add_tokens(str(saved(tmp_path / "in", rows=rows)), tmp_path / "out")
    assert (added.rows_before, added.rows) == (rows, {287: 320, 405: 448, 568: 576}[rows])
    assert [len(weight) for weight in matrices(tmp_path / "out")] == [added.rows] * 2


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "cannot be written: I/O error"),
    ],
)
def test_a_full_disk_leaves_no_half_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    options = ["--model", str(saved(tmp_path / "in")), "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", full)
        result = CliRunner().invoke(app, ["data", "add-tokens", *options])
    assert result.exit_code == 2 and message in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert CliRunner().invoke(app, ["data", "add-tokens", *options]).exit_code == 0


def disagreeing(folder: Path, generation: list[str]) -> Path:
    """As a model out of GGUF: the tokenizer's EOS begins a turn, the config's ends it."""
    made = chat.chat_tokenizer()
    made.eos_token = "<|im_start|>"
    config, model = KINDS["qwen3"]
    network = model(config(vocab_size=len(made), eos_token_id=made.vocab["<|im_end|>"], **SHAPE))
    network.generation_config.eos_token_id = made.convert_tokens_to_ids(generation)
    network.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def test_a_model_that_disagrees_on_its_end_is_written_with_one(tmp_path: Path) -> None:
    source = disagreeing(tmp_path / "in", ["<|im_end|>", "<|endoftext|>", "a"])
    options = ["--model", str(source), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["data", "add-tokens", *options])
    assert "the tokenizer '<|im_start|>'" in result.output
    assert "rows end with '<|im_end|>'" in result.output and "all three have it now" in result.output
    after = AutoTokenizer.from_pretrained(tmp_path / "out")
    end, text_end = after.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert Ends.of(after).agree and after.eos_token == "<|im_end|>"
    assert Ends.of(after).config == Ends.of(after).generation == (end, text_end)  # and no text
    assert not Ends.of(AutoTokenizer.from_pretrained(source)).agree


def test_a_model_without_an_end_gets_its_tokenizers(tmp_path: Path) -> None:
    add_tokens(str(saved(tmp_path / "in")), tmp_path / "out")
    ends = Ends.of(AutoTokenizer.from_pretrained(tmp_path / "out"))
    assert ends.config == ends.generation == (0,)
