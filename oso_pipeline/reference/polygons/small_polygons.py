"""Check whether anything is left of eroded polygons without preparing them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.generic import is_flat, refuse_other_than_polygons
from oso_pipeline.vectors.geometry import LEAST_AREA_M2, repaired
from oso_pipeline.vectors.looks import feature_boxes, some_shapes
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.whereabouts import Ground, Shapes
from oso_pipeline.vectors.window import transformer

_LOOKED_AT = 1000


@dataclass(frozen=True)
class Erosion:
    """Settings that make polygons smaller.

    Parameters
    ----------
    width_m
        Width removed inside the border.
    least_m2
        Polygons smaller than this afterwards are dropped.
    ground
        The tiles, and the map in whose coordinates that is done.
    """

    width_m: float
    least_m2: float
    ground: Ground

    def leaves_something(self, shapes: Shapes, crs: CRS) -> bool:
        """Return whether some part of some shape is left."""
        areas, _ = repaired(self._on_map(shapes, crs))
        left = shapely.get_parts(shapely.buffer(areas, -self.width_m))
        return bool((shapely.area(left) >= max(self.least_m2, LEAST_AREA_M2)).any())

    def may_leave_something(self, boxes: Shapes, crs: CRS) -> bool:
        """Return whether something could be left of shapes in these boxes; True in doubt."""
        left, bottom, right, top = shapely.bounds(self._on_map(boxes, crs)).T
        sides = (right - left - 2 * self.width_m, top - bottom - 2 * self.width_m)
        areas = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
        return not bool((areas < max(self.least_m2, LEAST_AREA_M2)).all())

    def _on_map(self, shapes: Shapes, crs: CRS) -> Shapes:
        there = transformer(crs, CRS.from_epsg(self.ground.epsg))
        return shapely.transform(shapes, lambda xy: np.column_stack(there.transform(*xy.T)))


def find_small(file: VectorFile, erosion: Erosion, problems: Problems) -> str | None:
    """Return a message if erosion leaves nothing of the polygons of a file on the tiles, else None.

    Some shapes are read first: usually something is left of one of them. Else the boxes of all
    decide. Problems found: shapes read that are not polygons (``E-GEOMETRY-TYPE``).
    """
    schema = file.schema(Problems())
    if schema is None or schema.crs is None or not is_flat(schema):
        return None
    shapes = some_shapes(file, erosion.ground.boxes(schema.crs), _LOOKED_AT)
    before = len(problems)
    refuse_other_than_polygons(shapes, file.path, problems)
    if not len(shapes) or len(problems) > before:
        return None
    if erosion.leaves_something(shapes, schema.crs):
        return None
    boxes = feature_boxes(file)
    is_all = len(boxes) <= len(shapes)
    if not is_all and erosion.may_leave_something(shapely.box(*boxes.T), schema.crs):
        return None
    return (
        f"nothing is left of the {len(boxes)} polygons of {file.name}: reference.erosion_m takes "
        f"{erosion.width_m:g} m inside each border, and what is smaller than "
        f"reference.min_area_m2, {erosion.least_m2:g} m2, is dropped"
    )
