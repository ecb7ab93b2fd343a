"""What takes flash-attention's place in a run, told the same way on each framework."""

from __future__ import annotations

import logging

from tw_plugins.attention import attention_for_rows

__all__ = ["settled_attention"]

logger = logging.getLogger(__name__)


def settled_attention(asked: str, device: str) -> str:
    """The implementation that computes a run's rows; where it is not the one asked for, that is said.

    Args:
        asked: stays where nothing can compute rows in its place, which others refuse.
        device: of torch, by name.
    """
    taken = attention_for_rows(asked, device) or asked
    if taken != asked:
        logger.warning(
            "%s takes no mask: rows with branches are computed by attn_implementation=%s, which calls the "
            "same kernels segment by segment",
            asked, taken,
        )  # fmt: skip
    return taken
