"""A map, a nomenclature and vector files written for one test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.reference.polygons import stage as polygons_stage
from oso_pipeline.reference.split.split import SplitRules
from oso_pipeline.reference.split.stage import STAGE
from oso_pipeline.tasks.file_digests import RememberedDigests
from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do
from support.minimal_config import minimal_config

X, Y = 560_000, 6_260_000
"""A place in the middle of the map (EPSG:2154), in tile 31TCJ, far from borders of cells."""


def square(column: float, row: float, side: float = 100.0) -> shapely.Polygon:
    """Return a square with its lower left corner at a place counted in steps of 200 m."""
    x, y = X + 200 * column, Y + 200 * row
    return shapely.box(x, y, x + side, y + side)


@dataclass
class Context:
    config: Config
    run_dir: Path

    @property
    def digests(self) -> RememberedDigests:
        return RememberedDigests(self.run_dir)

    def tasks(self, stage: str) -> tuple[Task, ...]:
        assert stage == "polygons"
        return tuple(polygons_stage.STAGE.plan(self))


class World:
    """Writes vector files and runs the stage on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self, geometries: list[Any], codes: list[Any], name: str = "p.gpkg", **columns: Any
    ) -> Path:
        crs = columns.pop("crs", 2154)
        path = self.folder / name
        frame = geopandas.GeoDataFrame({"code": codes, **columns}, geometry=geometries, crs=crs)
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)
        return path

    def config(self, *paths: Path, source: dict[str, Any] | None = None, **more: Any) -> Config:
        reference = {
            "sources": [{"path": path, **(source or {})} for path in paths],
            "erosion_m": 0,
            **more.pop("reference", {}),
        }
        imagery = {"paths": [self.folder], "tiles": ["31TCJ"]}
        given = {"imagery": imagery, "reference": reference, **more}
        return minimal_config(self.folder / "run", **given)

    def cells(self, config: Config) -> tuple[Task, ...]:
        """Return the tasks of the cells."""
        return Context(config, config.run_dir).tasks("polygons")

    def task(self, config: Config) -> Task:
        """Return the task that joins the cells."""
        (task,) = STAGE.plan(Context(config, config.run_dir))
        return task

    def outcome(self, config: Config) -> tuple[Task, TaskResult]:
        """Do what is not done yet, until something fails."""
        joined = self.task(config)
        for task in (*self.cells(config), joined):
            if task.state().status == "done":
                continue
            result = do(task)
            if result.status == "failed":
                break
        return joined, result

    def run(self, *paths: Path, **more: Any) -> tuple[geopandas.GeoDataFrame, dict[str, Any]]:
        """Run the stages, which must succeed; rows come in the order of the features.

        ``feature`` is the number of the feature in its file, from 0.
        """
        task, result = self.outcome(self.config(*paths, **more))
        assert result.status == "done", result.error
        table = geopandas.read_parquet(task.output())
        number = table["source_id"].astype(int) - table["source"].str.endswith(".gpkg")
        table = table.assign(feature=number).sort_values(["source", "feature", "part"])
        return table.reset_index(drop=True), result.summary

    def refused(self, *paths: Path, **more: Any) -> str:
        """Run the stages, which must refuse the input and join nothing; return the message."""
        config = self.config(*paths, **more)
        try:
            task, result = self.outcome(config)
        except InputDataError as error:
            assert not (config.run_dir / "reference.parquet").exists()
            return str(error)
        assert result.status == "failed"
        assert result.exit_code == 4, result.error
        assert not task.output().exists()
        return result.error or ""


def rules(**more: Any) -> SplitRules:
    plain = {
        "method": "random",
        "train_share": 0.7,
        "block_size_m": 1000.0,
        "buffer_m": 0.0,
        "runs": 1,
        "folds": None,
        "seed": 0,
    }
    return SplitRules(**{**plain, **more})
