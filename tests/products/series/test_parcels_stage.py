"""Stages `parcels` and `parcel_tables`: tasks, checks and warnings (issue 18)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import pandas as pd
import pytest
import shapely
from support.minimal_config import minimal_config
from support.parcels_world import TILES, ParcelsWorld

from oso_pipeline.config.model import Config
from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.products.series.parcels_check import check_parcels
from oso_pipeline.products.series.parcels_outputs import BORDER, FOLDER, SHAPES
from oso_pipeline.products.series.parcels_stage import PARCELS, TABLES
from oso_pipeline.tasks.task import Cost, Task
from oso_pipeline.tasks.worker import do


def config_of(run_dir: Path, path: Path, **parcels: Any) -> Config:
    imagery = {"paths": ["images"], "tiles": list(TILES)}
    section = {"path": path, "id_field": "ID", "erosion_m": 10.0, **parcels}
    return minimal_config(run_dir, imagery=imagery, series={"parcels": section})


def planned(world: ParcelsWorld, config: Config) -> tuple[list[Task], Task]:
    known: dict[str, Any] = {"series": []}
    files = world.write()
    for tile in TILES:
        blocks = blocks_of(tile, (120, 120), (world.block_px, world.block_px))
        for block, path in zip(blocks, files[tile], strict=True):
            name, output = f"{tile}/{block.name}", path.relative_to(world.folder).as_posix()
            job = SimpleNamespace(grid=world.grids[tile], params={}, inputs={}, paths_read=())
            task = Task("series", name, "a:b", world.folder, (output,), job, cost=Cost(2500))
            known["series"].append(task)
    context: Any = SimpleNamespace(
        config=config, run_dir=world.folder, tasks=lambda name: tuple(known[name])
    )
    known["parcels"] = PARCELS.plan(context)
    (tables,) = TABLES.plan(context)
    return known["parcels"], tables


def test_18_the_stages_write_tables_that_do_not_depend_on_blocks(tmp_path: Path) -> None:
    contents = []
    for name, block_px in (("a", 120), ("b", 46)):
        world = ParcelsWorld(tmp_path / name, block_px, n_parcels=12)
        world.folder.mkdir()
        path = world.folder / "parcels.gpkg"
        frame = world.parcels()
        frame.loc[len(frame)] = ["far", shapely.box(6e5, 6.1e6, 6.001e5, 6.1001e6)]
        frame.to_file(path)
        config = config_of(world.folder, path, formats=["parquet", "csv"])
        tiles, tables = planned(world, config)
        for task in (*tiles, tables):
            result = do(task)
            assert result.status == "done", result.error
        names = [*TILES, BORDER]
        long = pd.read_parquet([world.folder / FOLDER / f"{name}.parquet" for name in names])
        for tile in TILES:  # one file and one task per tile, none of all tiles
            own = pd.read_parquet(world.folder / FOLDER / f"{tile}.parquet")
            assert set(own["tile"]) == {tile}
        assert len(tables.outputs) == 3
        order = ["variable", "parcel_id", "date", "season"]
        contents.append(long.sort_values(order).reset_index(drop=True))
        found = TABLES.gather((tables,))
        text = " ".join(found.warnings)
        assert "W-SERIES-SMALL" in text
        assert "smaller than a pixel" in text
        assert "W-SERIES-OUTSIDE" in text
        csv = pd.concat(pd.read_csv(world.folder / FOLDER / f"{name}.csv") for name in names)
        assert csv.columns.tolist() == long.columns.tolist()
        assert len(csv) == len(long)
        parts = [
            geopandas.read_parquet(world.folder / SHAPES / f"{name}.parquet") for name in names
        ]
        shapes = pd.concat(parts)
        assert set(shapes["parcel_id"]) == set(long["parcel_id"])
        assert shapes.crs == frame.crs
        speck = shapes.set_index("parcel_id").loc["P012"]
        assert (speck["pixels_10m"], speck["note"]) == (0, "smaller than a pixel")
        assert long.loc[long["parcel_id"] == "P012", "pixels"].eq(0).all()
    pd.testing.assert_frame_equal(*contents, check_categorical=False)


def test_18_without_a_section_nothing_is_planned(tmp_path: Path) -> None:
    config = minimal_config(tmp_path)
    context: Any = SimpleNamespace(config=config, run_dir=tmp_path, tasks=lambda name: ())
    assert PARCELS.plan(context) == TABLES.plan(context) == []
    assert not list(PARCELS.check(config))


@pytest.mark.parametrize(
    ("ids", "shape", "code"),
    [
        (["a", "a"], None, "E-SERIES-PARCEL-ID"),
        (["a", None], None, "E-SERIES-PARCEL-ID"),
        (["a", "b"], shapely.box(9e5, 6.1e6, 9.001e5, 6.1001e6), "E-PLACE-OUTSIDE"),
        (["a", "b"], shapely.Point(5e5, 6.9e6), "E-GEOMETRY-TYPE"),
        (["a", "b"], None, None),
    ],
)
def test_18_parcels_that_cannot_be_used_are_said_before(
    tmp_path: Path, ids: list[str], shape: Any, code: str | None
) -> None:
    frame = ParcelsWorld(tmp_path, n_parcels=2).parcels()[:2]
    frame["ID"] = ids
    if shape is not None:
        frame = frame.set_geometry([shape, shape], crs=2154)
    frame.to_file(tmp_path / "parcels.gpkg")
    config = config_of(tmp_path / "run", tmp_path / "parcels.gpkg")
    assert config.series is not None
    assert config.series.parcels is not None
    found = [one.code for one in check_parcels(config, config.series.parcels)]
    assert found == ([] if code is None else [code])
