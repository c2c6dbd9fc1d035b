"""The demo's configuration of one year turns the databases of its world into labelled polygons."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.simulation import CLASS_CODES

SOURCES = {
    "RPG 2018": {11, 12, 211, 221, 222},
    "RPG 2014": {211, 221, 222},
    "BD TOPO v3": {31, 32, 36, 41, 42, 43, 44, 51, 53},
    "CLC 2018": {34, 45, 46, 51},
}


@pytest.fixture(scope="module")
def reference(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> gpd.GeoDataFrame:
    """The polygons that the demo's configuration makes of a small world."""
    folder = tmp_path_factory.mktemp("databases")
    (folder / "world").symlink_to(small_world)
    config = folder / "one_year.yaml"
    packaged = resources.files("oso_pipeline.simulation").joinpath(config.name)
    config.write_bytes(packaged.read_bytes())
    run = CliRunner().invoke(
        app, ["run", str(config), "--until", "reference", "--set", "runtime.executor=serial"]
    )
    assert run.exit_code == 0, run.output
    return gpd.read_parquet(folder / "run_one_year" / "reference.parquet")


def test_every_class_is_on_both_sides(reference: gpd.GeoDataFrame) -> None:
    assert set(reference["code"]) == set(CLASS_CODES)
    side = next(name for name in reference.columns if name.startswith("split"))
    sides = reference.groupby("code")[side].nunique()
    assert (sides == 2).all(), sides


def test_each_database_gives_its_classes(reference: gpd.GeoDataFrame) -> None:
    found = reference.groupby("source")["code"].agg(set).to_dict()
    assert found == SOURCES


def test_no_polygon_overlaps_another(reference: gpd.GeoDataFrame) -> None:
    assert reference.area.sum() == pytest.approx(reference.union_all().area, rel=1e-6)
