"""What every job of the quickstart gets, whatever its framework: two jobs share two cores, offline."""

from __future__ import annotations

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # two jobs on two cores
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on loopback only
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # else vLLM turns `uni` into two processes that wait in loops
    "TORCH_COMPILE_DISABLE": "1",  # seconds at each start of an engine, for one small function
}
