"""Pixels drawn by area: exactly those with the lowest numbers, whatever the blocks and clouds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tile_factory import SIZE, tile_grid

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.sampling.by_area import AreaDraw, AreaLimits
from oso_pipeline.sampling.chosen import Choice
from oso_pipeline.sampling.drawn import Drawn, Lowest
from oso_pipeline.sampling.polygons import CandidateFinder, Polygons, draw_numbers
from oso_pipeline.sampling.sample_files import IN_NO_POLYGON, write_unlabelled
from oso_pipeline.sampling.second_round import More, pixel_request
from oso_pipeline.timeseries.feature_layout import FeatureLayout

LAYOUT = FeatureLayout.optical(("B4",), (date(2018, 1, 1),))
GRID = tile_grid("31TCJ")
SEED = 7


@dataclass
class ReadParts:
    """What was read of the blocks, as `PartReader` gives it, without files."""

    number: npt.NDArray[np.int64]
    values: npt.NDArray[np.int16]
    n_features: int = 1

    def places(self) -> tuple[npt.NDArray[np.int64], ...]:
        rows = np.arange(len(self.number))
        return self.number, np.ones_like(rows), np.zeros_like(rows), rows

    def write(self, number: npt.NDArray[np.int64], validity: Any, values: Any) -> None:
        self.number = np.concatenate([self.number, number])
        self.values = np.concatenate([self.values, values])

    def and_part(self, part: Path) -> ReadParts:
        return self

    def features(self, part: Any, row: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        return self.values[row]


def features_of(pixels: Drawn) -> npt.NDArray[np.int16]:
    return (pixels.row * SIZE + pixels.column).astype(np.int16)[:, np.newaxis]


def drawn(shape: tuple[int, int], size: int, cloudy: npt.NDArray[np.bool_]) -> tuple[Choice, Any]:
    """Return the choice with blocks of `shape`; `cloudy` pixels are not usable."""
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
    kept = Lowest([role.with_margin() for role in draw.roles], draw.n_groups)
    blocks = blocks_of("31TCJ", (SIZE, SIZE), shape)
    for block in blocks:
        kept.add(draw.find(block))
    pixels = kept.result()
    usable = np.flatnonzero(~cloudy[pixels.row, pixels.column])
    parts: Any = ReadParts(usable, features_of(pixels.take(usable)))
    choice = Choice(draw, pixels, parts)
    more = More(choice, parts.write)
    for block in blocks if choice.rest else ():
        request = pixel_request(more, block, SIZE, min_validity=1)
        validity = (~cloudy[request.row, request.column]).astype(np.uint16)
        values = (request.row * SIZE + request.column).astype(np.int16)[:, np.newaxis]
        request.take(np.arange(len(request.row)), validity, values)
    choice.add(Drawn.concatenated(more.written), Path("second round"))
    return choice, polygons


def strata_of(block: Block) -> npt.NDArray[np.int32]:
    """Return stratum 0 in the upper half, 1 below, none in the last row."""
    rows = np.arange(block.row, block.row + block.height)
    label = np.where(rows < SIZE // 2, 0, 1)
    label[rows == SIZE - 1] = -1
    return np.repeat(label[:, np.newaxis], block.width, axis=1).astype(np.int32)


def expected(size: int, cloudy: npt.NDArray[np.bool_]) -> set[tuple[int, int]]:
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


@contextmanager
def margin(pixels: int) -> Iterator[None]:
    where = "oso_pipeline.sampling.drawn"
    with mock.patch(f"{where}.LEAST_MARGIN", pixels), mock.patch(f"{where}.MARGIN_SHARE", 0.0):
        yield


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(1, SIZE // 2),
    width=st.integers(1, SIZE // 2),
    size=st.integers(1, SIZE * SIZE),
    cloud=st.floats(0, 1),
    more=st.sampled_from([0, 1, 100]),
)
def test_the_lowest_numbers_of_each_stratum_are_drawn_whatever_blocks_and_margin(
    height: int, width: int, size: int, cloud: float, more: int
) -> None:
    cloudy = np.random.default_rng(0).random((SIZE, SIZE)) < cloud
    with margin(more):
        chosen = drawn((2 * height, 2 * width), size, cloudy)[0].chosen()
    pixels = chosen.pixels
    places = set(zip(pixels.row.tolist(), pixels.column.tolist(), strict=True))
    assert places == expected(size, cloudy)
    assert len(places) == len(pixels)
    np.testing.assert_array_equal(chosen.features(0, len(pixels)), features_of(pixels))


def test_pixels_know_their_polygon_and_season_and_none_evaluates_the_map(tmp_path: Path) -> None:
    choice, polygons = drawn((8, 8), SIZE * SIZE, np.zeros((SIZE, SIZE), bool))
    job: Any = SimpleNamespace(
        grid=GRID, season=2018, layout=LAYOUT, unlabelled=SimpleNamespace(ordered_strata=("a", "b"))
    )
    write_unlabelled(tmp_path / "drawn.parquet", choice.chosen(), polygons, job)
    table = pq.read_table(tmp_path / "drawn.parquet").to_pandas()
    column = (~GRID.affine @ (table["x"].to_numpy(), table["y"].to_numpy()))[0]
    assert set(table["polygon_id"]) == {42, IN_NO_POLYGON}
    assert ((column >= SIZE // 2) == (table["polygon_id"] == 42)).all()
    assert column.min() >= SIZE // 4
    assert set(table["season"]) == {2018}
    assert set(table["stratum"]) == {"a", "b"}
