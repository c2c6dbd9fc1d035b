"""Pixels drawn by area: exactly those with the lowest numbers, whatever the blocks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tile_factory import SIZE, tile_grid

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.sampling.by_area import IN_NO_POLYGON, AreaDraw, AreaLimits
from oso_pipeline.sampling.collect import Pixels
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons, draw_numbers
from oso_pipeline.timeseries.feature_layout import FeatureLayout

LAYOUT = FeatureLayout.optical(("B4",), (date(2018, 1, 1),))
GRID = tile_grid("31TCJ")
SEED = 7


def drawn(tmp_path: Path, shape: tuple[int, int], size: int, cloudy: np.ndarray) -> pa.Table:
    """Return what is drawn with blocks of `shape`; `cloudy` pixels are not usable."""
    ownership = Ownership({"31TCJ": GRID}, 2154)
    left = shapely.box(*GRID[:, : SIZE // 4].boundingbox.bbox)
    table = pa.table(
        {"polygon_id": [41, 42], "code": [1, 2], "stratum": ["a", "a"],
         "split_0": ["validation", "train"]}
    )  # fmt: skip
    right = shapely.box(*GRID[:, SIZE // 2 :].boundingbox.bbox)
    polygons = Polygons(table, np.array([left, right]))
    finder = CandidateFinder("31TCJ", ownership, polygons)
    draw = AreaDraw(finder, polygons, strata_of, AreaLimits(("run0",), ("a", "b"), size, SEED))
    for block in blocks_of("31TCJ", (SIZE, SIZE), shape):
        place, numbers = draw.find(block)
        clear = np.flatnonzero(~cloudy[place.row, place.column])
        validity = np.ones(len(place), np.uint16)
        features = (place.row * SIZE + place.column).astype(np.int16)[:, np.newaxis]
        draw.add(Pixels(place, numbers, validity, features).take(clear))
        draw.close_block()
    draw.write(tmp_path / "drawn.parquet", 2018, LAYOUT)
    return pq.read_table(tmp_path / "drawn.parquet")


def strata_of(block: Block) -> np.ndarray:
    """Return stratum 0 in the upper half, 1 below, none in the last row."""
    rows = np.arange(block.row, block.row + block.height)
    label = np.where(rows < SIZE // 2, 0, 1)
    label[rows == SIZE - 1] = -1
    return np.repeat(label[:, np.newaxis], block.width, axis=1).astype(np.int32)


def expected(size: int, cloudy: np.ndarray) -> set[tuple[int, int]]:
    """Return the places by sorting all pixels of the tile at once."""
    row, column = (array.ravel() for array in np.indices((SIZE, SIZE)))
    numbers = draw_numbers(SEED, np.zeros(SIZE * SIZE, np.int64), row, column)
    usable = ~cloudy.ravel() & (column >= SIZE // 4) & (row < SIZE - 1)
    places: set[tuple[int, int]] = set()
    for upper in (True, False):
        rows = np.flatnonzero(usable & ((row < SIZE // 2) == upper))
        taken = rows[np.argsort(numbers[rows])][:size]
        places |= set(zip(row[taken].tolist(), column[taken].tolist(), strict=True))
    return places


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(1, SIZE // 2),
    width=st.integers(1, SIZE // 2),
    size=st.integers(1, SIZE * SIZE),
    cloud=st.floats(0, 1),
)
def test_the_lowest_numbers_of_each_stratum_are_drawn_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, size: int, cloud: float
) -> None:
    cloudy = np.random.default_rng(0).random((SIZE, SIZE)) < cloud
    table = drawn(tmp_path_factory.mktemp("area"), (2 * height, 2 * width), size, cloudy)
    column, row = ~GRID.affine @ (table["x"].to_numpy(), table["y"].to_numpy())
    places = set(zip(row.astype(int).tolist(), column.astype(int).tolist(), strict=True))
    assert places == expected(size, cloudy)
    assert len(places) == len(table)


def test_pixels_know_their_polygon_and_season_and_none_judges_the_map(tmp_path: Path) -> None:
    table = drawn(tmp_path, (8, 8), SIZE * SIZE, np.zeros((SIZE, SIZE), bool)).to_pandas()
    column = (~GRID.affine @ (table["x"].to_numpy(), table["y"].to_numpy()))[0]
    assert set(table["polygon_id"]) == {42, IN_NO_POLYGON}
    assert ((column >= SIZE // 2) == (table["polygon_id"] == 42)).all()
    assert column.min() >= SIZE // 4
    assert set(table["season"]) == {2018}
    assert set(table["stratum"]) == {"a", "b"}
