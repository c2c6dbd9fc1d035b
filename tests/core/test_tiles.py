from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.core.tiles import Tile


def test_origins_of_all_tiles_of_france(shared_data: Path) -> None:
    with (shared_data / "tiles_france.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 98
    for row in rows:
        tile = Tile.parse(row["tile"])
        assert tile.origin == (int(row["ulx"]), int(row["uly"])), tile
        assert tile.epsg == int(row["epsg"])


def test_origins_of_real_products(shared_data: Path) -> None:
    facts = json.loads((shared_data / "muscate_samples" / "mtd_facts.json").read_text())
    for product in facts:
        tile = Tile.parse(product["zone"])
        group = product["groups"]["R1"]
        assert tile.origin == (group["ULX"], group["ULY"])
        assert tile.epsg == int(product["epsg"])


@pytest.mark.parametrize("text", ["31TCJ", "T31TCJ", "31tcj", " t31tcj "])
def test_spellings(text: str) -> None:
    assert Tile.parse(text).name == "31TCJ"


@pytest.mark.parametrize(
    "text", ["31TXX", "31TCU", "61TCJ", "00TCJ", "31TC", "", "TT31TCJ", "31ICJ"]
)
def test_tiles_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="tile"):
        Tile.parse(text)


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    block=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_blocks_cover_the_tile_once(shape: tuple[int, int], block: tuple[int, int]) -> None:
    covered = np.zeros(shape, int)
    for part in blocks_of("31TCJ", shape, (2 * block[0], 2 * block[1])):
        assert part.row % 2 == part.column % 2 == 0
        assert part.row + part.height <= shape[0]
        assert part.column + part.width <= shape[1]
        covered[part.row :, part.column :][: part.height, : part.width] += 1
    assert (covered == 1).all()
