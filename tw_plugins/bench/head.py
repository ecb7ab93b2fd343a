"""Log-probs of a row from the output head, forward and backward: in chunks against all logits at once.

The other way is the frameworks' own: the head's logits of the whole row in float32, of which the label's and
the logsumexp are taken. The head is Qwen3's: 151,936 ids; fp32 on the CPU, bf16 on CUDA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tw_plugins.adapter.logprobs import token_log_probs
from tw_plugins.bench.memory import RETURN_AT_ONCE, peak_of_process, peak_on_cuda
from tw_plugins.bench.timing import Timing, compare

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HeadFigures", "bench_head"]

VOCABULARY = 151_936
WAYS = CHUNKS, WHOLE = "in chunks", "all logits at once"
TINY = 8  # tokens of the warm-up before memory is measured


@dataclass(frozen=True)
class HeadFigures:
    """One size.

    Attributes:
        tokens: of the row.
        timings: of each way; chunks are the first.
        memory: bytes that each way took at most beyond the head and the hidden states.
    """

    tokens: int
    timings: dict[str, Timing]
    memory: dict[str, int]


def bench_head(tokens: int, hidden: int, chunk: int, repeats: int, device: str) -> HeadFigures:
    """Time and measure one row both ways."""
    makers = {name: partial(_way, name, hidden, chunk, device) for name in WAYS}
    timings = compare({name: make(tokens) for name, make in makers.items()}, repeats)
    if device == "cuda":
        memory = {name: peak_on_cuda(make(tokens)) for name, make in makers.items()}
    else:
        memory = {name: peak_of_process(make, TINY, tokens, RETURN_AT_ONCE) for name, make in makers.items()}
    return HeadFigures(tokens, timings, memory)


def _way(name: str, hidden: int, chunk: int, device: str, tokens: int) -> Callable[[], object]:
    """One way, ready to be done on a row of so many tokens."""
    import torch

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    weight = torch.randn(VOCABULARY, hidden, device=device, dtype=dtype, requires_grad=True)
    states = torch.randn(1, tokens, hidden, device=device, dtype=dtype, requires_grad=True)
    labels = torch.randint(VOCABULARY, (1, tokens), device=device)

    def done() -> None:
        if name == CHUNKS:
            log_probs = token_log_probs(states, weight, labels, chunk)[0]
        else:
            logits = (states @ weight.T).float()
            log_probs = logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(-1)
        log_probs.mean().backward()
        weight.grad = states.grad = None
        if device == "cuda":
            torch.cuda.synchronize()

    return done
