"""Errors planted in products stand in the warnings of the inventory, of TIFF and of JPEG 2000."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.inventories import Context, make_config, run
from support.safe_factory import facts

from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.imagery.sample_windows import Windows, read_band
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.simulation.world.scene import R1_BANDS, R2_BANDS, Scene
from oso_pipeline.simulation.writers.safe import write_safe
from oso_pipeline.tasks.worker import do

SIDE, N = 128, 10
SAFE = [{"kind": "safe"}]
Edit = Callable[[int, dict[str, np.ndarray]], dict[str, np.ndarray]]


def of_codes(summary: Mapping[str, list[str]], *codes: str) -> list[str]:
    return [text for text in summary["warnings"] if any(f"[{code}]" in text for code in codes)]


# Real pixels, in GeoTIFF


@pytest.fixture
def flanders(shared_data: Path, tmp_path: Path) -> Path:
    """Copy the products of three months; without change they give no warning of pixels."""
    products = shared_data / "flanders_2018/products/T31UDS"
    for month in ("201805", "201806", "201807"):
        for product in products.glob(f"*_{month}*"):
            shutil.copytree(product, tmp_path / "images" / product.name)
    return tmp_path


def warned(folder: Path) -> list[str]:
    config = make_config(folder, tiles=("31UDS",))
    return of_codes(run(config)[1], "W-IMAGE-SHIFT", "W-IMAGE-UNMASKED", "W-IMAGE-OFFSET")


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with rasterio.open(path, "r+") as file:
        file.write(change(file.read(1)), 1)


def test_real_products_give_no_warning(flanders: Path) -> None:
    assert warned(flanders) == []


def test_a_real_product_that_is_moved_is_named(flanders: Path) -> None:
    (product,) = (flanders / "images").glob("SENTINEL2A_20180630-*")
    for path in [*product.glob("*_B2.tif"), *product.glob("MASKS/*_R1.tif")]:
        rewrite(path, lambda pixels: np.roll(pixels, (3, -2), axis=(0, 1)))
    (warning,) = warned(flanders)
    assert "W-IMAGE-SHIFT" in warning
    assert "1 product of the" in warning
    assert f"{product.name} (" in warning
    assert " m south, " in warning
    assert " m west)" in warning


def test_a_real_product_without_its_mask_is_named(flanders: Path) -> None:
    (product,) = (flanders / "images").glob("SENTINEL2A_20180620-*")  # B2 is 0.9
    for path in product.glob("MASKS/*_CLM_*.tif"):
        rewrite(path, np.zeros_like)
    (warning,) = warned(flanders)
    assert "W-IMAGE-UNMASKED" in warning
    assert f"{product.name} (blue 0.9" in warning
    assert "100% like cloud, 0% hidden" in warning
    assert "on dark dates is 0.0" in warning


# Simulated pixels, in JPEG 2000


def write_season(folder: Path, edit: Edit, baselines: tuple[str, ...] = ("05.11",)) -> None:
    rng = np.random.default_rng(1)
    ground = np.kron(rng.uniform(200, 900, (16, 16)), np.ones((SIDE // 16, SIDE // 16)))
    for number in range(N):
        bands = {
            name: ground + rng.normal(0, 20, (SIDE, SIDE)) if name in R1_BANDS else
            ground[::2, ::2] + 1500
            for name in (*R1_BANDS, *R2_BANDS)
        }  # fmt: skip
        bands = {name: values.astype(np.int16) for name, values in edit(number, bands).items()}
        masks = {
            f"{mask}_{group}": np.zeros((SIDE // zoom, SIDE // zoom), np.uint8)
            for mask in ("cloud", "saturation", "geophysics", "edge")
            for group, zoom in (("R1", 1), ("R2", 2))
        }
        sensed = datetime(2018, 4, 1, 10, 54, 35, tzinfo=UTC) + timedelta(days=5 * number)
        made = facts(
            sensed=sensed, generated=sensed, grid=Tile("31TCJ").geobox(SIDE),
            baseline=baselines[number % len(baselines)],
        )  # fmt: skip
        write_safe(folder, made, Scene(bands, masks, {}, 0, 0))


def safe_run(folder: Path) -> list[str]:
    summary = run(make_config(folder, readers=SAFE))[1]
    return of_codes(summary, "W-IMAGE-SHIFT", "W-IMAGE-UNMASKED")


@pytest.mark.slow
def test_a_moved_and_an_unmasked_product_in_jpeg_2000_are_named(tmp_path: Path) -> None:
    def edit(number: int, bands: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if number == 2:
            bands["B2"] = np.roll(bands["B2"], (0, 4), axis=(0, 1))
        if number == 5:
            bands = {name: values * 0 + 6000 for name, values in bands.items()}
        return bands

    write_season(tmp_path / "images", edit)
    unmasked, shifted = safe_run(tmp_path)
    assert "S2A_MSIL2A_20180411T105435" in shifted
    assert " m east)" in shifted
    assert "20180426" not in shifted
    assert "S2A_MSIL2A_20180426T105435" in unmasked
    assert "blue 0.60, 100% like cloud, 0% hidden" in unmasked
    assert "20180411" not in unmasked


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (1000, "missing"),
        pytest.param(-1000, "applied twice", marks=pytest.mark.slow),
        pytest.param(0, "", marks=pytest.mark.slow),
    ],
)
def test_offsets_are_checked_on_jpeg_2000(tmp_path: Path, by: int, said: str) -> None:
    def edit(number: int, bands: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: values + by * (number % 2) for name, values in bands.items()}

    write_season(tmp_path / "images", edit, ("02.12", "04.00"))
    (task,) = STAGE.plan(Context(make_config(tmp_path, readers=SAFE)))
    result = do(task)
    if not said:
        assert result.status == "done"
        return
    assert result.status == "failed"
    assert "E-IMAGE-OFFSET" in str(result.error)
    assert f"5 products of one kind (baseline 04.00, scale 0.0001, offset -0.1) are {0.1:g}" in str(
        result.error
    )
    assert said in str(result.error)


# Windows


def test_windows_of_a_tile_begin_at_blocks_of_all_usual_files() -> None:
    windows = Windows.of(Tile("31TCJ").geobox())
    assert windows.shape == (4, 256, 256)
    for resolution, blocks in ((10, (512, 1024)), (20, (512, 640))):
        for window in windows.of_asset(resolution):
            for block in blocks:
                for start, size in (
                    (window.row_off, window.height),
                    (window.col_off, window.width),
                ):
                    assert start // block == (start + size - 1) // block  # one block is decoded


def test_a_band_is_the_mean_of_its_pixels_without_those_that_have_no_data(tmp_path: Path) -> None:
    pixels = np.arange(1, 65, dtype=np.uint16).reshape(8, 8)
    pixels[0, 0] = 0
    path = tmp_path / "B2.tif"
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint16") as f:
        f.write(pixels, 1)
    windows = Windows((0,), (0,), 8, 8)
    read = read_band(Asset(str(path), 10, scale=0.5, offset=1.0, nodata=0), windows)
    assert read.shape == (1, 4, 4)
    assert np.isnan(read[0, 0, 0])
    assert read[0, 1, 1] == 0.5 * pixels[2:4, 2:4].mean() + 1
