"""OpenRLHF's logs of a ThreadWeaver run: evaluation by accuracy, and a metrics file.

Seams in `openrlhf/trainer/ppo_trainer.py`: `compute_eval_metrics` takes pass@k from the rewards, which hold
the acceleration bonus; here it is taken from the scores (0 or 1), and the means of everything the reward
measures stand beside it. `train_step` returns each step's figures, to which those of the watch are added,
`save_logs_and_checkpoints` and `save_best_checkpoint` get them. In SFT (`openrlhf/trainer/sft_trainer.py`)
`SFTTrainer.save_logs_and_checkpoints` has them all.
Works around `trainer/ppo_trainer.py:82` (OpenRLHF 0.11.2); can go once upstream's evaluation reads `scores`
and `extra_logs` of the executor, and its logs have a file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import wraps
from statistics import fmean
from typing import Any

from openrlhf_ext.rollouts import write_rollouts
from openrlhf_ext.scores import scores_of
from openrlhf_ext.settings import RLSettings, SFTSettings, append_metrics
from openrlhf_ext.vital_signs import metrics_of_step, vital_signs_of, warn_of_short_step
from openrlhf_ext.weights_version import staleness_of, weights_version


def eval_means(samples: list[Any], source_of: dict[str, str]) -> dict[str, float]:
    """`eval_<datasource>_<metric>` of everything the executor logged, mean over trajectories."""
    values: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        for name, value in scores_of(sample).items():
            values[f"eval_{source_of.get(sample.prompts[0], 'unknown')}_{name}"].append(value)
    return {name: fmean(found) for name, found in values.items()}


def register(ppo_trainer: Any) -> None:
    """Called once `openrlhf.trainer.ppo_trainer` is imported."""
    upstream = ppo_trainer.compute_eval_metrics

    @wraps(upstream)
    def compute_eval_metrics(eval_dataloader: Any, samples_list: list[Any], n_samples_per_prompt: int) -> Any:
        by_score = [replace(s, rewards=s.scores) if s.scores is not None else s for s in samples_list]
        sources = {
            prompt: source for batch in eval_dataloader for source, prompt in zip(*batch[:2], strict=True)
        }
        logs = upstream(eval_dataloader, by_score, n_samples_per_prompt)
        return {**logs, **eval_means(samples_list, sources)} if logs else logs

    ppo_trainer.compute_eval_metrics = compute_eval_metrics
    log_steps_of(ppo_trainer.BasePPOTrainer)
    # Ray gives an actor class inherited methods of its own (tracing), made before this
    log_steps_of(ppo_trainer.PPOTrainer.__ray_metadata__.modified_class)


def log_steps_of(trainer: Any) -> None:
    """Wrap the methods of a trainer class that see each step's figures."""
    train = trainer.train_step
    save_logs, save_best = trainer.save_logs_and_checkpoints, trainer.save_best_checkpoint

    @wraps(train)
    def train_step(self: Any, rollout_samples: list[Any], global_step: int) -> Any:
        warn_of_short_step(len(rollout_samples), self.args.train.batch_size)
        stale = staleness_of(rollout_samples, weights_version(self))  # before the step hands over its own
        status, step = train(self, rollout_samples, global_step)
        settings = RLSettings.from_environment()
        if settings.rollouts_dir:
            write_rollouts(settings.rollouts_dir, step, rollout_samples, self.tokenizer, settings.mode)
        if not hasattr(self, "vital_signs"):
            self.vital_signs = vital_signs_of(self.args)
        signs = metrics_of_step(
            self.vital_signs, step, rollout_samples, self.args.rollout.n_samples_per_prompt
        )
        return {**status, **self.experience_maker.probability_differences, **stale, **signs}, step

    @wraps(save_logs)
    def save_logs_and_checkpoints(self: Any, global_step: int, logs_dict: Any = None, *args: Any) -> None:
        _write(global_step, logs_dict)
        save_logs(self, global_step, logs_dict, *args)

    @wraps(save_best)
    def save_best_checkpoint(self: Any, eval_metrics: Any, global_step: int, *args: Any) -> None:
        _write(global_step, eval_metrics)
        save_best(self, eval_metrics, global_step, *args)

    trainer.train_step = train_step
    trainer.save_logs_and_checkpoints = save_logs_and_checkpoints
    trainer.save_best_checkpoint = save_best_checkpoint


def register_sft(sft_trainer: Any) -> None:
    """Called once `openrlhf.trainer.sft_trainer` is imported."""
    save_logs = sft_trainer.SFTTrainer.save_logs_and_checkpoints

    @wraps(save_logs)
    def save_logs_and_checkpoints(
        self: Any, args: Any, global_step: int, step_bar: Any, logs_dict: Any = None, *rest: Any
    ) -> None:
        path = SFTSettings.from_environment().metrics_file
        if path and logs_dict and self.strategy.is_rank_0():
            loss = logs_dict["loss_mean"]  # of the whole optimiser step; "gpt_loss" is its last micro-batch
            figures = {
                "train/loss": loss,
                "train/lr": logs_dict["lr"],
                "train/grad_norm": logs_dict["grad_norm"],
            }
            append_metrics(path, global_step, figures)
        save_logs(self, args, global_step, step_bar, logs_dict, *rest)

    sft_trainer.SFTTrainer.save_logs_and_checkpoints = save_logs_and_checkpoints


def _write(step: int, data: dict[str, Any] | None) -> None:
    path = RLSettings.from_environment().metrics_file
    if path and data:
        append_metrics(path, step, data)
