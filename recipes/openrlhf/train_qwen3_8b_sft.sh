#!/usr/bin/env bash
# Trie SFT of Qwen3-8B with the paper's settings (P12, P28), one node of 8 GPUs:
#   recipes/openrlhf/train_qwen3_8b_sft.sh --model.model_name_or_path … --data.dataset … --ckpt.output_dir … \
#      --ckpt.path …/checkpoints
# The model's tokenizer has the control tags as single tokens, its embeddings are resized to it.
# Stage 2 (self-training) is the same with --train.max_epochs 1.
set -euo pipefail

ARGS=(
   --data.apply_chat_template
   # of a row: a trajectory of 40,960 tokens and as much again in branches
   --data.max_len 81920
   --train.batch_size 16
   --train.micro_batch_size 1
   --train.max_epochs 8
   --adam.lr 1e-5
   --adam.betas 0.9 0.95
   --adam.weight_decay 0.01
   --lr_scheduler cosine_with_min_lr
   --lr_warmup_ratio 0.05
   --min_lr_ratio 0.0
   --max_norm 1.0
   --ckpt.save_steps 100
   --ckpt.max_num 2
   --model.gradient_checkpointing_enable
   --ds.zero_stage 3
   --ds.param_dtype bf16
   # the ancestor mask as a BlockMask; sdpa takes a dense one (N² bytes, 1.7 GB at 40k tokens)
   --ds.attn_implementation trie
)

exec deepspeed --module openrlhf_ext.train_sft "${ARGS[@]}" "$@"
