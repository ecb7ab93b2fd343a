#!/usr/bin/env bash
# Trie SFT of the toy model on the CPU, through OpenRLHF's SFT trainer.
#   recipes/openrlhf/train_toy_sft.sh --model.model_name_or_path … --data.dataset sft.parquet --ckpt.output_dir …
set -euo pipefail

export DS_ACCELERATOR="${DS_ACCELERATOR:-cpu}"  # cuda: on a GPU

ARGS=(
   --data.input_key prompt
   --data.output_key response
   --data.apply_chat_template
   --data.max_len 2048
   --train.batch_size 16
   --train.micro_batch_size 4
   --train.max_epochs 1
   --adam.lr 2e-3
   --adam.betas 0.9 0.98
   --adam.weight_decay 0.01
   --lr_scheduler cosine_with_min_lr
   --lr_warmup_ratio 0.03
   --min_lr_ratio 0.05
   --max_norm 1.0
   --ds.zero_stage 2
   --ds.attn_implementation sdpa
   --tw.fp32
   --tw.strict
   --tw.keep_order
)

exec "${PYTHON:-python}" -m torch.distributed.run --standalone --nproc_per_node 1 -m openrlhf_ext.train_sft "${ARGS[@]}" "$@"
