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

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.cells import Cell
from oso_pipeline.reference.polygons.event_log import EventCounts
from oso_pipeline.reference.polygons.identity import polygon_ids
from oso_pipeline.reference.polygons.prepare import clip, prepare
from oso_pipeline.reference.polygons.work import Delivery, Preparation, Work
from oso_pipeline.reference.rules.codes import LEFT_OUT, UNKNOWN, CodeTable
from oso_pipeline.vectors.geometry import polygonal

CELL = Cell(0, 0)
EVERYWHERE = shapely.box(-1e6, -1e6, 1e6, 1e6)


def delivered(
    geometries: list[Any], codes: list[int], source: str = "p", rank: int = 0, **more: Any
) -> Delivery:
    """Return polygons of one source; they are numbered and not eroded unless told so."""
    n = len(codes)
    columns = {
        "source_id": [str(i) for i in range(n)],
        "code": np.array(codes, np.int32),
        "year": pd.array([2018] * n, dtype="Int32"),
        "rule": "r",
        "side": "",
        "operation": "none",
        "metres": 0.0,
        "area_ha": shapely.area(np.array(geometries)) / 1e4,
        **more,
    }
    frame = pd.DataFrame(columns, index=range(n))
    return Delivery(source, rank, geopandas.GeoDataFrame(frame, geometry=geometries, crs=2154))


def prepared(
    *deliveries: Delivery, cell: Cell = CELL, **rules: Any
) -> tuple[geopandas.GeoDataFrame, EventCounts]:
    """Return the pieces inside a cell, ordered by source and object, and what happened."""
    work = Work(cell, Preparation(**{"epsg": 2154, "min_area_m2": 0, **rules}), EVERYWHERE)
    table = clip(prepare(deliveries, work), cell)
    work.problems.raise_errors(InputDataError)
    table = table.sort_values(["source", "source_id"], kind="stable").reset_index(drop=True)
    return table, EventCounts.of(work.log.table())


rings = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=3, max_size=8, unique=True
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(rings, st.sampled_from([11, 12, 31]), st.sampled_from([0, 1])),
        min_size=1,
        max_size=8,
    ),
    erosion=st.sampled_from([0.0, 3.0]),
    least=st.sampled_from([0.0, 50.0]),
)
def test_any_rings_become_disjoint_single_polygons(
    drawn: list[tuple[list[tuple[int, int]], int, int]], erosion: float, least: float
) -> None:
    deliveries = []
    for rank in (0, 1):
        chosen = [(shapely.Polygon(ring), code) for ring, code, r in drawn if r == rank]
        shapes, codes = [one for one, _ in chosen], [code for _, code in chosen]
        if chosen:
            erode = {"operation": "erode", "metres": erosion}
            deliveries.append(delivered(shapes, codes, f"s{rank}", rank, **erode))
    table, _ = prepared(*deliveries, min_area_m2=least)
    parts = np.asarray(table.geometry)
    assert set(table.geom_type) <= {"Polygon"}
    assert table.is_valid.all()
    assert (shapely.area(parts) >= least).all()
    for i, (source, number) in enumerate(zip(table.source, table.source_id, strict=True)):
        frame = next(one.frame for one in deliveries if one.source == source)
        assert table.code[i] == frame.code[int(number)]
        # The oracle of repair and erosion: inside the drawn area and `erosion` from its edge.
        given_shape = np.array([frame.geometry[int(number)]])
        whole = polygonal(shapely.make_valid(given_shape))[0]
        assert shapely.area(shapely.difference(parts[i], whole, grid_size=1e-4)) < 0.1
        assert (
            shapely.distance(parts[i], whole.boundary) >= 0.97 * erosion
        )  # arcs are drawn as chords
        for j in range(i):
            assert shapely.area(shapely.intersection(parts[i], parts[j], grid_size=1e-4)) < 0.1


