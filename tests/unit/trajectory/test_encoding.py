"""Text → ids in the pieces of inference."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.support.fakes import EOS, StoryEngine, control_tokens
from tw_plugins.rollout import Limits, fork_join
from tw_plugins.trajectory import TAGS, ControlTokens, encode_trajectory
from tw_plugins.trajectory.encoding import sampled_texts
from tw_plugins.trie import row_from_ids

OPEN = "a<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>"
TEXT = f"{OPEN}\n<Thread>\n1: and so\n</Thread><Thread>\n2: and so\n</Thread>\n\n</Parallel>\nd{EOS}"


def merging_tokenizer() -> Any:
    """Byte-level BPE without pre-splitting, so that it merges across the borders of injected strings."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=[EOS, *TAGS], initial_alphabet=alphabet, vocab_size=330)
    core.train_from_iterator(["\n1: and so\n", "\n2: and so\n", "\n\n", "x"] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=EOS)


@pytest.mark.parametrize("eos_rate", [0.0, 0.5])
def test_the_text_of_a_rollout_gives_its_ids(eos_rate: float) -> None:
    tags = control_tokens()
    for seed in range(10):
        engine = StoryEngine(seed, tags, eos_rate=eos_rate)
        rollout = asyncio.run(fork_join(engine, tags.encode("q"), tags, Limits()))
        assert encode_trajectory(tags.decode(rollout.response_ids), tags) == rollout.response_ids


def test_injected_strings_are_pieces_of_their_own() -> None:
    tags = ControlTokens.from_tokenizer(merging_tokenizer())
    pieces = [
        tags.encode(OPEN),
        tags.header(1, True),
        tags.encode(" and so\n</Thread>"),
        tags.header(2, False),
        tags.encode(" and so\n</Thread>"),
        tags.join_newline,
        tags.encode(f"\n</Parallel>\nd{EOS}"),
    ]
    ids = encode_trajectory(TEXT, tags)
    assert ids == [token for piece in pieces for token in piece]
    assert tags.decode(ids) == TEXT
    assert ids != tags.encode(TEXT)  # else this test shows nothing
    assert len(row_from_ids([0, *ids], tags, 1).branches) == 1


@pytest.mark.parametrize(
    ("strict", "loose"),
    [
        ("</Outlines>\n<Thread>\n1:", "</Outlines><Thread>1:"),
        ("</Thread><Thread>\n2:", "</Thread>\n <Thread> 2:"),
        ("</Thread>\n</Parallel>", "</Thread></Parallel>"),
    ],
)
def test_white_space_around_headers_is_that_of_inference(strict: str, loose: str) -> None:
    tags = control_tokens()
    text = TEXT.replace("\n\n</Parallel>", "\n</Parallel>")
    assert strict in text
    assert tags.decode(encode_trajectory(text.replace(strict, loose), tags)) == text


def test_tags_that_open_no_block_stay_as_they_are() -> None:
    tags = control_tokens()
    for text in ("", "plain", "a <Thread>\n1: b", "</Outlines>\nc <Thread>\n1:"):
        assert tags.decode(encode_trajectory(text, tags)) == text


def test_what_is_sampled_and_by_whom() -> None:
    text = "a<Outlines></Outlines>\n<Thread>\n1: x</Thread><Thread>\n2: y</Thread>\nb</Outlines><Thread>1: z"
    assert list(sampled_texts(text)) == [
        (None, None, "a<Outlines></Outlines>"), (1, 1, " x</Thread>"), (1, 2, " y</Thread>"),
        (None, None, "b</Outlines>"), (2, 1, " z"),
    ]  # fmt: skip
    assert list(sampled_texts("plain")) == [(None, None, "plain")]
