"""A whole run computed by the schedulers of dask: the bytes of `oso run`, and nothing left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import dask
import pytest
from support.pipeline_tools import write_config
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.config.loader import load_config
from oso_pipeline.runtime.graph import graph

pytestmark = pytest.mark.slow

FILES = (
    *("reference.parquet", "samples/*.parquet", "models/*/*/*"),
    *("blocks/*/*.tif", "mosaic/**/*.tif", "maps/*.tif", "validation/*.csv"),
)
"""Inventories differ: they name the files that were extracted into the run folder."""


def made(run_dir: Path) -> dict[str, str]:
    """Return the SHA-256 of what a run made, by path; sidecars may tell of the run."""
    return {
        str(path.relative_to(run_dir)): sha256(path.read_bytes()).hexdigest()
        for pattern in FILES
        for path in run_dir.glob(pattern)
        if not path.with_suffix("").is_file()
    }


def oso_run(config: Path) -> str:
    done = CliRunner().invoke(app, ["run", str(config)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def executed(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run by the executor of the package."""
    config = write_config(tmp_path_factory.mktemp("executed"), small_world)
    oso_run(config)
    return config.parent / "run"


@contextmanager
def distributed_client() -> Iterator[None]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        yield


@contextmanager
def local(scheduler: str) -> Iterator[None]:
    with dask.config.set(scheduler=scheduler, num_workers=2):
        yield


@pytest.mark.parametrize(
    "scheduler",
    [
        pytest.param(lambda: local("threads"), id="threads"),
        pytest.param(lambda: local("processes"), id="processes"),
        pytest.param(distributed_client, id="distributed"),
    ],
)
def test_any_scheduler_makes_the_files_of_a_run(
    executed: Path, small_world: Path, tmp_path: Path, scheduler: Callable[[], Any]
) -> None:
    path = write_config(tmp_path, small_world)
    config, steps = load_config(path), []
    with scheduler():
        while nodes := graph(config):
            steps.append({result.stage for result in dask.compute(*nodes)})
    assert [min(stages) for stages in steps] == ["inventory", "cells", "report"]
    assert {"inventory", "polygons", "reference"} == steps[0]
    files = made(tmp_path / "run")
    assert {name.split("/")[0] for name in files} >= {"models", "blocks", "maps", "validation"}
    assert files == made(executed)
    assert "nothing had to be redone" in oso_run(path)
