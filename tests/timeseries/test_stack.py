"""The lazy array of a tile's features."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

import oso_pipeline
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import ConfigError, InputDataError
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.tasks.worker import do
from oso_pipeline.timeseries import stack as stack_module
from oso_pipeline.timeseries.dataset import dataset_of
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.features import block_features
from oso_pipeline.timeseries.reading.rasters import OpenRasters
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.stack import chunk_shape, stack_of

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "flanders_2019.yaml"
SPEC = ReadSpec(("B4", "B8", "B11"), "oso", date(2018, 1, 1), date(2018, 12, 31))
LAYOUT = FeatureLayout.optical(SPEC.bands, (date(2018, 6, 1), date(2018, 6, 6)), ("NDVI", "NDWI"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []
    read = OpenRasters.read

    def counted(self, path, window, out=None):
        seen.append(path)
        return read(self, path, window, out)

    monkeypatch.setattr(OpenRasters, "read", counted)
    return seen


def fill(products, shape: tuple[int, int]) -> None:
    products.shape = shape
    numbers = np.random.default_rng(0)
    half = tuple(-(-n // 2) for n in shape)
    for day in (1, 11, 21):
        products.add(
            f"2018-06-{day:02}T10:00:00",
            {
                "B4": numbers.integers(1, 9000, shape, np.int16),
                "B8": numbers.integers(1, 9000, shape, np.int16),
                "B11": numbers.integers(1, 9000, half, np.int16),
            },
            {"CLM_R1": numbers.integers(0, 2, shape, np.uint8)},
        )


@pytest.mark.parametrize("shape", [(6, 8), (7, 9)])
def test_equals_the_features_of_blocks_and_reads_nothing_before(
    products, shape: tuple[int, int], reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(products, shape)
    monkeypatch.setattr(stack_module, "CHUNK_PIXELS", 8)
    stack = stack_of(products.inventory(), SPEC, LAYOUT)
    assert reads == []
    assert stack.shape == (LAYOUT.size, *shape)
    assert stack.data.npartitions > 2
    whole = BlockReader(products.inventory(), SPEC).read(Block("31TCJ", 0, 0, *shape))
    features, _ = block_features(whole, LAYOUT)
    reads.clear()
    with dask.config.set(scheduler="threads"):
        computed = stack.compute()
    assert reads
    np.testing.assert_array_equal(computed.values, features.reshape(LAYOUT.size, *shape))
    assert computed.dtype == np.int16


def test_is_georeferenced(products) -> None:
    fill(products, (6, 8))
    stack = stack_of(products.inventory(), SPEC, LAYOUT)
    assert stack.dims == ("feature", "y", "x")
    assert stack.rio.crs.to_epsg() == 32631
    assert stack.rio.nodata == -10_000
    assert stack.rio.transform() == products.inventory().grid.affine
    assert stack.x.values[:2].tolist() == [300_005, 300_015]
    assert stack.y.values[:2].tolist() == [4_900_015, 4_900_005]
    assert stack.feature.values.tolist() == list(LAYOUT.names)
    pixel = stack.sel(feature="NDVI_20180606").sel(x=300_012, y=4_900_008, method="nearest")
    assert -1000 <= int(pixel.compute()) <= 1000


@pytest.mark.parametrize(
    ("grid", "block", "expected"),
    [
        ((10_980, 10_980), (1, 10_980), (6, 10_980)),
        ((10_980, 10_980), (512, 512), (512, 512)),
        ((10_980, 10_980), (128, 128), (256, 256)),
        ((64, 64), (64, 64), (64, 64)),
        ((65, 65), (65, 65), (66, 66)),
        ((64, 64), (32, 32), (64, 64)),
    ],
)
def test_chunks_follow_the_files(grid, block, expected) -> None:
    assert chunk_shape(grid, block) == expected


def test_variables_are_the_rows_of_the_features(products) -> None:
    fill(products, (7, 9))
    features = stack_of(products.inventory(), SPEC, LAYOUT)
    stack = dataset_of(features, LAYOUT.series)
    assert list(stack.data_vars) == ["B4", "B8", "B11", "NDVI", "NDWI"]
    assert stack.rio.crs.to_epsg() == 32631
    assert stack.rio.transform() == products.inventory().grid.affine
    for name, variable in stack.data_vars.items():
        assert variable.dims == ("time", "y", "x")
        assert variable.rio.nodata == -10_000
        assert variable.dtype == np.int16
        for day in LAYOUT.series.dates or ():
            ours = variable.sel(time=day.isoformat())
            np.testing.assert_array_equal(ours, features.sel(feature=f"{name}_{day:%Y%m%d}"))


def test_derived_features_are_variables_with_the_scale_of_what_they_are(products) -> None:
    fill(products, (7, 9))
    layout = FeatureLayout((replace(LAYOUT.series, derived=("relative", "harmonics")),))
    features = stack_of(products.inventory(), SPEC, layout)
    stack = dataset_of(features, layout.series)
    assert set(stack.data_vars) >= {"relative_NDVI", "harmonics_B4_mean", "harmonics_NDVI_sine3"}
    assert len(stack.data_vars) == 5 * (1 + 1 + 10)
    for name, factor in (("mean", 1e-4), ("amplitude1", 1e-4), ("cosine1", 1e-3)):
        variable = stack[f"harmonics_B4_{name}"]
        assert (variable.dims, variable.scale_factor) == (("y", "x"), factor)
        np.testing.assert_array_equal(variable, features.sel(feature=variable.name))
    np.testing.assert_array_equal(
        stack.relative_NDVI.sel(time="2018-06-06"), features.sel(feature="relative_NDVI_20180606")
    )


def test_decoding_by_cf_gives_the_formula_of_the_index(products) -> None:
    fill(products, (6, 8))
    features = stack_of(products.inventory(), SPEC, LAYOUT)
    stack = xr.decode_cf(dataset_of(features, LAYOUT.series)).compute()
    ndvi = (stack.B8 - stack.B4) / (stack.B8 + stack.B4)
    np.testing.assert_allclose(stack.NDVI, ndvi, atol=1e-3)
    assert float(stack.B4.max()) <= 0.9


@pytest.mark.slow
def test_row_061_a_tile_is_opened_in_its_own_coordinate_system(
    shared_data: Path, tmp_path: Path, reads: list[Path]
) -> None:
    config = load_config(CONFIG, [f"run_dir={tmp_path / 'run'}"])
    stack = oso_pipeline.open_stack(config, "T31UES", flat=True)
    assert reads == []
    assert stack.attrs["tile"] == "31UES"
    layout = FeatureLayout.of(config)
    assert stack.feature.values.tolist() == list(layout.names)
    assert stack.rio.crs.to_epsg() == 32631
    assert tuple(stack.rio.transform())[2:6:3] == (574_680, 5_622_440)
    nine = stack[:, 30:33, 10:13].values
    assert (nine != -10_000).all()
    assert not (tmp_path / "run").exists()

    # The same from a committed inventory.
    context = stack_module._Planning(config, config.run_dir)
    (task,) = STAGE.plan(context)
    assert do(task).status == "done"
    assert task.commit_record() is not None
    again = oso_pipeline.open_stack(config, "31UES", ["NDVI", "B4"])
    assert list(again.data_vars) == ["NDVI", "B4"]
    rows = stack.feature.str.startswith("NDVI_").values
    np.testing.assert_array_equal(again.NDVI[:, 30:33, 10:13], nine[rows])


@pytest.mark.slow
def test_opens_the_path_of_a_configuration(shared_data: Path) -> None:
    stack = oso_pipeline.open_stack(CONFIG, "31UES")
    assert stack.NDVI.dims == ("time", "y", "x")
    assert stack.attrs["tile"] == "31UES"
    few = oso_pipeline.open_stack(str(CONFIG), "31ues", ["B4"], flat=True)
    assert few.feature.str.startswith("B4_").all()
    assert few.sizes["feature"] == stack.sizes["time"]


@pytest.mark.slow
def test_the_old_form_says_what_to_use_instead(shared_data: Path) -> None:
    with pytest.warns(DeprecationWarning, match="flat=True"):
        stack = stack_module.open_stack(CONFIG, "31UES")
    assert stack.dims == ("feature", "y", "x")


def test_refuses_what_is_not_there(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        oso_pipeline.open_stack(tmp_path / "none.yaml", "31UES")
    with pytest.raises(InputDataError, match="31XXX"):
        oso_pipeline.open_stack(CONFIG, "31XXX")
    with pytest.raises(InputDataError, match="31TCJ"):
        oso_pipeline.open_stack(CONFIG, "31TCJ")
    with pytest.raises(KeyError, match="band 'B42', expected some of"):
        oso_pipeline.open_stack(CONFIG, "31UES", ["B4", "B42"])
