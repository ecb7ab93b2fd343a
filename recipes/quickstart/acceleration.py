"""`python -m recipes.quickstart.acceleration runs/quickstart/verl*`: what the bonus pays for, compared.

RL again from the SFT models of finished runs, on problems of which half gain nothing from a fork, once with
the paper's `eta` and once with `critical_path`. Two short threads behind their outlines end no sooner than
plain reasoning does; four long ones do.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, cast, get_args

import typer
from rich.console import Console

from recipes.quickstart.eval_jobs import eval_job
from recipes.quickstart.jobs import run_side_by_side
from recipes.quickstart.pipeline import Framework
from recipes.quickstart.settings import FULL, Settings
from recipes.quickstart.stages import Pipeline, Stage
from tw_plugins.evaluate import EvalRecord, read_records
from tw_plugins.evaluate_model import record_file
from tw_plugins.report import read_report
from tw_plugins.reward import Acceleration
from tw_plugins.tasks.dataset import Mixture, make_dataset, write_parquet
from tw_plugins.tasks.digits import STANDARD, Sizes

SHAPES = {"forking saves nothing": Sizes(shapes=((2, 4),)), "forking saves": STANDARD}
"""By what a fork does to the token latency: 74 tokens become 80, 166 become 122."""
BONUSES = tuple(name for name in get_args(Acceleration) if name != "none")
Records = Mapping[str, list[EvalRecord]]


def write_problems(folder: Path, settings: Settings) -> None:
    """`rl.parquet` with both shapes, and held-out problems of each."""
    both = Sizes(shapes=tuple(shape for sizes in SHAPES.values() for shape in sizes.shapes))
    preset = settings.preset
    mixture = Mixture(sizes=both, decomposable=1.0)
    write_parquet(
        make_dataset(preset.rl_prompts, f"{settings.seed}/rl", "train", mixture), folder / "rl.parquet"
    )
    held_out = [
        record
        for title, sizes in SHAPES.items()
        for record in make_dataset(
            preset.eval_per_kind, f"eval/{title}", "test", Mixture(sizes=sizes, decomposable=1.0)
        )
    ]
    for index, record in enumerate(held_out):
        record["extra_info"]["index"] = index
    write_parquet(held_out, folder / "eval.parquet")


def compare(folder: Path, console: Console) -> dict[str, Records]:
    """RL and evaluation with each bonus, from the SFT model of the run in `folder`; done stages are kept.

    Returns:
        Bonus ("SFT" for the model before RL) → what forking does → records in parallel mode.
    """
    report = read_report(folder)
    settings = replace(FULL, seed=report["seed"], wall_clock_problems=0)
    framework = cast(Framework, importlib.import_module(f"recipes.quickstart.{report['framework']}_jobs"))
    pipeline = Pipeline(folder / "acceleration", settings.fingerprint(), console)
    data, rl, evaluation = (pipeline.path(name) for name in ("data", "rl", "eval"))
    start = framework.sft_model(folder / "sft" / "threads", settings)
    held_out = data / "eval.parquet"

    def train(to: Path) -> None:
        jobs = [
            framework.rl_job(
                f"P-GRPO, {bonus}", to / bonus, False, start, data / "rl.parquet", held_out,
                replace(settings, acceleration=bonus),
            )
            for bonus in BONUSES
        ]  # fmt: skip
        run_side_by_side(jobs, console)

    models = {"SFT": start, **{bonus: framework.rl_model(rl / bonus, settings) for bonus in BONUSES}}

    def evaluate(to: Path) -> None:
        run_side_by_side(
            [eval_job(name, to / name, model, held_out, settings) for name, model in models.items()], console
        )

    pipeline.run(
        [
            Stage("data", f"problems, seed {settings.seed}", lambda to: write_problems(to, settings)),
            Stage("rl", f"RL with {' and '.join(BONUSES)}, seed {settings.seed}", train),
            Stage("eval", f"evaluation, seed {settings.seed}", evaluate),
        ]
    )
    return {
        name: _by_shape(read_records(record_file(evaluation / name, "parallel")), settings) for name in models
    }


def _by_shape(records: list[EvalRecord], settings: Settings) -> Records:
    """As `write_problems` numbers them."""
    per_shape = settings.preset.eval_per_kind
    return {
        title: [record for record in records if record.index // per_shape == number]
        for number, title in enumerate(SHAPES)
    }


FIGURES = {
    "accuracy": lambda records: f"{fmean(record.correct for record in records):.1%}",
    "activation": lambda records: f"{fmean(record.blocks > 0 for record in records):.1%}",
    "token latency": lambda records: f"{fmean(record.longest for record in records):.1f}",
}


def table(results: Mapping[int, Mapping[str, Records]]) -> str:
    """Markdown: a column per seed; a row per figure, kind of problem and bonus."""
    lines = [["", *(f"seed {seed}" for seed in results)], ["---", *["---:"] * len(results)]]
    for title in SHAPES:
        for figure, text in FIGURES.items():
            for model in ("SFT", *BONUSES):
                cells = [text(models[model][title]) for models in results.values()]
                lines.append([f"{title}: {figure}, {model}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(folders: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]) -> None:
    """Compare the two bonuses where half of the problems gain nothing from a fork."""
    console = Console()
    results = {read_report(folder)["seed"]: compare(folder.resolve(), console) for folder in folders}
    typer.echo(table(dict(sorted(results.items()))))


if __name__ == "__main__":
    typer.run(main)
