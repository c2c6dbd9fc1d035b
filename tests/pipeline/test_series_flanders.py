"""Series of real images of Flanders equal what plain NumPy makes of the clear observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import ROOT
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.config.loader import load_config
from oso_pipeline.imagery.angles_stage import read_angles
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.timeseries.biophysical import block_biophysical
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series_block_file import read_series_block, read_series_layout

SECTION = "series={variables: [B4, B11, NDVI, LAI], monthly: [max], statistics: [p50], formats: []}"
N_PIXELS = 300


def interpolated(
    values: np.ndarray, clear: np.ndarray, days: np.ndarray, on: np.ndarray
) -> np.ndarray:
    """Return NumPy's linear interpolation between the clear dates, shape (date, pixel)."""
    found = np.full((len(on), values.shape[1]), np.nan)
    for pixel in np.flatnonzero(clear.any(axis=0)):
        seen = clear[:, pixel] != 0
        found[:, pixel] = np.interp(on, days[seen], values[seen, pixel])
    return found


@pytest.mark.slow
def test_values_equal_those_of_numpy(shared_data: Path, tmp_path: Path) -> None:
    path, run = ROOT / "configs" / "flanders_2018.yaml", tmp_path / "run"
    products = shared_data / "flanders_2018" / "products"
    settings = (f"run_dir={run}", f"imagery.paths=['{products}']", SECTION)
    options = [part for one in settings for part in ("--set", one)]
    serial = ("--set", "runtime.cluster={kind: serial}")
    ended = CliRunner().invoke(app, ["series", str(path), *options, *serial])
    assert ended.exit_code == 0, ended.output
    config = load_config(path, settings)
    inventory = read_inventory(run / "inventory" / "31UDS.parquet")
    reader, days = BlockReader(inventory, ReadSpec.of(config)), config.season.grid.days
    draw, near = np.random.default_rng(0), 0.51
    for file in sorted(run.glob("series/blocks/31UDS/*.arrow"))[:2]:
        layout, block = read_series_layout(file)
        found = {
            name: values.reshape(len(values), -1)
            for name, values in read_series_block(file).values.items()
        }
        images = reader.read(block)
        pixels = np.sort(draw.choice(block.pixels, min(N_PIXELS, block.pixels), replace=False))
        values, clear = images.take(pixels)
        filled = {
            name: interpolated(values[:, reader.spec.bands.index(name)], clear, images.days, days)
            for name in ("B4", "B8", "B11")
        }
        none = ~clear.any(axis=0)
        for name in ("B4", "B11"):
            stored = found[name][:, pixels]
            assert (stored[:, none] == -10000).all()
            assert np.abs(stored - filled[name])[:, ~none].max() <= near
        red, nir = (np.rint(filled[name][:, ~none]) for name in ("B4", "B8"))
        ndvi = np.where(nir + red == 0, 0, 1000 * (nir - red) / np.where(nir + red, nir + red, 1))
        stored = found["NDVI"][:, pixels][:, ~none]
        assert np.mean(np.abs(stored - np.trunc(ndvi)) <= 1) > 0.999
        median = np.rint(np.median(stored, axis=0))
        np.testing.assert_array_equal(found["NDVI_p50"][0, pixels][~none], median)
        angles = read_angles(run / "series" / "angles" / "31UDS.json", images.products)
        lai, seen, _ = block_biophysical(images, reader.spec.bands, "LAI", angles, 20)
        some = np.sort(draw.choice(lai.shape[1], min(N_PIXELS, lai.shape[1]), replace=False))
        expected = interpolated(lai[:, some], seen[:, some], images.days, days)
        stored = found["LAI"][:, some]
        assert ((stored == -10000) == np.isnan(expected)).all()
        assert np.nanmax(np.abs(np.where(stored == -10000, np.nan, stored) - expected)) <= near
        physical = layout["LAI"].physical(stored)
        assert 0 <= np.nanmin(physical) <= np.nanmax(physical) <= 8
