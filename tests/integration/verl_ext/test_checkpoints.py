"""A checkpoint of verl's real transfer queue, and what is left of it when a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
import transfer_queue as tq
from tensordict import TensorDict

from verl_ext.checkpoints import PARTITION, UntrainedQueue

ROWS = ["a_0_0", "a_1_0", "b_0_0"]


@pytest.fixture
def queue() -> Iterator[None]:
    ray.init(address="local", num_cpus=16, include_dashboard=False, log_to_driver=False)
    tq.init()
    yield
    tq.close()
    ray.shutdown()


def keys() -> set[str]:
    return set((tq.kv_list(PARTITION) or {}).get(PARTITION, {}))


@pytest.mark.timeout(300)
def test_trained_rows_are_dropped_and_those_of_a_prompt_in_the_queue_stay(
    queue: None, tmp_path: Path
) -> None:
    """As after a step: the prompt `a` was sampled and cleared, its rows were not yet; `b` is under way."""
    folder = str(tmp_path / "transfer_queue")
    fields = TensorDict({"responses": torch.arange(6).view(3, 2)}, batch_size=3)
    tq.kv_batch_put(keys=["a", "b"], partition_id=PARTITION, tags=[{"is_prompt": True}] * 2)
    tq.kv_batch_put(keys=ROWS, partition_id=PARTITION, fields=fields, tags=[{}] * 3)
    tq.kv_clear(keys=["a"], partition_id=PARTITION)
    tq.save_checkpoint(folder)
    tq.kv_clear(keys=[*ROWS, "b"], partition_id=PARTITION)
    assert keys() == set()

    class Verls:
        def _load_checkpoint(self) -> None:
            tq.load_checkpoint(folder)

    class Trainer(UntrainedQueue, Verls):
        pass

    Trainer()._load_checkpoint()
    assert keys() == {"b", "b_0_0"}
    kept = tq.kv_batch_get(keys=["b_0_0"], partition_id=PARTITION)
    assert kept["responses"][0].tolist() == [4, 5]
