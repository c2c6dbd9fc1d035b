"""A national world that can be planned: all tiles of ``configs/national.yaml``, no image.

A tile without a readable image is planned as a whole one, in strips.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import yaml

from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.runtime.checks.memory import memory_problems
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.tasks.file_digests import StateDigests
from support import ROOT
from support.fixed_world import write_databases, write_geojson

NATIONAL = ROOT / "configs" / "national.yaml"
REGIONS = 10
_WEST, _SOUTH, _EAST, _NORTH = 100_000.0, 6_000_000.0, 1_250_000.0, 7_150_000.0


def write_nation(root: Path, months: int = 12) -> None:
    """Write databases, regions, and for each tile the metadata of a product a month."""
    write_databases(root, ("031",))
    width = (_EAST - _WEST) / REGIONS
    regions = [
        (
            {"region": f"r{n}"},
            (_WEST + n * width, _SOUTH, _WEST + (n + 1) * width, _NORTH),
        )
        for n in range(REGIONS)
    ]
    write_geojson(root / "regions.geojson", regions, 2154)
    for tile in yaml.safe_load(NATIONAL.read_text(encoding="utf-8"))["imagery"]["tiles"]:
        for month in range(1, months + 1):
            name = f"SENTINEL2A_2018{month:02d}15-105435-000_L2A_T{tile}_C_V2-2"
            (root / "products" / name).mkdir(parents=True)
            (root / "products" / name / f"{name}_MTD_ALL.xml").write_text("<Muscate/>\n")


def config_of(root: Path) -> Config:
    """Return the national configuration on the inputs of `write_nation`."""
    settings = [f"strata.path={root}/regions.geojson", f"run_dir={root}/run"]
    return load_config(NATIONAL, settings, {"OSO_DATA": str(root)})


def planned(root: Path) -> dict[str, Any]:
    """Plan all stages; return tasks and memory by stage, what is refused, and peaks in bytes."""
    before = _peak()
    planner = Planner(config_of(root), STAGES, StateDigests())
    tasks = {stage.name: planner.tasks(stage.name) for stage in STAGES}
    return {
        "tasks": {name: len(found) for name, found in tasks.items() if found},
        "memory": {
            name: max(task.cost.memory_bytes for task in found)
            for name, found in tasks.items()
            if found
        },
        "refused": [str(problem) for problem in memory_problems(planner, STAGES)],
        "peaks": (before, _peak()),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
