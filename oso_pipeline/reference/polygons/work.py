"""Working set of the preparation of polygons: rules, deliveries and event log."""

from __future__ import annotations

from dataclasses import dataclass, field

import geopandas
import pandas as pd
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.polygons.cells import Cell
from oso_pipeline.reference.polygons.event_log import EventLog
from oso_pipeline.vectors.geometry import Geometries


@dataclass(frozen=True, slots=True)
class Preparation:
    """The rules of preparation.

    Parameters
    ----------
    epsg
        Coordinate system of the map, projected and in metres.
    min_area_m2
        Parts smaller than this are dropped, square metres.
    max_polygon_m2
        Polygons delivered with more are cut along the grid of cells, square metres; None cuts none.
    """

    epsg: int
    min_area_m2: float
    max_polygon_m2: float | None = None


@dataclass(frozen=True)
class Delivery:
    """Polygons of one source around a cell.

    Parameters
    ----------
    source
        Name of the source.
    rank
        Its priority; the lower one wins.
    frame
        Columns ``source_id``, ``code``, ``year``, ``rule``, ``side``, ``operation``,
        ``metres``, ``area_ha`` and ``geometry``, as of `ReferenceSource.read`.
    """

    source: str
    rank: int
    frame: geopandas.GeoDataFrame


@dataclass(frozen=True)
class Work:
    """Where polygons are prepared, by which rules, and the notes taken.

    Parameters
    ----------
    cell
        The part of the map.
    rules
        The rules.
    within
        Outline of the tiles; polygons that do not touch it are none of this map.
    log
        Events by polygon.
    grown
        Square metres inside the cell that erosion took (negative) and buffers added, by step.
    problems
        Findings.
    """

    cell: Cell
    rules: Preparation
    within: shapely.Geometry
    log: EventLog = field(default_factory=EventLog)
    grown: dict[str, float] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def note(self, reason: str, table: pd.DataFrame, geometries: Geometries) -> None:
        """Log the area of `geometries` inside the cell; other cells log the rest."""
        if not len(table):
            return
        here = self.cell.meets(geometries) & ~shapely.is_empty(geometries)
        areas = self.cell.areas(geometries[here])
        bounds = shapely.bounds(geometries[here])
        places = (bounds[:, :2] + bounds[:, 2:]) / 2
        self.log.add(reason, table[here], areas, places)
