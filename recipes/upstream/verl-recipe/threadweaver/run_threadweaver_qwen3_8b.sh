#!/usr/bin/env bash
# ThreadWeaver on Qwen3-8B, one node of 8 GPUs: SFT on trajectories in threads, then P-GRPO.
#   MODEL=qwen3-8b-threads TRAIN_FILES=sft.parquet bash run_threadweaver_qwen3_8b.sh sft
#   MODEL=…/huggingface TRAIN_FILES=rl.parquet VAL_FILES=val.parquet bash run_threadweaver_qwen3_8b.sh rl
# More Hydra overrides may follow the stage.
set -euo pipefail

RECIPE_DIR="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
STAGE="${1:?the stage is missing: sft or rl}"
shift

MODEL="${MODEL:?folder of a model that has the control tokens, see README.md}"
TRAIN_FILES="${TRAIN_FILES:?Parquet file to train on}"
NNODES="${NNODES:-1}"
NGPUS_PER_NODE="${NGPUS_PER_NODE:-8}"
CONFIG="${CONFIG:-qwen3_8b}"  # config/${CONFIG}_${STAGE}.yaml
CKPTS_DIR="${CKPTS_DIR:-${HOME}/verl/ckpts/threadweaver}/${STAGE}"

mkdir -p "${CKPTS_DIR}"
export VERL_FILE_LOGGER_PATH="${VERL_FILE_LOGGER_PATH:-${CKPTS_DIR}/metrics.jsonl}"

COMMON=(
    --config-path "${RECIPE_DIR}/config"
    --config-name "${CONFIG}_${STAGE}"
    data.train_files="${TRAIN_FILES}"
    trainer.nnodes="${NNODES}"
    trainer.n_gpus_per_node="${NGPUS_PER_NODE}"
    trainer.default_local_dir="${CKPTS_DIR}"
)

set -x
case "${STAGE}" in
sft)  # with more than one node, NODE_RANK and MASTER_ADDR differ on each: see torchrun
    RENDEZVOUS=(--standalone)
    if [[ "${NNODES}" -gt 1 ]]; then
        RENDEZVOUS=(--nnodes "${NNODES}" --node_rank "${NODE_RANK:?}" --master_addr "${MASTER_ADDR:?}")
    fi
    torchrun "${RENDEZVOUS[@]}" --nproc_per_node "${NGPUS_PER_NODE}" -m verl.trainer.sft_trainer \
        "${COMMON[@]}" model.path="${MODEL}" "$@"
    ;;
rl)
    python3 -m verl.trainer.main_ppo \
        "${COMMON[@]}" \
        actor_rollout_ref.model.path="${MODEL}" \
        data.val_files="${VAL_FILES:?Parquet file to validate on}" \
        "$@"
    ;;
*)
    echo "no stage ${STAGE}: sft or rl" >&2
    exit 2
    ;;
esac
