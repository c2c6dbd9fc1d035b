"""Built-up units of one window: which buildings are closed together, and where they count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.buildings import (
    SQUARE_M,
    Buildings,
    built_up_units,
    inside,
    squares_of,
)
from oso_pipeline.reference.databases.sources import labelled_frame
from oso_pipeline.reference.databases.vector_features import ID, VectorFeatures, projected
from oso_pipeline.reference.rules.rule_set import Rule
from oso_pipeline.vectors.geometry import polygonal
from oso_pipeline.vectors.window import Window

_LONGEST_BUILDING_M = 2 * SQUARE_M
"""A building whose first vertex lies farther from the window than this is not looked for."""

Outcome = tuple[tuple[str, ...], int]
"""Classes of the land cover, and the code of a unit inside them; no class stands for anywhere."""


@dataclass(frozen=True)
class Zones:
    """Polygons of a land cover, on the map.

    Parameters
    ----------
    codes
        Class of each, shape ``(n,)``, text.
    geometries
        Valid polygons, shape ``(n,)``.
    """

    codes: npt.NDArray[np.object_]
    geometries: npt.NDArray[np.object_]


@runtime_checkable
class LandCover(Protocol):
    """A land cover that classifies built-up units."""

    def zones(self, codes: Sequence[str], window: Window, problems: Problems) -> Zones | None:
        """Return the polygons of some classes that meet a window."""
        ...


@dataclass(frozen=True)
class Closing:
    """Buildings that are closed together, because the same follows from them.

    Parameters
    ----------
    radius_m
        Radius of the closing, metres.
    outcomes
        Class of a unit by its position, with the name of the rule.
    """

    radius_m: float
    outcomes: tuple[tuple[Outcome, str], ...]

    @property
    def key(self) -> tuple[float, tuple[Outcome, ...]]:
        """Key shared by buildings of different layers that are closed together."""
        return self.radius_m, tuple(outcome for outcome, _ in self.outcomes)

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> Closing:
        """Return the closing of rules that look for the same buildings."""
        outcomes = [
            ((rule.inside.get("clc", ()), rule.code), rule.id)
            for rule in rules
            if rule.code is not None
        ]
        return cls(rules[0].operation.metres or 0.0, tuple(sorted(outcomes)))


def whole_squares(window: Window) -> Window:
    """Return what must be read so that each square that reaches into a window is whole.

    The window means with its margin.
    """
    if not window.is_bounded:
        return window
    reach = window.margin_m + _LONGEST_BUILDING_M
    x_min, y_min, x_max, y_max = window.widened(reach).bounds
    left, bottom = (math.floor(edge / SQUARE_M) * SQUARE_M for edge in (x_min, y_min))
    right, top = (math.ceil(edge / SQUARE_M) * SQUARE_M for edge in (x_max, y_max))
    return Window(left, bottom, right, top, window.epsg)


@dataclass
class BuiltUp:
    """Collects buildings of all layers and makes units of them.

    Parameters
    ----------
    window
        The requested window.
    year
        Of the labels.
    buildings
        Buildings by closing so far, on the map.
    """

    window: Window
    year: int | None = None
    buildings: dict[Closing, list[Buildings]] = field(default_factory=dict)

    def add(self, features: VectorFeatures, closing: Closing) -> None:
        """Add buildings; those without an area are left out."""
        crs = CRS.from_epsg(self.window.epsg)
        shapes = projected(features.geometries, features.crs, crs)
        crooked = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
        shapes[crooked] = polygonal(shapely.make_valid(shapes[crooked]))
        solid = shapely.area(shapes) > 0
        found = Buildings(features.table[ID].astype(str).to_numpy(dtype=object), shapes)[solid]
        same = next((known for known in self.buildings if known.key == closing.key), closing)
        self.buildings.setdefault(same, []).append(found)

    def units(
        self, land_cover: LandCover | None, problems: Problems
    ) -> tuple[list[geopandas.GeoDataFrame], Mapping[str, int]]:
        """Return labelled units, and how many in the window lie outside of all land cover."""
        closed = {closing: self._closed(closing, p) for closing, p in self.buildings.items()}
        zones = self._zones(closed, land_cover, problems)
        frames, outside = [], {}
        for closing, units in closed.items():
            labelled = np.zeros(len(units), dtype=bool)
            for (codes, code), rule in closing.outcomes:
                chosen = zones.geometries[np.isin(zones.codes, codes)]
                found = inside(units, chosen) if codes else units
                labelled |= np.isin(units.ids, found.ids)
                frames.append(self._labelled(found, code, rule, codes))
            names = "/".join(code for (codes, _), _ in closing.outcomes for code in codes)
            missed = int((self._owned(units) & ~labelled).sum())
            outside[f"built-up unit outside of CLC {names}"] = missed
        return frames, outside

    def _closed(self, closing: Closing, parts: Sequence[Buildings]) -> Buildings:
        ids = np.concatenate([part.ids for part in parts])
        shapes = np.concatenate([part.geometries for part in parts])
        buildings = Buildings(ids, shapes)
        if not self.window.is_bounded or not len(buildings):
            return built_up_units(buildings, closing.radius_m)
        squares = squares_of(buildings.geometries)
        reach = self.window.margin_m + 2 * closing.radius_m
        place = shapely.box(*self.window.widened(reach).bounds)
        near = shapely.intersects(shapely.box(*shapely.bounds(shapes).T), place)
        code = squares[:, 0] * 2**32 + squares[:, 1]
        return built_up_units(buildings[np.isin(code, np.unique(code[near]))], closing.radius_m)

    def _zones(
        self, closed: Mapping[Closing, Buildings], cover: LandCover | None, problems: Problems
    ) -> Zones:
        nothing = Zones(np.empty(0, dtype=object), np.empty(0, dtype=object))
        codes = {
            code for one in closed for (some, _), _ in one.outcomes for code in some
        }  # of all at once: reading twice takes twice as long
        edges = [shapely.total_bounds(some.geometries) for some in closed.values() if len(some)]
        box = np.array(edges).reshape(-1, 4)
        if cover is None or not codes or not len(box):
            return nothing
        low, high = box[:, :2].min(axis=0).tolist(), box[:, 2:].max(axis=0).tolist()
        around = Window(low[0], low[1], high[0], high[1], self.window.epsg)
        return cover.zones(sorted(codes), around, problems) or nothing

    def _labelled(
        self, units: Buildings, code: int, rule: str, codes: tuple[str, ...]
    ) -> geopandas.GeoDataFrame:
        # One unit may lie in two classes of the land cover: two objects, one for each.
        suffix = f" in {'+'.join(codes)}" if codes else ""
        columns = {
            "source_id": np.array([f"{name}{suffix}" for name in units.ids], dtype=object),
            "code": code,
            "year": self.year,
            "rule": rule,
            "operation": "none",
            "metres": 0.0,
            "area_ha": shapely.area(units.geometries) / 1e4,
        }
        return labelled_frame(columns, units.geometries, CRS.from_epsg(self.window.epsg))

    def _owned(self, units: Buildings) -> npt.NDArray[np.bool_]:
        return self.window.owns(units.geometries, CRS.from_epsg(self.window.epsg))
