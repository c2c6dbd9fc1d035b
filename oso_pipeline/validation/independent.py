"""Validation of the finished map with samples that took no part in its production.

Points stand for the pixel they lie in, polygons for the pixels whose centres they hold. Parts
in training polygons of the map are not independent of it and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.features import geometry_mask
from rasterio.windows import Window, from_bounds

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.reference.rules.codes import CodeTable, read_crosswalk
from oso_pipeline.reference.split.variants import training_rows
from oso_pipeline.validation.accuracy import Predictions
from oso_pipeline.validation.independent_check import file_of, report_unknown
from oso_pipeline.vectors.looks import counted

VARIANT = "independent"
DESIGN = (
    "Points and polygons that took no part in the production, compared with the finished map; "
    "pixels are not weighted. The validity of the figures for the territory depends on how "
    "the set was drawn."
)
OUTSIDE, NO_CLASS, NO_CENTRE, TRAINS = (
    "outside_the_map",
    "no_class_on_the_map",
    "polygons_without_pixel_centre",
    "points_or_polygons_in_training_polygons",
)
Ints = npt.NDArray[np.int64]

_POINT, _POLYGON, _MULTIPOLYGON = 0, 3, 6
_KNOWN = (_POINT, _POLYGON, _MULTIPOLYGON)


@dataclass(frozen=True, eq=False)
class Units:
    """Points and polygons with a class.

    Parameters
    ----------
    feature
        Number of each in its file, int64, shape ``(unit,)``.
    code
        Its class, int64, shape ``(unit,)``.
    geometry
        In the coordinates of the map, shape ``(unit,)``.
    """

    feature: npt.NDArray[np.int64]
    code: npt.NDArray[np.int64]
    geometry: npt.NDArray[np.object_]

    def take(self, rows: npt.NDArray[np.bool_]) -> Units:
        """Return the units where `rows` is true."""
        return Units(self.feature[rows], self.code[rows], self.geometry[rows])


@dataclass(frozen=True, eq=False)
class MapPixels:
    """Pixels of the map that lie in units and have a class.

    Parameters
    ----------
    feature, code, predicted
        Number of the unit, its class and that on the map, int64, shape ``(pixel,)``.
    x, y
        Centres of the pixels in the coordinates of the map, shape ``(pixel,)``.
    excluded
        Samples that could not be compared, by reason.
    """

    feature: npt.NDArray[np.int64]
    code: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    excluded: dict[str, int]


def read_units(
    rules: IndependentSet, nomenclature: Nomenclature, epsg: int, problems: Problems
) -> Units | None:
    """Return what a validation file holds.

    Problems found: those of `VectorFile.read` and `read_crosswalk`, lines or nothing where
    points or polygons are expected (``E-GEOMETRY-TYPE``), values without a class
    (``E-CLASS-UNKNOWN``). Values mapped to nothing are left out. The result is None after errors.
    """
    before = len(problems.errors)
    crosswalk = read_crosswalk(rules.crosswalk, nomenclature, problems)
    frame = file_of(rules).read([rules.code_field], problems)
    if frame is None or len(problems.errors) > before:
        return None
    geometry = np.asarray(frame.geometry)
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    odd = present & ~np.isin(shapely.get_type_id(geometry), _KNOWN)
    if odd.any() or not present.any():
        kinds = ", ".join(sorted(set(frame.geom_type[odd]))) or "no geometry"
        message = f"points or polygons are expected, {odd.sum()} of {len(frame)} are {kinds}"
        problems.error("E-GEOMETRY-TYPE", message, rules.path, "take multipoints apart, drop lines")
    values = frame[rules.code_field]
    table = CodeTable.of(nomenclature, crosswalk)
    code = table.codes(values)
    report_unknown(
        counted(values.reset_index(drop=True)), table, rules, nomenclature.name, problems
    )
    if len(problems.errors) > before:
        return None
    kept = present & (code > 0)
    placed = frame[kept].to_crs(epsg)
    return Units(
        np.flatnonzero(kept).astype(np.int64),
        code[kept].astype(np.int64),
        shapely.make_valid(np.asarray(placed.geometry)),
    )


def apart_from_training(
    units: Units, references: Sequence[Path], variant: str, columns: Sequence[str]
) -> Units:
    """Return the units that touch no polygon that trains `variant`, read piece by piece.

    `references` are the polygons of the year of the map, and those of past seasons.
    """
    tree = shapely.STRtree(units.geometry)
    free = np.ones(len(units.code), bool)
    for reference in references:
        for piece in pieces(reference, ["geometry", *columns]):
            trains = training_rows(piece, variant)
            parts = shapely.from_wkb(piece["geometry"].to_numpy(zero_copy_only=False)[trains])
            free[np.unique(tree.query(parts, predicate="intersects")[1])] = False
    return units.take(free)


def against_map(units: Units, path: Path) -> Predictions:
    """Compare units with a raster of classes.

    Returns
    -------
    Predictions
        One row per pixel of a unit that has a class on the map. `excluded` counts pixels outside
        the map and without class, and polygons without a pixel centre.
    """
    found = pixels_on_map(units, path)
    return Predictions(VARIANT, found.feature, found.code, found.predicted, found.excluded)


def pixels_on_map(units: Units, path: Path) -> MapPixels:
    """Return the pixels of a raster of classes that lie in units; 0 is not a class."""
    excluded = {OUTSIDE: 0, NO_CLASS: 0, NO_CENTRE: 0}
    parts = [np.empty((5, 0))]
    with rasterio.open(path, driver="GTiff") as raster:
        for number in _in_order(units, raster):
            rows, columns, outside = _pixels(units.geometry[number], raster)
            values = _values(raster, rows, columns)
            known = values > 0
            excluded[OUTSIDE] += outside
            excluded[NO_CENTRE] += len(values) + outside == 0
            excluded[NO_CLASS] += int((~known).sum())
            x, y = raster.transform @ (columns[known] + 0.5, rows[known] + 0.5)
            ours = [units.feature[number], units.code[number]]
            parts.append(np.stack([*(np.full(x.size, one) for one in ours), values[known], x, y]))
    table = np.concatenate(parts, axis=1)  # doubles hold whole numbers below 2**53
    feature, code, predicted = table[:3].astype(np.int64)
    return MapPixels(feature, code, predicted, table[3], table[4], excluded)


def _pixels(geometry: shapely.Geometry, raster: rasterio.DatasetReader) -> tuple[Ints, Ints, int]:
    """Return rows and columns of the pixels inside the map, and the number of those outside."""
    window, chosen = _footprint(geometry, raster)
    row, column = np.nonzero(chosen)
    row, column = row + window.row_off, column + window.col_off
    inside = (row >= 0) & (row < raster.height) & (column >= 0) & (column < raster.width)
    return row[inside], column[inside], int((~inside).sum())


def _values(raster: rasterio.DatasetReader, rows: Ints, columns: Ints) -> Ints:
    """Return the values at pixels, through the window that holds them all."""
    if not rows.size:
        return np.empty(0, np.int64)
    top, left = int(rows.min()), int(columns.min())
    window = Window(left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1)
    values = raster.read(1, window=window)[rows - top, columns - left]
    return np.asarray(values, dtype=np.int64)


def _in_order(units: Units, raster: rasterio.DatasetReader) -> list[int]:
    """Return the units row of blocks by row of blocks, so that blocks are decoded once."""
    bounds = shapely.bounds(units.geometry)
    height = raster.block_shapes[0][0] * raster.res[1]
    rows = np.floor((raster.bounds.top - bounds[:, 3]) / height)
    return [int(number) for number in np.lexsort((bounds[:, 0], rows))]


def _footprint(
    geometry: shapely.Geometry, raster: rasterio.DatasetReader
) -> tuple[Window, npt.NDArray[np.bool_]]:
    """Return a window of whole pixels, possibly beyond the map, and which of them count."""
    window = from_bounds(*geometry.bounds, transform=raster.transform)
    top, left = int(np.floor(window.row_off)), int(np.floor(window.col_off))
    if shapely.get_type_id(geometry) == _POINT:
        return Window(left, top, 1, 1), np.ones((1, 1), bool)
    height = int(np.ceil(window.row_off + window.height)) - top
    width = int(np.ceil(window.col_off + window.width)) - left
    window = Window(left, top, max(width, 1), max(height, 1))
    transform = raster.window_transform(window)
    shape = (int(window.height), int(window.width))
    return window, geometry_mask([geometry], shape, transform, invert=True)
