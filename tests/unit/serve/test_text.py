"""Text in pieces is the text, whatever the pieces."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tw_plugins.serve.text import StopSearch, TextStream, ThinkSplit

CORE = Tokenizer(
    models.BPE(
        {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []
    )
)
CORE.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
CORE.decoder = decoders.ByteLevel()


def pieces(what: str | list[int], rng: random.Random) -> list[object]:
    at, found = 0, []
    while at < len(what):
        end = at + rng.randint(1, 4)
        found.append(what[at:end])
        at = end
    return found


@pytest.mark.parametrize("seed", range(30))
def test_characters_of_several_ids(seed: int) -> None:
    """An id is a byte: nothing half is told, and nothing is lost."""
    text = "naïve ∑ of 🧵🧵 threads – 你好\n\ufffd!"
    ids = CORE.encode(text).ids
    stream = TextStream(lambda some: CORE.decode(list(some), skip_special_tokens=False))
    told = [stream.push(piece) for piece in pieces(ids, random.Random(seed))]  # type: ignore[arg-type]
    assert "".join([*told, stream.end()]) == text
    assert all(part in text for part in told)


def test_bytes_that_are_no_character() -> None:
    rng = random.Random(0)
    ids = [rng.randrange(256) for _ in range(2000)]
    stream = TextStream(lambda some: CORE.decode(list(some), skip_special_tokens=False))
    told = [stream.push(piece) for piece in pieces(ids, rng)]  # type: ignore[arg-type]
    assert "".join([*told, stream.end()]) == CORE.decode(ids, skip_special_tokens=False)
    bad = TextStream(lambda some: CORE.decode(list(some), skip_special_tokens=False))
    half = CORE.encode("🧵").ids[:1]
    told = [bad.push(half) for _ in range(500)]
    assert sum(map(len, told)) > 300  # it does not wait for ever


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    ("text", "stops", "left"),
    [
        ("one two three", ["two"], "one "),
        ("one two three", ["four", "three"], "one two "),
        ("one two three", ["threes"], "one two three"),
        ("aab", ["ab"], "a"),
        ("xabc", ["xabc", "ab"], "x"),
        ("xabc", ["abc", "xabc"], ""),
        ("ends here", ["here"], "ends "),
        ("", ["a"], ""),
    ],
)
def test_a_stop_is_found_in_any_pieces(text: str, stops: list[str], left: str, seed: int) -> None:
    search = StopSearch(stops)
    told = [search.push(piece) for piece in pieces(text, random.Random(seed))]  # type: ignore[arg-type]
    assert "".join([*told, search.end()]) == left
    assert search.found == (left != text)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "content"),
    [
        ("<think>a</think>b", False, "a", "b"),
        ("\n <think>a\n</think>\n\nb", False, "a\n", "\n\nb"),
        ("a</think>b", True, "a", "b"),
        ("a</think>b</think><think>c", True, "a", "b</think><think>c"),
        ("no thought <think>a</think>", False, "", "no thought <think>a</think>"),
        ("<thin", False, "", "<thin"),
        ("<think>a </thi", False, "a </thi", ""),
        ("<think></think>", False, "", ""),
        (" \n", False, "", " \n"),
    ],
)
def test_thinking_is_told_from_the_rest(
    text: str, opened: bool, reasoning: str, content: str, seed: int
) -> None:
    split = ThinkSplit(opened)
    parts = [part for piece in pieces(text, random.Random(seed)) for part in split.push(piece)]  # type: ignore[arg-type]
    parts += split.end()
    assert "".join(part for kind, part in parts if kind == "reasoning") == reasoning
    assert "".join(part for kind, part in parts if kind == "content") == content
    assert all(part for _, part in parts)
