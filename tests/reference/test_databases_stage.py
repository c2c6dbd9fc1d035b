"""Real extracts through the whole stage: from deliveries to ``reference.parquet``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from oso_pipeline.core.errors import InputDataError


@pytest.fixture
def vectors(shared_data: Path) -> Path:
    return shared_data / "reference_vectors"


def joined(world: Any, tile: str, *sources: dict[str, Any], **reference: Any) -> Any:
    """Run the stage on sources of any kind; return the table and the summary."""
    config = world.config(
        reference={"sources": sources, "erosion_m": 10, "rare_classes": "drop", **reference},
        imagery={"paths": [world.folder], "tiles": [tile]},
    )
    task, result = world.outcome(config)
    assert result.status == "done", result.error
    return geopandas.read_parquet(task.output()), result.summary


def test_redon(world: Any, vectors: Path) -> None:
    source = {"kind": "bdtopo", "path": vectors / "bdtopo_v3_35236", "incomplete": "skip"}
    table, summary = joined(world, "30TWT", source)
    assert set(table.source) == {"BD TOPO v3"}
    assert set(table.code) == {31, 32, 36, 51}
    assert summary["left_out"]["BD TOPO v3"]["left out by the rules: intermittent_water"] == 16
    raw = geopandas.read_file(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp")
    by_id = raw.set_index("ID").geometry
    forest = table[table.code == 31]
    assert set(forest.source_id) <= set(raw.ID[raw.NATURE == "Forêt fermée de feuillus"])
    # One pixel inside what was drawn, nowhere twice.
    drawn = by_id.loc[forest.source_id].to_numpy()
    shapes = forest.geometry.to_numpy()
    edges = shapely.distance(shapely.boundary(drawn), shapes)
    assert edges.min() > 9.8
    assert shapely.area(shapely.intersection(shapes, shapely.union_all(drawn))).sum() == (
        pytest.approx(shapely.area(shapes).sum(), rel=1e-6)
    )
    every = table.geometry.to_numpy()
    assert shapely.area(shapely.union_all(every)) == pytest.approx(shapely.area(every).sum())
    # The river of 39 km is cut at the tile edge and along the grid of cells, and stays one object.
    river = table[table.code == 51].dissolve("polygon_id").geometry.area.max()
    assert river > 1e6


def test_olemps_with_buildings_and_the_other_databases(world: Any, vectors: Path) -> None:
    x0, y0, x1, y1 = 663_500, 6_359_500, 665_400, 6_361_400
    middle = (x0 + x1) / 2
    cover = world.folder / "CLC18_FR.gpkg"
    geopandas.GeoDataFrame(
        {"CODE_18": ["111", "112", "332", "332"]},
        geometry=[
            shapely.box(x0, y0, middle, y1),
            shapely.box(middle, y0, x1, y1),
            shapely.box(x0 - 2000, y0, x0 + 500, y1),
            shapely.box(x0 - 2000, y0 - 2000, x0, y0 - 1000),
        ],
        crs=2154,
    ).to_crs(3035).to_file(cover)
    table, summary = joined(
        world,
        "31TDK",
        {"kind": "bdtopo", "path": vectors / "bdtopo_v3_12174", "incomplete": "skip"},
        {"kind": "clc", "path": cover},
    )
    assert {"BD TOPO v3", "CLC 2018"} == set(table.source)
    assert {31, 41, 42, 45, 51} <= set(table.code)
    assert summary["reprojected"]["CLC 2018"] == "EPSG:3035"
    # BD TOPO keeps what Corine Land Cover claims as well.
    rocks = table.geometry[table.code == 45].union_all()
    others = table.geometry[table.code != 45].union_all()
    assert rocks.intersection(others).area < 1
    assert rocks.intersects(others.buffer(1))
    homes = table[table.code == 42]
    assert homes.source_id.str.endswith(" in 112").all()


@pytest.mark.parametrize("layer", ["BATIMENT", "TRONCON_DE_ROUTE"])
def test_missing_tables_stop_before_anything_is_read(world: Any, vectors: Path, layer: str) -> None:
    config = world.config(
        reference={"sources": [{"kind": "bdtopo", "path": vectors / "bdtopo_v3_35236"}]},
        imagery={"paths": [world.folder], "tiles": ["30TWT"]},
    )
    with pytest.raises(InputDataError) as error:
        world.cells(config)
    assert f"layer {layer}" in str(error.value)
    assert error.value.exit_code == 4
