"""The plan of a nation: no stage asks for more than a worker of 4 GB has."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.national_world import planned, write_nation

from oso_pipeline.core.commit import write_sidecar
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.split.cost import joining_cost
from oso_pipeline.tasks.task import Task

WORKER = 4_000_000_000


def source_of(folder: Path, name: str, size: float, **more: Any) -> Any:
    """Return a source whose one file takes no room on the disk."""
    file = folder / name
    with file.open("wb") as content:
        content.truncate(int(size))
    return SimpleNamespace(files=(file,), **more)


def cells_of(folder: Path, rows: int, read: int, left_out: int) -> list[Task]:
    """Return committed cells that hold so many pieces together."""
    cells = []
    for number in range(4):
        task = Task("polygons", f"c{number}", "-", folder, (f"{number}.parquet",))
        task.output().write_bytes(b"-")
        summary = {
            "rows": rows // 4,
            "features": {"RPG": (read + left_out) // 4},
            "left_out": {"RPG": {"no crop": left_out // 4}},
        }
        write_sidecar(task.output(), {"summary": summary})
        cells.append(task)
    return cells


@pytest.mark.slow
def test_3_1_no_stage_of_france_is_refused_with_4_gb_a_worker(tmp_path: Path) -> None:
    write_nation(tmp_path)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        plan = pool.submit(planned, tmp_path).result()
    assert not plan["refused"]
    assert plan["tasks"]["inventory"] == plan["tasks"]["samples"] == 89
    assert plan["tasks"]["predict"] > 4_000
    assert max(plan["memory"].values()) <= WORKER
    before, peak = plan["peaks"]
    assert peak - before < 500_000_000


def test_3_1_the_databases_of_a_nation_are_joined_within_4_gb(tmp_path: Path) -> None:
    """By their size: 12 million parcels, and buildings of 100 departments."""
    parcels = source_of(tmp_path, "rpg", 4.1e9)
    buildings = source_of(tmp_path, "bdt", 40e9, bytes_per_polygon=BdTopo.bytes_per_polygon)
    assert joining_cost((), (parcels, buildings)).memory_bytes <= WORKER
    assert joining_cost((), (parcels, buildings)).core_seconds <= 600


@pytest.mark.parametrize(
    ("rows", "read", "measured_mb", "measured_s"),
    [
        (75_014, 77_300, 448, 1.2),
        (361_307, 386_000, 554, 3.2),
        (1_087_471, 1_157_472, 807, 11.6),
        (8_699_768, 9_259_776, 2195, 97.0),
    ],
)
def test_memory_of_joining_is_what_was_measured(
    tmp_path: Path, rows: int, read: int, measured_mb: int, measured_s: float
) -> None:
    """Within 30 % of joins that were measured, once the cells are there."""
    cost = joining_cost(cells_of(tmp_path, rows, read, read // 4))
    assert cost.memory_bytes == pytest.approx(measured_mb * 1e6, rel=0.3)
    assert cost.core_seconds == pytest.approx(measured_s, rel=0.5)


def test_one_cell_that_is_missing_leaves_it_to_the_size_of_the_sources(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, 4_000_000, 4_000_000, 0)
    source = source_of(tmp_path, "rpg", 450e6)
    counted = joining_cost(cells, (source,)).memory_bytes
    cells[0].output().unlink()
    assert joining_cost(cells, (source,)).memory_bytes < counted
