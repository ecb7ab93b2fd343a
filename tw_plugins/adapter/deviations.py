"""What frameworks allow and P-GRPO does not mean, in words that are the same on each; never silent."""

CUT_SOFTMAX = (
    "{setting}: the rollout samples of a part of the softmax and the actor's log-probs are of all of it, so "
    "the update is off-policy and training/rollout_probs_diff is no measure of exactness: set it to {whole}"
)
FROZEN_TAGS = (
    "{setting}: LoRA leaves embedding and head as they are, so control tokens that were just added are not "
    "learned: train them by a full SFT before, or give a model that knows them"
)
