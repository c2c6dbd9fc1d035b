"""Closing of buildings by square, against a brute-force closing of small sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oso_pipeline.reference.databases.buildings import (
    SQUARE_M,
    Buildings,
    built_up_units,
    inside,
    squares_of,
)

X, Y = 600_000, 6_300_000


def town(corners: list[tuple[float, float, float, float]]) -> Buildings:
    geometries = np.array(
        [shapely.box(X + x, Y + y, X + x + w, Y + y + h) for x, y, w, h in corners]
    )
    ids = np.array([f"B{n:04d}" for n in range(len(corners))], dtype=object)
    return Buildings(ids, geometries)


def brute_force(buildings: Buildings, radius: float) -> dict[str, Any]:
    """Close every square by itself; groups by following gaps from building to building."""
    result = {}
    squares = np.floor([shapely.get_coordinates(g)[0] / SQUARE_M for g in buildings.geometries])
    for square in {tuple(s) for s in squares}:
        left = {n for n, s in enumerate(squares) if tuple(s) == square}
        while left:
            group, fresh = set(), {min(left)}
            while fresh:
                group |= fresh
                left -= fresh
                fresh = {
                    n
                    for n in left
                    for m in fresh
                    if buildings.geometries[n].distance(buildings.geometries[m]) < 2 * radius
                }
            shapes = [buildings.geometries[n].buffer(radius, quad_segs=64) for n in group]
            closed = shapely.union_all(shapes).buffer(-radius, quad_segs=64)
            result[min(buildings.ids[n] for n in group)] = closed
    return result


def nearly_apart(buildings: Any, radius: float) -> bool:
    """Tell whether circles of two radii just meet: there, few corners make another shape."""
    shapes = buildings.geometries
    gaps = shapely.distance(shapes[:, None], shapes[None, :])
    return bool(((gaps > 1.96 * radius) & (gaps < 2 * radius)).any())


place = st.tuples(
    st.integers(0, 240).map(lambda n: 10 * n),
    st.integers(0, 240).map(lambda n: 10 * n),
    st.sampled_from([6.0, 12.5, 33.0]),
    st.sampled_from([6.0, 12.5, 33.0]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(place, min_size=1, max_size=60), st.sampled_from([24.0, 49.0]))
def test_units_are_the_brute_force_closing(
    corners: list[tuple[float, float, float, float]], radius: float
) -> None:
    buildings = town(corners)
    assume(not nearly_apart(buildings, radius))
    expected = brute_force(buildings, radius)
    units = built_up_units(buildings, radius)
    assert sorted(units.ids) == sorted(expected)
    for name, shape in zip(units.ids, units.geometries, strict=True):
        # Circles of 32 corners in place of 256: two per mille of the radius.
        difference = shape.symmetric_difference(expected[name])
        assert difference.buffer(-0.005 * radius).is_empty


@settings(max_examples=20, deadline=None)
@given(st.lists(place, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_units_do_not_depend_on_order_or_on_what_else_was_read(
    corners: list[tuple[float, float, float, float]], random: Any
) -> None:
    buildings = town(corners)
    whole = built_up_units(buildings, 25.0)
    shuffled = list(range(len(buildings)))
    random.shuffle(shuffled)
    again = built_up_units(buildings[np.array(shuffled)], 25.0)
    assert again.ids.tolist() == whole.ids.tolist()
    assert shapely.equals_exact(again.geometries, whole.geometries).all()
    square = squares_of(buildings.geometries)
    for one in np.unique(square, axis=0):
        alone = built_up_units(buildings[(square == one).all(axis=1)], 25.0)
        rows = [whole.ids.tolist().index(name) for name in alone.ids]
        assert shapely.equals_exact(alone.geometries, whole.geometries[rows]).all()


def test_no_building_is_in_two_units() -> None:
    corners = [(x, y, 10.0, 10.0) for x in range(900, 1100, 30) for y in range(0, 200, 30)]
    buildings = town(corners)
    units = built_up_units(buildings, 25.0)
    assert units.ids.tolist() == ["B0000", "B0021"]  # a town across the border of two squares
    holds = shapely.intersects(units.geometries[:, None], buildings.geometries)
    squares = squares_of(buildings.geometries)[:, 0] - X // 1000
    assert holds[0].tolist() == (squares == 0).tolist()
    assert holds[1].tolist() == (squares == 1).tolist()


def test_gaps_are_filled_up_to_twice_the_radius() -> None:
    def parts(gap: float) -> int:
        units = built_up_units(town([(0, 0, 60, 60), (60 + gap, 0, 60, 60)]), 25.0)
        return int(shapely.get_num_geometries(units.geometries).sum()), len(units)

    assert parts(20) == (1, 1)
    assert parts(55) == (2, 2)
    assert built_up_units(town([]), 25.0).ids.tolist() == []


def test_inside_zones() -> None:
    units = Buildings(
        np.array(["a", "b", "c", "d"], dtype=object),
        np.array([shapely.box(x, 0, x + 10, 10) for x in (0, 20, 40, 60)]),
    )
    zones = np.array([shapely.box(-5, -5, 25, 15), shapely.box(28, 2, 45, 4)])
    found = inside(units, zones)
    assert found.ids.tolist() == ["a", "b", "c"]
    assert shapely.area(found.geometries).tolist() == pytest.approx([100, 50 + 4, 10])
    assert len(inside(units, np.array([], dtype=object))) == 0
    assert len(inside(units[:0], zones)) == 0
