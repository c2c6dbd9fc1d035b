"""From polygons as delivered to polygons whose pixels can be trusted.

Steps, in this order: project to the map, repair, drop duplicates, erode, take multiparts
apart, drop small parts, remove overlaps, drop small parts again. Each step is a function of
a table and of the report it adds to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference import tally
from oso_pipeline.reference.sources import LabelledPolygons
from oso_pipeline.reference.tally import PrepareReport

Geometries = npt.NDArray[np.object_]

_LEAST_AREA_M2 = 1e-3
"""Below this a difference of geometries is rounding, not land."""
_SAME_WITHIN_M = 0.01
GRID_M = 1e-4
"""Overlays snap to this grid: with floating coordinates GEOS may report a whole polygon as the
intersection of two that only share a border up to rounding."""
_POLYGON, _MULTIPOLYGON = 3, 6


@dataclass(frozen=True, slots=True)
class Preparation:
    """The rules of preparation.

    Parameters
    ----------
    epsg
        Coordinate system of the map, projected and in metres.
    erosion_m
        Width removed inside each border, metres.
    min_area_m2
        Parts smaller than this are dropped, square metres.
    """

    epsg: int
    erosion_m: float
    min_area_m2: float


def prepare(
    sources: Sequence[LabelledPolygons], rules: Preparation, problems: Problems
) -> tuple[geopandas.GeoDataFrame, PrepareReport]:
    """Return the usable parts of all polygons, and what was lost on the way.

    Parameters
    ----------
    sources
        The polygons, in the order of the configuration; a ``polygon_id`` is the position of
        the feature in its file plus the number of features of all sources before.
    rules
        Map, erosion and least area.
    problems
        Receives warnings on what was repaired or removed, and ``E-INPUT-049`` where two
        copies of a polygon were put on different sides of the split.

    Returns
    -------
    table, report
        The table has the columns ``polygon_id``, ``code``, ``source``, ``year``, ``side`` and
        ``geometry`` (single polygons in the map's coordinates), ascending by ``polygon_id``.
    """
    report = PrepareReport()
    table = _gathered(sources, rules.epsg, report)
    table = _repaired(table, report)
    table = _without_duplicates(table, report, problems)
    table = _eroded(table, rules, report)
    table = without_small(exploded(table), rules.min_area_m2, report)
    table = _without_overlaps(table, report)
    table = without_small(exploded(table), rules.min_area_m2, report)
    _warn(report, problems)
    return table, report


def polygonal(geometries: Geometries) -> Geometries:
    """Return only the areas of geometries of any type: polygons, multipolygons or empty."""
    result = geometries.copy()
    other = ~np.isin(shapely.get_type_id(geometries), (_POLYGON, _MULTIPOLYGON))
    for i in np.flatnonzero(other):
        # Taken apart twice: a collection may hold multipolygons.
        parts = shapely.get_parts(shapely.get_parts(geometries[i : i + 1]))
        areas = parts[shapely.get_type_id(parts) == _POLYGON]
        result[i] = shapely.union_all(areas) if len(areas) else shapely.Polygon()
    return result


def exploded(table: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Return one row per part; the parts of a polygon keep its ``polygon_id``."""
    parts, rows = shapely.get_parts(np.asarray(table.geometry), return_index=True)
    return _with_geometry(table.iloc[rows], parts)


def without_small(
    table: geopandas.GeoDataFrame, min_area_m2: float, report: PrepareReport
) -> geopandas.GeoDataFrame:
    """Drop parts below an area in m2."""
    areas = shapely.area(np.asarray(table.geometry))
    small = areas < max(min_area_m2, _LEAST_AREA_M2)
    # What is left by rounding only was never a part that anyone drew.
    counted = small & (areas >= _LEAST_AREA_M2)
    report.add(tally.TOO_SMALL, _codes(table)[counted], areas[counted])
    return table[~small].reset_index(drop=True)


def _gathered(
    sources: Sequence[LabelledPolygons], epsg: int, report: PrepareReport
) -> geopandas.GeoDataFrame:
    """Put all sources into one table in the coordinates of the map."""
    offset = 0
    tables = []
    for source in sources:
        frame = source.frame.set_geometry(shapely.force_2d(np.asarray(source.frame.geometry)))
        geometries = np.asarray(frame.geometry.to_crs(epsg))
        areas = np.nan_to_num(shapely.area(geometries), posinf=0.0)
        absent = shapely.is_missing(geometries) | shapely.is_empty(geometries)
        report.add(tally.READ, _codes(frame), areas)
        report.add(tally.NO_GEOMETRY, _codes(frame)[absent])
        table = pd.DataFrame(
            {
                "polygon_id": frame["feature"].to_numpy(dtype=np.int64) + offset,
                "code": _codes(frame),
                "source": source.name,
                "year": frame["year"].array,
                "side": frame["side"].to_numpy(dtype=object),
            }
        )
        tables.append(geopandas.GeoDataFrame(table, geometry=geometries, crs=epsg)[~absent])
        offset += source.n_features
    whole = pd.concat(tables, ignore_index=True)
    placed = np.isfinite(shapely.bounds(np.asarray(whole.geometry))).all(axis=1)
    report.add(tally.OFF_THE_MAP, _codes(whole)[~placed])
    return whole[placed].reset_index(drop=True)


def _repaired(table: geopandas.GeoDataFrame, report: PrepareReport) -> geopandas.GeoDataFrame:
    geometries = np.asarray(table.geometry).copy()
    broken = ~shapely.is_valid(geometries)
    geometries[broken] = shapely.make_valid(geometries[broken])
    geometries = polygonal(geometries)
    areas = shapely.area(geometries)
    flat = areas < _LEAST_AREA_M2
    report.add(tally.REPAIRED, _codes(table)[broken & ~flat], areas[broken & ~flat])
    report.add(tally.NO_AREA, _codes(table)[flat])
    return _with_geometry(table[~flat], geometries[~flat])


def _without_duplicates(
    table: geopandas.GeoDataFrame, report: PrepareReport, problems: Problems
) -> geopandas.GeoDataFrame:
    """Keep the first of equal polygons of one class; equal within a centimetre."""
    names = fingerprints(np.asarray(table.geometry))
    keys = pd.DataFrame({"geometry": names, "code": _codes(table)})
    double = keys.duplicated().to_numpy()
    sides = table["side"].groupby([names, _codes(table)]).nunique()
    if (torn := int((sides > 1).sum())) > 0:
        message = f"{torn} polygons occur both as train and as validation"
        hint = "give all copies of a polygon the same side in the column of the split"
        problems.error("E-INPUT-049", message, ", ".join(table["source"].unique()), hint)
    areas = shapely.area(np.asarray(table.geometry))
    report.add(tally.DUPLICATE, _codes(table)[double], areas[double])
    return table[~double].reset_index(drop=True)


def fingerprints(geometries: Geometries) -> npt.NDArray[np.object_]:
    """Return bytes that are equal for geometries equal within a centimetre."""
    rounded = shapely.set_precision(geometries, _SAME_WITHIN_M, mode="pointwise")
    return shapely.to_wkb(shapely.normalize(rounded))


def _eroded(
    table: geopandas.GeoDataFrame, rules: Preparation, report: PrepareReport
) -> geopandas.GeoDataFrame:
    if rules.erosion_m == 0:
        return table
    geometries = np.asarray(table.geometry)
    smaller = shapely.buffer(geometries, -rules.erosion_m, quad_segs=8)
    gone = shapely.is_empty(smaller)
    report.add(tally.ERODED_AWAY, _codes(table)[gone], shapely.area(geometries[gone]))
    return _with_geometry(table[~gone], smaller[~gone])


def _without_overlaps(
    table: geopandas.GeoDataFrame, report: PrepareReport
) -> geopandas.GeoDataFrame:
    """Remove what two polygons claim, so that a place belongs to one polygon at most.

    Between classes both polygons lose the overlap: nobody knows which label is right. Within
    a class the polygon with the lower id keeps it, since the same pixel on both sides of a
    split would be a leak.
    """
    geometries = np.asarray(table.geometry)
    first, second = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    ids, codes = table["polygon_id"].to_numpy(), _codes(table)
    pairs = ids[first] < ids[second]
    first, second = first[pairs], second[pairs]
    shared = polygonal(
        shapely.intersection(geometries[first], geometries[second], grid_size=GRID_M)
    )
    real = shapely.area(shared) >= _LEAST_AREA_M2
    first, second, shared = first[real], second[real], shared[real]
    conflict = codes[first] != codes[second]
    losers = np.concatenate([second, first[conflict]])
    lost = np.concatenate([shared, shared[conflict]])
    _report_overlaps(geometries, codes, (losers, lost, np.r_[conflict, conflict[conflict]]), report)
    result = geometries.copy()
    for row, pieces in _by_row(losers, lost):
        claimed = shapely.union_all(pieces, grid_size=GRID_M)
        result[row] = shapely.difference(geometries[row], claimed, grid_size=GRID_M)
    result = polygonal(result)
    left = ~shapely.is_empty(result)
    return _with_geometry(table[left], result[left])


def _report_overlaps(
    geometries: Geometries,
    codes: npt.NDArray[np.int32],
    losses: tuple[npt.NDArray[np.intp], Geometries, npt.NDArray[np.bool_]],
    report: PrepareReport,
) -> None:
    losers, lost, conflict = losses
    for reason, chosen in ((tally.CONFLICT, conflict), (tally.DOUBLE, ~conflict)):
        for row, pieces in _by_row(losers[chosen], lost[chosen]):
            area = shapely.area(shapely.union_all(pieces, grid_size=GRID_M))
            report.add(reason, codes[row : row + 1], np.array([area]))


def _by_row(rows: npt.NDArray[np.intp], pieces: Geometries) -> list[tuple[int, Geometries]]:
    order = np.argsort(rows, kind="stable")
    distinct, starts = np.unique(rows[order], return_index=True)
    return [
        (int(row), group)
        for row, group in zip(distinct, np.split(pieces[order], starts[1:]), strict=False)
    ]


def _warn(report: PrepareReport, problems: Problems) -> None:
    """Say in one line each what was lost, as rows 35 to 40 of the bad-input matrix ask."""
    drawn = report.count(tally.READ)
    for code, reason in (
        ("W-INPUT-036", tally.NO_GEOMETRY),
        ("W-INPUT-034", tally.OFF_THE_MAP),
        ("W-INPUT-035", tally.REPAIRED),
        ("W-INPUT-035", tally.NO_AREA),
        ("W-INPUT-040", tally.DUPLICATE),
        ("W-INPUT-038", tally.ERODED_AWAY),
        ("W-INPUT-038", tally.TOO_SMALL),
    ):
        if count := report.count(reason):
            problems.warn(code, f"{reason}: {count} of {drawn} polygons or their parts")
    for reason in (tally.CONFLICT, tally.DOUBLE):
        if count := report.count(reason):
            share = 100 * report.area_m2(reason) / report.area_m2(tally.READ)
            message = f"{reason}: removed from {count} polygons, {share:.2g} % of the area read"
            problems.warn("W-INPUT-039", message)


def _with_geometry(table: geopandas.GeoDataFrame, geometries: Geometries) -> geopandas.GeoDataFrame:
    columns = table.drop(columns="geometry").reset_index(drop=True)
    return geopandas.GeoDataFrame(columns, geometry=geometries, crs=table.crs)


def _codes(table: pd.DataFrame) -> npt.NDArray[np.int32]:
    return table["code"].to_numpy(dtype=np.int32)
