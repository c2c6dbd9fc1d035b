"""Writes the inputs of a nation, part by part, on several processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from oso_pipeline.simulation.national import databases
from oso_pipeline.simulation.national.nation import NationSpec
from oso_pipeline.simulation.national.regions import regions
from oso_pipeline.simulation.world.reference_polygons import write_vector
from oso_pipeline.simulation.writers.sparse_products import write_products

REGIONS = "eco_climatic_regions.gpkg"
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class _Part:
    """A folder of the inputs that is there as a whole or not at all."""

    place: str
    write: Callable[..., Any]
    arguments: tuple[Any, ...]

    def make(self, folder: Path) -> str:
        """Write the part, and move it to its place."""
        unfinished = folder / _UNFINISHED / self.place
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        self.write(unfinished, *self.arguments)
        final = folder / self.place
        final.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(final)
        return self.place


def write_nation(folder: Path, spec: NationSpec, workers: int) -> Iterator[str]:
    """Write products, databases and regions; existing files stay.

    The layout is that of ``configs/national.yaml``: ``products/<tile>``, ``rpg``, ``bdtopo``,
    ``clc`` and the file of the regions.

    Parameters
    ----------
    folder
        Where to write; with the parts of another `spec` in it, these stay.
    spec
        Settings of the simulation.
    workers
        Processes that write.

    Yields
    ------
    str
        Place of each part that was written, below `folder`.
    """
    if not (folder / REGIONS).exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"unfinished_{REGIONS}"
        write_vector(regions(spec), unfinished, "regions")
        unfinished.rename(folder / REGIONS)
        yield REGIONS
    missing = [part for part in _parts(spec) if not (folder / part.place).exists()]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(part.make, folder) for part in missing]):
            yield future.result()
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)


def _parts(spec: NationSpec) -> Iterator[_Part]:
    """Yield the parts, the longest first."""
    yield _Part("rpg/FXX", databases.write_parcels, (spec,))
    yield _Part("clc/FXX", databases.write_land_cover, (spec,))
    for one in databases.departments(spec):
        yield _Part(f"bdtopo/{one.name}", databases.write_dense_topography, (one,))
    for tile in spec.tiles:
        yield _Part(f"products/T{tile}", write_products, (spec, tile))
        yield _Part(f"bdtopo/T{tile}", databases.write_topography, (spec, tile))
