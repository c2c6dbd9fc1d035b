"""Families of derived features of a chunk of pixels, from its filled bands and indices.

A family is a compiled function of one channel in a module of its own, and has here its number, what
it takes beforehand from the dates, and its line in :func:`derived_chunk`. Its names are in
`core.families`, its plain definition in `derived_plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.kernels import kernel
from oso_pipeline.timeseries.kernels.harmonics import harmonics, weights
from oso_pipeline.timeseries.kernels.relative import relative
from oso_pipeline.timeseries.kernels.statistics import statistics, table_of

Prepare = Callable[[npt.NDArray[np.int32]], npt.NDArray[np.float32]]
"""From the days of the grid to numbers that a family multiplies by."""

RELATIVE, HARMONICS, STATISTICS = 0, 1, 2
"""Numbers of the families."""


def _nothing(days: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return np.empty(0, np.float32)


_FAMILIES: dict[str, tuple[int, Prepare]] = {
    "relative": (RELATIVE, _nothing),
    "harmonics": (HARMONICS, weights),
    "statistics": (STATISTICS, table_of),
}

MOST_DATES = 1000
"""Sums of more dates do not fit the types of the kernels."""


class Derived(NamedTuple):
    """Families to compute.

    Parameters
    ----------
    numbers
        Numbers of the families, int64.
    ends
        Where the numbers of each family end in `tables`, from 0 on, int64.
    tables
        What families take from the dates, float32, flat.
    rows
        Features that all of them have for a channel.
    """

    numbers: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    tables: npt.NDArray[np.float32]
    rows: int


class Channel(NamedTuple):
    """The series of a band or an index: row ``first + n * step`` for date n."""

    first: int
    step: int
    dates: int


def derived_plan(families: tuple[str, ...], days: npt.NDArray[np.int32]) -> Derived:
    """Return how families are computed on the days of a grid.

    Raises
    ------
    ValueError
        If the kernels do not compute a family, or there are too many dates.
    """
    if unknown := [name for name in families if name not in _FAMILIES]:
        raise ValueError(f"the kernels compute {', '.join(_FAMILIES)}, not {unknown[0]}")
    if families and len(days) > MOST_DATES:
        raise ValueError(f"{families[0]} is computed of at most {MOST_DATES} dates")
    tables = [_FAMILIES[name][1](days).ravel() for name in families]
    return Derived(
        np.array([_FAMILIES[name][0] for name in families], np.int64),
        np.cumsum([0, *map(len, tables)]).astype(np.int64),
        np.concatenate([np.empty(0, np.float32), *tables]),
        sum(FAMILIES[name].rows(len(days)) for name in families),
    )


@kernel
def derived_chunk(plan, n_bands, row, features):  # type: ignore[no-untyped-def]
    """Compute the families of a chunk, each for all channels, and return the next row.

    Parameters
    ----------
    plan
        Of it only the dates (how many), the indices (how many) and the families.
    n_bands
        Number of bands.
    row
        First row to write, after the bands and indices.
    features
        Flat rows of `CHUNK` pixels, with the bands and indices written.
    """
    dates, derived = len(plan.days_out), plan.derived
    for place in range(len(derived.numbers)):
        family = derived.numbers[place]
        table = derived.tables[derived.ends[place] : derived.ends[place + 1]]
        for number in range(n_bands + len(plan.indices)):
            is_band = number < n_bands
            channel = Channel(
                number if is_band else number * dates, n_bands if is_band else 1, dates
            )
            if family == RELATIVE:
                row = relative(channel, row, features)
            elif family == HARMONICS:
                row = harmonics(channel, table, row, features)
            elif family == STATISTICS:
                row = statistics(channel, table, row, features)
    return row
