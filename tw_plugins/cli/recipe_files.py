"""The recipes that come with the project: of a checkout, or of an installed wheel, which has them inside."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tw_plugins.errors import UserError
from tw_plugins.settings import closest
from tw_plugins.storage.atomic import whole
from tw_plugins.storage.files import is_there, read_text

__all__ = ["RecipeError", "copy_recipe", "recipes_in", "root", "title_of"]

IN_THE_WHEEL = Path(__file__).parents[1] / "_recipes"  # setup.py puts them there
IN_A_CHECKOUT = Path(__file__).parents[2] / "recipes"
NOT_RUN = "Not run by itself"  # what others stand on
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:sh|yaml)\b")
_DEFAULT = re.compile(r"\s+- ([\w.]+)")  # of a Hydra file, without its ending


class RecipeError(UserError, ValueError):
    """A recipe that is not there, or a place where it cannot go."""


def root() -> Path:
    """The folder of all recipes. The wheel's comes first: beside it `recipes` may be torchtune's.

    Raises:
        RecipeError: neither a wheel nor a checkout has brought them.
    """
    for folder in (IN_THE_WHEEL, IN_A_CHECKOUT):
        if folder.is_dir():
            return folder
    raise RecipeError(f"{IN_A_CHECKOUT} is not there: install the project again")


def recipes_in(folder: Path) -> dict[str, Path]:
    """What can be run, by its name: folder and file without its ending."""
    files = sorted(file for file in folder.glob("*/*") if file.suffix in (".yaml", ".sh"))
    return {_name(file): file for file in files if NOT_RUN not in read_text(file)}


def title_of(recipe: Path) -> str:
    """What its first comment begins with: a sentence, or what stands before its colon."""
    lines = read_text(recipe).removeprefix("#!/usr/bin/env bash\n").splitlines()
    comment = " ".join(line[2:] for line in lines[:3] if re.match("# [^ ]", line))
    return re.split(r"[.:](?:\s|$)", comment, maxsplit=1)[0]


def copy_recipe(name: str, to: Path) -> list[Path]:
    """Copies a recipe and what it stands on to `to`, each in the folder that it is in among the recipes.

    Args:
        name: as `recipes_in` has it; its ending may stand behind, its folder may be left out.

    Returns:
        The files, the recipe first.

    Raises:
        RecipeError: there is no such recipe, or `to` has another file of one of the names.
    """
    folder = root()
    targets = {source: to / source.relative_to(folder) for source in _with_bases(_named(name, folder))}
    for source, target in targets.items():
        if is_there(target) and read_text(target) != read_text(source):
            raise RecipeError(f"{target} is there and has been changed: remove it, or give another folder")
    for source, target in targets.items():
        with whole(target) as unfinished:
            shutil.copy(source, unfinished)
    return list(targets.values())


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def _named(name: str, folder: Path) -> Path:
    known = recipes_in(folder)
    short = name.removesuffix(".yaml").removesuffix(".sh")
    found = [file for full, file in known.items() if short in (full, file.stem)]
    if len(found) == 1:
        return found[0]
    stems = {file.stem: full for full, file in known.items()}
    meant = closest(short, known) or stems.get(closest(short, stems) or "")
    hint = f"did you mean {meant}? " if meant else ""
    raise RecipeError(f"there is no recipe {name!r}: {hint}`threadweaver recipes ls` lists them")


def _with_bases(recipe: Path) -> list[Path]:
    """The recipe, and every file of the recipes that it or one of them names outside its comments."""
    found, left = [], [recipe.resolve()]
    while left:
        file = left.pop(0)
        found.append(file)
        code = [line.partition("#")[0].rstrip() for line in read_text(file).splitlines()]
        named = [name for line in code for name in _FILE.findall(line)]
        named += [f"{match[1]}.yaml" for line in code if (match := _DEFAULT.fullmatch(line))]
        beside = [(file.parent / name).resolve() for name in named]
        left += [one for one in dict.fromkeys(beside) if one.is_file() and one not in (*found, *left)]
    return found
