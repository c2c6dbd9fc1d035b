"""The databases of a nation: those of the patches, and departments as dense as real ones.

Polygons of the patches are true to the images. Those of the departments lie on ground that no
image shows: they are read, cleaned, joined and drawn from as real ones are, and give no sample.
RPG and Corine Land Cover are national files, BD TOPO comes by department.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.national.bdtopo import (
    DepartmentSpec,
    land_cover_of,
    write_department,
)
from oso_pipeline.simulation.national.nation import NationSpec, places_of_departments
from oso_pipeline.simulation.national.rpg import RpgSpec
from oso_pipeline.simulation.world.known_land import KnownLand
from oso_pipeline.simulation.writers import bdtopo, clc, rpg
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, write_geopackage

_PARCELS_PER_SQUARE = 97
"""Of the RPG on a square of 2.5 km, as dense as `RpgSpec` makes them."""
_FIRST_OF_PATCHES = 101
"""Number of the department of the first patch; those that are dense count from 1."""


def departments(spec: NationSpec) -> list[DepartmentSpec]:
    """Return the departments that are as dense as real ones."""
    return [
        DepartmentSpec(
            spec.squares, f"D{number:03d}", derived_seed(spec.seed, "department", number), place
        )
        for number, place in enumerate(places_of_departments(spec), start=1)
    ]


def write_topography(folder: Path, spec: NationSpec, tile: str) -> None:
    """Write BD TOPO of the patch of a tile, which is a department of its own."""
    number = spec.tiles.index(tile)
    layers = bdtopo.layers_of(KnownLand(spec.world(tile)))
    name = f"D{_FIRST_OF_PATCHES + number}"
    root = layouts.bdtopo_folder(folder, name)
    bdtopo.write_layers(root, {k: _numbered(batch, number) for k, batch in layers.items()})


def write_dense_topography(folder: Path, department: DepartmentSpec) -> None:
    """Write BD TOPO of a dense department."""
    write_department(folder, department)


def write_parcels(folder: Path, spec: NationSpec) -> Path:
    """Write the RPG of the nation as one GeoPackage; return it."""
    root = layouts.rpg_folder(folder, "GPKG", spec.year, "FXX")
    path = root / "PARCELLES_GRAPHIQUES.gpkg"
    write_geopackage(path, "parcelles_graphiques", _parcels(spec), layouts.RPG_PARCELS_GPKG)
    return path


def write_land_cover(folder: Path, spec: NationSpec) -> Path:
    """Write Corine Land Cover of the nation; return its shapefile."""
    path = folder / clc.FOLDER / "CLC18_FR.shp"
    layouts.CLC.write(path, _land_cover(spec))
    return path


def _parcels(spec: NationSpec) -> Iterator[Batch]:
    for number, tile in enumerate(spec.tiles):
        batch = rpg.parcels_of(KnownLand(spec.world(tile)))
        columns = {name.lower(): cells for name, cells in batch.columns.items()}
        columns["id_parcel"] = np.char.add(f"1{number:03d}", _texts(batch, "ID_PARCEL"))
        yield Batch(batch.geometry, columns)
    for number, department in enumerate(departments(spec)):
        parcels = _PARCELS_PER_SQUARE * department.squares**2
        for batch in RpgSpec(parcels, spec.year, department.seed, department.origin).batches():
            ids = np.char.add(f"2{number:03d}", _texts(batch, "id_parcel"))
            yield Batch(batch.geometry, {**batch.columns, "id_parcel": ids})


def _land_cover(spec: NationSpec) -> Iterator[Batch]:
    for number, tile in enumerate(spec.tiles):
        batch = clc.land_cover_of(KnownLand(spec.world(tile)))
        ids = np.char.replace(_texts(batch, "ID"), "FR-", f"FR-{_FIRST_OF_PATCHES + number}-")
        yield Batch(batch.geometry, {**batch.columns, "ID": ids})
    for department in departments(spec):
        yield from land_cover_of(department)


def _numbered(batch: Batch, number: int) -> Batch:
    """Return a batch whose identifiers differ from those of other patches."""
    ids = np.char.replace(_texts(batch, "ID"), "0000", f"{number + 1:04d}", count=1)
    return Batch(batch.geometry, {**batch.columns, "ID": ids})


def _texts(batch: Batch, column: str) -> npt.NDArray[np.str_]:
    return np.asarray(batch.columns[column], dtype=np.str_)
