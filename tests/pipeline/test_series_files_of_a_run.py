"""The files of `oso series` on a small world, and the page that describes them."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate
from support import ROOT
from support.pipeline_tools import oso

import oso_pipeline
from oso_pipeline.core.errors import UnknownName
from oso_pipeline.runtime.folder.verification import verify_run

CONFIG = """\
year: 2018
run_dir: series_run
season: {{start: 2018-01-01, end: 2018-12-31, step_days: 20}}
imagery:
  paths: [{world}/products]
  tiles: [31UCU]
series:
  variables: [NDVI, LAI]
  monthly: [mean]
  phenology: {{variable: NDVI}}
  formats: [netcdf, zarr, cog]
  parcels: {{path: {world}/truth/fields.gpkg, id_field: field_id}}
runtime: {{block_pixels: 4096, cluster: {{kind: serial}}}}
"""
PAGE = ROOT / "docs" / "series.md"
QGIS_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def folder(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration and the run that it made."""
    folder = tmp_path_factory.mktemp("series_files")
    (folder / "world").symlink_to(small_world)
    (folder / "series.yaml").write_text(CONFIG.format(world=small_world))
    oso("series", folder / "series.yaml")
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.mark.slow
def test_every_form_holds_the_series_that_python_opens(folder: Path) -> None:
    found = oso_pipeline.open_series("series_run")
    fine = xr.open_dataset("series_run/series/31UCU_10m.nc")
    coarse = xr.open_zarr("series_run/series/31UCU_20m.zarr")
    assert found.rio.transform() == fine.rio.transform()
    lai = oso_pipeline.open_series("series_run", variables=["LAI"]).LAI
    np.testing.assert_allclose(lai, coarse.LAI, rtol=3e-7)
    assert len(found.NDVI.chunks[1]) > 1
    for name in fine.data_vars:
        np.testing.assert_allclose(found[name], fine[name], rtol=3e-7)
    day = found.time.dt.strftime("%Y%m%d").item(3)
    path = f"series_run/series/cog/31UCU/NDVI_{day}.tif"
    assert cog_validate(path, quiet=True)[0]
    with rasterio.open(path) as source:
        values = source.read(1, masked=True) * source.scales[0]
        np.testing.assert_allclose(values.filled(np.nan), found.NDVI[3], rtol=1e-5)
        assert source.transform == found.rio.transform()


@pytest.mark.slow
def test_series_straight_from_products_are_those_of_the_blocks(folder: Path) -> None:
    config = oso_pipeline.load_config("series.yaml", {"run_dir": str(folder / "none")})
    fresh = oso_pipeline.open_series(config, "T31UCU", ["NDVI", "LAI"])
    made = oso_pipeline.open_series("series_run", "31UCU", ["NDVI", "LAI"])
    assert not (folder / "none" / "series").exists()
    for name in ("NDVI", "LAI"):
        np.testing.assert_array_equal(fresh[name], made[name])
    assert oso_pipeline.open_series(config, variables=["B8"]).B8.max() <= 2
    for tile, variables, said in (("nowhere", None, "TILE"), (None, ["NOTHING"], "VARIABLE")):
        with pytest.raises(UnknownName, match=f"E-NAME-{said}"):
            oso_pipeline.open_series(config, tile, variables)


@pytest.mark.slow
def test_the_code_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    part = page.partition("## Files")[2].partition("\n## ")[0]
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", oso_pipeline.OsoWarning)  # of small and far fields
        for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
            exec(compile(block, "docs/series.md", "exec"), names)
    assert "EPSG:32631" in capsys.readouterr().out
    assert set(names["table"]["parcel_id"]) == set(names["parcels"]["parcel_id"])
    for command in re.findall(r"^```bash\n(.*?)^```", part, re.M | re.S)[0].splitlines():
        if shutil.which(command.split()[0]):
            subprocess.run(command, shell=True, check=True, capture_output=True)


@pytest.mark.slow
def test_the_run_is_sound_until_a_chunk_is_damaged(folder: Path) -> None:
    said = oso("verify", "series_run")
    assert "ORPHAN" not in said
    assert "never made" not in oso("series", "series.yaml")
    copy = Path(shutil.copytree("series_run", "copy"))
    chunk = next((copy / "series" / "31UCU_10m.zarr" / "NDVI").glob("0.*"))
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    (problem,) = verify_run(copy).problems.errors
    assert problem.code == "E-VERIFY-CONTENT"
    assert str(chunk) in problem.message


@pytest.mark.slow
def test_raw_series_have_the_days_of_the_images(folder: Path, small_world: Path) -> None:
    text = CONFIG.format(world=small_world).replace("series_run", "raw_run")
    text = text.replace("  phenology: {variable: NDVI}\n", "  dates: raw\n")
    Path("raw.yaml").write_text(text)
    oso("series", "raw.yaml")
    with xr.open_dataset("raw_run/series/31UCU_10m.nc") as found:
        days = found.time.dt.strftime("%Y%m%d").values.tolist()
        assert found.NDVI.dims == ("time", "y", "x")
    files = {path.name for path in Path("raw_run/series/cog/31UCU").glob("NDVI_*.tif")}
    assert {f"NDVI_{day}.tif" for day in days} <= files


@pytest.mark.slow
def test_qgis_opens_netcdf_and_cog(folder: Path) -> None:
    probe = [QGIS_PYTHON, "-c", "import qgis.core"]
    if not Path(QGIS_PYTHON).exists() or subprocess.run(probe, check=False).returncode:
        pytest.skip("QGIS is not installed")
    cog = next(Path("series_run/series/cog/31UCU").glob("NDVI_*.tif"))
    code = f"""
from qgis.core import QgsApplication, QgsRasterLayer
QgsApplication([], False).initQgis()
for path in ('NETCDF:"series_run/series/31UCU_10m.nc":NDVI', '{cog}'):
    layer = QgsRasterLayer(path, "x", "gdal")
    print(layer.isValid(), layer.crs().authid(), layer.extent().xMinimum(), layer.width())
"""
    done = subprocess.run(
        [QGIS_PYTHON, "-c", code], capture_output=True, text=True, check=False, timeout=120,
        env={"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)},
    )  # fmt: skip
    width = xr.open_dataset("series_run/series/31UCU_10m.nc").sizes["x"]
    assert done.stdout.splitlines() == [f"True EPSG:32631 300000.0 {width}"] * 2, done.stderr
