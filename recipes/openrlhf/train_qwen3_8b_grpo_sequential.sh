#!/usr/bin/env bash
# The paper's sequential baseline of train_qwen3_8b_p_grpo.sh: plain decoding, no acceleration bonus.
set -euo pipefail

exec "$(dirname "$0")/train_qwen3_8b_p_grpo.sh" --tw.mode autoregressive --tw.acceleration none "$@"
