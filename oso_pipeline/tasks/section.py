"""Section of a stage in the report: a heading, paragraphs, plain tables and pictures."""

from __future__ import annotations

import base64
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
class Picture:
    """A small picture of the report.

    Parameters
    ----------
    jpeg
        The picture.
    text
        What it shows, for readers who cannot see it.
    """

    jpeg: bytes
    text: str

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


@dataclass(frozen=True)
class Gallery:
    """Pictures of the report, side by side.

    Parameters
    ----------
    heading
        Its title.
    figures
        Each a caption and the pictures above it.
    """

    heading: str
    figures: tuple[tuple[str, tuple[Picture, ...]], ...]


@dataclass(frozen=True)
class Section:
    """A section of the report. The page escapes every text.

    Parameters
    ----------
    heading
        Its title.
    paragraphs, tables, galleries
        Content of the section, in this order.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    galleries: tuple[Gallery, ...] = ()
