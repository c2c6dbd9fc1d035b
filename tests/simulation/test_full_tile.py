"""The tile of full size: files of real size and layout whose rows repeat."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import from_bounds

from oso_pipeline.imagery.header import read_header
from oso_pipeline.simulation.national.repeated_tiff import repeated_tiff
from oso_pipeline.simulation.writers.full_tile import FullTile, FullTileSpec, write_full_tile

COARSE = ("B5", "B6", "B7", "B8A", "B11", "B12", "R2")


@pytest.mark.parametrize("dtype", ["int16", "uint8"])
@pytest.mark.parametrize("rows", [5, 12, 61])
def test_gdal_reads_the_patch_again_and_again(tmp_path: Path, dtype: str, rows: int) -> None:
    patch = np.random.default_rng(rows).integers(0, 200, (12, 40)).astype(dtype)
    grid = GeoBox((rows, 40), Affine(10, 0, 300000, 0, -10, 4900020), "EPSG:32631")
    path = tmp_path / "file.tif"
    repeated_tiff(path, patch, rows, grid.affine, grid)
    with rasterio.open(path) as file:
        assert file.compression.value == "DEFLATE"
        assert file.crs.to_epsg() == 32631
        assert file.transform == grid.affine
        assert file.block_shapes == [(1, 40)]
        np.testing.assert_array_equal(file.read(1), patch[np.arange(rows) % 12])
    assert read_header(path).shape == (rows, 40)


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> FullTile:
    spec = FullTileSpec(rows=400, columns=732, dates=4)
    return write_full_tile(tmp_path_factory.mktemp("tile"), spec)


def test_all_files_of_all_dates_are_there_and_repeat(tile: FullTile) -> None:
    products = sorted(path for path in tile.products.iterdir() if path.is_dir())
    assert len(products) == 4
    for product in products:
        images = sorted(product.rglob("*.tif"))
        assert len(images) == 10 + 8
        assert len([*product.glob("*_MTD_ALL.xml")]) == 1
        for path in images:
            with rasterio.open(path) as file:
                pixels, zoom = file.read(1), int(file.transform.a) // 10
            assert pixels.shape == (400 // zoom, 732 // zoom)
            assert zoom == (2 if path.stem.endswith(COARSE) else 1)
            np.testing.assert_array_equal(pixels[: 40 // zoom], pixels[360 // zoom :])


def test_bands_compress_as_real_ones_do(tile: FullTile) -> None:
    bands = [*tile.products.rglob("*_FRE_B?.tif")]
    decoded = written = 0
    for path in bands:
        with rasterio.open(path) as file:
            decoded += 2 * file.width * file.height
        written += path.stat().st_size
    assert 1.3 < decoded / written < 1.6
    images = [*tile.products.rglob("*.tif")]
    assert tile.bytes_written == sum(path.stat().st_size for path in images)


def test_polygons_are_fields(tile: FullTile) -> None:
    polygons = gpd.read_file(tile.reference)
    assert polygons["code"].nunique() == 17
    assert np.allclose(polygons.area, 180.0**2)
    clearest = min(tile.products.rglob("*_CLM_R1.tif"), key=lambda path: read(path).mean())
    name = clearest.stem.removesuffix("_CLM_R1")
    with rasterio.open(clearest.parents[1] / f"{name}_FRE_B8.tif") as file:
        everywhere = file.read(1).std()
        inside = [
            file.read(1, window=from_bounds(*shape.bounds, file.transform)).std()
            for shape in polygons.geometry[:60]
        ]
    assert np.median(inside) < 0.2 * everywhere


@pytest.mark.slow
def test_a_part_is_mapped_end_to_end_and_deleted(tmp_path: Path, monkeypatch) -> None:
    from bench import full_tile

    monkeypatch.setattr(full_tile, "WORK", tmp_path)
    said: list[str] = []
    part = full_tile.Part(rows=256, columns=366, dates=6, workers=(1,))
    result = full_tile.measure(part, said.append)
    assert result["status"] == "ok", said
    figures = result["runs"]["1"]
    assert figures["pixels"] == 256 * 366
    assert figures["core_us_per_pixel"]["median"] > 0
    assert figures["peak_worker_memory_mb"] > 100
    assert figures["bytes_read"] > result["bytes_on_disk"]
    assert not (tmp_path / "tile").exists()


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)
