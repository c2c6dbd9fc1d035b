"""Blocks read in pieces: nothing lost, nothing decoded twice, memory kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from oso_pipeline.core.blocks import Block
from oso_pipeline.timeseries.reading import memory, pieces
from oso_pipeline.timeseries.reading.memory import Pieces, fixed_bytes, pixel_bytes
from oso_pipeline.timeseries.reading.pieces import PieceReader, cut
from oso_pipeline.timeseries.reading.rasters import OpenRasters
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.reading.windows import Part
from oso_pipeline.timeseries.series import BlockSeries

TILE = "31TCJ"
SPEC = ReadSpec(("B4", "B11", "B8"), "oso", date(2018, 1, 1), date(2018, 12, 31))
STRIPS = ((1, 64), {"blockysize": 1, "tiled": False})
TILES = ((16, 16), {"blockxsize": 16, "blockysize": 16, "tiled": True})


@pytest.fixture
def inventory(products, request):
    products.shape = (64, 64)
    blocks, products.creation = getattr(request, "param", STRIPS)
    rng = np.random.default_rng(5)
    for day in range(1, 6):
        images = {
            band: rng.integers(-50, 9000, (32, 32) if band == "B11" else (64, 64), np.int16)
            for band in SPEC.bands
        }
        images["B8"][rng.random((64, 64)) < 0.05] = -10_000
        cloud = np.zeros((64, 64), np.uint8)
        cloud[rng.integers(0, 40) :, rng.integers(0, 40) :] = 1
        products.add(f"2018-06-{day // 2 + 1:02}T10:0{day}:00", images, {"CLM_R1": cloud})
    listing = products.inventory()
    listing.block_shape = blocks
    return listing


def assembled(
    inventory, block: Block, wanted: np.ndarray, allowed_bytes: float
) -> tuple[np.ndarray, np.ndarray, list[Part], int]:
    """Return the last clear values and the number of clear dates, put together from pieces."""
    shape = (block.height, block.width)
    last, count = np.zeros((3, *shape), np.int64), np.full(shape, -1)
    parts, clipped = [], []

    def use(part: Part, series: BlockSeries) -> None:
        assert (part.of(count) == -1).all(), "pieces overlap"
        clear = series.clear.reshape(-1, *series.shape)
        part.of(count)[:] = clear.sum(axis=0)
        for flags, values in zip(clear, series.values, strict=True):
            np.copyto(part.of(last), values.reshape(3, *series.shape), where=flags == 1)
        parts.append(part)
        clipped.append(series.clipped)

    reader = BlockReader(inventory, SPEC, OpenRasters(100))
    PieceReader(reader, allowed_bytes).read(block, wanted, use)
    assert (count[wanted] >= 0).all()
    return np.where(wanted, last, 0), np.where(wanted, count, 0), parts, sum(clipped)


@pytest.mark.parametrize("inventory", [STRIPS, TILES], indirect=True)
@pytest.mark.parametrize("limit", [4, 200, 1024, 10**6])
@pytest.mark.parametrize("ahead", [True, False])
def test_pieces_join_to_the_whole(
    inventory, limit: int, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = Block(TILE, 16, 0, 48, 64)
    wanted = np.random.default_rng(limit).random((48, 64)) < 0.02
    wanted[30:] = False
    whole = assembled(inventory, block, wanted, 1e12)
    assert len(whole[2]) == 1
    fixed = Pieces(limit, ahead)
    monkeypatch.setattr(Pieces, "fitting", classmethod(lambda *_: fixed))
    found = assembled(inventory, block, wanted, 1e12)
    np.testing.assert_array_equal(found[0], whole[0])
    np.testing.assert_array_equal(found[1], whole[1])
    assert found[3] == whole[3]
    for part in found[2]:
        assert part.of(wanted).any()
        (top, bottom), (left, right) = part.rows, part.columns
        assert (bottom - top) * (right - left) <= max(limit, 4)
    if limit < 4000:
        assert len(found[2]) > 1


@pytest.mark.parametrize("inventory", [STRIPS], indirect=True)
def test_a_worker_that_goes_from_tile_to_tile_holds_the_files_of_one(inventory) -> None:
    """Each open file takes memory, of strips 0.25 MB: with five tiles open that was 1 GB."""
    rasters = OpenRasters(100)
    whole, wanted = Block(TILE, 0, 0, 64, 64), np.ones((64, 64), bool)
    tiles = [SPEC, replace(SPEC, bands=("B8",)), SPEC]
    for spec in tiles:
        reader = BlockReader(inventory, spec, rasters)
        PieceReader(reader, 1e12).read(whole, wanted, lambda part, series: None)
        assert len(rasters) == reader.n_files
    kept = dict(rasters._open)
    PieceReader(reader, 1e12).read(whole, wanted, lambda part, series: None)
    assert dict(rasters._open) == kept, "those of one tile are not opened again"


@pytest.mark.parametrize("inventory", [STRIPS, TILES], indirect=True)
def test_no_block_of_a_file_is_decoded_twice(inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[tuple[str, int, int]] = Counter()
    opened: Counter[str] = Counter()
    read, dataset = OpenRasters.read, OpenRasters._open_file

    def counted(self, path: Path, window: Window, out=None):
        height, width = self._dataset(path).block_shapes[0]
        for row in range(window.row_off // height, -(-(window.row_off + window.height) // height)):
            last = -(-(window.col_off + window.width) // width)
            for column in range(window.col_off // width, last):
                seen[path.parts[-1] + path.parts[-2], row, column] += 1
        return read(self, path, window, out)

    def counted_open(self, path: Path):
        opened[str(path)] += 1
        return dataset(self, path)

    monkeypatch.setattr(OpenRasters, "read", counted)
    monkeypatch.setattr(OpenRasters, "_open_file", counted_open)
    monkeypatch.setattr(memory, "PIECE_PIXELS", 1024)
    monkeypatch.setattr(memory, "_LEAST_PIXELS", 4)
    _, _, parts, _ = assembled(inventory, Block(TILE, 0, 0, 64, 64), np.ones((64, 64), bool), 1e12)
    assert len(parts) == 4
    assert set(seen.values()) == {1}
    assert set(opened.values()) == {1}


def test_a_piece_that_took_more_than_stated_makes_the_next_ones_smaller(
    inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_pixel, fixed = pixel_bytes(5, SPEC.bands), fixed_bytes(5, len(SPEC.bands))
    monkeypatch.setattr(memory, "PIECE_PIXELS", 1024)
    monkeypatch.setattr(memory, "_LEAST_PIXELS", 4)
    monkeypatch.setattr(pieces, "BLOCK_BYTES", 0)
    held: list[int] = []

    def process_bytes() -> int:
        """Every pixel takes thrice what is thought."""
        return int(fixed + 3 * 2 * per_pixel * sum(held[-1:]))

    monkeypatch.setattr(pieces, "process_bytes", process_bytes)
    read = BlockReader.read

    def noted(self, place: Block, wanted):
        held.append(place.pixels)
        return read(self, place, wanted)

    monkeypatch.setattr(BlockReader, "read", noted)
    allowed = (fixed + 2 * 1024 * per_pixel) / memory.SHARE_OF_MEMORY + 1000
    found = assembled(inventory, Block(TILE, 0, 0, 64, 64), np.ones((64, 64), bool), allowed)
    assert held[0] == 1024
    assert held[-1] <= 1024 // 3
    monkeypatch.undo()
    whole = assembled(inventory, Block(TILE, 0, 0, 64, 64), np.ones((64, 64), bool), 1e12)
    np.testing.assert_array_equal(found[0], whole[0])


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.sampled_from([1, 2, 8]), st.sampled_from([2, 8, 40])),
    st.integers(4, 2000),
)
def test_cut_pieces_cover_the_block_once(
    size: tuple[int, int], file_blocks: tuple[int, int], limit: int
) -> None:
    block = Block(TILE, 16, 32, 2 * size[0], 2 * size[1])
    times = np.zeros((16 + block.height, 32 + block.width), int)
    for piece in cut(block, file_blocks, limit):
        assert piece.row % 2 == piece.column % 2 == 0
        assert piece.pixels <= max(limit, 4)
        times[piece.row : piece.row + piece.height, piece.column : piece.column + piece.width] += 1
    assert (times[16:, 32:] == 1).all()
    assert not times[:16].any()
    assert not times[:, :32].any()


@given(st.floats(0, 1e10), st.floats(1, 2000), st.integers(1, 10**7))
def test_fitting_pieces_keep_to_the_space(room: float, per_pixel: float, unit: int) -> None:
    found = Pieces.fitting(room, per_pixel, unit)
    assert found.pixels >= 1
    if found.pixels > memory._LEAST_PIXELS:
        assert found.held * per_pixel <= room
    if unit * per_pixel <= room:
        assert found.pixels >= min(unit, memory.PIECE_PIXELS)
