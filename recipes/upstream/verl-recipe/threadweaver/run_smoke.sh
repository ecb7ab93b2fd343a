#!/usr/bin/env bash
# Both stages in a few minutes on two CPU cores: a toy model, real vLLM and Ray, nothing downloaded.
#   bash run_smoke.sh [folder]        the CPU build of vLLM is needed: pip install "tw-plugins[verl,cpu]"
# More Hydra overrides, of the RL stage, may follow the folder.
set -euo pipefail

RECIPE_DIR="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
FOLDER="${1:-$(mktemp -d)}"
shift $(($# > 0))

export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false RAY_USAGE_STATS_ENABLED=0
# one vLLM engine inside the actor's process, on cores that others use too, with 1 GB for its cache
export VLLM_ENABLE_V1_MULTIPROCESSING=0 VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_CPU_KVCACHE_SPACE=1
export VERL_PLATFORM=cpu  # of tw-plugins: verl itself has no platform of the CPU
export TORCH_COMPILE_DISABLE=1  # takes longer here than it saves
export CONFIG=smoke NNODES=1 NGPUS_PER_NODE=1 CKPTS_DIR="${FOLDER}"

threadweaver data toy --preset forking --out "${FOLDER}/toy"

MODEL="${FOLDER}/toy/model" TRAIN_FILES="${FOLDER}/toy/sft.parquet" \
    bash "${RECIPE_DIR}/run_threadweaver_qwen3_8b.sh" sft

MODEL="$(echo "${FOLDER}"/sft/global_step_*/huggingface)" \
    TRAIN_FILES="${FOLDER}/toy/rl.parquet" VAL_FILES="${FOLDER}/toy/eval.parquet" \
    bash "${RECIPE_DIR}/run_threadweaver_qwen3_8b.sh" rl "$@"

echo "share of trajectories that fork, step by step:"
grep -o '"threadweaver/activation/mean": *[0-9.]*' "${FOLDER}/rl/metrics.jsonl"
