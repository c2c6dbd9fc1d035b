"""A map, a nomenclature and vector files written for one test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.task import Task, TaskResult, do
from oso_pipeline.reference.stage import STAGE

X, Y = 600_000, 6_300_000
"""A place in the middle of the map (EPSG:2154)."""


def square(column: float, row: float, side: float = 100.0) -> shapely.Polygon:
    """Return a square with its lower left corner at a place counted in steps of 200 m."""
    x, y = X + 200 * column, Y + 200 * row
    return shapely.box(x, y, x + side, y + side)


@dataclass
class Context:
    config: Config
    run_dir: Path

    def tasks(self, stage: str) -> tuple[Task, ...]:
        return ()


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
        return Config.model_validate(
            {
                "name": "test",
                "year": 2018,
                "run_dir": self.folder / "run",
                "season": {"start": "2018-01-01", "end": "2018-12-31"},
                "imagery": {"paths": [self.folder], "tiles": ["31TCJ"]},
                "reference": reference,
                **more,
            }
        )

    def task(self, config: Config) -> Task:
        (task,) = STAGE.plan(Context(config, config.run_dir))
        return task

    def run(self, *paths: Path, **more: Any) -> tuple[geopandas.GeoDataFrame, dict[str, Any]]:
        """Run the stage, which must succeed."""
        task = self.task(self.config(*paths, **more))
        result = do(task)
        assert result.status == "done", result.error
        return geopandas.read_parquet(task.output()), result.summary

    def refused(self, *paths: Path, **more: Any) -> str:
        """Run the stage, which must fail as bad input and write nothing; return the message."""
        task = self.task(self.config(*paths, **more))
        result: TaskResult = do(task)
        assert result.status == "failed"
        assert result.exit_code == 4, result.error
        assert not task.output().exists()
        return result.error or ""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def places() -> Callable[..., shapely.Polygon]:
    return square
