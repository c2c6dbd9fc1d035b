"""NetCDF, Zarr and COG as their readers see them: xarray, GDAL, a CF checker."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from compliance_checker.runner import CheckSuite, ComplianceChecker
from rio_cogeo.cogeo import cog_validate
from support.series_blocks import ABOUT, LAYOUT, series_in, whole

from oso_pipeline.core.errors import EnvironmentFailure, InputDataError
from oso_pipeline.products.series import extra, zarr_store
from oso_pipeline.products.series.cog_files import cog_files, write_cog
from oso_pipeline.products.series.netcdf_file import write_netcdf
from oso_pipeline.products.series.tile_series import TileSeries
from oso_pipeline.products.series.zarr_store import write_zarr


@pytest.fixture(scope="module")
def files(series: TileSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all NetCDF and Zarr: maps at 10 m, series at 20 m."""
    folder = tmp_path_factory.mktemp("files")
    for resolution_m, chunks in ((10, "maps"), (20, "series")):
        write_netcdf(folder / f"{resolution_m}.nc", series, resolution_m, chunks, ABOUT)
        write_zarr(folder / f"{resolution_m}.zarr.sha256", series, resolution_m, chunks, ABOUT)
    return folder


def opened(files: Path, form: str, resolution_m: int, **options: bool) -> xr.Dataset:
    path = files / f"{resolution_m}.{form}"
    return xr.open_zarr(path, **options) if form == "zarr" else xr.open_dataset(path, **options)


@pytest.mark.parametrize("form", ["nc", "zarr"])
@pytest.mark.parametrize("resolution_m", [10, 20])
def test_xarray_gives_physical_values_dates_and_a_coordinate_system(
    files: Path, series: TileSeries, form: str, resolution_m: int
) -> None:
    with opened(files, form, resolution_m) as found:
        layout = LAYOUT.of_resolution(resolution_m)
        assert set(found.data_vars) == set(layout.names)
        assert found.time.dt.date.values.tolist() == list(LAYOUT.dates)
        grid = series.grid(resolution_m)
        assert found.rio.crs.to_epsg() == 32631
        assert found.rio.transform() == grid.affine
        assert found.rio.bounds() == tuple(grid.boundingbox)
        for variable in layout.variables:
            stored = whole(series, variable.name).astype(float)
            expected = stored * variable.scale
            if variable.fill is not None:
                expected[stored == variable.fill] = np.nan
            values = found[variable.name].values
            np.testing.assert_allclose(values.reshape(stored.shape), expected, rtol=3e-7)


@pytest.mark.parametrize("form", ["nc", "zarr"])
def test_stored_integers_are_those_of_the_blocks(
    files: Path, series: TileSeries, form: str
) -> None:
    with opened(files, form, 10, mask_and_scale=False) as found:
        for name in ("NDVI", "clear_dates", "NDVI_mean_month"):
            values = found[name].values
            np.testing.assert_array_equal(values, whole(series, name).reshape(values.shape))
            assert values.dtype == LAYOUT[name].dtype


@pytest.mark.parametrize("resolution_m", [pytest.param(10, marks=pytest.mark.slow), 20])
def test_a_cf_checker_finds_no_error(
    files: Path, tmp_path: Path, resolution_m: int, capsys: pytest.CaptureFixture[str]
) -> None:
    CheckSuite.load_all_available_checkers()
    report = tmp_path / "report.json"
    passed, failed_to_run = ComplianceChecker.run_checker(
        str(files / f"{resolution_m}.nc"), ["cf:1.11"], 0, "normal",
        output_filename=str(report), output_format="json",
    )  # fmt: skip
    capsys.readouterr()
    found = json.loads(report.read_text(encoding="utf-8"))["cf:1.11"]
    assert not failed_to_run
    assert found["high_count"] == 0, found["high_priorities"]
    messages = [text for level in ("medium", "low") for one in found[f"{level}_priorities"]
                for text in one["msgs"]]  # fmt: skip
    # Its rule of packed data is that of CF 1.6: since 1.9 unsigned integers may be packed, too.
    assert all("not of type byte, short, or int" in text for text in messages)
    assert passed == (not messages)


def test_gdal_opens_netcdf_where_it_lies(files: Path, series: TileSeries) -> None:
    with rasterio.open(f"netcdf:{files / '20.nc'}:LAI") as source:
        assert source.crs.to_epsg() == 32631
        assert source.transform == series.grid(20).affine
        assert source.nodata == -10000
        np.testing.assert_array_equal(source.read(), whole(series, "LAI"))


