"""Guard against offsets of reflectance that are missing or applied twice.

Since baseline 04.00 Sentinel-2 stores reflectance with an offset of -0.1. In some archives metadata
and pixels disagree about it: then all bands of these products are 0.1 too bright or too dark. The
guard compares medians over clear land with those of neighbours in time of another baseline. Within
one baseline nothing is compared, because the offset is the same there.

An alarm stops a run. So several facts must agree: the step is about 0.1 in blue and in red, and
blue is too bright or too dark for clear land. Dark dates are compared, as snow and haze brighten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

STEP = 0.1
"""Reflectance by which a product is moved whose offset is missing or applied twice."""
LEAST = 5
"""Products of a baseline with neighbours, below which it is not compared."""
NEAR_DAYS = 60
"""Products that lie further apart are no neighbours."""

_MOST = 24  # products of a group that are compared: those next to another group
_NEIGHBOURS = 16  # products of other groups that each may be compared with
_QUANTILE = 0.25  # of values: snow and haze brighten, so dark dates show the land
_TOLERANCE = np.array([0.04, 0.08])  # of the step, blue and red: red changes more with crops
_SNOW = 0.25  # blue that no land has, with an offset too many or not
_BRIGHT, _DARK = 0.1, 0.01  # blue that clear land does not reach on its dark dates


@dataclass(frozen=True)
class Series:
    """Clear land of the products of a tile.

    Parameters
    ----------
    days
        Days of acquisition, counted from any day. Shape (dates,), float64.
    values
        Medians of B2 and of B4 over clear land, reflectance; NaN where a product shows too little
        of it. Shape (2, dates), float64.
    groups
        Baseline, scale and offset of each product, as one text. Length (dates,).
    """

    days: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    groups: Sequence[str]


@dataclass(frozen=True)
class Shift:
    """Products that are moved against the others.

    Parameters
    ----------
    group
        Their baseline, scale and offset.
    offset
        ``missing`` where they are too bright, ``twice`` where they are too dark.
    numbers
        Their numbers in the series.
    """

    group: str
    offset: Literal["missing", "twice"]
    numbers: tuple[int, ...]


def find_shifts(series: Series) -> tuple[Shift, ...]:
    """Return the groups of products that are moved by an offset; nothing where all is well.

    A group that is not `comparable` has no part in it. A group of which only some products are
    moved is found only where these are most of them.
    """
    found = []
    for one in _compared(series):
        step = one.ours - one.theirs
        if _is_step(step) and one.ours[0] >= _BRIGHT > one.theirs[0]:
            found.append(Shift(one.group, "missing", one.numbers))
        elif _is_step(-step) and one.ours[0] <= _DARK < one.theirs[0]:
            found.append(Shift(one.group, "twice", one.numbers))
    return tuple(found)


def comparable(series: Series) -> tuple[str, ...]:
    """Return the groups that have `LEAST` products next to as many of other groups."""
    return tuple(one.group for one in _compared(series))


@dataclass(frozen=True)
class _Compared:
    """A group, its numbers in the series, and dark values of it and of its neighbours."""

    group: str
    numbers: tuple[int, ...]
    ours: npt.NDArray[np.float64]
    theirs: npt.NDArray[np.float64]


def _compared(series: Series) -> Iterator[_Compared]:
    is_land = np.isfinite(series.values).all(axis=0) & (series.values[0] < _SNOW)
    known = np.flatnonzero(is_land)
    texts = np.asarray(series.groups, dtype=str)[known]
    names, group = np.unique(texts, return_inverse=True)
    if len(names) < 2:
        return
    days, values = series.days[known], series.values[:, known]
    for number, name in enumerate(names):
        own, others = _next_to_each_other(days, group == number)
        if min(len(own), len(others)) >= LEAST:
            ours, theirs = (
                np.quantile(values[:, some], _QUANTILE, axis=1) for some in (own, others)
            )
            numbers = (n for n, text in enumerate(series.groups) if text == name)
            yield _Compared(str(name), tuple(numbers), ours, theirs)


def _next_to_each_other(
    days: npt.NDArray[np.float64], is_own: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the products of a group that are nearest to others, and those next to them."""
    own, others = np.flatnonzero(is_own), np.flatnonzero(~is_own)
    apart = np.abs(days[own, None] - days[None, others])
    near = np.flatnonzero(apart.min(axis=1) <= NEAR_DAYS)
    near = near[np.argsort(apart[near].min(axis=1), kind="stable")[:_MOST]]
    nearest = np.argsort(apart[near], axis=1, kind="stable")[:, :_NEIGHBOURS]
    is_near = np.take_along_axis(apart[near], nearest, axis=1) <= NEAR_DAYS
    return own[near], others[np.unique(nearest[is_near])]


def _is_step(difference: npt.NDArray[np.float64]) -> bool:
    return bool((np.abs(difference - STEP) <= _TOLERANCE).all())
