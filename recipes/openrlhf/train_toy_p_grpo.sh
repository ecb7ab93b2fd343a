#!/usr/bin/env bash
# P-GRPO of the toy model on the CPU: fork-join rollouts on vLLM, trie rows, OpenRLHF's PPO trainer.
#   recipes/openrlhf/train_toy_p_grpo.sh --actor.model_name_or_path … --data.prompt_dataset rl.parquet --ckpt.output_dir …
set -euo pipefail

export DS_ACCELERATOR="${DS_ACCELERATOR:-cpu}"  # cuda: on a GPU

ARGS=(
   --actor.num_nodes 1
   --actor.num_gpus_per_node 1
   --vllm.num_engines 1
   --vllm.tensor_parallel_size 1
   --vllm.enforce_eager
   --vllm.enable_prefix_caching
   --data.input_key prompt
   --data.label_key label
   --data.apply_chat_template
   --data.max_len 1024
   --rollout.max_new_tokens 512
   --rollout.batch_size 16
   --rollout.n_samples_per_prompt 8
   --rollout.micro_batch_size 8
   --rollout.temperature 0.7
   --train.batch_size 128
   --train.micro_batch_size 8
   --train.max_epochs 1
   --train.num_episodes 1
   --actor.adam.lr 2e-3
   --actor.adam.betas 0.9 0.99
   # above nearly all of the gradient: an update is as large as what it answers (docs/quickstart-seeds.md)
   --actor.adam.eps 1e-4
   # what forks make; one wrong answer makes two to twenty times as much
   --actor.max_norm 4e-3
   --actor.lr_scheduler cosine_with_min_lr
   --actor.lr_warmup_ratio 0
   --actor.min_lr_ratio 0.3
   --actor.loss_agg_mode token-mean
   --algo.advantage.estimator p_grpo
   --algo.kl.init_coef 0
   --ds.zero_stage 2
   --ds.attn_implementation sdpa
   --tw.mode parallel
   --tw.acceleration eta
   --tw.rho 0.5
   --tw.rho_clip 0.2
   --tw.max_threads 8
   --tw.max_blocks 2
   --tw.fp32
   --tw.vllm_args '{"block_size": 32, "max_num_batched_tokens": 8192, "max_num_seqs": 256}'
)

exec "${PYTHON:-python}" -m openrlhf_ext.train_ppo_ray "${ARGS[@]}" "$@"
