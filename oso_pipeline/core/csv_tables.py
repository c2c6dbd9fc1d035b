"""CSV tables: those that users write, read with their line numbers, and those for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.regular_files import read_regular

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: where it stands, and its values by column, stripped.

    Parameters
    ----------
    where
        The file and the line, ``path:line``.
    values
        Text by column name in lower case; an absent value is an empty text.
    """

    where: str
    values: Mapping[str, str]

    def get(self, *columns: str) -> str:
        """Return the first value that is not empty among `columns`, else an empty text."""
        return next((self.values[c] for c in columns if self.values.get(c)), "")


def read_text(path: Path, problems: Problems) -> str | None:
    """Return the text of a UTF-8 file, with or without byte order mark.

    Problems found: the file cannot be read (``E-PATH-READ``); it is UTF-16 or in another
    encoding than UTF-8 (``E-TEXT-ENCODING``). The result is then None.
    """
    try:
        content = read_regular(path)
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        problems.error(
            "E-PATH-READ",
            f"cannot read the file: {getattr(error, 'strerror', None) or error}",
            path,
            "give the path of an existing, readable file",
        )
        return None
    encoding = "UTF-16" if content[:2] in _UTF16_MARKS or b"\0" in content[:200] else None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        encoding = encoding or f"another encoding (byte {error.start})"
    if encoding is None:
        return text
    problems.error(
        "E-TEXT-ENCODING",
        f"the file must be UTF-8 text, but it is in {encoding}",
        path,
        "save it again as UTF-8 (in a spreadsheet: 'CSV UTF-8')",
    )
    return None


def read_rows(path: Path, problems: Problems) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns and the rows of a CSV file with a header line.

    Values are separated by commas, semicolons or tabs, whichever the header holds most of;
    lines may end as on Windows and blank lines do not count. Problems of `read_text` go to
    `problems`; there are then no columns and no rows. A row that has more values than there
    are columns is reported as ``E-TABLE-ROW``.
    """
    text = read_text(path, problems)
    if text is None:
        return (), []
    reader = csv.reader(_lines(text), delimiter=_separator(text))
    columns: tuple[str, ...] = ()
    rows = []
    for cells in reader:
        values = [cell.strip() for cell in cells]
        if not any(values):
            continue
        if not columns:
            columns = tuple(value.lower() for value in values)
            continue
        where = f"{path}:{reader.line_num}"
        if any(values[len(columns) :]):
            problems.error(
                "E-TABLE-ROW",
                f"{len(values)} values in a table of {len(columns)} columns",
                where,
                "put quotes around a value that holds the separator",
            )
            continue
        values += [""] * (len(columns) - len(values))
        rows.append(Row(where, dict(zip(columns, values, strict=False))))
    return columns, rows


def _lines(text: str) -> Iterator[str]:
    return iter(io.StringIO(text, newline=None))


def _separator(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=header.count)


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
