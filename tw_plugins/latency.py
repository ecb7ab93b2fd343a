"""Token latency and speed-up of one trajectory (P12).

::

    sequential ────┬── thread 1 ─────┬── sequential ──      longest = sequential + longest thread per block
                   ├── thread 2 ──   │                      total   = everything that was sampled
                   └── thread 3 ─────┘

Only sampled tokens count: neither the prompt nor injected headers and closings. The calls say what was
sampled when, so a trajectory decoded autoregressively has longest = total, whatever tags it wrote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tw_plugins.rollout import Rollout


@dataclass(frozen=True)
class Latency:
    """Measures of one trajectory; token counts are of sampled tokens.

    Args:
        total: L_total, all of them.
        longest: L_longest, the token latency: sequential segments + the longest thread of every block.
        acceleration: η = 1 - longest / total; 0 when nothing was sampled.
        self_parallelism: total / longest; 1 when nothing was sampled.
        parallel_ratio: share of the tokens that was sampled in threads; 0 when nothing was sampled.
        blocks: how many forks were made.
        threads: how many threads, over all blocks.
    """

    total: int
    longest: int
    acceleration: float
    self_parallelism: float
    parallel_ratio: float
    blocks: int
    threads: int


def measure(rollout: Rollout) -> Latency:
    """Measures a trajectory from its calls."""
    return latency_of((call.block, len(call.completion.token_ids)) for call in rollout.calls)


def latency_of(requests: Iterable[tuple[int | None, int]]) -> Latency:
    """Measures a trajectory from its requests.

    Args:
        requests: number of the block (None outside a thread) and sampled tokens of each.
    """
    sequential = 0
    blocks: dict[int, list[int]] = defaultdict(list)
    for block, tokens in requests:
        if block is None:
            sequential += tokens
        else:
            blocks[block].append(tokens)
    parallel = sum(map(sum, blocks.values()))
    longest = sequential + sum(map(max, blocks.values()))
    total = sequential + parallel
    return Latency(
        total=total,
        longest=longest,
        acceleration=1 - longest / total if total else 0.0,
        self_parallelism=total / longest if total else 1.0,
        parallel_ratio=parallel / total if total else 0.0,
        blocks=len(blocks),
        threads=sum(map(len, blocks.values())),
    )
