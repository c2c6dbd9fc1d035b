"""Resolve overlaps of polygons, so that each place has one label at most.

The source of higher priority keeps it. Between sources of one priority it is unknown which of
two classes is right, so both polygons lose it. Within a class the polygon with the lower id
keeps it, since the same pixel on both sides of a split would be a leak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from oso_pipeline.reference.polygons import event_log
from oso_pipeline.vectors.geometry import (
    GRID_M,
    LEAST_AREA_M2,
    Geometries,
    Rows,
    groups,
    polygonal,
)


@dataclass(frozen=True)
class Loss:
    """Parts of polygons that were removed for one reason.

    Parameters
    ----------
    reason
        One of the reasons of `event_log`.
    rows
        Positions of the polygons that lost something.
    pieces
        Removed part of each.
    """

    reason: str
    rows: Rows
    pieces: Geometries


@dataclass(frozen=True)
class Claims:
    """Priority of polygons; arrays of one length.

    Parameters
    ----------
    rank
        Priority of the source; the lower one wins.
    code
        Class.
    polygon_id
        Object the polygon belongs to.
    """

    rank: npt.NDArray[np.int64]
    code: npt.NDArray[np.int32]
    polygon_id: npt.NDArray[np.int64]


def without_overlaps(geometries: Geometries, claims: Claims) -> tuple[Geometries, list[Loss]]:
    """Return what every polygon keeps, and what it lost and why.

    Each loses what others claim as they were delivered, not what is left to these in the
    end: a place in dispute belongs to nobody, not to a third.
    """
    losses = []
    result = geometries.copy()
    for reason, losers, claimers in _disputes(geometries, claims):
        rows, claimed = _united(losers, geometries[claimers])
        before = result[rows]
        after = polygonal(shapely.difference(before, claimed, grid_size=GRID_M))
        lost = shapely.area(before) - shapely.area(after) >= LEAST_AREA_M2
        result[rows[lost]] = after[lost]
        pieces = shapely.intersection(before[lost], claimed[lost], grid_size=GRID_M)
        losses.append(Loss(reason, rows[lost], polygonal(pieces)))
    return result, losses


def _disputes(geometries: Geometries, claims: Claims) -> list[tuple[str, Rows, Rows]]:
    """Return, by reason, who loses and to whom; the strongest reason first."""
    first, second = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    apart = shapely.touches(geometries[first], geometries[second])
    first, second = first[~apart], second[~apart]
    rank, code, ids = claims.rank, claims.code, claims.polygon_id
    swap = (rank[first] > rank[second]) | (
        (rank[first] == rank[second]) & (ids[first] > ids[second])
    )
    winner, loser = np.where(swap, second, first), np.where(swap, first, second)
    ranked = rank[winner] < rank[loser]
    conflict = ~ranked & (code[winner] != code[loser])
    double = ~ranked & ~conflict
    return [
        (event_log.OUTRANKED, loser[ranked], winner[ranked]),
        (
            event_log.CONFLICT,
            np.concatenate([loser[conflict], winner[conflict]]),
            np.concatenate([winner[conflict], loser[conflict]]),
        ),
        (event_log.DOUBLE, loser[double], winner[double]),
    ]


def _united(losers: Rows, claimed: Geometries) -> tuple[Rows, Geometries]:
    """Return each loser once, with the union of what others claim of it."""
    members = groups(losers.astype(np.int64))
    united = claimed[[rows[0] for rows in members]] if members else claimed[:0]
    for position, rows in enumerate(members):
        if len(rows) > 1:
            united[position] = shapely.union_all(claimed[rows], grid_size=GRID_M)
    return np.array([losers[rows[0]] for rows in members], dtype=np.intp), united
