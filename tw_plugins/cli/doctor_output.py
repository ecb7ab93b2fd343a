"""What `threadweaver doctor` shows of its findings."""

from __future__ import annotations

from collections.abc import Sequence

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


def show(checks: Sequence[Check], console: Console) -> None:
    """Prints a table and a last line that counts."""
    table = Figures()
    table.add_name("where")
    table.add_prose("what")
    table.add_name("")
    table.add_prose("found")
    last = None
    for check in checks:
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
