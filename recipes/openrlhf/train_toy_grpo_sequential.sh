#!/usr/bin/env bash
# The sequential baseline of train_toy_p_grpo.sh: plain decoding, no acceleration bonus, everything else the same.
set -euo pipefail

exec "$(dirname "$0")/train_toy_p_grpo.sh" --tw.mode autoregressive --tw.acceleration none "$@"
