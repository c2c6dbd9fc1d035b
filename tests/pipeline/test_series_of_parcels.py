"""`oso series` with parcels on a small simulated world: files, and the same in Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

import oso_pipeline
from oso_pipeline.cli import app
from oso_pipeline.core.tiles import Tile

pytestmark = pytest.mark.slow

CONFIG = """\
year: 2018
run_dir: {run_dir}
season: {{start: 2018-01-01, end: 2018-12-31, step_days: 20}}
imagery:
  paths: [{world}/products]
  tiles: [31UCU]
series:
  variables: [NDVI, LAI]
  formats: []
  parcels: {{path: parcels.gpkg, id_field: ID, erosion_m: 5, formats: [parquet, csv]}}
runtime: {{block_pixels: 4096, cluster: {{kind: serial}}}}
"""


def parcels_in(folder: Path) -> geopandas.GeoDataFrame:
    """Write parcels of 150 m and a tiny one, in the system of France; the file is returned."""
    x, y = Tile("31UCU").origin
    boxes = [
        shapely.box(x + 130 * n, y - 130 * n - 150, x + 130 * n + 150, y - 130 * n)
        for n in range(6)
    ]
    boxes.append(shapely.box(x + 101, y - 104, x + 103, y - 101))
    frame = geopandas.GeoDataFrame({"ID": [f"p{n}" for n in range(7)]}, geometry=boxes, crs=32631)
    frame.to_crs(2154).to_file(folder / "parcels.gpkg")
    return frame


def test_18_oso_series_writes_parcels_as_python_returns_them(
    small_world: Path, tmp_path: Path
) -> None:
    config, run = tmp_path / "series.yaml", tmp_path / "run"
    config.write_text(CONFIG.format(run_dir=run, world=small_world))
    parcels_in(tmp_path)
    done = CliRunner().invoke(app, ["series", str(config)])
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "W-SERIES-SMALL" in done.output
    names = ["31UCU", "border"]
    table = pd.read_parquet([run / f"series/parcels/{name}.parquet" for name in names])
    parts = [
        geopandas.read_parquet(run / f"series/parcels_geometry/{name}.parquet") for name in names
    ]
    shapes = pd.concat(parts)
    assert set(shapes["parcel_id"]) == {f"p{n}" for n in range(7)}
    csv = pd.concat(pd.read_csv(run / f"series/parcels/{name}.csv") for name in names)
    assert len(csv) == len(table)
    whole = table[table["pixels"] > 0]
    assert whole.loc[whole["variable"] == "NDVI", "mean"].between(-1, 1).all()
    assert whole["clear_share"].between(0, 1).all()
    polygons, names = tmp_path / "parcels.gpkg", ["NDVI", "LAI"]
    with pytest.warns(oso_pipeline.OsoWarning, match="SERIES-SMALL"):
        of_run = oso_pipeline.parcel_series(polygons, run, names, id_field="ID", erosion_m=5)
    rows = ["variable", "parcel_id", "date"]
    mine = table[table["variable"].isin(names)].sort_values(rows)["mean"].to_numpy()
    np.testing.assert_array_equal(mine, of_run.sort_values(rows)["mean"].to_numpy())
    shutil.rmtree(run)
    with pytest.warns(oso_pipeline.OsoWarning, match="SERIES-SMALL"):
        of_products = oso_pipeline.parcel_series(
            polygons, config, names, id_field="ID", erosion_m=5, clear_within_days=5
        )
    for column in ("mean", "median", "std", "pixels", "clear_share"):
        one, other = of_run[column].to_numpy(float), of_products[column].to_numpy(float)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
