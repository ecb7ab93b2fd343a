"""`threadweaver data selftrain` for people: progress, the funnel as a table, and where the set is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tw_plugins.cli.console import say_next
from tw_plugins.cli.progress import progress_bars
from tw_plugins.cli.tables import Figures
from tw_plugins.data.selftrain import SFT, Funnel, Keep, selftrain
from tw_plugins.engines.choice import Where, quiet_vllm
from tw_plugins.evaluation.run import EvalSettings

__all__ = ["run", "table"]

STEPS = ("samples", "complete", "correct", "well_formed", "kept")


def run(
    model: str,
    prompts: Path,
    out: Path,
    settings: EvalSettings,
    samples: int,
    keep: Keep,
    limit: int | None,
    console: Console,
    where: Where | None = None,
) -> Funnel:
    """Sample, sift, and print the funnel."""
    quiet_vllm()
    with progress_bars(console, transient=True) as bars:
        task = bars.add_task("samples", total=None)
        funnel = selftrain(
            model,
            prompts,
            out,
            settings,
            samples,
            keep,
            limit,
            lambda done, total: bars.update(task, completed=done, total=total),
            where,
        )
    console.print(table(funnel))
    if funnel.verifier_failed:
        console.print(f"the verifier failed on {funnel.verifier_failed} complete samples", soft_wrap=True)
    written = f"written to {out / SFT}" if funnel.kept else "nothing is kept, so there is no set"
    of = f"{funnel.kept} trajectories of {funnel.prompts_kept} of {funnel.prompts} prompts"
    console.print(f"{of}; {written}", soft_wrap=True)
    if funnel.kept:
        say_next(console, "data", "check", out / SFT, "--model", model)
    return funnel


def table(funnel: Funnel) -> Figures:
    """A line per step: how many are left, and of the step before."""
    view = Figures("", "left", "of those before")
    before = funnel.samples
    for step in STEPS:
        left: int = getattr(funnel, step)
        view.add_row(step.replace("_", "-"), str(left), f"{left / before:.1%}" if before else "–")
        before = left
    return view
