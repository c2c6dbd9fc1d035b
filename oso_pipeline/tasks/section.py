"""Section of a stage in the report: a heading, paragraphs and plain tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Parameters
    ----------
    headings
        One for each column.
    rows
        As many cells each; None is shown as a dash.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of the report. The page escapes every text.

    Parameters
    ----------
    heading
        Its title.
    paragraphs, tables
        Content of the section, in this order.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
