"""Every flag that cannot work is named before any process starts.

Seam: `get_strategy` (`openrlhf/utils/utils.py`), the first thing both commands call with their parsed flags.
Upstream has no hook there, so the function is wrapped. A wrong flag ends the command with one message.
Works around `cli/train_ppo_ray.py:35` (OpenRLHF 0.11.2); can go once upstream has a hook that sees the flags.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from openrlhf_ext import launcher, ray_start
from openrlhf_ext.arguments import GROUP_ESTIMATORS, UPSTREAM_ESTIMATOR
from openrlhf_ext.data_check import check_prompts, check_responses, check_shares
from openrlhf_ext.device import chosen_device
from openrlhf_ext.fp32 import FP32
from openrlhf_ext.planner import job_of_run
from openrlhf_ext.settings import RLSettings, SettingsError, SFTSettings
from tw_plugins.adapter.attention import settled_attention
from tw_plugins.adapter.deviations import CUT_SOFTMAX, FROZEN_TAGS
from tw_plugins.adapter.vocabulary import VocabularyError, check_vocabulary, warn_of_ends
from tw_plugins.attention import UnsupportedAttention, attention_for_rows
from tw_plugins.attention.sequence_parallel import check_split
from tw_plugins.attention.span import check_span
from tw_plugins.engines.arguments import unknown_arguments
from tw_plugins.errors import in_one_line
from tw_plugins.planning.here import check_memory
from tw_plugins.verifiers import check_verifier

logger = logging.getLogger(__name__)


def check_rl(args: Any, settings: RLSettings) -> None:
    """Check the flags of `train_ppo_ray`.

    Raises:
        SettingsError: everything that is wrong, one line each.
        UserError: data files, tokenizer or model; see the modules imported above.
    """
    found = [*_attention_problems(args), *_rl_problems(args, settings)]
    if found:
        raise SettingsError("\n".join(found))
    args.ds.attn_implementation = settled_attention(args.ds.attn_implementation, chosen_device().name)
    for line in [*_frozen_tags(args), *_deviations(args), *_idle_correction(args, settings)]:
        logger.warning(line)
    tokenizer = _check_model(args.actor.model_name_or_path, args, settings)
    sources: set[str] = set()
    for flag, datasets, split in (
        ("--data.prompt_dataset", args.data.prompt_dataset, args.data.prompt_split),
        ("--eval.dataset", args.eval.dataset, args.eval.split),
    ):
        sources |= check_prompts(flag, datasets, split, args.data, settings, tokenizer)
    check_shares("--data.prompt_probs", args.data.prompt_probs, args.data.prompt_dataset)
    check_verifier(settings, sources)


def check_sft(args: Any, settings: SFTSettings) -> None:
    """Check the flags of `train_sft`; raises as `check_rl` does."""
    found = list(_attention_problems(args))
    if args.data.multiturn or args.model.pretrain_mode_enable:
        found.append("--data.multiturn and --model.pretrain_mode_enable have no trie rows: leave them out")
    if found:
        raise SettingsError("\n".join(found))
    args.ds.attn_implementation = settled_attention(args.ds.attn_implementation, chosen_device().name)
    for line in _frozen_tags(args):
        logger.warning(line)
    _check_model(args.model.model_name_or_path, args, settings)
    check_responses("--data.dataset", args.data.dataset, args.data.dataset_split, args.data)
    check_shares("--data.dataset_probs", args.data.dataset_probs, args.data.dataset)


def _attention_problems(args: Any) -> Iterator[str]:
    if attention_for_rows(args.ds.attn_implementation, chosen_device().name) is None:
        yield (
            f"trie rows need attention that takes a mask, not {args.ds.attn_implementation}: set "
            "--ds.attn_implementation trie"
        )
    if args.ds.ring_attn_size > 1 and args.ds.ring_attn_head_stride > 1:
        yield "--ds.ring_attn_head_stride is of upstream's ring, and rows are split without one: leave it out"


def _frozen_tags(args: Any) -> Iterator[str]:
    if rank := args.ds.lora.rank:
        yield FROZEN_TAGS.format(setting=f"--ds.lora.rank {rank}")


def _rl_problems(args: Any, settings: RLSettings) -> Iterator[str]:
    if args.algo.advantage.estimator not in (*GROUP_ESTIMATORS, "reinforce", "flash_reinforce"):
        yield (
            f"--algo.advantage.estimator {args.algo.advantage.estimator} needs a critic, which would see a "
            "trie row as one sequence: set --algo.advantage.estimator p_grpo"
        )
    if args.data.max_images_per_prompt > 0:
        yield "--data.max_images_per_prompt: ThreadWeaver is for text, set it to 0"
    gpus, ranks = args.actor.num_nodes * args.actor.num_gpus_per_node, args.ds.ring_attn_size
    if gpus % ranks:
        yield f"--ds.ring_attn_size {ranks} does not divide the actor's {gpus} GPUs: set one that does, or 1"
    room, longest = args.rollout.max_new_tokens, args.data.max_len
    if room and room >= longest:
        yield f"--rollout.max_new_tokens {room} leaves no prompt in --data.max_len {longest}: raise it"
    else:
        settings.limits(room or longest)
    if not args.vllm.num_engines:
        yield "--vllm.num_engines is 0: trajectories fork in vLLM, set it to at least 1"
    actor = Path(args.ckpt.path) / "_actor"
    if args.ckpt.load_enable and actor.is_dir() and not (actor / "latest").is_file():
        # upstream's trainer fails on it when everything has started (`init_checkpoint_states`)
        yield f"--ckpt.load_enable: no checkpoint in {actor} is whole (no file latest): remove the folder"
    given = settings.engine_args()
    if given and (wrong := unknown_arguments(given)):  # without any, vLLM need not be imported
        yield f"--tw.vllm_args: {wrong}"
    yield from chosen_device().flag_problems(args)


def _deviations(args: Any) -> Iterator[str]:
    """What upstream would do that is not Eq. 4; allowed, but never silent."""
    rows = args.rollout.batch_size * args.rollout.n_samples_per_prompt
    if args.actor.loss_agg_mode != "token-mean":
        yield f"--actor.loss_agg_mode {args.actor.loss_agg_mode}: Eq. 4 of P-GRPO is token-mean"
    if args.train.batch_size != rows:
        yield (
            f"--train.batch_size {args.train.batch_size} is not rollout.batch_size · n_samples_per_prompt = "
            f"{rows}: several updates a step, off-policy"
        )
    if args.algo.advantage.estimator != UPSTREAM_ESTIMATOR:
        yield f"--algo.advantage.estimator {args.algo.advantage.estimator}: P-GRPO's is p_grpo"
    if args.rollout.top_p < 1:
        yield CUT_SOFTMAX.format(setting=f"--rollout.top_p {args.rollout.top_p}", whole=1)
    if args.algo.kl.init_coef > 0:
        yield f"--algo.kl.init_coef {args.algo.kl.init_coef}: P-GRPO has no KL term, set it to 0"


def _idle_correction(args: Any, settings: RLSettings) -> Iterator[str]:
    level = args.algo.advantage.is_correction_level
    if settings.bypass_mode and level != "off":
        yield (
            f"--algo.advantage.is_correction_level {level} with --tw.bypass_mode corrects the steps that "
            "recompute only: in the others the rollout's log-probs are the actor's. Leave one of the two out"
        )


def _check_model(path: str, args: Any, settings: RLSettings | SFTSettings) -> Any:
    """Vocabulary, layers and memory, without running code that the model brings; its tokenizer, if any."""
    try:
        tokenizer, config = check_vocabulary(path)
    except VocabularyError as error:
        if "trust_remote_code" not in str(error.__cause__):
            raise
        logger.warning(
            "%s brings code of its own, which OpenRLHF runs wherever it loads the model: give another if you "
            "do not trust it. Its vocabulary and layers are not checked",
            path,
        )
        return None
    warn_of_ends(tokenizer)
    check_span(config, args.data.max_len)
    if (ranks := args.ds.ring_attn_size) > 1:
        try:
            check_split(config, ranks)
        except UnsupportedAttention as error:
            raise SettingsError(f"--ds.ring_attn_size {ranks}: {error}") from error
    for warning in check_memory(job_of_run(args, settings), config):
        logger.warning(warning)
    return tokenizer


def _check_metrics_file(name: str | None) -> None:
    """Makes its folder, so that the first step can write there."""
    if name is None:
        return
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--tw.metrics_file {name}: its folder cannot be made ({error.strerror}). Give another"
        ) from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise SettingsError(
            f"--tw.metrics_file {name} cannot be written: give a file in a folder that can be"
        )


def keep_padding(args: Any, argv: list[str]) -> None:
    """Undo what `--train.dynamic_batch_enable` switches on by itself: packing, and with it flash-attention.

    `cli/train_ppo_ray.py:689-705` forces both; dynamic batches work on padded rows too. Packing that was
    asked for stays, and what rows are cut from that are split over ranks, with the attention that was asked
    for: rows are packed under their mask.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--ds.packing_samples", dest="packing", action="store_true")
    parser.add_argument("--ds.attn_implementation", dest="attention", default=args.ds.attn_implementation)
    asked, _ = parser.parse_known_args(argv)
    args.ds.packing_samples &= asked.packing or args.ds.ring_attn_size > 1
    args.ds.attn_implementation = asked.attention


def register(utils: Any) -> None:
    """Called once `openrlhf.utils` is imported."""
    upstream = utils.get_strategy

    @wraps(upstream)
    def get_strategy(args: Any) -> Any:
        if launcher.argv is not None:  # in the driver, not where Ray's workers unpickle things
            with in_one_line():
                prepare(args, launcher.argv)
            ray_start.start()
        return upstream(args)

    utils.get_strategy = get_strategy


def prepare(args: Any, argv: list[str]) -> None:
    """Check the parsed flags of either command and put right what upstream derived from them."""
    keep_padding(args, argv)
    settings = (RLSettings if hasattr(args, "rollout") else SFTSettings).from_environment()
    if isinstance(settings, RLSettings):
        check_rl(args, settings)
    else:
        check_sft(args, settings)
    _check_metrics_file(settings.metrics_file)
    if settings.fp32:
        args.ds.param_dtype = FP32
