"""Who keeps a place that several polygons claim, against a count pixel by pixel.

The reference knows no geometry: polygons are sets of pixels, and each pair of claims is decided
by itself. GDAL burns what the code keeps back into pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from oso_pipeline.reference.polygons.event_log import CONFLICT, DOUBLE, OUTRANKED
from oso_pipeline.reference.polygons.overlaps import Claims, without_overlaps

SIDE = 10
PIXEL_M = 10.0
X, Y = 560_000.0, 6_260_000.0
GRID = Affine(PIXEL_M, 0, X, 0, -PIXEL_M, Y)
Pixels = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Claim:
    """A rectangle of pixels, rows and columns half open, and what decides about it."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    rank: int
    code: int
    polygon_id: int

    @property
    def pixels(self) -> Pixels:
        return frozenset(
            (row, column) for row in range(*self.rows) for column in range(*self.columns)
        )

    @property
    def shape(self) -> shapely.Polygon:
        left, right = (X + PIXEL_M * column for column in self.columns)
        top, bottom = (Y - PIXEL_M * row for row in self.rows)
        return shapely.box(left, bottom, right, top)


SPANS = st.tuples(st.integers(0, SIDE - 1), st.integers(1, 5)).map(
    lambda span: (span[0], min(SIDE, span[0] + span[1]))
)
WORLDS = st.lists(
    st.tuples(SPANS, SPANS, st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=8
).flatmap(
    lambda drawn: st.permutations(range(len(drawn))).map(
        lambda ids: [Claim(*one, number) for one, number in zip(drawn, ids, strict=True)]
    )
)


def lost_to(mine: Claim, other: Claim) -> str | None:
    """Return why `mine` loses what `other` claims as well, if it does."""
    if mine.rank != other.rank:
        return OUTRANKED if other.rank < mine.rank else None
    if mine.code != other.code:
        return CONFLICT
    return DOUBLE if other.polygon_id < mine.polygon_id else None


def expected(world: list[Claim]) -> tuple[list[Pixels], dict[str, dict[int, Pixels]]]:
    """Return the pixels that each keeps, and those lost by reason; the strongest reason counts."""
    kept, lost = [], {OUTRANKED: {}, CONFLICT: {}, DOUBLE: {}}
    for position, mine in enumerate(world):
        left = mine.pixels
        for reason, pieces in lost.items():
            taken = frozenset[tuple[int, int]]().union(
                *(o.pixels for o in world if o is not mine and lost_to(mine, o) == reason)
            )
            if left & taken:
                pieces[position] = left & taken
            left -= taken
        kept.append(left)
    return kept, lost


def burnt(shape: shapely.Geometry) -> Pixels:
    if shape.is_empty:
        return frozenset()
    mask = rasterize([shape], (SIDE, SIDE), transform=GRID)
    return frozenset((int(row), int(column)) for row, column in np.argwhere(mask))


def claims_of(world: list[Claim]) -> Claims:
    return Claims(
        np.array([one.rank for one in world], dtype=np.int64),
        np.array([one.code for one in world], dtype=np.int32),
        np.array([one.polygon_id for one in world], dtype=np.int64),
    )


@settings(max_examples=60)
@given(WORLDS)
def test_each_pixel_goes_to_whom_the_rules_name(world: list[Claim]) -> None:
    shapes = np.array([one.shape for one in world], dtype=object)
    before = shapely.to_wkb(shapes)
    kept, losses = without_overlaps(shapes, claims_of(world))
    assert (shapely.to_wkb(shapes) == before).all(), "the polygons given are left alone"
    pixels, lost = expected(world)
    assert [burnt(shape) for shape in kept] == pixels
    areas = [PIXEL_M**2 * len(one) for one in pixels]
    np.testing.assert_allclose(shapely.area(kept), areas, atol=1e-3)
    assert [loss.reason for loss in losses] == [OUTRANKED, CONFLICT, DOUBLE]
    for loss in losses:
        found = {int(row): burnt(piece) for row, piece in zip(loss.rows, loss.pieces, strict=True)}
        assert found == lost[loss.reason]


@settings(max_examples=30)
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(world: list[Claim], order) -> None:
    mixed = world.copy()
    order.shuffle(mixed)
    kept = {}
    for rows in (world, mixed):
        shapes = np.array([one.shape for one in rows], dtype=object)
        found, _ = without_overlaps(shapes, claims_of(rows))
        kept[rows is world] = {
            one.polygon_id: burnt(shape) for one, shape in zip(rows, found, strict=True)
        }
    assert kept[True] == kept[False]


@pytest.mark.parametrize("overlap_m", [0.0, 1e-7])
def test_neighbours_that_touch_up_to_rounding_lose_nothing(overlap_m: float) -> None:
    left = shapely.box(X, Y, X + 100, Y + 100)
    right = shapely.box(X + 100 - overlap_m, Y, X + 200, Y + 100)
    assert shapely.touches(left, right) == (overlap_m == 0)
    shapes = np.array([left, right], dtype=object)
    claims = Claims(np.array([0, 0]), np.array([1, 2], np.int32), np.array([1, 2]))
    kept, losses = without_overlaps(shapes, claims)
    assert (shapely.to_wkb(kept) == shapely.to_wkb(shapes)).all()
    assert all(len(loss.rows) == 0 for loss in losses)


def test_no_polygon_at_all() -> None:
    kept, losses = without_overlaps(np.empty(0, dtype=object), claims_of([]))
    assert len(kept) == 0
    assert all(len(loss.rows) == len(loss.pieces) == 0 for loss in losses)
