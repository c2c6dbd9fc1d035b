"""Cells of the grid, the files they are kept in, ids and digests."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.core.tiles import Tile
from oso_pipeline.reference.polygons import stage as polygons_stage
from oso_pipeline.reference.polygons.cells import CELL_M, cells_of, cut, footprint
from oso_pipeline.reference.polygons.identity import polygon_ids
from oso_pipeline.tasks import file_digests
from oso_pipeline.tasks.worker import do


def test_ids_are_those_of_the_plain_definition() -> None:
    names = ["11", "Ilot é", ""]
    expected = [
        int.from_bytes(hashlib.blake2b(f"RPG 2019\0{n}".encode(), digest_size=8).digest(), "big")
        >> 1
        for n in names
    ]
    assert polygon_ids("RPG 2019", names).tolist() == expected
    assert polygon_ids("RPG 2018", names).tolist() != expected
    many = polygon_ids("x", [str(i) for i in range(100_000)])
    assert len(set(many.tolist())) == 100_000
    assert many.min() >= 0


def test_cells_cover_the_tiles_and_no_more() -> None:
    tiles = ["31TCJ", "30TYP"]
    cells = cells_of(tiles, 2154)
    land = shapely.union_all([footprint(tile, 2154) for tile in tiles])
    whole = shapely.union_all([cell.box for cell in cells])
    assert shapely.area(land - whole) < 1
    for cell, near in cells.items():
        assert near == [t for t in sorted(tiles) if footprint(t, 2154).intersects(cell.box)]
        assert near
    assert all(bound % CELL_M == 0 for cell in cells for bound in cell.bounds)


def test_a_footprint_holds_every_pixel_of_its_tile() -> None:
    grid = Tile.parse("31TCJ").geobox()
    corners = geopandas.GeoSeries(
        [shapely.Point(grid.affine @ (c, r)) for c in (5, 5490, 10_975) for r in (5, 5490, 10_975)],
        crs=grid.crs.epsg,
    ).to_crs(2154)
    assert corners.within(footprint("31TCJ", 2154)).all()


@settings(max_examples=15, deadline=None)
@given(
    x=st.floats(-30_000, 30_000),
    y=st.floats(-30_000, 30_000),
    radius=st.floats(10, 15_000),
)
def test_pieces_of_the_grid_are_the_polygon(x: float, y: float, radius: float) -> None:
    shape = shapely.Point(x, y).buffer(radius, quad_segs=5)
    pieces, rows = cut(np.array([shape, shape], dtype=object))
    assert set(rows.tolist()) == {0, 1}
    rounding = 1e-4 * (2 * shape.length + 4 * radius * np.ceil(2 * radius / 5000 + 1))
    assert shapely.area(pieces).sum() == pytest.approx(2 * shape.area, abs=rounding)
    bounds = shapely.bounds(pieces)
    assert (np.floor(bounds[:, :2] / 5000 + 1e-6) >= np.ceil(bounds[:, 2:] / 5000 - 1e-6) - 1).all()


def test_reference_is_geoparquet_that_readers_filter_by_box(world: Any, places: Any) -> None:
    geometries = [places(i, j) for i in range(10) for j in range(10)]
    path = world.write(geometries, [11, 12] * 50)
    world.run(path)
    file = world.folder / "run" / "reference.parquet"
    schema = pq.read_schema(file)
    geo = json.loads(schema.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo["version"] == "1.1.0"
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 2154}
    assert column["bbox"] == pytest.approx(geopandas.read_file(path).total_bounds)
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    plain = {pa.int64(), pa.int32(), pa.string(), pa.binary()}
    assert {field.type for field in schema if field.name != "bbox"} <= plain
    x, y = places(3, 4).bounds[:2]
    near = geopandas.read_parquet(file, bbox=(x + 1, y + 1, x + 2, y + 2))
    assert near.geometry.iloc[0].equals(places(3, 4))
    assert len(near) == 1


def test_a_polygon_on_the_border_of_cells_is_one_unit(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(polygons_stage, "cells_of", cells_of)  # cells of 50 km
    rng = np.random.default_rng(0)
    squares = [
        shapely.box(x, y, x + 300, y + 300)
        for x, y in zip(
            549_850 + rng.integers(-40, 40, 40), 6_255_000 + 400 * np.arange(40), strict=True
        )
    ]
    table, summary = world.run(world.write(squares, [11, 12] * 20), reference={"erosion_m": 10})
    assert summary["polygons"] == 40
    assert len(table) == 80  # each is cut at x = 550 km
    assert (table.groupby("polygon_id")["split_0"].nunique() == 1).all()
    assert sorted(table.groupby("polygon_id")["part"].apply(list).map(tuple).unique()) == [(0, 1)]
    assert table.geometry.area.groupby(table["polygon_id"]).sum().to_numpy() == pytest.approx(
        280.0**2
    )
    assert summary["classes"]["11"]["reasons"] == {"read": 20, "kept": 20}


def test_a_changed_parameter_redoes_what_it_concerns(world: Any, places: Any) -> None:
    path = world.write([places(i, 0) for i in range(4)], [11, 11, 12, 12])
    config = world.config(path)
    for task in world.cells(config):
        assert do(task).status == "done"
    capped = world.config(path, reference={"caps": {"max_polygons": 2}}, seed=3)
    assert {task.state().status for task in world.cells(capped)} == {"done"}
    eroded = world.config(path, reference={"erosion_m": 5})
    assert {task.state().status for task in world.cells(eroded)} == {"outdated"}


def test_sources_in_another_folder_outdate_no_cell(world: Any, places: Any) -> None:
    path = world.write([places(0, 0)], [11], name="p.parquet")
    before = [task.key for task in world.cells(world.config(path))]
    elsewhere = path.parent / "elsewhere" / path.name
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    assert [task.key for task in world.cells(world.config(elsewhere))] == before


def test_digests_of_large_files_are_remembered(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(file_digests, "LARGE_BYTES", 10)
    large, run_dir = tmp_path / "large", tmp_path / "run"
    large.write_bytes(b"0123456789ab")
    first = file_digests.RememberedDigests(run_dir)
    name = first.of(large)
    first.remember()
    assert not run_dir.exists()  # a plan makes no folder
    run_dir.mkdir()
    first.remember()
    content = json.loads((run_dir / file_digests.MEMORY).read_text())
    assert list(content.values()) == [hashlib.sha256(b"0123456789ab").hexdigest()]
    file_digests._sha256.cache_clear()
    monkeypatch.setattr(file_digests, "sha256_file", lambda path: pytest.fail("read again"))
    assert file_digests.RememberedDigests(run_dir).of(large) == name
    monkeypatch.undo()
    monkeypatch.setattr(file_digests, "LARGE_BYTES", 10)
    large.write_bytes(b"0123456789xy")
    os.utime(large, ns=(1, 1))
    assert file_digests.RememberedDigests(run_dir).of(large) != name
