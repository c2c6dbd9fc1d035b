from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.windows import Window

from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile
from oso_pipeline.products.grid import Locator, centres, map_grid, windows

TILES = ["30UYD", "31UCU", "31TCJ", "32TNM", "29UQP"]


def test_edges_are_multiples_of_the_resolution_and_no_tile_pixel_is_outside() -> None:
    grids = {tile: Tile(tile).geobox(60) for tile in ("30UYD", "31UCU")}
    grid = map_grid(grids, 2154, 10.0)
    box = grid.boundingbox
    assert all(edge % 10 == 0 for edge in box)
    for tile_grid in grids.values():
        x, y = tile_grid.affine @ np.indices((61, 61))[::-1].reshape(2, -1)
        x, y = Transformer.from_crs(tile_grid.crs.epsg, 2154, always_xy=True).transform(x, y)
        assert box.left <= x.min() < x.max() <= box.right
        assert box.bottom <= y.min() < y.max() <= box.top
    # outwards by less than a pixel
    one = map_grid({"31UCU": grids["31UCU"]}, 2154, 10.0)
    assert max(one.shape) < 75


def test_a_map_in_the_system_of_its_tile_is_the_tile() -> None:
    tile = Tile("31TCJ").geobox(50)
    assert map_grid({"31TCJ": tile}, 32631, 10.0) == tile


def test_maps_of_different_extent_lie_on_the_same_grid() -> None:
    small = map_grid({"31UCU": Tile("31UCU").geobox(60)}, 2154, 10.0)
    large = map_grid({t: Tile(t).geobox(60) for t in ("30UYD", "31UCU")}, 2154, 10.0)
    column, row = ~large.affine @ (small.affine.c, small.affine.f)
    assert (column, row) == (round(column), round(row))


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("resolution", [10.0, 20.0, 100.0])
def test_interpolated_positions_are_exact_to_a_millimetre(tile: str, resolution: float) -> None:
    tile_grid = Tile(tile).geobox()
    grid = map_grid({tile: tile_grid}, 2154, resolution)
    locator = Locator(grid, tile_grid)
    exact = Transformer.from_crs(2154, tile_grid.crs.epsg, always_xy=True)
    rows, columns = grid.shape
    worst = 0.0
    for row in np.linspace(0, rows - 150, 4).astype(int):
        for column in np.linspace(0, columns - 150, 4).astype(int):
            window = Window(column, row, 150, 150)
            found_rows, found_columns = locator.positions(window)
            x, y = exact.transform(*centres(grid, window))
            expected_columns, expected_rows = ~tile_grid.affine @ (x, y)
            error = np.hypot(found_rows - expected_rows, found_columns - expected_columns)
            worst = max(worst, float(error.max()) * 10)
    assert worst < 0.001, f"{worst * 1000:.3f} mm"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 200), st.integers(1, 200))
def test_positions_do_not_depend_on_the_window(
    row: int, column: int, height: int, width: int
) -> None:
    tile_grid = Tile("31UCU").geobox(500)
    grid = map_grid({"31UCU": tile_grid}, 2154, 10.0)
    locator = Locator(grid, tile_grid)
    whole = locator.positions(Window(0, 0, 500, 500))
    part = locator.positions(Window(column, row, width, height))
    for one, other in zip(whole, part, strict=True):
        expected = one[row : row + height, column : column + width]
        assert np.array_equal(other[: expected.shape[0], : expected.shape[1]], expected)


def test_windows_cover_every_pixel_once() -> None:
    grid = map_grid({"31UCU": Tile("31UCU").geobox(120)}, 2154, 10.0)
    count = np.zeros(grid.shape, int)
    for part in windows(grid, 37):
        count[part.toslices()] += 1
    assert (count == 1).all()


def test_every_map_pixel_within_a_tile_has_one_owner_that_contains_it() -> None:
    grids = {tile: Tile(tile).geobox(120) for tile in ("30UYD", "31UCU")}
    ownership = Ownership(grids, 2154)
    grid = map_grid(grids, 2154, 10.0)
    x, y = centres(grid, Window(0, 0, *grid.shape[::-1]))
    inside = {}
    for tile, tile_grid in grids.items():
        there = Transformer.from_crs(2154, tile_grid.crs.epsg, always_xy=True).transform(x, y)
        column, row = ~tile_grid.affine @ there
        inside[tile] = (column >= 0) & (column < 120) & (row >= 0) & (row < 120)
    owners = ownership.owners(grid)
    assert np.array_equal(owners >= 0, inside["30UYD"] | inside["31UCU"])
    for index, tile in enumerate(ownership.tiles):
        assert (owners == index).any(), "the example must share the map between both tiles"
        assert inside[tile][owners == index].all()
