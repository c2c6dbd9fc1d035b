"""Files of one product held against each other, the metadata and the tile.

The files are written by GDAL, which also says where they lie; the corner of tile 31TCJ is that of
the published MGRS grid of Sentinel-2.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.checks import (
    check_acquisition,
    check_floats,
    check_rasters,
    check_series,
    most_common_grid,
    snapped,
)
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.header import read_header
from oso_pipeline.imagery.muscate.quality import rules_of
from oso_pipeline.imagery.placement import ProductRasters, StatedGrid

CORNER = (300_000, 4_900_020)
"""Upper-left corner of tile 31TCJ in EPSG:32631."""
ROWS, COLUMNS = 6, 8
CLEAR: ClearPolicy = "oso"


@dataclass
class Written:
    """A product of a band at 10 m, one at 20 m and a mask; `change` rewrites one of them."""

    folder: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        for name, size, dtype in (("B4", 10, "int16"), ("B11", 20, "int16"), ("CLM", 10, "uint8")):
            self.files[name] = {
                "size": size,
                "values": np.full((ROWS * 10 // size, COLUMNS * 10 // size), 1, dtype),
                "crs": "EPSG:32631",
                "transform": Affine(size, 0, CORNER[0], 0, -size, CORNER[1]),
            }
            self.change(name)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.tif"

    def change(self, name: str, **changes: Any) -> None:
        self.files[name] |= changes
        facts = self.files[name]
        profile = {key: facts[key] for key in ("crs", "transform") if facts[key] is not None}
        rows, columns = facts["values"].shape
        shape = {"height": rows, "width": columns, "count": 1, "dtype": facts["values"].dtype}
        with rasterio.open(self.path(name), "w", driver="GTiff", **shape, **profile) as target:
            target.write(facts["values"], 1)

    def rasters(self, stated: StatedGrid | None = None) -> ProductRasters:
        headers = {name: read_header(self.path(name)) for name in self.files}
        quality = {"CLM": headers.pop("CLM")}
        sizes = {name: facts["size"] for name, facts in self.files.items()}
        where = self.folder
        return ProductRasters(where, Tile("31TCJ"), headers, quality, sizes, stated or StatedGrid())

    def acquisition(self) -> Acquisition:
        assets = {
            name: Asset(str(self.path(name)), facts["size"], 1e-4 if name != "CLM" else 1.0)
            for name, facts in self.files.items()
        }
        return Acquisition(
            product_id="P",
            tile="31TCJ",
            acquired=datetime(2018, 5, 1, tzinfo=UTC),
            platform="S2A",
            family="muscate",
            version="1.0",
            bands={name: assets[name] for name in ("B4", "B11")},
            quality={"CLM": assets["CLM"]},
            rules=rules_of(CLEAR),
            path=self.folder,
        )


@pytest.fixture
def product(tmp_path: Path) -> Written:
    return Written(tmp_path / "product")


def found(product: Written, stated: StatedGrid | None = None) -> list[tuple[str, str | None, str]]:
    problems = Problems()
    grid = check_rasters(product.rasters(stated), problems)
    assert (grid is None) is bool(problems.errors)
    return [
        (one.code, Path(one.where).stem if one.where else None, one.message) for one in problems
    ]


def test_a_sound_product_lies_where_gdal_says(product: Written) -> None:
    problems = Problems()
    stated = StatedGrid(32631, (ROWS, COLUMNS), CORNER)
    grid = check_rasters(product.rasters(stated), problems)
    assert list(problems) == []
    assert grid is not None
    with rasterio.open(product.path("B4")) as source:
        assert grid.transform == source.transform
        assert grid.shape == source.shape
        assert tuple(grid.boundingbox) == tuple(source.bounds)
        assert grid.crs.to_epsg() == source.crs.to_epsg()
    assert check_acquisition(product.acquisition(), problems, stated)
    assert list(problems) == []


def blank(rows: int, columns: int, dtype: str = "int16") -> np.ndarray:
    return np.ones((rows, columns), dtype)


def at(size: float, x: float = CORNER[0], y: float = CORNER[1]) -> Affine:
    return Affine(size, 0, x, 0, -size, y)


FAULTS: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]]]] = {
    "reflectance as bytes": (
        "B4", {"values": blank(6, 8, "uint8")}, [("E-IMAGE-VALUES", "values of type uint8")],
    ),
    "a mask of floats": (
        "CLM", {"values": blank(6, 8, "float32")}, [("E-IMAGE-VALUES", "values of type float32")],
    ),
    "a row too many at 10 m": (
        "CLM", {"values": blank(7, 8, "uint8")}, [("E-IMAGE-SIZE", "size 7x8 differs from 6x8")],
    ),
    "a column too few at 10 m": (
        "CLM", {"values": blank(6, 7, "uint8")}, [("E-IMAGE-SIZE", "size 6x7 differs from 6x8")],
    ),
    "a column too few at 20 m": (
        "B11", {"values": blank(3, 3)}, [("E-IMAGE-HALF-SIZE", "3x3 is not exactly half of 6x8")],
    ),
    "20 m pixels in a file of 10 m": (
        "B11",
        {"values": blank(6, 8), "transform": at(10)},
        [("E-IMAGE-HALF-SIZE", "6x8 is not exactly half"), ("E-IMAGE-RESOLUTION", "expected 20 m")],
    ),
    "another zone": (
        "B4", {"crs": "EPSG:32630"}, [("E-IMAGE-CRS", "file EPSG:32630, metadata EPSG:?")],
    ),
    "no coordinate system": (
        "B4", {"crs": None}, [("E-IMAGE-NO-CRS", "no coordinate system in the file")],
    ),
    "south up": (
        "B11", {"transform": Affine(20, 0, CORNER[0], 0, 20, CORNER[1])},
        [("E-IMAGE-ROTATED", "rows must run from north to south")],
    ),
    "half a pixel off": (
        "B11", {"transform": at(20, CORNER[0] + 10)},
        [("E-IMAGE-POSITION", "corner lies +10 m, +0 m from that of B4.tif")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_with_its_file(product: Written, name: str) -> None:
    band, changes, expected = FAULTS[name]
    product.change(band, **changes)
    problems = found(product)
    assert [(code, where) for code, where, _ in problems] == [(code, band) for code, _ in expected]
    for (_, _, said), (_, words) in zip(problems, expected, strict=True):
        assert words in said


def test_faults_of_several_files_are_reported_together(product: Written) -> None:
    product.change("B4", values=blank(6, 8, "uint8"))
    product.change("B11", values=blank(3, 4, "uint8"))
    ((code, where, said),) = found(product)
    assert (code, where) == ("E-IMAGE-VALUES", "B4")
    assert said == "values of type uint8 (and 1 more files of the product)"


@pytest.mark.parametrize(
    ("stated", "code", "words"),
    [
        (StatedGrid(epsg=32630), "E-IMAGE-CRS", "file EPSG:32631, metadata EPSG:32630"),
        (StatedGrid(shape=(6, 9)), "E-IMAGE-SIZE", "size 6x8 differs from 6x9 in the metadata"),
        (StatedGrid(corner=(300_010, 4_900_020)), "E-IMAGE-POSITION", "by -10 m, +0 m"),
    ],
)
def test_what_metadata_say_otherwise(
    product: Written, stated: StatedGrid, code: str, words: str
) -> None:
    problems = found(product, stated)
    assert {one for one, _, _ in problems} == {code}
    assert any(words in said for _, _, said in problems)


def test_every_file_that_cannot_be_read_is_named_at_once(product: Written) -> None:
    product.path("B4").unlink()
    product.path("CLM").write_bytes(b"<html>503</html>")
    whole = product.path("B11").read_bytes()
    product.path("B11").write_bytes(whole[:-5])
    problems = Problems()
    assert not check_acquisition(product.acquisition(), problems)
    said = {Path(str(one.where)).stem: (one.code, one.message) for one in problems}
    assert set(said) == {"B4", "B11", "CLM"}
    assert {code for code, _ in said.values()} == {"E-IMAGE-BAND"}
    assert "5 bytes are missing" in said["B11"][1]
    assert "web page" in said["CLM"][1]


values = st.lists(
    st.one_of(st.floats(-3, 2.125, width=32), st.sampled_from([np.nan, -1.0, np.inf])),
    min_size=ROWS * COLUMNS,
    max_size=ROWS * COLUMNS,
)


@settings(max_examples=40)
@given(values, st.sampled_from([1.0, 0.5, None]), st.sampled_from([0.0, -0.25]))
def test_floats_beyond_any_reflectance_are_those_numpy_finds(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[float],
    scale: float | None,
    offset: float,
) -> None:
    pixels = np.array(drawn, np.float32).reshape(ROWS, COLUMNS)
    product = Written(tmp_path_factory.mktemp("floats") / "product")
    product.change("B4", values=pixels)
    asset = Asset(str(product.path("B4")), 10, scale or 0.0, offset, nodata=-1.0)
    problems = Problems()
    sound = check_floats(product.rasters(), {"B4": asset}, problems)
    seen = np.ma.masked_invalid(np.ma.masked_equal(pixels, -1.0))
    greatest = float(seen.max()) if seen.count() else 0.0
    assert sound is not (greatest * (scale or 1.0) + offset > 2)
    assert [one.code for one in problems] == ["E-IMAGE-VALUES"] * (not sound)


def test_whole_numbers_may_be_saturated(product: Written) -> None:
    product.change("B4", values=np.full((ROWS, COLUMNS), 32767, np.int16))
    problems = Problems()
    assert check_floats(product.rasters(), {"B4": Asset("", 10, 1.0)}, problems)
    assert list(problems) == []


def grid(dx: int = 0, dy: int = 0, rows: int = ROWS) -> GeoBox:
    return GeoBox((rows, COLUMNS), at(10, CORNER[0] + dx, CORNER[1] + dy), "EPSG:32631")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_the_grid_of_most_products_is_the_mode(steps: list[int]) -> None:
    grids = [grid(60 * step) for step in steps]
    # The standard library also gives the first one of equals.
    assert most_common_grid(grids) == grid(60 * statistics.mode(steps))


def test_products_off_the_grid_of_the_others_are_named() -> None:
    problems = Problems()
    grids = {"a": grid(), "b": grid(60, -120), "c": grid(), "d": grid(rows=7)}
    check_series(grids, "tile 31TCJ", problems)
    assert [(one.code, one.message) for one in problems] == [
        (
            "E-IMAGE-POSITION",
            "b lies +60 m, -120 m off the other products of the tile and has 6x8 pixels where "
            "they have 6x8",
        ),
        (
            "E-IMAGE-POSITION",
            "d lies +0 m, +0 m off the other products of the tile and has 7x8 pixels where they "
            "have 6x8",
        ),
    ]


def test_rounding_of_an_origin_is_taken_off() -> None:
    rounded = snapped(Affine(10.000000001, 0, 299999.9999999, 0, -9.9999999, 4900020.0000001), 10)
    assert rounded == Affine(10, 0, 300_000, 0, -10, 4_900_020)
