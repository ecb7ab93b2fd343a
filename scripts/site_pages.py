"""The documents as pages of one site, in build/pages: what `make docs` builds into build/site.

README is the first page; whatever a document links to in this repository comes along, a folder by its README.
Then an API reference, a page for each room of the core and each adapter, of whose modules each gives what it
names in `__all__`.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "pages"
PACKAGES = ("tw_plugins", "verl_ext", "openrlhf_ext")
LEFT_OUT = ("cli", "cpu", "config")
LINK = re.compile(r"\[([^\[\]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")  # text, file, anchor


def write(out: Path = OUT) -> list[Path]:
    """Writes every page anew; returns their places, relative to `out`."""
    shutil.rmtree(out, ignore_errors=True)
    todo, done = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], {}
    while todo:
        source = todo.pop()
        if source in done or not source.exists():
            continue
        done[source] = out / page_of(source)
        done[source].parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            done[source].write_text(_relinked(source), encoding="utf-8")
            links = LINK.findall(source.read_text(encoding="utf-8"))
            todo += [target_of(source, file) for _, file, _ in links]
        else:
            shutil.copyfile(source, done[source])
    reference = {out / "api" / f"{name}.md": text for name, text in api().items()}
    (out / "api").mkdir(exist_ok=True)
    for page, text in reference.items():
        page.write_text(text, encoding="utf-8")
    return sorted(page.relative_to(out) for page in (*done.values(), *reference))


def page_of(source: Path) -> Path:
    """Where a file of this repository stands in the site; README of a folder is its index."""
    place = source.relative_to(ROOT)
    if place.parts[0] == "docs":
        place = Path(*place.parts[1:])
    return place.with_name("index.md") if place.name == "README.md" else place


def target_of(source: Path, link: str) -> Path:
    """The file that a link of a document leads to; of a folder its README."""
    target = Path(os.path.normpath(source.parent / link))
    return target / "README.md" if target.is_dir() else target


def _relinked(source: Path) -> str:
    here = page_of(source).parent

    def moved(link: re.Match[str]) -> str:
        text, file, anchor = link.groups()
        target = target_of(source, file)
        if not target.exists():  # a folder without README
            return str(text)
        return f"[{text}]({os.path.relpath(page_of(target), here)}{anchor or ''})"

    return LINK.sub(moved, source.read_text(encoding="utf-8"))


def api() -> dict[str, str]:
    """Name of each page of the API reference → its Markdown; `index` lists them."""
    found, listed = {}, ["# API"]
    for package in PACKAGES:
        for room in sorted((ROOT / package).iterdir()):
            if (
                room.name.startswith("_")
                or room.stem in LEFT_OUT
                or not (room.suffix == ".py" or room.is_dir())
            ):
                continue
            blocks = list(_blocks(room))
            if blocks:
                name = f"{package}.{room.stem}"
                found[name] = "\n\n".join([f"# {name}", *blocks]) + "\n"
                listed.append(f"- [{name}]({name}.md): {_said_of(room)}")
    return {"index": "\n".join([listed[0], "", *listed[1:], ""]), **found}


def _said_of(room: Path) -> str:
    """The first line of its docstring; of a package without one, its modules."""
    module = room / "__init__.py" if room.is_dir() else room
    said = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.exists() else None
    return said.splitlines()[0] if said else ", ".join(sorted(one.stem for one in room.glob("[a-z]*.py")))


def _blocks(room: Path) -> Iterator[str]:
    modules = [room] if room.is_file() else sorted(room.rglob("*.py"))
    for module in modules:
        if public := _public(module):
            dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            members = "".join(f"\n        - {name}" for name in public)
            yield f"::: {dotted}\n    options:\n      members:{members}"


def _public(module: Path) -> list[str]:
    """What a module defines itself of its `__all__`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    named: list[str] = []
    defined = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign)
            named = list(ast.literal_eval(node.value)) if isinstance(node.value, ast.List) else []
    return [name for name in named if name in defined]


if __name__ == "__main__":
    print(f"{len(write())} pages in {OUT.relative_to(ROOT)}")
