#!/bin/bash
# ThreadWeaver, stage 1: SFT of Qwen3-8B on reasoning in threads, one node of 8 GPUs.
# Reference: https://arxiv.org/abs/2512.07843
#
#   pip install "tw-plugins[openrlhf]"
#   threadweaver data add-tokens --model Qwen/Qwen3-8B --out qwen3-8b-threads
#   MODEL_PATH=qwen3-8b-threads DATASET_PATH=sft.parquet bash examples/scripts/train_threadweaver_sft.sh
#
# Columns are found by their usual names (prompt, messages, …; response: a trajectory with its tags).
# Flags after the script's name win over those in it.

set -euo pipefail

SCRIPT_DIR="$(dirname "${BASH_SOURCE[0]}")"
WORK_DIR=$(cd "$SCRIPT_DIR/../.." && pwd)

MODEL_PATH="${MODEL_PATH:?folder of a model with the control tokens}"
DATASET_PATH="${DATASET_PATH:?trajectories to train on}"
SAVE_PATH="${SAVE_PATH:-${WORK_DIR}/exp/Qwen3-8B-ThreadWeaver-SFT}"
GPUS="${GPUS:-8}"

CKPT_ARGS=(
   --model.model_name_or_path "${MODEL_PATH}"
   --ckpt.output_dir "${SAVE_PATH}"
   --ckpt.path "${SAVE_PATH}/ckpt"
   --ckpt.save_steps 100
   --ckpt.max_num 2
)

DATA_ARGS=(
   --data.dataset "${DATASET_PATH}"
   --data.apply_chat_template
   # of a row: a trajectory of 40,960 tokens and as much again in branches
   --data.max_len 81920
   --train.batch_size 16
   --train.micro_batch_size 1
   --train.max_epochs 8
)

ENGINE_ARGS=(
   --ds.zero_stage 3
   --ds.param_dtype bf16
   # the ancestor mask as a BlockMask; sdpa takes a dense one (N² bytes)
   --ds.attn_implementation trie
   --model.gradient_checkpointing_enable
)

OPTIMIZER_ARGS=(
   --adam.lr 1e-5
   --adam.betas 0.9 0.95
   --adam.weight_decay 0.01
   --lr_scheduler cosine_with_min_lr
   --lr_warmup_ratio 0.05
   --min_lr_ratio 0.0
   --max_norm 1.0
)

LOG_ARGS=(
   --tw.metrics_file "${SAVE_PATH}/metrics.jsonl"
)

set -x
mkdir -p "${SAVE_PATH}"
torchrun --standalone --nproc_per_node "${GPUS}" -m openrlhf_ext.train_sft \
   "${CKPT_ARGS[@]}" \
   "${DATA_ARGS[@]}" \
   "${ENGINE_ARGS[@]}" \
   "${OPTIMIZER_ARGS[@]}" \
   "${LOG_ARGS[@]}" \
   "$@"
