#!/bin/bash
# The two ThreadWeaver scripts, one after the other, in a few minutes on two CPU cores: a toy model, real Ray,
# DeepSpeed and vLLM, nothing downloaded.
#
#   pip install "tw-plugins[openrlhf,cpu]"    # vLLM's CPU build; DeepSpeed needs g++
#   bash examples/scripts/train_threadweaver_smoke.sh [folder [flags of the RL stage]]

set -euo pipefail

SCRIPT_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
FOLDER="${1:-$(mktemp -d)}"
shift $(($# > 0))

export DS_ACCELERATOR=cpu  # without it OpenRLHF looks for a GPU
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false RAY_USAGE_STATS_ENABLED=0
# one vLLM engine inside the actor's process, with 1 GB for its cache
export VLLM_ENABLE_V1_MULTIPROCESSING=0 VLLM_CPU_KVCACHE_SPACE=1
export TORCH_COMPILE_DISABLE=1  # takes longer here than it saves

CPU_ARGS=(
   --ds.zero_stage 2
   --ds.attn_implementation sdpa
   --tw.fp32
)

SFT_ARGS=(
   --data.max_len 2048
   --train.micro_batch_size 4
   --train.max_epochs 12
   --adam.lr 5e-3
)

RL_ARGS=(
   --actor.num_gpus_per_node 1
   --vllm.num_engines 1
   --vllm.enforce_eager
   --tw.vllm_args '{"block_size": 32, "max_num_batched_tokens": 8192, "max_num_seqs": 256}'
   # two steps of 16 trajectories
   --data.max_samples 8
   --data.max_len 384
   --rollout.max_new_tokens 256
   --rollout.batch_size 4
   --rollout.n_samples_per_prompt 4
   --train.batch_size 16
   --rollout.micro_batch_size 4
   --train.micro_batch_size 4
   --actor.adam.lr 2e-5
)

threadweaver data toy --preset forking --out "${FOLDER}/toy"

MODEL_PATH="${FOLDER}/toy/model" DATASET_PATH="${FOLDER}/toy/sft.parquet" SAVE_PATH="${FOLDER}/sft" GPUS=1 \
   bash "${SCRIPT_DIR}/train_threadweaver_sft.sh" "${CPU_ARGS[@]}" "${SFT_ARGS[@]}"

MODEL_PATH="${FOLDER}/sft" DATASET_PATH="${FOLDER}/toy/rl.parquet" SAVE_PATH="${FOLDER}/rl" SHARED=0 \
   bash "${SCRIPT_DIR}/train_threadweaver_p_grpo.sh" "${CPU_ARGS[@]}" "${RL_ARGS[@]}" "$@"

echo "share of trajectories that fork, step by step:"
grep -o '"threadweaver/activation/mean": *[0-9.]*' "${FOLDER}/rl/metrics.jsonl"
