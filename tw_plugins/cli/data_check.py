"""`threadweaver data check`: what a file comes to, before anything is trained or asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer
from rich.text import Text

from tw_plugins.cli.console import PlainConsole
from tw_plugins.cli.example import example
from tw_plugins.cli.options import DEFAULTS, VerifierName
from tw_plugins.errors import visible
from tw_plugins.verifiers.names import MATH

__all__ = ["register"]

Use = Literal["sft", "rl", "eval"]
TRAINED = ("«", "»")


def register(data: typer.Typer) -> None:
    """Adds the command to `threadweaver data`."""

    @data.command(
        "check",
        epilog=example(
            "threadweaver data check my.jsonl --model qwen3-8b-threads",
            "threadweaver data check rl.parquet --for rl --model runs/sft/model",
        ),
    )
    def check(
        sources: Annotated[
            list[str],
            typer.Argument(
                metavar="FILE...",
                help="Parquet, JSON, JSON Lines (.gz too), CSV, Arrow; a folder; or owner/name of the hub.",
            ),
        ],
        model: Annotated[str, typer.Option(help="Folder or name of the model, for its tokenizer.")],
        use: Annotated[Use, typer.Option("--for", help="What the file is for.")] = "sft",
        prompt_key: Annotated[str | None, typer.Option(help="Column of the prompts.")] = None,
        response_key: Annotated[str | None, typer.Option(help="SFT: column of the responses.")] = None,
        answer_key: Annotated[str | None, typer.Option(help="Column of the reference answers.")] = None,
        split: Annotated[str, typer.Option(help="Of folders and of data sets of the hub.")] = "train",
        max_length: Annotated[int, typer.Option(min=1, help="SFT: tokens that a row may have.")] = 40_960,
        rows: Annotated[int, typer.Option(min=0, help="How many to show.")] = 3,
        chat_template: Annotated[
            str | None, typer.Option(help="A file, or chatml; the tokenizer's own when not given.")
        ] = None,
        verifier: VerifierName = DEFAULTS.verifier,
    ) -> None:
        """Show what will be trained or asked: counts, what is left out and why, rows as the model sees them.

        Columns are found by their usual names. Status 1: rows are left out, or none is usable.
        """
        keys = prompt_key, answer_key, response_key
        if not run(
            sources, model, use, keys, split, max_length, rows, chat_template, PlainConsole(), verifier
        ):
            raise typer.Exit(1)


def run(
    sources: Sequence[str],
    model: str,
    use: Use,
    keys: tuple[str | None, str | None, str | None],
    split: str,
    max_length: int,
    rows: int,
    chat_template: str | None,
    console: PlainConsole,
    verifier: str = MATH,
) -> bool:
    """Prints the check; False where rows are left out."""
    from tw_plugins.data.check import check_prompts, check_sft
    from tw_plugins.datasets.columns import Columns
    from tw_plugins.datasets.template import with_template
    from tw_plugins.evaluation.run import load_tokenizer

    tokenizer = with_template(load_tokenizer(model), chat_template)
    with console.working("reading"):
        if use == "sft":
            checked = check_sft(sources, tokenizer, max_length, rows, Columns(*keys), split)
        else:
            checked = check_prompts(sources, tokenizer, rows, Columns(*keys), split, verifier=verifier)
    for shown in checked.shown:
        console.rule(shown.where, align="left", style="dim")
        text = Text()
        for part, trained in shown.parts:
            text.append(visible(part).join(TRAINED) if trained else visible(part), "green" if trained else "")
        console.print(text)
        if shown.target is not None:
            console.print(Text(f"reference answer: {visible(str(shown.target))}", "green"))
    console.rule(style="dim")
    for line in [*checked.notes, *checked.holes.lines()]:
        console.print(Text(visible(line), "yellow"), soft_wrap=True)
    what = "rows to train" if use == "sft" else "prompts to ask"
    line = checked.holes.summary(", ".join(sources), checked.usable, what, *checked.longest)
    console.print(line, soft_wrap=True)
    return checked.usable > 0 and not checked.holes.total
