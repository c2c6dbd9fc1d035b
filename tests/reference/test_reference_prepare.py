"""Geometry of the preparation: promises that hold for any polygons, and counted cases."""

from __future__ import annotations

from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference import tally
from oso_pipeline.reference.codes import LEFT_OUT, UNKNOWN, CodeTable
from oso_pipeline.reference.prepare import Preparation, polygonal, prepare
from oso_pipeline.reference.sources import LabelledPolygons


def labelled(geometries: list[Any], codes: list[int]) -> LabelledPolygons:
    n = len(codes)
    frame = pd.DataFrame(
        {
            "feature": np.arange(n),
            "code": np.array(codes, np.int32),
            "year": pd.array([2018] * n, dtype="Int32"),
            "side": [""] * n,
        }
    )
    return LabelledPolygons("p", geopandas.GeoDataFrame(frame, geometry=geometries, crs=2154), n)


rings = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=3, max_size=8, unique=True
)


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(st.tuples(rings, st.sampled_from([11, 12, 31])), min_size=1, max_size=8),
    erosion=st.sampled_from([0.0, 3.0]),
    least=st.sampled_from([0.0, 50.0]),
)
def test_any_rings_become_disjoint_single_polygons(
    drawn: list[tuple[list[tuple[int, int]], int]], erosion: float, least: float
) -> None:
    geometries = [shapely.Polygon(ring) for ring, _ in drawn]
    source = labelled(geometries, [code for _, code in drawn])
    table, _ = prepare([source], Preparation(2154, erosion, least), Problems())
    parts = np.asarray(table.geometry)
    assert set(table.geom_type) <= {"Polygon"}
    assert table.is_valid.all()
    assert (shapely.area(parts) >= least).all()
    assert table.polygon_id.is_monotonic_increasing
    for i, polygon_id in enumerate(table.polygon_id):
        assert table.code[i] == drawn[polygon_id][1]
        # The oracle of repair and erosion: inside the drawn area and `erosion` from its edge.
        whole = polygonal(shapely.make_valid(np.array([geometries[polygon_id]])))[0]
        assert shapely.area(shapely.difference(parts[i], whole, grid_size=1e-4)) < 0.1
        assert (
            shapely.distance(parts[i], whole.boundary) >= 0.97 * erosion
        )  # arcs are drawn as chords
        for j in range(i):
            assert shapely.area(shapely.intersection(parts[i], parts[j], grid_size=1e-4)) < 0.1


def test_overlap_within_a_class_stays_with_the_first() -> None:
    squares = [shapely.box(0, 0, 100, 100), shapely.box(50, 0, 150, 100)]
    table, report = prepare([labelled(squares, [11, 11])], Preparation(2154, 0, 0), Problems())
    assert table.geometry.area.tolist() == [10_000, 5_000]
    assert report.area_m2(tally.DOUBLE) == 5_000
    assert report.count(tally.CONFLICT) == 0


def test_overlaps_do_not_depend_on_the_order_of_classes() -> None:
    squares = [shapely.box(40 * i, 0, 40 * i + 100, 100) for i in range(5)]
    codes = [11, 12, 31, 12, 11]
    forth, _ = prepare([labelled(squares, codes)], Preparation(2154, 0, 0), Problems())
    back, _ = prepare([labelled(squares[::-1], codes[::-1])], Preparation(2154, 0, 0), Problems())
    assert shapely.equals(forth.union_all(), back.union_all())


def test_parts_of_a_multipolygon_share_the_id_and_sources_follow_each_other() -> None:
    two = shapely.union(shapely.box(0, 0, 50, 50), shapely.box(100, 0, 150, 50))
    first = labelled([shapely.box(500, 0, 600, 100), two], [11, 12])
    second = labelled([shapely.box(900, 0, 990, 90)], [31])
    table, _ = prepare([first, second], Preparation(2154, 0, 0), Problems())
    assert table.polygon_id.tolist() == [0, 1, 1, 2]


def test_erosion_is_in_metres_of_the_map_and_keeps_holes_away() -> None:
    ring = shapely.box(0, 0, 200, 200).difference(shapely.box(90, 90, 110, 110))
    table, _ = prepare([labelled([ring], [11])], Preparation(2154, 10, 0), Problems())
    expected = 180**2 - (20 * 20 + 4 * 20 * 10 + np.pi * 100)
    assert table.geometry.area.sum() == pytest.approx(expected, rel=1e-3)


def test_collections_keep_their_areas_only() -> None:
    area = shapely.box(0, 0, 10, 10)
    mixed = shapely.GeometryCollection(
        [area, shapely.Point(5, 50), shapely.MultiPolygon([shapely.box(20, 0, 30, 10)])]
    )
    assert polygonal(np.array([mixed, None, shapely.Point(0, 0)]))[0].area == 200


def test_exact_values_win_over_normalised_ones() -> None:
    table = CodeTable({"01": 11, "1": 12, "x": LEFT_OUT}, {"1": 12, "x": LEFT_OUT})
    found = table.codes(pd.Series(["01", "1", "001", "x", "y"]))
    assert found.tolist() == [11, 12, 12, LEFT_OUT, UNKNOWN]
