"""Strata: regions with a model of their own."""

from __future__ import annotations

from typing import Any

import geopandas
import numpy as np
import pandas as pd
import shapely

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.reference import tally
from oso_pipeline.reference.codes import normal_value
from oso_pipeline.reference.geometry import GRID_M, LEAST_AREA_M2, polygonal
from oso_pipeline.reference.lattice import clipped
from oso_pipeline.reference.prepare import Work, exploded, without_small
from oso_pipeline.reference.vector_files import VectorFile

WHOLE_MAP = "all"
"""Name of the one stratum where the configuration has none."""


def strata_names(config: Config) -> tuple[str, ...]:
    """Return the names of all strata, sorted; ``("all",)`` where there are none.

    Raises
    ------
    InputDataError
        Where the file of the strata cannot be used.
    """
    if config.strata is None:
        return (WHOLE_MAP,)
    problems = Problems()
    regions = read_strata(config.strata, config.map.epsg, problems)
    problems.raise_errors(InputDataError)
    return tuple(regions["stratum"]) if regions is not None else ()


def read_strata(strata: Strata, epsg: int, problems: Problems) -> geopandas.GeoDataFrame | None:
    """Return one row per stratum, sorted by name: ``stratum`` and ``geometry`` in `epsg`.

    Where regions overlap, the first by name keeps the overlap (``W-INPUT-039``), so that a
    place has one model at most. Problems found are those of `VectorFile.read`, regions
    without a name (``E-INPUT-043``) or other than polygons (``E-INPUT-037``); the result is
    then None.
    """
    before = len(problems.errors)
    frame = VectorFile(strata.path, strata.layer).read([strata.field], problems)
    if frame is None:
        return None
    names = [normal_value(value) for value in frame[strata.field]]
    if nameless := [row for row, name in enumerate(names) if name is None]:
        message = f"{len(nameless)} regions have no name in {strata.field!r}: {nameless[:10]}"
        problems.error("E-INPUT-043", message, strata.path, "regions count from 0; name them")
    if unfit := sorted({name for name in names if name and not _fits_a_folder(name)}):
        message = f"names of strata become names of folders; unfit: {unfit[:10]}"
        problems.error("E-INPUT-043", message, strata.path, "use letters, digits, spaces, - . _")
    frame = frame.to_crs(epsg)
    areas = polygonal(shapely.make_valid(shapely.force_2d(np.asarray(frame.geometry))))
    if bool(np.any(shapely.is_missing(areas) | shapely.is_empty(areas))):
        count = int(np.sum(shapely.is_missing(areas) | shapely.is_empty(areas)))
        message = f"{count} of {len(frame)} regions are no polygons"
        problems.error("E-INPUT-037", message, strata.path, "every region must be an area")
    if len(problems.errors) > before:
        return None
    regions = geopandas.GeoDataFrame({"stratum": names}, geometry=areas, crs=epsg)
    regions = regions.dissolve("stratum", sort=True).reset_index()
    return _apart(regions, strata, problems)


def _fits_a_folder(name: str) -> bool:
    return name not in (".", "..") and all(c.isalnum() or c in " -._" for c in name)


def _apart(
    regions: geopandas.GeoDataFrame, strata: Strata, problems: Problems
) -> geopandas.GeoDataFrame:
    geometries = np.asarray(regions.geometry).copy()
    first, second = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    shared = 0.0
    for one, other in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if one >= other:
            continue
        area = shapely.area(
            shapely.intersection(geometries[one], geometries[other], grid_size=GRID_M)
        )
        if area > 0:
            shared += float(area)
            rest = shapely.difference(geometries[other], geometries[one], grid_size=GRID_M)
            geometries[other] = polygonal(np.array([rest]))[0]
    if shared > 1.0:
        message = f"strata overlap by {shared:.0f} m2; the first by name keeps the overlap"
        problems.warn("W-INPUT-039", message, strata.path)
    return regions.set_geometry(geometries, crs=regions.crs)


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
    work.note(tally.NO_STRATUM, table.iloc[outside], rests)


def most_of_area(parts: pd.DataFrame, column: str) -> pd.Series:
    """Return, by ``polygon_id``, the value with most of its area; the lowest of equals.

    Parameters
    ----------
    parts
        Columns ``polygon_id``, ``area_m2`` (square metres) and `column`.
    column
        For example ``stratum`` or ``code``.
    """
    areas = parts[["polygon_id", column]].assign(area=parts["area_m2"].round(3))
    sums = areas.groupby(["polygon_id", column], observed=True)["area"].sum().reset_index()
    sums = sums.sort_values(["polygon_id", "area", column], ascending=[True, False, True])
    return sums.drop_duplicates("polygon_id").set_index("polygon_id")[column]
