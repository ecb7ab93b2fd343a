"""`threadweaver recipes`: list the recipes, copy one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tw_plugins.cli.console import PlainConsole, say_next
from tw_plugins.cli.example import example

__all__ = ["recipes"]

recipes = typer.Typer(no_args_is_help=True, help="Recipes for both frameworks: list them, copy one.")


@recipes.callback()
def main() -> None:
    """Recipes for both frameworks: list them, copy one."""


def _completed(incomplete: str) -> list[str]:
    from tw_plugins.cli.recipe_files import recipes_in, root

    return [name for name in recipes_in(root()) if name.startswith(incomplete)]


@recipes.command("ls", epilog=example("threadweaver recipes ls"))
def ls() -> None:
    """List the recipes, each with what it is for."""
    from tw_plugins.cli.recipe_files import recipes_in, root, title_of

    found = recipes_in(root())
    width = max(map(len, found))
    console = PlainConsole()
    for name, file in found.items():
        console.print(f"{name:{width}}  {title_of(file)}", soft_wrap=True)


@recipes.command("cp", epilog=example("threadweaver recipes cp verl/qwen3_8b_p_grpo"))
def cp(
    name: Annotated[
        str, typer.Argument(help="As `threadweaver recipes ls` shows it.", autocompletion=_completed)
    ],
    to: Annotated[Path, typer.Argument(help="Folder to copy to, with the recipe's own folder.")] = Path(
        "recipes"
    ),
) -> None:
    """Copy a recipe, and the files that it stands on, to change them and run them."""
    from tw_plugins.cli.plan import is_pipeline
    from tw_plugins.cli.recipe_files import copy_recipe

    console = PlainConsole()
    copied = copy_recipe(name, to)
    for file in copied:
        console.print(str(file), soft_wrap=True)
    command = ("pipeline", "run", "--dry-run") if is_pipeline(copied[0]) else ("plan",)
    say_next(console, *command, copied[0])
