"""The demo's configuration of one year turns the databases of its world into labelled polygons."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.simulation.world.land_covers import KINDS

SOURCES = {
    "RPG 2018": {5, 6, 7, 9, 10, 13, 14, 15},
    "RPG 2014": {13, 14, 15},
    "BD TOPO v3": {1, 2, 3, 4, 16, 17, 19, 22, 23},
    "CLC 2018": {18, 20, 21, 23},
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
    assert set(reference["code"]) == {kind.oso23 for kind in KINDS}
    side = next(name for name in reference.columns if name.startswith("split"))
    sides = reference.groupby("code")[side].nunique()
    assert (sides == 2).all(), sides


def test_each_database_gives_its_classes(reference: gpd.GeoDataFrame) -> None:
    found = reference.groupby("source")["code"].agg(set).to_dict()
    assert found.keys() == SOURCES.keys()
    # What newer databases know already is left out of the oldest.
    assert found.pop("RPG 2014") & SOURCES["RPG 2014"]
    assert found == {name: codes for name, codes in SOURCES.items() if name != "RPG 2014"}


def test_no_polygon_overlaps_another(reference: gpd.GeoDataFrame) -> None:
    assert reference.area.sum() == pytest.approx(reference.union_all().area, rel=1e-6)
