"""What each process of a test costs, on CI's two cores, where two tests run at once."""

from __future__ import annotations

import os

LIGHT = {
    # threads of torch that wait for each other in loops take ten times as long for small tensors
    "OMP_NUM_THREADS": "1",
    # as in the quickstart: vLLM's engine has no second process, which takes 20 s to import what the first has
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB, all of which it writes at its start
}
for name, value in LIGHT.items():
    os.environ.setdefault(name, value)
