"""Whether the seasons of a table were seen by one sensor, and on common dates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.description import ColumnTable, Evaluation

LEAST_DATES = 2
"""Seasons need as many dates in common."""

Seen = npt.NDArray[np.bool_]


def check_seasons(
    evaluation: Evaluation,
    seen: Mapping[int, Seen],
    days: npt.NDArray[np.int32],
    problems: Problems,
) -> None:
    """Find seasons of different sensors (``E-ADAPT-BANDS``) and dates (``E-ADAPT-DATES``).

    Gaps of a sample are filled; a band or a date that a whole season lacks would be made up.

    Parameters
    ----------
    evaluation
        Names the bands and the file.
    seen
        By year: which date and band any of its samples has a value of, shape ``(date, band)``.
    days
        Day of the season of each date.
    problems
        Takes what is found.
    """
    if not seen:
        return
    lacking = {year: _bands(evaluation, one) for year, one in seen.items()}
    if any(lacking.values()):
        found = "; ".join(f"{year} has none of {names}" for year, names in lacking.items() if names)
        problems.error(
            "E-ADAPT-BANDS",
            f"table: the seasons differ in their bands: {found}; they are of different sensors",
            evaluation.table.path,
            "compare seasons of one sensor, or name the bands that all of them have",
        )
        return
    dates = {year: one.all(axis=1) for year, one in seen.items()}
    common = np.logical_and.reduce([*dates.values()])
    if common.sum() < LEAST_DATES:
        shown = "; ".join(f"{year} {_listed(days[own])}" for year, own in dates.items())
        problems.error(
            "E-ADAPT-DATES",
            f"table: {common.sum()} days of the season have values in every year, expected "
            f"{LEAST_DATES}: {shown}",
            evaluation.table.path,
            "bring the seasons to common days, counted from the start of each, before",
        )


def _bands(evaluation: Evaluation, seen: Seen) -> str:
    """Return the names of the bands that have no value at all."""
    table, which = evaluation.table, np.asarray(~seen.any(axis=0))
    names = [*table.bands] if isinstance(table, ColumnTable) else [
        f"band {number}" for number in range(len(which))
    ]  # fmt: skip
    return ", ".join(name for name, one in zip(names, which, strict=True) if one)


def _listed(days: npt.NDArray[np.int32], most: int = 12) -> str:
    """Return days as text, not too many."""
    shown = ", ".join(map(str, days[:most].tolist())) or "none"
    return shown + (" ..." if len(days) > most else "")
