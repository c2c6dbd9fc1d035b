"""From polygons as delivered to polygons whose pixels can be trusted.

The steps, in this order: project to the map, repair, join doubles, erode or buffer, take
multiparts apart, drop small parts, cut large polygons, remove overlaps by priority, drop small
parts again, attach strata, clip to the cell. Each is a function of a table and of the work,
which holds the rules and takes notes.
"""

from __future__ import annotations

from collections.abc import Sequence

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.cells import Cell, clipped, cut
from oso_pipeline.reference.polygons.identity import polygon_ids
from oso_pipeline.reference.polygons.overlaps import Claims, without_overlaps
from oso_pipeline.reference.polygons.work import Delivery, Preparation, Work
from oso_pipeline.vectors.geometry import (
    GRID_M,
    LEAST_AREA_M2,
    Floats,
    Geometries,
    fingerprints,
    groups,
    polygonal,
    repaired,
)

_SEGMENTS = 8
"""Chords per quarter of a circle in buffers."""
_LINES = (0, 1, 2, 4, 5)  # points and lines, single and multiple
_BOUNDS_M = 0.01


def prepare(deliveries: Sequence[Delivery], work: Work) -> geopandas.GeoDataFrame:
    """Return the usable pieces of all polygons inside the cell of `work`.

    Problems found: two copies of a polygon on different sides of a dictated split
    (``E-SPLIT-OVERLAP``).

    Returns
    -------
    table
        The columns of the deliveries with ``polygon_id``, ``source`` and ``rank``; geometries
        are single polygons in the map's coordinates, disjoint, clipped to the cell.
    """
    table = gathered(deliveries, work)
    if not len(table):
        return table
    table = _repaired(table, work)
    table = _joined(table, work)
    table = _without_duplicates(table, work)
    table = _grown(table, work)
    table = without_small(exploded(table), work)
    table = _cut(table, work.rules)
    table = _apart(table, work)
    return without_small(exploded(table), work)


def clip(table: geopandas.GeoDataFrame, cell: Cell) -> geopandas.GeoDataFrame:
    """Return what lies inside the cell, in an order that keeps neighbours together."""
    table = table[cell.meets(_shapes(table))]
    table = exploded(_with_geometry(table, clipped(_shapes(table), cell.bounds)))
    table = table[shapely.area(_shapes(table)) >= LEAST_AREA_M2]
    if not len(table):
        return table.reset_index(drop=True)
    along = table.geometry.hilbert_distance(total_bounds=cell.bounds).to_numpy()
    order = np.lexsort((table["polygon_id"].to_numpy(), along))
    return table.iloc[order].reset_index(drop=True)


