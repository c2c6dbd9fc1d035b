"""Real Sentinel-2 series: counts of clear pixels, and dates hidden from gap-filling."""

from __future__ import annotations

import csv
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from support.plain_biophysical import numbers, plain_flags, plain_output

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.muscate.angles import parse_angles
from oso_pipeline.imagery.muscate.quality import rules_of
from oso_pipeline.timeseries.biophysical import INPUT_BANDS, SCALES, block_biophysical
from oso_pipeline.timeseries.gapfill import gapfill, longest_gap_days
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.reading.rasters import OpenRasters
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries

SITES = {
    2018: ("T31UDS", date(2017, 8, 1), date(2018, 11, 30)),
    2019: ("T31UES", date(2018, 8, 1), date(2019, 11, 30)),
}
BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")


def band(path: Path) -> Asset:
    resolution = 10 if path.stem.endswith(("_B2", "_B3", "_B4", "_B8")) else 20
    return Asset(str(path), resolution, 1e-4, 0.0, -10_000, path.stat().st_size)


def mask(path: Path) -> Asset:
    resolution = 10 if path.stem.endswith("R1") else 20
    return Asset(str(path), resolution, size_bytes=path.stat().st_size)


def listing(folder: Path, tile: str) -> SimpleNamespace:
    """List products by the names of their files alone, whatever the inventory would say."""
    acquisitions = []
    for product in sorted(folder.iterdir()):
        files = {re.sub(r"^.*_V9-0_(FRE_)?", "", p.stem): p for p in product.rglob("*.tif")}
        acquisitions.append(
            Acquisition(
                product_id=product.name,
                tile=tile[1:],
                acquired=datetime.strptime(product.name[11:26], "%Y%m%d-%H%M%S"),
                platform=product.name[:10],
                family="muscate",
                version="9.0",
                bands={name: band(path) for name, path in files.items() if name in BANDS},
                quality={name: mask(path) for name, path in files.items() if "_R" in name},
                rules=rules_of("oso"),
            )
        )
    with rasterio.open(acquisitions[0].bands["B2"].path) as image:
        grid = GeoBox(image.shape, image.transform, str(image.crs))
        block_shape = image.block_shapes[0]
    return SimpleNamespace(
        tile=tile[1:], grid=grid, block_shape=block_shape, acquisitions=tuple(acquisitions)
    )


@pytest.fixture(scope="module", params=sorted(SITES))
def site(request: pytest.FixtureRequest, shared_data: Path) -> tuple[int, Path, BlockReader]:
    tile, first, last = SITES[request.param]
    folder = shared_data / f"flanders_{request.param}"
    inventory = listing(folder / "products" / tile, tile)
    spec = ReadSpec(BANDS, "oso", first - timedelta(days=1), last)
    return request.param, folder, BlockReader(inventory, spec, OpenRasters(200))


@pytest.fixture(scope="module")
def series(site: tuple[int, Path, BlockReader]) -> BlockSeries:
    """All dates, also those that show nothing clear and are not layers when read."""
    reader = site[2]
    read = reader.read(Block(reader.inventory.tile, 0, 0, 64, 64))
    days = days_since_epoch(reader.dates)
    place = np.searchsorted(days, read.days)
    clear = np.zeros((len(days), 64 * 64), np.uint8)
    clear[place] = read.clear
    values = np.full((len(days), len(BANDS), 64 * 64), NODATA, np.int16)
    values[place] = read.values
    return BlockSeries.of(values, clear, days, read.clipped)


