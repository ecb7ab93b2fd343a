"""Puts the recipes into the wheel, inside a package of ours: at top level `recipes` is torchtune's name.

Everything else about the package stands in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WITHOUT = "smollm2"  # its data are made by code of the checkout


class WithRecipes(build_py):
    """An editable install needs none of it: the checkout's own folder is found."""

    def recipes(self) -> list[Path]:
        files = sorted(Path("recipes").glob("*/*"))
        return [file for file in files if file.suffix in (".yaml", ".sh") and file.parent.name != WITHOUT]

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for file in self.recipes():
            target = Path(self.build_lib, "tw_plugins", "_recipes", *file.parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(file), str(target))

    def get_source_files(self) -> list[str]:
        """What a source distribution holds."""
        return [*super().get_source_files(), *map(str, self.recipes())]


setup(cmdclass={"build_py": WithRecipes})
