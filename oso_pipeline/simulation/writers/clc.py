"""Corine Land Cover 2018 of the simulated world.

Real polygons cover 25 hectares or more; a world of 3 km holds few of these. Here each natural
field is a polygon, and built-up land reaches a little beyond its fields, as CLC does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from oso_pipeline.simulation.world.known_land import KnownLand, with_flaws
from oso_pipeline.simulation.writers import database_layouts as layouts
from oso_pipeline.simulation.writers.vector_files import Batch, Column

FOLDER = "CLC18_SHP_RGF"
DUPLICATES, INVALID = 1, 1
_CODES = {34: "321", 45: "332", 46: "331", 31: "311", 32: "312", 36: "322", 12: "211", 211: "231"}
_URBAN = {41: "111", 42: "112", 43: "121"}
_REACH_M = 6.0
_KNOWN_SHARE = 0.85


def land_cover_of(land: KnownLand) -> Batch:
    """Return the polygons of the land cover, with their fields."""
    fields = land.fields(_CODES, "clc", _KNOWN_SHARE)
    _, sea = land.lakes_and_sea(_KNOWN_SHARE)
    codes = [_CODES[int(code)] for code in land.world.codes[fields]] + ["523"] * sea.size
    shapes = [*land.inset(fields, 1.0), *land.inset(sea, 1.0)]
    taken = shapely.MultiPolygon()
    for code, name in _URBAN.items():
        reach = shapely.buffer(land.outlines[land.fields((code,), "clc")], _REACH_M)
        others = land.outlines[land.fields(_URBAN.keys() - {code}, "clc")]
        town = shapely.difference(shapely.union_all(reach), shapely.union_all(others))
        parts = shapely.get_parts(shapely.difference(town, taken))
        taken = shapely.union(taken, town)
        shapes += [part for part in parts if part.area > 500]
        codes += [name] * (len(shapes) - len(codes))
    geometry = np.asarray(shapely.set_precision(np.array(shapes, dtype=object), 0.01))
    columns: dict[str, Column] = {
        "ID": np.array([f"FR-{n:06d}" for n in range(1, len(codes) + 1)]),
        "CODE_18": np.array(codes),
        "AREA_HA": np.round(shapely.area(geometry) / 1e4, 4),
    }
    return with_flaws(Batch(geometry, columns), land.rng("clc"), DUPLICATES, INVALID, slivers=0)


def write_clc(land: KnownLand, folder: Path) -> Path:
    """Write the land cover; return its shapefile."""
    path = folder / FOLDER / "CLC18_FR.shp"
    layouts.CLC.write(path, [land_cover_of(land)])
    return path
