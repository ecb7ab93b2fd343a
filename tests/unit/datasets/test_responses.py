"""What the template and the response both write stands once in a row."""

from __future__ import annotations

import pytest

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.responses import response_after

OPEN, THINKS = "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n"
CLOSED = THINKS + "\n</think>\n\n"
ENDS = ("<|im_end|>", "<|endoftext|>")


@pytest.mark.parametrize(
    ("opening", "response", "rest"),
    [
        (OPEN, "2", "2"),
        (OPEN, "<think>\nx</think>2", "<think>\nx</think>2"),
        (THINKS, "x</think>2", "x</think>2"),
        (THINKS, "<think>\nx</think>2", "x</think>2"),
        (THINKS, "\n<think>x</think>2", "x</think>2"),
        (THINKS.rstrip(), "<think>\nx</think>2", "\nx</think>2"),
        (OPEN, "<|im_start|>assistant\n2", "2"),
        (THINKS, "<|im_start|>assistant\n<think>\nx</think>2", "x</think>2"),
        (CLOSED, "2", "2"),
        (CLOSED, "<think>\n\n</think>\n\n2", "2"),
        (OPEN, "2<|im_end|>", "2"),
        (OPEN, "2<|im_end|>\n", "2"),
        (OPEN, "2<|im_end|><|endoftext|>", "2"),
        (OPEN, "2 \n", "2 \n"),
        (OPEN, " 2", " 2"),
    ],
)
def test_the_part_that_a_model_writes(opening: str, response: str, rest: str) -> None:
    assert response_after(opening, response, ENDS) == rest


@pytest.mark.parametrize(
    ("opening", "response", "reason"),
    [
        (OPEN, "", "empty response"),
        (OPEN, " <|im_end|>", "empty response"),
        (THINKS, "<think>\n", "empty response"),
        (OPEN, "2<|im_end|>\n<|im_start|>user\n3?", "ends its turn inside"),
        (CLOSED, "<think>\nx</think>2", "stands in the prompt and again"),
        (THINKS, "Well, <think>x</think>2", "stands in the prompt and again"),
    ],
)
def test_what_cannot_stand_once(opening: str, response: str, reason: str) -> None:
    with pytest.raises(BadRow, match=reason):
        response_after(opening, response, ENDS)
