#!/usr/bin/env bash
# P-GRPO of Qwen3-8B with the paper's settings (P10-12, P28), one node of 8 GPUs that train and roll out in turns.
#   recipes/openrlhf/train_qwen3_8b_p_grpo.sh --actor.model_name_or_path … --data.prompt_dataset … --ckpt.output_dir … \
#      --ckpt.path …/checkpoints
set -euo pipefail

ARGS=(
   --actor.num_nodes 1
   --actor.num_gpus_per_node 8
   --vllm.num_engines 8
   --vllm.tensor_parallel_size 1
   --vllm.enable_prefix_caching
   --vllm.gpu_memory_utilization 0.8
   # each leaves the GPUs to the other
   --train.colocate_all
   --vllm.enable_sleep
   --ds.enable_sleep
   --data.apply_chat_template
   # prompt and joined response together: all the positions that Qwen3-8B has
   --data.max_len 40960
   --rollout.max_new_tokens 38912
   --rollout.batch_size 128
   --rollout.n_samples_per_prompt 8
   --rollout.micro_batch_size 1
   --rollout.temperature 1.0
   # all of the batch in one update: strictly on-policy, so no clipping, no KL
   --train.batch_size 1024
   --train.micro_batch_size 1
   --train.max_epochs 1
   # 350 steps of 128 prompts; a smaller data set needs more episodes
   --data.max_samples 44800
   --train.num_episodes 1
   --actor.adam.lr 5e-6
   --actor.lr_scheduler constant
   --actor.loss_agg_mode token-mean
   --actor.gradient_checkpointing_enable
   --algo.advantage.estimator p_grpo
   --algo.kl.init_coef 0
   --ds.zero_stage 3
   --ds.param_dtype bf16
   # the ancestor mask as a BlockMask; sdpa takes a dense one (N² bytes, 1.7 GB at 40k tokens)
   --ds.attn_implementation trie
   --eval.steps 10
   --eval.n_samples_per_prompt 8
   --eval.temperature 1.0
   --ckpt.save_steps 50
   --ckpt.save_hf
   # a step's rollouts wait for their turn in the engines, and that counts
   --tw.engine_timeout_s 14400
   --tw.mode parallel
   --tw.acceleration eta
   --tw.rho 0.5
   --tw.rho_clip 0.2
)

exec python -m openrlhf_ext.train_ppo_ray "${ARGS[@]}" "$@"
