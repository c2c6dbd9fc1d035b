"""No îlot has pixels on both sides, however it is cut by tiles, cells, strata and clouds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from support.reference_world import rules

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.polygons.attach_strata import attach_strata
from oso_pipeline.reference.polygons.cell_file import read_small, write_cell
from oso_pipeline.reference.polygons.cells import Cell
from oso_pipeline.reference.polygons.identity import polygon_ids
from oso_pipeline.reference.polygons.prepare import clip, prepare
from oso_pipeline.reference.polygons.work import Delivery, Preparation, Work
from oso_pipeline.reference.split.split import add_split, verify_split

SIDE_M = 2_000.0
CORNER = (550_000.0, 6_250_000.0)
ZONES = (32630, 32631)


def ilots(seed: int, n: int = 24) -> geopandas.GeoDataFrame:
    """Return îlots of 100 to 700 m around the corner of four cells, some of two parts."""
    rng = np.random.default_rng(seed)
    shapes: list[Any] = []
    for _ in range(n):
        x, y = CORNER + rng.uniform(-900, 900, 2)
        one = shapely.box(x, y, x + rng.uniform(100, 700), y + rng.uniform(100, 700))
        far = shapely.transform(one, lambda at: at + 2_500.0)
        shapes.append(shapely.MultiPolygon([one, far]) if rng.random() < 0.3 else one)
    columns = {
        "source_id": [f"ilot {i}" for i in range(n)],
        "code": rng.choice(np.array([11, 12], np.int32), n),
        "year": pd.array([2018] * n, dtype="Int32"),
        "rule": "r",
        "side": "",
        "operation": "erode",
        "metres": 10.0,
        "area_ha": shapely.area(np.array(shapes)) / 1e4,
    }
    return geopandas.GeoDataFrame(pd.DataFrame(columns), geometry=shapes, crs=2154)


def prepared(given_ilots: geopandas.GeoDataFrame, folder: Path) -> geopandas.GeoDataFrame:
    """Return the pieces of all cells, cut by two strata as well, with their sides still open."""
    x, y = CORNER
    borders = [
        shapely.box(x - 9e3, y - 9e3, x + 210, y + 9e3),
        shapely.box(x + 210, y - 9e3, x + 9e3, y + 9e3),
    ]
    regions = geopandas.GeoDataFrame({"stratum": ["a", "b"]}, geometry=borders, crs=2154)
    paths, tables = [], []
    for column in range(274, 277):
        for row in range(3124, 3127):
            cell = Cell(column, row, SIDE_M)
            everywhere = shapely.box(*cell.window).buffer(1e5)
            work = Work(cell, Preparation(2154, 200), everywhere)
            deliveries = [Delivery("RPG 2014", 1, given_ilots)]
            table = clip(attach_strata(prepare(deliveries, work), regions, work), cell)
            paths.append(folder / f"{cell.name}-{row}-{column}.parquet")
            write_cell(table, paths[-1])
            tables.append(table)
    shapes = np.concatenate([np.asarray(table.geometry) for table in tables])
    return geopandas.GeoDataFrame(read_small(paths), geometry=shapes, crs=2154)


@pytest.mark.slow
@settings(max_examples=2, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    method=st.sampled_from(["random", "blocks"]),
    folds=st.sampled_from([None, 3]),
)
def test_no_ilot_has_pixels_on_both_sides(
    tmp_path_factory: pytest.TempPathFactory, seed: int, method: str, folds: int | None
) -> None:
    drawn = ilots(seed)
    pieces = prepared(drawn, tmp_path_factory.mktemp("cells"))
    split_rules = rules(method=method, folds=folds, seed=seed)
    (column,) = split_rules.columns
    parts = add_split(pd.DataFrame(pieces.drop(columns="geometry")), split_rules)
    problems = Problems()
    verify_split(parts, [column], problems)
    assert len(problems) == 0
    rng = np.random.default_rng(seed)
    tree = shapely.STRtree(np.asarray(pieces.geometry))
    sides_of_ilots: dict[int, set[Any]] = {}
    for zone in ZONES:  # two tiles that overlap, each with clouds of its own
        to_tile = Transformer.from_crs(2154, zone, always_xy=True)
        left, lower = (10 * np.floor(np.array(to_tile.transform(*CORNER)) / 10)) - 1_500
        x, y = np.meshgrid(left + 5 + 10 * np.arange(500), lower + 5 + 10 * np.arange(500))
        clear = rng.random((25, 25)).repeat(20, axis=0).repeat(20, axis=1) > 0.4
        there = to_tile.transform(x[clear], y[clear], direction="INVERSE")
        points = shapely.points(*there)
        point, piece = tree.query(points, predicate="within")
        assert len(point) == len(set(point.tolist()))  # a pixel belongs to one piece
        drawn_there = shapely.STRtree(np.asarray(drawn.geometry)).query(points, predicate="within")
        assert set(point.tolist()) <= set(drawn_there[0].tolist())
        assert len(point) > 500
        ids, sides = parts["polygon_id"].to_numpy()[piece], parts[column].to_numpy()[piece]
        for polygon_id, side in zip(ids.tolist(), sides.tolist(), strict=True):
            sides_of_ilots.setdefault(polygon_id, set()).add(side)
    assert set(sides_of_ilots) <= set(polygon_ids("RPG 2014", drawn["source_id"]).tolist())
    assert all(len(sides) == 1 for sides in sides_of_ilots.values())
