"""Windows of the map: every feature is counted once, and none of a window is missed."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from oso_pipeline.vectors.window import Window

places = st.tuples(st.integers(100_000, 1_200_000), st.integers(6_050_000, 7_100_000))


@settings(max_examples=40, deadline=None)
@given(
    corners=st.lists(places, min_size=1, max_size=30),
    side=st.sampled_from([50_000.0, 130_000.0]),
    epsg=st.sampled_from([2154, 4326, 32631]),
)
def test_every_feature_belongs_to_one_window(
    corners: list[tuple[int, int]], side: float, epsg: int
) -> None:
    boxes = np.array([shapely.box(x, y, x + 700, y + 900) for x, y in corners])
    there = Transformer.from_crs(2154, epsg, always_xy=True)
    shapes = shapely.transform(boxes, there.transform, interleaved=False)
    columns, rows = np.arange(0, 1_300_000, side), np.arange(6_000_000, 7_200_000, side)
    owned = sum(
        Window(x, y, x + side, y + side, 2154).owns(shapes, CRS.from_epsg(epsg)).astype(int)
        for x in columns
        for y in rows
    )
    assert (owned == 1).all()
    assert Window.everywhere(2154).owns(shapes, CRS.from_epsg(epsg)).all()


@settings(max_examples=60, deadline=None)
@given(
    corner=places,
    size=st.floats(1_000, 150_000),
    epsg=st.sampled_from([4326, 3035, 32630, 32632, 27572]),
    inside=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_no_point_of_a_window_lies_outside_its_bounds_elsewhere(
    corner: tuple[int, int], size: float, epsg: int, inside: tuple[float, float]
) -> None:
    window = Window(corner[0], corner[1], corner[0] + size, corner[1] + size, 2154)
    bounds = window.bounds_in(CRS.from_epsg(epsg))
    assert bounds is not None
    there = Transformer.from_crs(2154, epsg, always_xy=True)
    edges = [(u, v) for u in (0, inside[0], 1) for v in (0, inside[1], 1)]
    for u, v in edges:
        x, y = there.transform(corner[0] + u * size, corner[1] + v * size)
        assert bounds[0] <= x <= bounds[2]
        assert bounds[1] <= y <= bounds[3]


def test_edges_belong_to_the_window_above_and_to_the_right() -> None:
    window = Window(0, 0, 100, 100, 2154)
    points = np.array([shapely.Point(*xy) for xy in [(0, 0), (100, 0), (0, 100), (99, 99)]])
    assert window.owns(points, CRS.from_epsg(2154)).tolist() == [True, False, False, True]
    assert window.widened(10).bounds == (-10, -10, 110, 110)
    assert not Window.everywhere(2154).is_bounded
    assert Window.everywhere(2154).bounds_in(CRS.from_epsg(4326)) is None


def test_features_without_a_vertex_are_of_every_window() -> None:
    shapes = np.array([None, shapely.Polygon()], dtype=object)
    assert Window(0, 0, 1, 1, 2154).owns(shapes, CRS.from_epsg(2154)).all()


@pytest.mark.parametrize("count", [0, 3])
def test_any_number_of_features(count: int) -> None:
    shapes = np.array([shapely.box(0, 0, 1, 1)] * count, dtype=object)
    assert Window(0, 0, 9, 9, 2154).owns(shapes, CRS.from_epsg(2154)).shape == (count,)
