"""Upstream's own sender says which weights a bucket cannot carry."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightSender


class Socket:
    def send_pyobj(self, message: Any) -> None: ...
    def recv(self) -> None: ...
    def close(self) -> None: ...


async def send(*numbers: int) -> None:
    sender = BucketedWeightSender("nowhere", bucket_size_mb=1, use_shm=True)
    sender.socket, sender.buffer = Socket(), torch.empty(1 << 20, dtype=torch.uint8)
    sender._init_socket = sender._init_buffer = lambda: None
    await sender.async_send_weights((str(n), torch.zeros(n)) for n in numbers)


async def test_a_bucket_holds_the_largest_weight_or_verl_stops() -> None:
    """The preflight's check can go once this fails."""
    await send((1 << 18) - 1, 1 << 18)  # not both at once
    with pytest.raises(AssertionError, match="too large to fit in the bucket"):
        await send((1 << 18) + 1)
