"""The lazy dataset: physical values, dates, coordinate system, a chunk per block."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
from support.series_blocks import LAYOUT, series_in, values_of, whole

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import UnknownName
from oso_pipeline.products.series.dataset import dataset_of
from oso_pipeline.products.series.tile_series import TileSeries


def test_values_are_those_of_the_blocks(series: TileSeries) -> None:
    found = dataset_of(series)
    assert found.rio.crs.to_epsg() == 32631
    assert found.rio.transform() == series.grid(10).affine
    assert found.time.dt.date.values.tolist() == list(LAYOUT.dates)
    for variable in LAYOUT.variables:
        values = found[variable.name].values
        expected = variable.physical(whole(series, variable.name))
        if variable.resolution_m == 20:
            expected = np.kron(expected, np.ones((2, 2), np.float32))[:, :61, :70]
        np.testing.assert_array_equal(values.reshape(expected.shape), expected)
    assert found.LAI.resolution_m == 20
    assert found.LAI_flags.dtype == np.uint8
    assert found.NDVI.dtype == np.float32


def test_nothing_is_read_before_and_chunks_are_blocks(series: TileSeries, tmp_path: Path) -> None:
    gone = TileSeries(series.tile_grid, series.layout, [(b, tmp_path) for b, _ in series.blocks])
    assert dataset_of(gone).NDVI.chunks == ((4,), (32, 29), (40, 30))
    assert dataset_of(gone, ["LAI"]).LAI.chunks == ((4,), (16, 15), (20, 15))
    assert dataset_of(gone, ["LAI"]).rio.transform() == series.grid(20).affine


def test_an_area_leaves_holes(tmp_path: Path) -> None:
    found = dataset_of(series_in(tmp_path, skipped=1), ["NDVI", "clear_dates"])
    assert np.isnan(found.NDVI[:, :32, :40]).all()
    assert not np.isnan(found.NDVI[:, 32:, :40]).all()
    assert (found.clear_dates[:32, :40] == 0).all()


def test_a_block_is_computed_once_for_all_its_variables(series: TileSeries) -> None:
    computed: list[Block] = []

    def source(block: Block) -> object:
        computed.append(block)
        return values_of(block, LAYOUT)

    found = dataset_of(series, ["NDVI", "LAI"], source)
    assert computed == []
    with dask.config.set(scheduler="synchronous"):
        found.load()
    assert sorted(computed) == sorted(block for block, _ in series.blocks)
    np.testing.assert_array_equal(found.NDVI, dataset_of(series).NDVI)


def test_an_unknown_variable_is_named_with_the_known_ones(series: TileSeries) -> None:
    with pytest.raises(UnknownName, match=r"E-NAME-VARIABLE.*'EVI', expected some of NDVI"):
        dataset_of(series, ["EVI"])
