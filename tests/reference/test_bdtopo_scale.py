"""BD TOPO as large as departments: every feature is counted once, and time grows as the area."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.kinds import BdTopoSource, ClcSource
from oso_pipeline.reference.databases.sources import Labelling
from oso_pipeline.simulation.national.bdtopo import (
    DepartmentSpec,
    write_department,
    write_land_cover,
)
from oso_pipeline.vectors.window import Window

LAYERS = ("BATIMENT", "ZONE_DE_VEGETATION", "SURFACE_HYDROGRAPHIQUE", "TRONCON_DE_ROUTE")
CELL_M = 10_000.0


def written(folder: Path, squares: int) -> tuple[BdTopo, dict[str, int]]:
    spec = DepartmentSpec(squares, seed=1)
    counts = write_department(folder / "bdtopo", spec)
    write_land_cover(folder / "CLC18_FR.shp", spec)
    labelling = Labelling(load_nomenclature("oso17"))
    clc = Clc.of(ClcSource(kind="clc", path=folder / "CLC18_FR.shp", labels=False), labelling)
    return BdTopo(BdTopoSource(kind="bdtopo", path=folder / "bdtopo"), labelling, clc), counts


def windows(source: BdTopo) -> list[Window]:
    paths = [path for path in source.files if path.suffix == ".shp"]
    edges = [pyogrio.read_info(path, force_total_bounds=True)["total_bounds"] for path in paths]
    low = np.floor(np.min(edges, axis=0)[:2] / CELL_M)
    high = np.ceil(np.max(edges, axis=0)[2:] / CELL_M)
    return [
        Window(x * CELL_M, y * CELL_M, (x + 1) * CELL_M, (y + 1) * CELL_M, 2154)
        for x in np.arange(low[0], high[0])
        for y in np.arange(low[1], high[1])
    ]


def read_by_cells(source: BdTopo) -> tuple[int, dict[str, tuple[int, float]], float]:
    """Return features counted, code and area by identifier, and seconds of the processor."""
    begin, features, found = time.process_time(), 0, {}
    for window in windows(source):
        problems = Problems()
        part = source.read(window, problems)
        assert part is not None, [str(problem) for problem in problems]
        features += part.n_features
        areas = shapely.area(np.asarray(part.frame.geometry)).round(3)
        for name, code, area in zip(part.frame.source_id, part.frame.code, areas, strict=True):
            assert found.setdefault(name, (code, area)) == (code, area)
    return features, found, time.process_time() - begin


def test_cells_of_a_small_department_are_the_whole(tmp_path: Path) -> None:
    source, counts = written(tmp_path, 3)
    features, by_cells, _ = read_by_cells(source)
    whole = source.read(Window.everywhere(2154), Problems())
    assert whole is not None
    assert features == whole.n_features == sum(counts[layer] for layer in LAYERS)
    assert by_cells.keys() == set(whole.frame.source_id)


@pytest.mark.slow
def test_time_grows_as_the_area(tmp_path: Path) -> None:
    small, few = written(tmp_path / "small", 8)
    large, many = written(tmp_path / "large", 16)
    assert 3 < many["BATIMENT"] / few["BATIMENT"] < 5
    _, _, seconds = read_by_cells(small)
    more_features, _, more_seconds = read_by_cells(large)
    assert more_features == sum(many[layer] for layer in LAYERS)
    # Four times the area; each cell looks through all files, which is little beside the rest.
    assert more_seconds < 8 * seconds
