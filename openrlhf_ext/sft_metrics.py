"""OpenRLHF's SFT figures in the metrics file. Seam: `SFTTrainer.save_logs_and_checkpoints`."""

from __future__ import annotations

from functools import wraps
from typing import Any

from openrlhf_ext.settings import SFTSettings, append_metrics


def register(sft_trainer: Any) -> None:
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