def exploded(table: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Return one row per part; the parts of a polygon keep its ``polygon_id``."""
    parts, rows = shapely.get_parts(_shapes(table), return_index=True)
    return _with_geometry(table.iloc[rows], parts)


def without_small(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    """Drop parts below the least area."""
    areas = shapely.area(_shapes(table))
    small = areas < max(work.rules.min_area_m2, LEAST_AREA_M2)
    # Slivers left by rounding are not parts of the original polygon.
    counted = small & (areas >= LEAST_AREA_M2)
    work.note(event_log.TOO_SMALL, table[counted], _shapes(table)[counted])
    return table[~small].reset_index(drop=True)


def gathered(deliveries: Sequence[Delivery], work: Work) -> geopandas.GeoDataFrame:
    """Put all sources into one table in the coordinates of the map, the strongest first."""
    tables = []
    for delivery in sorted(deliveries, key=lambda one: one.rank):
        frame = delivery.frame
        shapes = np.asarray(frame.geometry.to_crs(work.rules.epsg))
        table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
        table = table.assign(
            polygon_id=polygon_ids(delivery.source, frame["source_id"]),
            source=delivery.source,
            rank=delivery.rank,
        )
        whole = geopandas.GeoDataFrame(
            table, geometry=shapely.force_2d(shapes), crs=work.rules.epsg
        )
        tables.append(whole.sort_values("source_id", kind="stable"))
    table = pd.concat(tables, ignore_index=True)
    shapes = _shapes(table)
    absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    placed = np.isfinite(shapely.bounds(shapes)).all(axis=1)
    for reason, lost in (
        (event_log.NO_GEOMETRY, absent),
        (event_log.OFF_THE_MAP, ~placed & ~absent),
    ):
        work.log.add(event_log.READ, table[lost])
        work.log.add(reason, table[lost])
    table, shapes = table[placed], shapes[placed]
    shapely.prepare(work.within)
    boxes = shapely.box(*shapely.bounds(shapes).T)
    near = shapely.intersects(shapely.box(*work.cell.window), boxes)
    near &= shapely.intersects(work.within, boxes)
    return table[near].reset_index(drop=True)


def _repaired(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    """Make areas of lines and of invalid polygons, and leave what is far from the cell."""
    shapes = _shapes(table).copy()
    operation, metres = table["operation"].to_numpy(dtype=object), _metres(table)
    lines = np.isin(shapely.get_type_id(shapes), _LINES) & (operation == "buffer")
    shapes[lines] = shapely.buffer(shapes[lines], metres[lines], quad_segs=_SEGMENTS)
    shapes, broken = repaired(shapes)
    work.note(event_log.READ, table, shapes)
    flat = shapely.area(shapes) < LEAST_AREA_M2
    work.log.add(event_log.READ, table[flat])
    work.log.add(event_log.NO_AREA, table[flat])
    work.note(event_log.REPAIRED, table[broken & ~flat], shapes[broken & ~flat])
    table = table.assign(operation=np.where(lines, "none", operation))
    shapes = clipped(shapes, work.cell.window)
    here = ~flat & ~shapely.is_empty(shapes)
    return _with_geometry(table[here], shapes[here])


def _joined(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    """Unite the rows of one object and class, as departments deliver what lies on their border.

    Polygons in several rows count as duplicates.
    """
    again = np.flatnonzero(table.duplicated(["polygon_id", "code"], keep=False).to_numpy())
    if not len(again):
        return table
    shapes = _shapes(table).copy()
    double = np.zeros(len(table), dtype=bool)
    keys = table.iloc[again].groupby(["polygon_id", "code"]).ngroup().to_numpy()
    for positions in groups(keys):
        rows = again[positions]
        united = shapely.union_all(shapes[rows], grid_size=GRID_M)
        shared = shapely.area(shapes[rows]).sum() - shapely.area(united)
        if shared >= LEAST_AREA_M2:
            _note_shared(table.iloc[rows[:1]], shapes[rows], united, work)
        shapes[rows[0]] = united
        double[rows[1:]] = True
    return _with_geometry(table[~double], polygonal(shapes[~double]))


def _note_shared(
    table: geopandas.GeoDataFrame, shapes: Geometries, united: shapely.Geometry, work: Work
) -> None:
    """Note what several rows of one object hold more than once, inside the cell."""
    whole = np.array([united], dtype=object)
    if not work.cell.meets(whole)[0]:
        return
    area = work.cell.areas(shapes).sum() - work.cell.areas(polygonal(whole))
    bounds = shapely.bounds(whole)
    work.log.add(event_log.DUPLICATE, table, area, (bounds[:, :2] + bounds[:, 2:]) / 2)


def _without_duplicates(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    """Keep the first of equal polygons of one class; equal within a centimetre."""
    shapes = _shapes(table)
    bounds = np.rint(shapely.bounds(shapes) / _BOUNDS_M).astype(np.int64)
    keys = pd.DataFrame(bounds).assign(code=table["code"].to_numpy())
    alike = np.flatnonzero(keys.duplicated(keep=False).to_numpy())
    if not len(alike):
        return table
    some = table.iloc[alike]
    names = pd.Series(fingerprints(shapes[alike]), index=some.index)
    sides = some["side"].groupby([names, some["code"]]).nunique()
    if (torn := int((sides > 1).sum())) > 0:
        message = f"{torn} polygons occur both as train and as validation"
        hint = "give all copies of a polygon the same side in the column of the split"
        where = ", ".join(sorted(set(some["source"])))
        work.problems.error("E-SPLIT-OVERLAP", message, where, hint)
    again = pd.DataFrame({"shape": names, "code": some["code"]}).duplicated().to_numpy()
    double = np.zeros(len(table), dtype=bool)
    double[alike[again]] = True
    work.note(event_log.DUPLICATE, table[double], shapes[double])
    return table[~double].reset_index(drop=True)


def _grown(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    """Erode or buffer each polygon as its rule says."""
    shapes, operation = _shapes(table), table["operation"].to_numpy(dtype=object)
    outwards = np.select([operation == "erode", operation == "buffer"], [-1.0, 1.0], 0.0)
    distance = outwards * np.nan_to_num(_metres(table))
    moved = distance != 0
    if not moved.any():
        return table
    result = shapes.copy()
    result[moved] = shapely.buffer(shapes[moved], distance[moved], quad_segs=_SEGMENTS)
    gone = shapely.is_empty(result)
    work.note(event_log.ERODED_AWAY, table[gone], shapes[gone])
    changed = work.cell.areas(polygonal(result[~gone])) - work.cell.areas(shapes[~gone])
    work.grown[event_log.TAKEN] = float(changed[changed < 0].sum())
    work.grown[event_log.ADDED] = float(changed[changed > 0].sum())
    return _with_geometry(table[~gone], result[~gone])


def _cut(table: geopandas.GeoDataFrame, rules: Preparation) -> geopandas.GeoDataFrame:
    """Cut large polygons, so that no single one dominates its class.

    Before overlaps are removed: small pieces are cheap to compare with their neighbours.
    """
    if rules.max_polygon_m2 is None:
        return table
    large = table["area_ha"].to_numpy(dtype=np.float64) * 10_000 > rules.max_polygon_m2
    if not large.any():
        return table
    pieces, rows = cut(_shapes(table)[large])
    apart = _with_geometry(table[large].iloc[rows], pieces)
    return pd.concat([table[~large], apart], ignore_index=True)


def _apart(table: geopandas.GeoDataFrame, work: Work) -> geopandas.GeoDataFrame:
    claims = Claims(
        table["rank"].to_numpy(dtype=np.int64),
        table["code"].to_numpy(dtype=np.int32),
        table["polygon_id"].to_numpy(dtype=np.int64),
    )
    shapes, losses = without_overlaps(_shapes(table), claims)
    for loss in losses:
        work.note(loss.reason, table.iloc[loss.rows], loss.pieces)
    left = ~shapely.is_empty(shapes)
    return _with_geometry(table[left], shapes[left])


def _metres(table: pd.DataFrame) -> Floats:
    return table["metres"].to_numpy(dtype=np.float64)


def _shapes(table: geopandas.GeoDataFrame) -> Geometries:
    shapes: npt.NDArray[np.object_] = np.asarray(table.geometry)
    return shapes


def _with_geometry(table: geopandas.GeoDataFrame, geometries: Geometries) -> geopandas.GeoDataFrame:
    columns = table.drop(columns="geometry").reset_index(drop=True)
    return geopandas.GeoDataFrame(columns, geometry=geometries, crs=table.crs)
