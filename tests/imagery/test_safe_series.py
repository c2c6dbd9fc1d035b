"""SAFE products give the series of MUSCATE products with the same pixels and masks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.safe_factory import FACTS, GRID, SIZE, facts, image, scene, write
from support.same_season import check_same, series, write_season

from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.simulation.writers.safe import write_jp2, write_safe
from oso_pipeline.timeseries.reading.rasters import to_stored


def test_a_season_of_mixed_baselines_gives_the_series_of_muscate(tmp_path: Path) -> None:
    write_season(
        tmp_path,
        lambda folder, made, scene, number: write_safe(folder, made, scene, as_zip=number % 3 == 2),
    )
    check_same(tmp_path)


@pytest.mark.parametrize(
    ("number", "offset", "reflectance"),
    [(1, 0.0, 1), (1, -0.1, -999), (999, -0.1, -1), (10_000, 0.0, 10_000), (10_000, -0.1, 9000)],
)
def test_numbers_become_reflectances(number: int, offset: float, reflectance: int) -> None:
    asset = Asset("B02.jp2", 10, scale=1e-4, offset=offset, nodata=0, saturated=65535)
    stored, missing, outside = to_stored(np.array([number, 0, 65535], np.uint16), asset)
    assert stored[0] == reflectance
    assert missing.tolist() == [False, True, True]
    assert not outside.any()


def test_no_data_and_saturation_in_one_band_are_no_observation(tmp_path: Path) -> None:
    product = write(tmp_path / "images")
    for end, value, at in (
        ("B02_10m", 0, (0, 0)),
        ("B04_10m", 65535, (0, 3)),
        ("B11_20m", 0, (3, 3)),
    ):
        path = image(product, end)
        with rasterio.open(path) as source:
            pixels = source.read(1)
        pixels[at] = value
        write_jp2(path, pixels, GRID if pixels.shape[0] == SIZE else GRID.zoom_out(2))
    found = series(tmp_path, SIZE, "31TCJ")
    hidden = found.clear.reshape(SIZE, SIZE) == 0
    expected = np.zeros((SIZE, SIZE), bool)
    expected[0, 0] = expected[0, 3] = True
    expected[6:8, 6:8] = True
    np.testing.assert_array_equal(hidden, expected)
    assert found.fine[0, 0, SIZE * SIZE - 1] == 500


def test_halves_fill_the_tile_once(tmp_path: Path) -> None:
    rows = SIZE // 4
    for number, part in enumerate((slice(0, rows + 1), slice(rows - 1, None))):
        made = FACTS.generated + timedelta(seconds=number)
        write_safe(tmp_path / "images", facts(generated=made), scene(500 + number, part))
    found = series(tmp_path, SIZE, "31TCJ")
    assert len(found.days) == 2
    clear = found.clear.reshape(2, SIZE, SIZE)
    np.testing.assert_array_equal(clear.sum(axis=0), np.ones((SIZE, SIZE)))
    first = 2 * (rows + 1)  # of the rows that both show, the first product gives the pixels
    assert clear[0, :first].all()
    assert found.fine[0, 0, 0] == 500
    assert found.fine[1, 0, SIZE * SIZE - 1] == 501
