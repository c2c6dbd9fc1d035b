"""Tables as CSV that people open in spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table as CSV in which no text is taken for a formula.

    Names come from files of others; a spreadsheet would run one that begins like a formula. Such
    text gets an apostrophe in front (OWASP, CSV injection); numbers stay as they are.

    Examples
    --------
    >>> csv_text(["class", "gain"], [["=1+1", "-0.5"]])
    "class,gain\n'=1+1,-0.5\n"
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return stream.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        with suppress(ValueError):
            float(cell)
            return cell
        return f"'{cell}"
    return cell
