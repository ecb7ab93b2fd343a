"""`python -m recipes.quickstart.acceleration`: what the bonus pays for, compared.

SFT and RL of the quickstart on problems of which half gain nothing from a fork, RL once with the paper's
`eta` and once with `critical_path`. Two short threads behind their outlines end when plain reasoning
does; four long ones end much sooner. Evaluation samples at RL's temperature: a rate of forks is asked for,
and greedy decoding shows only whether it is more than a half.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, get_args

import typer
from rich.console import Console

from recipes.quickstart.plan import plan_of
from recipes.quickstart.settings import Settings, settings_of
from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.ending import OneLineCommand
from tw_plugins.cli.pipeline_run import run_plan
from tw_plugins.evaluation.records import EvalRecord, read_records
from tw_plugins.evaluation.run import record_file
from tw_plugins.pipeline.plan import Plan
from tw_plugins.reward import Acceleration
from tw_plugins.storage.atomic import whole
from tw_plugins.storage.parquet import write_parquet
from tw_plugins.toy.dataset import Mixture, make_dataset
from tw_plugins.toy.digits import STANDARD, Sizes
from tw_plugins.toy.preset import write_files

SHAPES = {"forking saves nothing": Sizes(shapes=((2, 3),)), "forking saves": STANDARD}
"""By what a fork does to the token latency: 63 tokens become 62, 167 become 96."""
BOTH = Sizes(shapes=tuple(shape for sizes in SHAPES.values() for shape in sizes.shapes))
BONUSES = tuple(name for name in get_args(Acceleration) if name != "none")
Records = Mapping[str, list[EvalRecord]]


def write_problems(folder: Path, settings: Settings) -> None:
    """The quickstart's files, but for `eval.parquet`: held-out problems of one shape after the other."""
    write_files(folder, settings.seed, settings.preset)
    held_out = [
        record
        for title, sizes in SHAPES.items()
        for record in make_dataset(
            settings.preset.eval_per_kind, f"eval/{title}", "test", Mixture(sizes=sizes, decomposable=1.0)
        )
    ]
    for index, record in enumerate(held_out):
        record["extra_info"]["index"] = index
    write_parquet(held_out, folder / "eval.parquet")


def both_shapes(seed: int, fast: bool) -> Settings:
    """The quickstart's settings, with problems of both shapes, all of which can be forked in RL."""
    settings = settings_of(seed, fast)
    sft = replace(settings.preset.sft, sizes=BOTH)
    return replace(settings, preset=replace(settings.preset, sft=sft, rl_decomposable=1.0))


def planned_with(framework: str, folder: Path, seed: int, fast: bool) -> Plan:
    """The quickstart's plan, with RL once for each bonus in the place of P-GRPO and its baseline.

    Evaluation samples at RL's temperature, and no clock is read.
    """
    plan = plan_of(framework, folder, seed, fast)
    asked, trainer = plan.asked, plan.trainer
    assert asked.sft and asked.rl and asked.eval
    data = str(plan.path("data") / "sft.parquet")
    sft = plan.train(trainer.sft, "SFT with threads", plan.path("sft"), asked.sft, asked.model, data)
    runs = {}
    for bonus in BONUSES:
        wanted = plan_of(framework, folder, seed, fast, acceleration=bonus).asked.rl
        assert wanted
        to, settings = plan.path("rl") / bonus, [*wanted.settings, *wanted.p_grpo]
        more = {"validation": wanted.validation, "settings": settings}
        runs[bonus] = plan.train(
            trainer.rl, f"P-GRPO, {bonus}", to, wanted, str(sft.model), wanted.data, **more
        )
    plan.models = {"SFT": str(sft.model), **{bonus: str(run.model) for bonus, run in runs.items()}}
    plan.stages = []
    plan.add("sft", f"SFT, seed {seed}", [[*sft.jobs]], trainer.files(asked.sft.recipe))
    plan.add(
        "rl",
        f"RL with {' and '.join(BONUSES)}, seed {seed}",
        [[job for run in runs.values() for job in run.jobs]],
        trainer.files(asked.rl.recipe),
    )
    options = {**asked.eval.options, "temperature": settings_of(seed, fast).rl_temperature}
    evaluation = asked.eval.model_copy(update={"options": options})
    rounds = [plan.evaluations(plan.path("eval"), evaluation.data, evaluation)]
    plan.add("eval", f"evaluation, seed {seed}", rounds)
    return plan


def compare(name: str, folder: Path, seed: int, fast: bool, console: Console) -> dict[str, Records]:
    """SFT, then RL and evaluation with each bonus; stages that are done are kept.

    Returns:
        Bonus ("SFT" for the model before RL) → what forking does → records in parallel mode.
    """
    settings = both_shapes(seed, fast)
    data = folder / "data"
    if not data.is_dir():
        with whole(data) as unfinished:
            write_problems(unfinished, settings)
    plan = planned_with(name, folder, seed, fast)
    run_plan(plan, console)
    return {
        title: _by_shape(read_records(record_file(plan.path("eval") / title, "parallel")), settings)
        for title in plan.models
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


def main(
    framework: Annotated[str, typer.Option(help="verl or openrlhf.")] = "verl",
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="May be repeated; 0, 1, 2 if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder; each seed gets one of its own there.")] = Path(
        "runs/acceleration"
    ),
    fast: Annotated[bool, typer.Option("--fast", help="A smoke run: nothing is learned.")] = False,
) -> None:
    """Compare the two bonuses where half of the problems gain nothing from a fork."""
    console = PlainConsole()
    results = {}
    for one in seed or (0, 1, 2):
        folder = out / f"{framework}{'-fast' if fast else ''}-seed{one}"
        results[one] = compare(framework, Path(os.path.realpath(folder)), one, fast, console)
    console.print(table(results), soft_wrap=True)


app = typer.Typer(add_completion=False)
app.command(cls=OneLineCommand)(main)

if __name__ == "__main__":
    app()
