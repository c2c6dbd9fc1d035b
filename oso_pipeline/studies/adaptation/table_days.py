"""Days of the season and years, from a table of series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.core.errors import Problems

Days = npt.NDArray[np.int32]

_LONGEST = 1000
"""Longest season in days; numbers that lie farther apart are not days, for example 20180115."""
_SHOWN = 5
_HINT = "give whole days of the season in ascending order, for example 1, 11, 21, with their series"
_YEAR = r"^(\d{4})(?=\D|\d{4}$|$)"


def whole_days(found: npt.NDArray[Any], what: str, path: object, problems: Problems) -> Days | None:
    """Return the days of the dates of a table, shape ``(date,)``.

    Parameters
    ----------
    found
        Whole numbers, or dates of NumPy or as ISO texts, which are counted from the first.
    what
        Where they stand, for messages.
    path
        The file.
    problems
        Takes days that are none, not whole, not ascending or of no season (``E-ADAPT-DATES``);
        the result is then None.
    """
    reason, days = _counted(found)
    if not reason and (np.diff(days) <= 0).any():
        at = int(np.argmax(np.diff(days) <= 0))
        reason = f"{_plain(found[at])} comes before {_plain(found[at + 1])}: they must ascend"
    if not reason and len(days) and days[-1] - days[0] > _LONGEST:
        reason = (
            f"they run from {_plain(found[0])} to {_plain(found[-1])}, longer than {_LONGEST} days"
        )
    if not reason and len(days) and max(abs(days[0]), abs(days[-1])) > _LONGEST:
        reason = f"they begin at {_plain(found[0])}, which is not a day of a season"
    if reason:
        problems.error("E-ADAPT-DATES", f"{what}: {reason}", path, _HINT)
        return None
    return days.astype(np.int32)


def _counted(found: npt.NDArray[Any]) -> tuple[str, npt.NDArray[np.int64]]:
    """Return why these are not days, or the days as whole numbers."""
    none = np.zeros(0, np.int64)
    if found.ndim != 1:
        return f"shape {found.shape}, expected one day for each date", none
    if found.dtype.kind in "US":
        try:
            found = found.astype("datetime64[ns]")
        except ValueError:
            return f"text, here {_plain(found[0])!r}, is not a date such as 2018-01-15", none
    if found.dtype.kind == "M":
        if np.isnat(found).any():
            return "a date is missing", none
        since = (found - found[:1].astype("datetime64[D]")).astype("timedelta64[s]")
        if (since.astype(np.int64) % 86_400 != 0).any():
            odd = found[since.astype(np.int64) % 86_400 != 0][0]
            return f"{odd} is not a whole day", none
        return "", since.astype("timedelta64[D]").astype(np.int64)
    if found.dtype.kind == "f":
        odd_days = found[~np.isfinite(found) | (found != np.rint(found))]
        if odd_days.size:
            more = f" and {odd_days.size - 1} more" if odd_days.size > 1 else ""
            return f"{_plain(odd_days[0])}{more}: no whole day", none
    elif found.dtype.kind not in "iu":
        return f"values of type {found.dtype}, expected whole numbers or dates", none
    if found.size and np.abs(found.astype(np.float64)).max() > 2**31:
        return f"{_plain(found[np.argmax(np.abs(found.astype(np.float64)))])} is not a day", none
    return "", found.astype(np.int64)


def days_of(
    pattern: str, columns: Sequence[str], path: object, problems: Problems
) -> dict[int, str]:
    """Return the column of each day that a pattern with ``{day}`` finds.

    Problems found: days that are not whole, and one day in two columns (``E-ADAPT-DATES``).
    """
    before, _, after = pattern.partition("{day}")
    expression = re.compile(re.escape(before) + r"(-?\d+([.,]\d+)?)" + re.escape(after))
    found: dict[int, str] = {}
    for name in columns:
        match = expression.fullmatch(name)
        if match is None:
            continue
        if match[2] is not None:
            message = f"table.bands: column {name} is of day {match[1]}, which is not a whole day"
            problems.error("E-ADAPT-DATES", message, path, _HINT)
            continue
        other = found.setdefault(int(match[1]), name)
        if other != name:
            message = f"table.bands: columns {other} and {name} are of the same day"
            problems.error("E-ADAPT-DATES", message, path, "keep one of the two")
    return found


def years_of(
    column: npt.NDArray[Any], what: str, path: object, problems: Problems
) -> npt.NDArray[np.int64]:
    """Return years as numbers, -1 where there is none: from numbers, texts or dates.

    Problems found: values without a year (``E-ADAPT-YEAR``).
    """
    texts = pd.Series(column.astype(str))
    years = pd.to_numeric(texts.str.extract(_YEAR, expand=False)).fillna(-1).to_numpy(np.int64)
    absent = texts.str.strip().isin(["", "None", "nan", "NaN", "NaT", "<NA>"]).to_numpy()
    odd = sorted({str(text) for text in texts[(years < 0) & ~absent]})
    if odd:
        shown = ", ".join(repr(text) for text in odd[:_SHOWN])
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        problems.error(
            "E-ADAPT-YEAR",
            f"{what}: {shown}{more} is not a year, expected for example 2018 or 2018-05-01",
            path,
            "write the year of each sample into that column, or name another in table.season",
        )
    return years


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) and value.dtype.kind != "M" else value
