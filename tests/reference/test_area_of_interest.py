"""The area of interest: which pixels it holds, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from oso_pipeline.config.model import Area
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import Tile
from oso_pipeline.vectors.area_check import check_area
from oso_pipeline.vectors.area_of_interest import AreaMask, Outline, read_outline

SIZE = 64
GRID = Tile("31TCJ").geobox(SIZE)
TOULOUSE = shapely.box(1.2, 43.5, 1.6, 43.8)
PARIS = shapely.box(2.2, 48.8, 2.5, 48.9)


def written(path: Path, geometries: list[Any], crs: Any = 4326) -> Area:
    geopandas.GeoDataFrame(geometry=geometries, crs=crs).to_file(path)
    return Area(path=path)


def config_of(area: Area, *tiles: str) -> Any:
    return SimpleNamespace(
        map=SimpleNamespace(area=area, epsg=2154),
        imagery=SimpleNamespace(tiles=tiles or ("31TCJ",)),
    )


def moved(geometry: Any, epsg: int) -> Any:
    there = Transformer.from_crs(4326, epsg, always_xy=True)
    return shapely.transform(geometry, lambda xy: np.column_stack(there.transform(*xy.T)))


def swapped(geometry: Any) -> Any:
    return shapely.transform(geometry, lambda xy: xy[:, ::-1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([4326, 2154, 32631, 32630]), st.integers(1, 15))
def test_a_pixel_is_inside_if_its_centre_is(seed: int, epsg: int, half: int) -> None:
    """Against shapely pixel by pixel, and the same whatever block is asked for."""
    rng = np.random.default_rng(seed)
    left, top = GRID.affine @ (0, 0)
    corners = rng.uniform(-200, 840, (3, 3, 2)) * [1, -1] + [left, top]
    shapes = shapely.union_all([shapely.Polygon(c) for c in corners])
    there = Transformer.from_crs(32631, epsg, always_xy=True)
    fine = shapely.segmentize(shapes, 10)
    area = shapely.transform(fine, lambda xy: np.column_stack(there.transform(*xy.T)))
    mask = AreaMask(Outline(area, geopandas.GeoSeries([], crs=epsg).crs), GRID)
    whole = mask.block(Block("31TCJ", 0, 0, SIZE, SIZE))
    for block in blocks_of("31TCJ", (SIZE, SIZE), (2 * half, 2 * half)):
        rows = slice(block.row, block.row + block.height)
        columns = slice(block.column, block.column + block.width)
        np.testing.assert_array_equal(mask.block(block), whole[rows, columns])
    row, column = np.indices((SIZE, SIZE))
    x, y = GRID.affine @ (column + 0.5, row + 0.5)
    clear = shapely.distance(shapes.boundary, shapely.points(x, y)) > 0.01
    np.testing.assert_array_equal(whole[clear], shapely.contains_xy(shapes, x, y)[clear])
    picked = rng.integers(0, SIZE, (2, 50)).astype(np.int32)
    np.testing.assert_array_equal(mask.pixels(*picked), whole[tuple(picked)])


def test_what_lies_at_the_other_end_of_the_world_does_no_harm() -> None:
    """As mainland France with its overseas departments, or everything there is."""
    world = Outline(shapely.box(-180, -90, 180, 90), geopandas.GeoSeries([], crs=4326).crs)
    assert AreaMask(world, GRID).block(Block("31TCJ", 0, 0, SIZE, SIZE)).all()


def test_broken_absent_and_overlapping_polygons_are_one_area(tmp_path: Path) -> None:
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    parts = [bow_tie, None, shapely.Polygon(), shapely.box(0.5, 0, 1.5, 2)]
    problems = Problems()
    outline = read_outline(written(tmp_path / "area.gpkg", parts), problems)
    assert not problems.errors
    assert outline is not None
    assert outline.geometry.is_valid
    assert outline.geometry.area == pytest.approx(2 + 2 - 0.5)


@pytest.mark.parametrize(
    ("geometries", "code"),
    [
        ([], "E-AREA-EMPTY"),
        ([None, shapely.Polygon()], "E-AREA-EMPTY"),
        ([TOULOUSE, shapely.Point(1.4, 43.6)], "E-GEOMETRY-TYPE"),
        ([shapely.LineString([(1.4, 43.6), (1.5, 43.7)])], "E-GEOMETRY-TYPE"),
    ],
)
def test_row_31_an_area_without_area(tmp_path: Path, geometries: list[Any], code: str) -> None:
    area = written(tmp_path / "area.gpkg", geometries)
    (problem,) = check_area(config_of(area))
    assert problem.code == code
    assert problem.where == str(area.path)


def test_row_31_an_area_outside_all_tiles_is_shown_beside_them(tmp_path: Path) -> None:
    area = written(tmp_path / "area.gpkg", [PARIS])
    (problem,) = check_area(config_of(area, "31TCJ", "30TYP"))
    assert problem.code == "E-PLACE-OUTSIDE"
    assert "x 2.2 to 2.5, y 48.8 to 48.9 in EPSG:4326" in problem.message
    # 30TYP ends in the west at 599960 m, 31TCJ in the east at 409800 m (MGRS tiling).
    west, east = -0.7, 1.9
    words = problem.message.partition("the tiles x ")[2].split()
    assert float(words[0]) == pytest.approx(west, abs=1.5)
    assert float(words[2].rstrip(",")) == pytest.approx(east, abs=0.1)
    assert not len(check_area(config_of(area, "31TCJ", "31UDQ")))


@pytest.mark.parametrize("epsg", [4326, 2154, 32631, 3857, 27572])
def test_an_area_in_a_tile_passes_in_any_system(tmp_path: Path, epsg: int) -> None:
    area = written(tmp_path / "area.gpkg", [moved(TOULOUSE, epsg)], epsg)
    assert not len(check_area(config_of(area)))


@pytest.mark.parametrize(
    ("geometry", "epsg", "words"),
    [
        (swapped(TOULOUSE), 4326, "x and y look swapped: read as y, x in EPSG:4326"),
        (swapped(moved(TOULOUSE, 2154)), 2154, "x and y look swapped: read as y, x in EPSG:2154"),
        (moved(TOULOUSE, 2154), 4326, "looks swapped: read in EPSG:2154"),
        (TOULOUSE, 2154, "looks swapped: read in EPSG:4326"),
        (swapped(TOULOUSE), 2154, "look swapped: read as y, x in EPSG:4326"),
        (moved(TOULOUSE, 32631), 2154, "looks swapped: read in EPSG:32631"),
        (moved(TOULOUSE, 27572), 2154, "looks swapped: read in EPSG:27572"),
    ],
)
def test_row_32_swapped_coordinates_and_systems(
    tmp_path: Path, geometry: Any, epsg: int, words: str
) -> None:
    (problem,) = check_area(config_of(written(tmp_path / "area.gpkg", [geometry], epsg)))
    assert problem.code == "E-PLACE-COORDINATES"
    assert words in problem.message
    assert "the tiles x " in problem.message


def test_row_33_no_coordinate_system_unless_the_configuration_names_it(tmp_path: Path) -> None:
    area = written(tmp_path / "area.shp", [moved(TOULOUSE, 2154)], 2154)
    area.path.with_suffix(".prj").unlink()
    (problem,) = check_area(config_of(area))
    assert problem.code == "E-CRS-MISSING"
    assert not len(check_area(config_of(Area(path=area.path, crs="EPSG:2154"))))