def test_clear_pixels_per_date(site: tuple[int, Path, BlockReader], series: BlockSeries) -> None:
    year, folder, reader = site
    with (folder / "products.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    expected = {row["acquisition_utc"][:10]: int(row["clear_pixels_r1"]) for row in rows}
    counts = dict(zip(map(str, reader.dates), series.clear.sum(axis=1).tolist(), strict=True))
    assert counts == expected
    assert series.clipped == 0
    # The description of the data counts 43 to 66 and 34 to 45 usable dates a pixel.
    validity = series.clear.sum(axis=0)
    assert (validity.min(), validity.max()) == {2018: (43, 66), 2019: (34, 45)}[year]


def test_longest_gaps(site: tuple[int, Path, BlockReader], series: BlockSeries) -> None:
    # The description of the data: 27-60 and 30-50 days between usable dates of a pixel, so
    # the season of a pixel goes from its first to its last one.
    first = series.days[series.clear.argmax(axis=0)]
    last = series.days[::-1][series.clear[::-1].argmax(axis=0)]
    longest = np.zeros(len(first), dtype=int)
    for start, end in set(zip(first.tolist(), last.tolist(), strict=True)):
        chosen = (first == start) & (last == end)
        longest[chosen] = longest_gap_days(series.clear[:, chosen], series.days, start, end)
    least, most = {2018: (27, 60), 2019: (30, 50)}[site[0]]
    assert longest.min() == least
    # One pixel of 2019 has no data in B8 on 2018-12-12; the description looks at masks alone.
    above = np.flatnonzero(longest > most)
    assert longest[longest <= most].max() == most
    assert above.tolist() == {2018: [], 2019: [2792]}[site[0]]


def ndvi(values: np.ndarray) -> np.ndarray:
    """NDVI of shape (time, pixel), from values of shape (time, band, pixel)."""
    red, nir = (values[:, BANDS.index(band)].astype(np.float64) for band in ("B4", "B8"))
    return (nir - red) / (nir + red)


def fill_hidden(values: np.ndarray, series: BlockSeries, hidden: np.ndarray) -> np.ndarray:
    kept = np.ascontiguousarray(values[~hidden])
    return gapfill(kept, series.clear[~hidden], series.days[~hidden], series.days[hidden])[0]


def test_ndvi_of_hidden_dates(site: tuple[int, Path, BlockReader], series: BlockSeries) -> None:
    # As for the figures published with the data, 0.186 and 0.173 (the pixel's mean: 0.237 and
    # 0.229): a fifth of the dates, drawn, and the series of NDVI itself interpolated.
    truth = np.where(series.clear == 1, ndvi(series.values), 0)
    draw = np.random.default_rng(0).choice(len(truth), len(truth) // 5, replace=False)
    hidden = np.isin(np.arange(len(truth)), draw)
    assert hidden.sum() == {2018: 23, 2019: 14}[site[0]]
    stored = np.rint(truth * 10_000).astype(np.int16)[:, None]
    errors = fill_hidden(stored, series, hidden)[:, 0] / 10_000 - truth[hidden]
    rmse = np.sqrt(np.mean(errors[series.clear[hidden] == 1] ** 2))
    assert rmse <= {2018: 0.19, 2019: 0.175}[site[0]]
    assert rmse == pytest.approx({2018: 0.1857, 2019: 0.1731}[site[0]], abs=0.001)


def test_every_date_hidden_once(site: tuple[int, Path, BlockReader], series: BlockSeries) -> None:
    # As the chain does it: bands interpolated, NDVI computed from them. Undetected clouds are
    # bright and weigh more in bands than in NDVI, so the error is somewhat larger.
    linear, constant = [], []
    for fold in range(5):
        hidden = np.arange(len(series.days)) % 5 == fold
        usable = series.clear[hidden] == 1
        truth = ndvi(series.values[hidden])
        linear.append((ndvi(fill_hidden(series.values, series, hidden)) - truth)[usable])
        known = np.where(series.clear[~hidden] == 1, ndvi(series.values[~hidden]), np.nan)
        constant.append((np.nanmean(known, axis=0) - truth)[usable])
    rmse, of_mean = (np.sqrt(np.mean(np.concatenate(e) ** 2)) for e in (linear, constant))
    assert rmse <= {2018: 0.175, 2019: 0.20}[site[0]]
    assert rmse < 0.9 * of_mean


@pytest.mark.slow
@pytest.mark.parametrize("resolution_m", [10, 20])
def test_real_images_give_what_numpy_says(shared_data: Path, resolution_m: int) -> None:
    """Ten images of Flanders, each with its own angles, on either grid."""
    tile, first, last = SITES[2018]
    listed = listing(shared_data / "flanders_2018" / "products" / tile, tile)
    listed.acquisitions = listed.acquisitions[::12]
    stated = {
        one.product_id: parse_angles(metadata.read_bytes())
        for one in listed.acquisitions
        for metadata in one.bands["B2"].path.parent.glob("*_MTD_ALL.xml")
    }
    reader = BlockReader(listed, ReadSpec(BANDS, "oso", first, last), OpenRasters(200))
    rows, columns = listed.grid.shape
    series = reader.read(Block(listed.tile, 0, 0, rows, columns))
    angles = [stated[name] for name in series.products]
    assert len(set(angles)) > 3
    at_10m = series.values.reshape(len(angles), len(BANDS), rows, columns)
    hidden = (series.clear == 0).reshape(-1, rows, columns)
    for variable, scale in SCALES.items():
        values, clear, flags = block_biophysical(series, BANDS, variable, angles, resolution_m)
        assert clear.any()
        for image, of_image in enumerate(angles):
            step = resolution_m // 10
            folded = at_10m[image, [BANDS.index(band) for band in INPUT_BANDS]].astype(float)
            folded = folded.reshape(8, rows // step, step, columns // step, step).mean((2, 4))
            cloudy = hidden[image].reshape(rows // step, step, columns // step, step).any((1, 3))
            seen = ~cloudy.ravel()
            assert (clear[image] != 0).tolist() == seen.tolist()
            if not seen.any():
                continue
            inputs = folded.reshape(8, -1)[:, seen].round()
            cosines = of_image.cosines
            full = np.vstack([inputs * 1e-4, np.repeat(cosines[:, None], seen.sum(), 1)])
            limits = [numbers()["networks"][variable][end] for end in ("least", "greatest")]
            expected = np.clip(plain_output(variable, full), *limits)
            found = values[image, seen] * scale
            assert np.abs(found - expected).max() <= 0.5 * scale + 2e-5
            bits = plain_flags(variable, inputs.astype(np.int16), cosines)
            assert (flags[image, seen] == bits).mean() > 0.999
        summer = np.isin(series.days.astype("M8[D]").astype("M8[M]").astype(int) % 12, (4, 5, 6))
        mean = values[summer][clear[summer] != 0].mean() * scale
        low, high = {"LAI": (1, 5), "FAPAR": (0.4, 0.9), "FCOVER": (0.3, 0.9)}[variable]
        assert low < mean < high
