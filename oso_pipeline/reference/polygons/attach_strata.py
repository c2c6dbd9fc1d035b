"""Attach strata to polygons, cutting them at the borders."""

from __future__ import annotations

from typing import Any

import geopandas
import numpy as np
import shapely

from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.cells import clipped
from oso_pipeline.reference.polygons.prepare import exploded, without_small
from oso_pipeline.reference.polygons.work import Work
from oso_pipeline.vectors.geometry import GRID_M, LEAST_AREA_M2, polygonal
from oso_pipeline.vectors.strata import WHOLE_MAP


def attach_strata(
    table: geopandas.GeoDataFrame, regions: geopandas.GeoDataFrame | None, work: Work
) -> geopandas.GeoDataFrame:
    """Add the column ``stratum``, cutting polygons at the borders of strata.

    The pieces of a polygon are rows of their own with the same ``polygon_id``; what lies
    outside every stratum is dropped and noted, and so are pieces below the least area.
    """
    if regions is None:
        return table.assign(stratum=WHOLE_MAP)
    geometries = np.asarray(table.geometry)
    borders = clipped(np.asarray(regions.geometry), work.cell.window)
    shapely.prepare(borders)
    tree = shapely.STRtree(geometries)
    region_of, row_of = tree.query(borders, predicate="covers")
    whole = np.full(len(table), -1)
    whole[row_of] = region_of
    region, row = tree.query(borders, predicate="intersects")
    cut = whole[row] < 0
    pieces = polygonal(
        shapely.intersection(geometries[row[cut]], borders[region[cut]], grid_size=GRID_M)
    )
    rows = np.concatenate([np.flatnonzero(whole >= 0), row[cut]])
    regions_of_rows = np.concatenate([whole[whole >= 0], region[cut]])
    shapes: Any = np.concatenate([geometries[whole >= 0], pieces])
    _note_outside(table, rows, shapes, work)
    order = np.lexsort((regions_of_rows, rows))
    result = table.iloc[rows[order]].reset_index(drop=True)
    result = result.set_geometry(shapes[order], crs=table.crs)
    result["stratum"] = regions["stratum"].to_numpy()[regions_of_rows[order]]
    result = result[~result.geometry.is_empty]
    return without_small(exploded(result), work)


def _note_outside(table: geopandas.GeoDataFrame, rows: Any, shapes: Any, work: Work) -> None:
    geometries = np.asarray(table.geometry)
    areas = shapely.area(geometries)
    inside = np.bincount(rows, weights=shapely.area(shapes), minlength=len(table))
    outside = np.flatnonzero(areas - inside > np.maximum(1e-6 * areas, LEAST_AREA_M2))
    rests = geometries[outside]
    for position, row in enumerate(outside):
        known = shapely.union_all(shapes[rows == row], grid_size=GRID_M)
        rests[position] = shapely.difference(rests[position], known, grid_size=GRID_M)
    work.note(event_log.NO_STRATUM, table.iloc[outside], rests)
