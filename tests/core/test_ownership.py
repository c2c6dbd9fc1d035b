"""Every place of the map has exactly one owner, and the image pixels it needs are there."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline.core.ownership import Ownership
from oso_pipeline.core.tiles import Tile

NAMES = ("30TYP", "31TCH", "31TCJ", "31TDJ")  # 30TYP and 31TCJ lie in different zones


@cache
def of_names() -> Ownership:
    return Ownership({name: Tile(name).geobox() for name in NAMES}, 2154)


@pytest.fixture
def ownership() -> Ownership:
    return of_names()


transformer = cache(Transformer.from_crs)  # slow to make


def brute_force(ownership: Ownership, x: float, y: float) -> int:
    """Return the owner by the sentence of the rule, one place at a time."""
    found = []
    for index, name in enumerate(sorted(ownership.grids)):
        grid = ownership.grids[name]
        forth = transformer(2154, grid.crs.epsg, always_xy=True)
        back = transformer(grid.crs.epsg, 2154, always_xy=True)
        left, bottom, right, top = grid.extent.boundingbox.bbox
        u, v = forth.transform(x, y)
        if left <= u < right and bottom < v <= top:
            cx, cy = back.transform((left + right) / 2, (bottom + top) / 2)
            found.append(((x - cx) ** 2 + (y - cy) ** 2, index))
    return min(found)[1] if found else -1


@settings(max_examples=150, deadline=None)
@given(st.floats(400e3, 720e3), st.floats(6_130e3, 6_400e3))
def test_owner_is_the_nearest_centre_among_the_tiles_that_contain_the_place(x: float, y: float):
    ownership = of_names()
    assert int(ownership.owner_of(x, y)) == brute_force(ownership, x, y)


def test_owners_of_a_map_grid_equal_the_owner_of_each_pixel(ownership: Ownership):
    for bounds in ((460e3, 6_330e3, 464e3, 6_334e3), (540e3, 6_280e3, 545e3, 6_285e3)):
        grid = GeoBox.from_bbox(bounds, "EPSG:2154", resolution=20)
        x = np.broadcast_to(grid.coordinates["x"].values[None, :], grid.shape)
        y = np.broadcast_to(grid.coordinates["y"].values[:, None], grid.shape)
        assert np.array_equal(ownership.owners(grid), ownership.owner_of(x, y))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 10_800), st.integers(0, 10_800))
def test_owned_pixels_hold_every_pixel_that_the_map_takes(tile: str, row: int, column: int):
    ownership = of_names()
    grid = ownership.grids[tile]
    block = grid[row : row + 100, column : column + 100]
    owned = ownership.owned(tile, block)
    assert owned.shape == block.shape

    # Ask for the owner of points spread densely over the block, as map pixels would be.
    u = np.linspace(0.01, block.shape[1] - 0.01, 333)
    v = np.linspace(0.01, block.shape[0] - 0.01, 333)
    u, v = np.meshgrid(u, v)
    x, y = Transformer.from_crs(grid.crs.epsg, 2154, always_xy=True).transform(
        *(block.affine @ (u, v))
    )
    mine = ownership.owner_of(x, y) == ownership.tiles.index(tile)
    assert owned[v[mine].astype(int), u[mine].astype(int)].all()
    # and nothing is kept that lies far from what the tile owns
    if owned.any() and not owned.all():
        assert np.count_nonzero(owned) <= np.count_nonzero(ownership.owns(tile, block)) + 100 * 12


@pytest.mark.parametrize(
    ("row", "column"), [(9_900, 200), (10_300, 10_300), (0, 480), (5000, 5000)]
)
def test_owned_does_not_depend_on_how_the_tile_is_cut(ownership: Ownership, row: int, column: int):
    grid = ownership.grids["31TCJ"]
    whole = ownership.owned("31TCJ", grid[row : row + 300, column : column + 300])
    part = ownership.owned("31TCJ", grid[row + 31 : row + 190, column + 77 : column + 201])
    assert np.array_equal(whole[31:190, 77:201], part)
    exact = ownership.owns("31TCJ", grid[row : row + 300, column : column + 300])
    assert not (exact & ~whole).any()


def test_a_strip_of_full_width_is_owned_as_its_parts_are(ownership: Ownership):
    strip = ownership.grids["31TCJ"][10_320:10_340, :]
    owned = ownership.owned("31TCJ", strip)
    parts = [
        ownership.owned("31TCJ", strip[:, column : column + 60])
        for column in range(0, strip.shape[1], 60)
    ]
    assert owned.any()
    assert not owned.all()
    assert np.array_equal(owned, np.concatenate(parts, axis=1))


def test_every_pixel_centre_in_an_overlap_has_one_owner(ownership: Ownership):
    grid = ownership.grids["31TCJ"][10_200:10_700:1, 4000:4200]
    centres = np.meshgrid(np.arange(200) + 0.5, np.arange(500) + 0.5)
    x, y = Transformer.from_crs(32631, 2154, always_xy=True).transform(*(grid.affine @ centres))
    owner = ownership.owner_of(x, y)
    assert set(np.unique(owner)) == {ownership.tiles.index("31TCH"), ownership.tiles.index("31TCJ")}
    mine = ownership.owns("31TCJ", grid)
    assert np.array_equal(mine, owner == ownership.tiles.index("31TCJ"))


def test_small_corner_grids_of_two_zones_share_the_place_where_they_meet():
    grids = {name: Tile(name).geobox(512) for name in ("30TYP", "31TCJ")}
    ownership = Ownership(grids, 2154)
    for name, grid in grids.items():
        assert ownership.owned(name, grid).any()


def test_survives_the_way_through_json_and_without_far_tiles(ownership: Ownership):
    again = Ownership.from_json(ownership.to_json())
    assert again.to_json() == ownership.to_json()
    near = Ownership({**ownership.grids, "32TNM": Tile("32TNM").geobox()}, 2154).neighbours("31TCJ")
    assert "32TNM" not in near.tiles
    block = ownership.grids["31TCJ"][10_200:10_400, 10_200:10_400]
    assert np.array_equal(near.owned("31TCJ", block), ownership.owned("31TCJ", block))


def test_a_place_outside_all_tiles_has_no_owner(ownership: Ownership):
    assert int(ownership.owner_of(0.0, 0.0)) == -1
    assert ownership.owner_of(np.zeros(0), np.zeros(0)).shape == (0,)


def test_a_map_grid_in_another_system_is_refused(ownership: Ownership):
    with pytest.raises(ValueError, match="EPSG:2154"):
        ownership.owners(Tile("31TCJ").geobox(8))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.tuples(st.integers(0, 10_900), st.integers(0, 10_900)),
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
)
def test_a_block_holds_an_owned_pixel_exactly_when_one_is_found(
    tile: str, corner: tuple[int, int], size: tuple[int, int]
):
    ownership = of_names()
    (row, column), (height, width) = corner, size
    block = ownership.grids[tile][row : row + height, column : column + width]
    assert ownership.owns_any(tile, block) == ownership.owned(tile, block).any()


def test_strips_at_the_edge_of_what_a_tile_owns(ownership: Ownership):
    grid, found = ownership.grids["31TCJ"], set()
    for row in range(9_600, 10_980, 46):
        block = grid[row : row + 46, :]
        owned = bool(ownership.owned("31TCJ", block).any())
        assert ownership.owns_any("31TCJ", block) == owned
        found.add(owned)
    assert found == {True, False}
