"""What `threadweaver doctor` shows of its findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from tw_plugins.adapter.check import Check, Status
from tw_plugins.cli.tables import Figures
from tw_plugins.errors import visible

__all__ = ["show"]

STYLES: dict[Status, tuple[str, str]] = {
    "ok": ("✓ ok", "green"),
    "note": ("• note", "yellow"),
    "fail": ("✗ fail", "bold red"),
}


def show(checks: Sequence[Check], console: Console, verbose: bool = False) -> None:
    """Prints a table and a last line that counts.

    Args:
        verbose: each sound seam too, not only how many of a section there are.
    """
    table = Figures()
    table.add_name("where")
    table.add_prose("what")
    table.add_name("")
    table.add_prose("found")
    last = None
    for check in checks if verbose else _folded(checks):
        if last not in (None, check.section):
            table.add_section()
        where = "" if check.section == last else check.section
        name, detail = (Text(visible(text)) for text in (check.name, check.detail))
        table.add_row(Text(visible(where), "bold"), name, Text(*STYLES[check.status]), detail)
        last = check.section
    console.print(table)
    failed, notes = (sum(check.status == status for check in checks) for status in ("fail", "note"))
    verdict = (f"{failed} of {len(checks)} checks failed", "bold red") if failed else ("ready", "green")
    counts = f": {len(checks) - failed - notes} ok, {notes} to note, {failed} failed"
    console.print(Text.assemble(verdict, counts))


def _folded(checks: Sequence[Check]) -> Iterator[Check]:
    """The sound seams of a section as one line, in the place of the first."""
    for section, of_section in groupby(checks, key=lambda check: check.section):
        found = list(of_section)
        sound = [check for check in found if check.seam]
        for check in found:
            if not check.seam:
                yield check
            elif check is sound[0]:
                yield Check(section, "seams", "ok", f"{len(sound)} in place; --verbose names them")