@settings(max_examples=25, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(
            st.integers(0, 20),
            st.integers(0, 20),
            st.integers(1, 9),
            st.integers(1, 9),
            st.sampled_from([11, 12]),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_who_keeps_a_place_agrees_with_a_raster(boxes: list[tuple[int, ...]]) -> None:
    """Each square metre, by the rule told in words, one after the other."""
    deliveries = [
        delivered(
            [shapely.box(x, y, x + w, y + h) for x, y, w, h, _, r in boxes if r == rank],
            [code for *_, code, r in boxes if r == rank],
            f"s{rank}",
            rank,
        )
        for rank in (0, 1, 2)
        if any(box[5] == rank for box in boxes)
    ]
    table, _ = prepared(*deliveries)
    x, y = (axis.ravel() + 0.5 for axis in np.meshgrid(np.arange(30), np.arange(30)))
    claims: list[list[tuple[int, int, int]]] = [[] for _ in x]
    for one in deliveries:
        ids = polygon_ids(one.source, one.frame["source_id"])
        for polygon_id, code, shape in zip(ids, one.frame.code, one.frame.geometry, strict=True):
            for place in np.flatnonzero(shapely.contains_xy(shape, x, y)):
                claims[place].append((one.rank, polygon_id, code))
    expected = np.zeros(len(x), int)
    for place, claimed in enumerate(claims):
        codes = {code for rank, _, code in claimed if rank == min(claimed)[0]}
        expected[place] = codes.pop() if len(codes) == 1 else 0
    found, times = np.zeros(len(x), int), np.zeros(len(x), int)
    for code, shape in zip(table.code, table.geometry, strict=True):
        inside = shapely.contains_xy(shape, x, y)
        found[inside] = code
        times += inside
    assert times.max() <= 1
    assert found.tolist() == expected.tolist()
    assert table.geometry.area.sum() == pytest.approx((expected > 0).sum(), abs=1e-6)


def test_overlap_within_a_class_stays_with_the_lower_id() -> None:
    squares = [shapely.box(0, 0, 100, 100), shapely.box(50, 0, 150, 100)]
    table, seen = prepared(delivered(squares, [11, 11]))
    first = table["polygon_id"].idxmin()
    assert table.geometry.area[first] == 10_000
    assert table.geometry.area.sum() == 15_000
    assert seen.area_m2(event_log.DOUBLE) == 5_000
    assert seen.count(event_log.CONFLICT) == 0


def test_overlaps_do_not_depend_on_the_order_of_rows() -> None:
    squares = [shapely.box(40 * i, 0, 40 * i + 100, 100) for i in range(5)]
    codes, names = [11, 12, 31, 12, 11], list("abcde")
    forth, _ = prepared(delivered(squares, codes, source_id=names))
    back, _ = prepared(delivered(squares[::-1], codes[::-1], source_id=names[::-1]))
    pd.testing.assert_frame_equal(pd.DataFrame(forth), pd.DataFrame(back))


def test_the_source_of_higher_priority_keeps_the_place() -> None:
    wood, parcel = shapely.box(0, 0, 100, 100), shapely.box(50, 0, 150, 100)
    table, seen = prepared(
        delivered([wood], [31], "BD TOPO", 2), delivered([parcel], [11], "RPG", 1)
    )
    assert dict(zip(table.source, table.geometry.area, strict=True)) == {
        "BD TOPO": 5_000,
        "RPG": 10_000,
    }
    assert seen.to_json()[event_log.OUTRANKED] == {"31": {"count": 1, "hectares": 0.5}}
    by_source = seen.by_source(31)["BD TOPO"]
    assert by_source[event_log.READ] == {"count": 1, "hectares": 1.0, "bounds": [50, 50, 50, 50]}


def test_copies_of_an_object_become_one_and_count_as_duplicate() -> None:
    """Two departments deliver what lies on their border, one of them cut at it."""
    whole, half = shapely.box(0, 0, 100, 100), shapely.box(50, 0, 100, 100)
    table, seen = prepared(delivered([half, whole, whole], [51] * 3, source_id=["a"] * 3))
    assert table.geometry.area.tolist() == [10_000]
    assert seen.count(event_log.DUPLICATE) == 1
    assert seen.count(event_log.READ) == 1


def test_parts_of_a_multipolygon_share_the_id() -> None:
    two = shapely.union(shapely.box(0, 0, 50, 50), shapely.box(100, 0, 150, 50))
    first = delivered([shapely.box(500, 0, 600, 100), two], [11, 12])
    second = delivered([shapely.box(900, 0, 990, 90)], [31], "q")
    table, _ = prepared(first, second)
    assert table.source_id.tolist() == ["0", "1", "1", "0"]
    assert table.polygon_id.nunique() == 3


def test_erosion_is_in_metres_of_the_map_and_keeps_holes_away() -> None:
    ring = shapely.box(0, 0, 200, 200).difference(shapely.box(90, 90, 110, 110))
    table, _ = prepared(delivered([ring], [11], operation="erode", metres=10.0))
    expected = 180**2 - (20 * 20 + 4 * 20 * 10 + np.pi * 100)
    assert table.geometry.area.sum() == pytest.approx(expected, rel=1e-3)


def test_lines_are_buffered_and_others_left_as_they_are() -> None:
    road, water = shapely.LineString([(10, 10), (110, 10)]), shapely.box(200, 0, 300, 100)
    table, _ = prepared(
        delivered([road, water], [44, 51], operation=["buffer", "none"], metres=[5.0, np.nan])
    )
    areas = table.geometry.area.tolist()
    assert areas == pytest.approx([1_000 + np.pi * 25, 10_000], rel=1e-2)


def test_large_polygons_are_cut_along_the_grid() -> None:
    large, small = shapely.box(1_000, 1_000, 12_000, 3_000), shapely.box(9_900, 4_900, 9_990, 5_100)
    table, _ = prepared(delivered([large, small], [34, 34]), max_polygon_m2=1e6)
    pieces = table[table.source_id == "0"].geometry
    assert sorted(pieces.area) == pytest.approx([4e6, 8e6, 1e7])
    assert pieces.union_all().equals(large)
    assert len(table[table.source_id == "1"]) == 1


def parcels_on_a_border(seed: int, n: int = 40) -> list[shapely.Polygon]:
    """Return polygons of up to 800 m around the corner of four cells at (50 km, 50 km)."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(48_500, 51_500, (n, 2))
    return [
        shapely.Point(x, y).buffer(rng.uniform(20, 400), quad_segs=int(rng.integers(1, 4)))
        for x, y in centres
    ]


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_grid_of_cells_does_not_change_the_land_of_a_polygon(seed: int) -> None:
    shapes = parcels_on_a_border(seed)
    codes = [11, 12, 31, 31] * 10
    erode = {"operation": "erode", "metres": 10.0}

    def all_cells(side_m: float) -> tuple[geopandas.GeoDataFrame, dict[str, Any]]:
        found, logs = [], []
        for column in range(int(48_000 // side_m), int(52_000 // side_m) + 1):
            for row in range(int(48_000 // side_m), int(52_000 // side_m) + 1):
                cell = Cell(column, row, side_m)
                work = Work(cell, Preparation(2154, 200), EVERYWHERE)
                deliveries = [
                    delivered(shapes[:20], codes[:20], "s0", 0, **erode),
                    delivered(shapes[20:], codes[20:], "s1", 1, **erode),
                ]
                found.append(clip(prepare(deliveries, work), cell))
                logs.append(work.log.table())
        whole = pd.concat(found, ignore_index=True).dissolve("polygon_id")
        return whole, EventCounts.of(event_log.merged(logs)).to_json()

    one, told = all_cells(100_000.0)
    many, told_by_many = all_cells(2_000.0)
    assert one.index.equals(many.index)
    different = shapely.area(
        shapely.symmetric_difference(one.geometry.values, many.geometry.values)
    )
    assert different.max() < 0.5
    for reason, by_code in told.items():
        for code, figures in by_code.items():
            same = told_by_many[reason][code]
            assert same["count"] == figures["count"], reason
            assert same["hectares"] == pytest.approx(figures["hectares"], abs=1e-3)


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
