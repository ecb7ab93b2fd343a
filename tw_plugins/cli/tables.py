"""Tables of figures. A figure that is cut says another one: in a narrow terminal each stands on its line."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

__all__ = ["Figures"]

UNBOUNDED = 10_000
READABLE = 24  # characters of a column of prose, at least


class Figures(Table):
    """Columns of figures on the right, of names and prose on the left; headings may take several lines.

    mode        n  accuracy                parallel
    ─────────────────────────               n  2
    parallel    2    50.0%                  accuracy  50.0%
    """

    def __init__(self, *names: str) -> None:
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        self._prose: list[Column] = []
        for name in names:
            self.add_column(name, justify="right")

    def add_name(self, heading: str) -> None:
        """A column of words that stay on one line."""
        self.add_column(heading)

    def add_prose(self, heading: str) -> None:
        """A column of sentences, whose lines may be broken."""
        self.add_column(heading, overflow="fold")
        self._prose.append(self.columns[-1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._fits(console, options):
            self._narrow(console, options)
            if not self._fits(console, options):
                yield from self._one_value_a_line(console)
                return
        yield from super().__rich_console__(console, options)

    def _fits(self, console: Console, options: ConsoleOptions) -> bool:
        widest = self.__rich_measure__(console, options.update_width(UNBOUNDED)).maximum
        return widest <= options.max_width

    def _narrow(self, console: Console, options: ConsoleOptions) -> None:
        """To what the cells take, and the longest word of each heading."""
        unbounded = options.update_width(UNBOUNDED)
        for column in self.columns:
            cells = (Measurement.get(console, unbounded, cell).maximum for cell in column.cells)
            widest = max([Measurement.get(console, unbounded, column.header).minimum, *cells])
            column.width = min(widest, READABLE) if column in self._prose else widest
        for column in self._prose[-1:]:
            spare = options.max_width - self.__rich_measure__(console, unbounded).maximum
            column.width = (column.width or 0) + max(spare, 0)

    def _one_value_a_line(self, console: Console) -> Iterator[RenderableType]:
        headings = [_text(console, column.header) for column in self.columns]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            yield Text()
            for place, (heading, cell) in enumerate(zip(headings, row, strict=True)):
                if text := _text(console, cell):
                    indent, gap = "  " if place else "", " " if heading else ""
                    yield Text.assemble(indent, heading, gap, text, overflow="fold")
        yield Text()


def _text(console: Console, cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else console.render_str(str(cell))
