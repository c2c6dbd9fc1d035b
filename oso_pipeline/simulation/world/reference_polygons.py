"""Reference polygons of the simulated world: parcels with the class of their field."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.world.land_covers import OSO23
from oso_pipeline.simulation.world.world import MAP_EPSG, World
from oso_pipeline.simulation.writers.vector_files import fixed_clock

_MARGIN_M = 6.0
"""Parcels end this far inside their field, as digitised parcels do."""
_TRUTH_MARGIN_M = 10.0
_LEAST_TRUE_M2 = 1000.0
_KNOWN_SHARE = 0.65
_LEAST_KNOWN = 12


def parcels(world: World) -> gpd.GeoDataFrame:
    """Return parcels of known land cover, EPSG:2154.

    About two thirds of the fields of each class, and not less than 12 where there are so many;
    a parcel is cut at the border of what the tiles see.

    Returns
    -------
    GeoDataFrame
        Columns `parcel_id` (int64), `code` (int32, OSO 17), `oso23` (int32) and the geometry.
    """
    outlines = shapely.buffer(world.outline_of_fields(), -_MARGIN_M, join_style="mitre")
    cut = shapely.intersection(outlines, shapely.buffer(world.footprint, -_MARGIN_M))
    usable = (shapely.area(cut) >= 0.35 * world.spec.field_area_m2) & (
        shapely.get_type_id(cut) == shapely.GeometryType.POLYGON
    )
    rng = np.random.default_rng(derived_seed(world.spec.seed, "parcels"))
    lot = rng.uniform(size=usable.size)
    known = np.zeros(usable.size, dtype=bool)
    for code in np.unique(world.codes):
        fields = np.flatnonzero(usable & (world.codes == code))
        count = max(_LEAST_KNOWN, round(_KNOWN_SHARE * fields.size))
        known[fields[np.argsort(lot[fields])[:count]]] = True
    fields = np.flatnonzero(known)
    columns = {
        "parcel_id": np.arange(1, fields.size + 1, dtype=np.int64),
        "code": world.codes[fields].astype(np.int32),
        "oso23": OSO23[world.kinds[fields]].astype(np.int32),
    }
    return gpd.GeoDataFrame(columns, geometry=cut[fields], crs=f"EPSG:{MAP_EPSG}")


def true_fields(world: World, past: World | None = None) -> gpd.GeoDataFrame:
    """Return the true land cover of every field, away from its borders, EPSG:2154.

    It contains fields that no database has: an independent set to validate a map of the world.

    Returns
    -------
    GeoDataFrame
        Columns `field_id` (int64), `code` (int32, OSO 17), `oso23` (int32), the classes of the
        past year as `past_code` and `past_oso23` where one is given, and the geometry.
    """
    outlines = shapely.buffer(world.outline_of_fields(), -_TRUTH_MARGIN_M, join_style="mitre")
    cut = shapely.intersection(outlines, shapely.buffer(world.footprint, -_TRUTH_MARGIN_M))
    fields = np.flatnonzero(shapely.area(cut) >= _LEAST_TRUE_M2)
    columns = {"field_id": fields.astype(np.int64)}
    for prefix, year in (("", world), ("past_", past)):
        if year is not None:
            columns[f"{prefix}code"] = year.codes[fields].astype(np.int32)
            columns[f"{prefix}oso23"] = OSO23[year.kinds[fields]].astype(np.int32)
    return gpd.GeoDataFrame(columns, geometry=cut[fields], crs=f"EPSG:{MAP_EPSG}")


def regions(world: World) -> gpd.GeoDataFrame:
    """Return two regions, `north` and `south`, that cover the world, EPSG:2154.

    They serve as strata; their border crosses both tiles.
    """
    x0, y0, x1, y1 = world.bounds
    middle = (y0 + y1) / 2
    boxes = [
        shapely.box(x0 - 1000, middle, x1 + 1000, y1 + 1000),
        shapely.box(x0 - 1000, y0 - 1000, x1 + 1000, middle),
    ]
    return gpd.GeoDataFrame({"region": ["north", "south"]}, geometry=boxes, crs=f"EPSG:{MAP_EPSG}")


def write_vector(frame: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Write a GeoPackage whose bytes depend on nothing but its content."""
    with fixed_clock():
        frame.to_file(path, layer=layer, driver="GPKG")