@pytest.mark.slow
def test_equal_blocks_make_equal_bytes(files: Path, series: TileSeries, tmp_path: Path) -> None:
    write_netcdf(tmp_path / "10.nc", series, 10, "maps", ABOUT)
    write_zarr(tmp_path / "10.zarr.sha256", series, 10, "maps", ABOUT)
    for name in ("10.nc", "10.zarr.sha256"):
        assert (tmp_path / name).read_bytes() == (files / name).read_bytes()
    command = ["sha256sum", "--check", "--quiet", "10.zarr.sha256"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_a_cog_is_valid_and_lies_where_the_tile_does(series: TileSeries, tmp_path: Path) -> None:
    chosen = [one for one in cog_files(LAYOUT) if one.name in (
        "NDVI_20180111.tif", "LAI_flags_20180101.tif", "SOSV_s2.tif", "clear_dates.tif",
    )]  # fmt: skip
    assert len(chosen) == 4
    for file in chosen:
        path = tmp_path / file.name
        write_cog(path, series, file, ABOUT)
        assert cog_validate(path, quiet=True)[0]
        with rasterio.open(path) as source:
            variable = file.variable
            np.testing.assert_array_equal(source.read(1), whole(series, variable.name)[file.step])
            assert source.crs.to_epsg() == 32631
            assert source.transform == series.grid(variable.resolution_m).affine
            assert source.nodata == variable.fill
            assert (source.scales, source.offsets) == ((variable.scale,), (0.0,))
    once = (tmp_path / "clear_dates.tif").read_bytes()
    write_cog(tmp_path / "clear_dates.tif", series, chosen[1], ABOUT)
    assert (tmp_path / "clear_dates.tif").read_bytes() == once


def test_blocks_that_an_area_leaves_out_have_no_data(tmp_path: Path) -> None:
    series = series_in(tmp_path, skipped=1)
    write_netcdf(tmp_path / "10.nc", series, 10, "maps", ABOUT)
    with xr.open_dataset(tmp_path / "10.nc") as found:
        ndvi = found.NDVI.values
        assert np.isnan(ndvi[:, :32, :40]).all()
        assert found.NDVI.shape == (4, 61, 70)
        assert not np.isnan(ndvi[:, 32:]).all()


def test_what_another_run_wrote_is_not_replaced(series: TileSeries, tmp_path: Path) -> None:
    listing = tmp_path / "20.zarr.sha256"
    other = replace(ABOUT, run_id="another")
    write_zarr(listing, series, 20, "maps", other)
    before = listing.read_bytes()
    with pytest.raises(InputDataError, match="E-SERIES-EXISTS"):
        write_zarr(listing, series, 20, "maps", ABOUT)
    assert listing.read_bytes() == before
    write_zarr(listing, series, 20, "series", other)  # its own is
    assert {path.name for path in tmp_path.iterdir()} == {"20.zarr", "20.zarr.sha256"}
    shutil.rmtree(tmp_path / "20.zarr")
    (tmp_path / "20.zarr").write_text("a file of somebody")
    with pytest.raises(InputDataError, match="E-SERIES-EXISTS"):
        write_zarr(listing, series, 20, "maps", ABOUT)


def test_a_store_that_is_not_whole_never_appears(
    series: TileSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: TileSeries, *_: object) -> np.ndarray:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TileSeries, "read", full)
    with pytest.raises(EnvironmentFailure, match="E-DISK"):
        write_zarr(tmp_path / "20.zarr.sha256", series, 20, "maps", ABOUT)
    with pytest.raises(EnvironmentFailure, match="E-DISK"):
        write_netcdf(tmp_path / "20.nc", series, 20, "maps", ABOUT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_damage_while_writing_is_found(
    series: TileSeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = iter(range(1000))
    monkeypatch.setattr(zarr_store.zlib, "crc32", lambda *_: next(sums))
    with pytest.raises(EnvironmentFailure, match="does not read back"):
        write_zarr(tmp_path / "20.zarr.sha256", series, 20, "maps", ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_time_axis_that_does_not_ascend_is_refused(series: TileSeries, tmp_path: Path) -> None:
    odd = replace(LAYOUT, dates=(date(2018, 1, 1), date(2018, 1, 1), *LAYOUT.dates[2:]))
    for write, name in ((write_netcdf, "20.nc"), (write_zarr, "20.zarr.sha256")):
        with pytest.raises(InputDataError, match="E-SERIES-TIME"):
            write(tmp_path / name, replace(series, layout=odd), 20, "maps", ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extra.MODULES, "netcdf", "no_such_module")
    with pytest.raises(EnvironmentFailure, match=r"E-SERIES-EXTRA(?s:.*)oso_pipeline\[series\]"):
        extra.netcdf4()
