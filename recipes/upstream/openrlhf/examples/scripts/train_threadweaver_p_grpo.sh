#!/bin/bash
# ThreadWeaver, stage 2: P-GRPO of Qwen3-8B with fork-join rollouts, one node of 8 GPUs that train and roll out in turns.
# Reference: https://arxiv.org/abs/2512.07843
#
#   pip install "tw-plugins[openrlhf]"
#   MODEL_PATH=<what train_threadweaver_sft.sh wrote> DATASET_PATH=rl.parquet \
#      bash examples/scripts/train_threadweaver_p_grpo.sh
#
# Columns are found by their usual names (prompt, problem, messages, …; label, answer, …), or named by
# --data.input_key and --data.label_key. --eval.dataset names what to evaluate on; without it nothing is.
# Flags after the script's name win over those in it; the sequential baseline is
#   --tw.mode autoregressive --tw.acceleration none

set -euo pipefail

SCRIPT_DIR="$(dirname "${BASH_SOURCE[0]}")"
WORK_DIR=$(cd "$SCRIPT_DIR/../.." && pwd)

MODEL_PATH="${MODEL_PATH:?folder of a model that writes threads}"
DATASET_PATH="${DATASET_PATH:?problems with answers}"
SAVE_PATH="${SAVE_PATH:-${WORK_DIR}/exp/Qwen3-8B-ThreadWeaver}"
AGENT_FUNC_PATH="${WORK_DIR}/examples/python/threadweaver_agent.py"

CKPT_ARGS=(
   --actor.model_name_or_path "${MODEL_PATH}"
   --ckpt.output_dir "${SAVE_PATH}"
   --ckpt.path "${SAVE_PATH}/ckpt"
   --ckpt.save_steps 50
   --ckpt.save_hf
)

ROLLOUT_ARGS=(
   --train.agent_func_path "${AGENT_FUNC_PATH}"
   --tw.mode parallel

   --data.prompt_dataset "${DATASET_PATH}"
   --data.apply_chat_template
   # prompt and joined response together: all the positions that Qwen3-8B has
   --data.max_len 40960
   --rollout.max_new_tokens 38912
   --rollout.temperature 1.0

   # all of the batch in one update: strictly on-policy, so no clipping, no KL
   --rollout.batch_size 128
   --rollout.n_samples_per_prompt 8
   --train.batch_size 1024
   --rollout.micro_batch_size 1
   --train.micro_batch_size 1
   # 350 steps of 128 prompts; a smaller data set needs more episodes
   --data.max_samples 44800
   --train.max_epochs 1
   --train.num_episodes 1
)

ENGINE_ARGS=(
   --actor.num_nodes 1
   --actor.num_gpus_per_node 8
   --vllm.num_engines 8
   --vllm.tensor_parallel_size 1
   --vllm.enable_prefix_caching
   --vllm.gpu_memory_utilization 0.8
   # a step's rollouts wait for their turn in the engines, and that counts
   --tw.engine_timeout_s 14400

   --ds.zero_stage 3
   --ds.param_dtype bf16
   # the ancestor mask as a BlockMask; sdpa takes a dense one (N² bytes)
   --ds.attn_implementation trie
   --actor.gradient_checkpointing_enable
)

# each leaves the GPUs to the other; SHARED=0: the engines have GPUs of their own
SHARED_ARGS=(
   --train.colocate_all
   --vllm.enable_sleep
   --ds.enable_sleep
)
[ "${SHARED:-1}" = 1 ] || SHARED_ARGS=()

OPTIMIZER_ARGS=(
   # reward minus the group's mean; the reward is correctness plus an acceleration bonus of at most rho_clip
   --algo.advantage.estimator p_grpo
   --tw.rho 0.5
   --tw.rho_clip 0.2
   --algo.kl.init_coef 0
   --actor.loss_agg_mode token-mean
   --actor.adam.lr 5e-6
   --actor.lr_scheduler constant
)

LOG_ARGS=(
   --eval.steps 10
   --eval.n_samples_per_prompt 8
   --eval.temperature 1.0
   --tw.metrics_file "${SAVE_PATH}/metrics.jsonl"
)

set -x
mkdir -p "${SAVE_PATH}"
python3 -m openrlhf_ext.train_ppo_ray \
   "${CKPT_ARGS[@]}" \
   "${ROLLOUT_ARGS[@]}" \
   "${ENGINE_ARGS[@]}" \
   "${SHARED_ARGS[@]}" \
   "${OPTIMIZER_ARGS[@]}" \
   "${LOG_ARGS[@]}" \
   "$@"
