"""Where the rasters of a product lie: against each other, the metadata and the tile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from rasterio.crs import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import TILE_SIZE_M, Tile
from oso_pipeline.imagery.header import Header

SNAP = 1e-6
"""Deviations of origin and pixel size below this share of a pixel are rounding."""

TILE_GRID_M, CUT_GRID_M = 60, 20
"""Origins of whole tiles are multiples of 60 m. Smaller cuts, as made for tests and studies,
must at least keep 20 m pixels whole."""


@dataclass(frozen=True)
class StatedGrid:
    """Grid according to the metadata; None for values that they do not state.

    Parameters
    ----------
    epsg
        Coordinate system of the files.
    shape
        Rows and columns at 10 m.
    corner
        Upper-left corner, metres.
    """

    epsg: int | None = None
    shape: tuple[int, int] | None = None
    corner: tuple[float, float] | None = None


@dataclass(frozen=True)
class ProductRasters:
    """The headers of the files of one product, and the expected values.

    Parameters
    ----------
    where
        The product, for messages.
    tile
        The tile that is read.
    bands, quality
        Headers by name.
    resolutions
        Resolution of each of them, 10 or 20 m.
    stated
        Values of the metadata.
    """

    where: Path
    tile: Tile
    bands: Mapping[str, Header]
    quality: Mapping[str, Header]
    resolutions: Mapping[str, int]
    stated: StatedGrid = StatedGrid()

    @cached_property
    def at_10m(self) -> dict[str, Header]:
        """The files on the 10 m grid; a band comes first if there is one."""
        return self._at(10)

    @cached_property
    def at_20m(self) -> dict[str, Header]:
        """The files on the 20 m grid."""
        return self._at(20)

    def _at(self, resolution_m: int) -> dict[str, Header]:
        every = {**self.bands, **self.quality}
        return {name: h for name, h in every.items() if self.resolutions[name] == resolution_m}

    @property
    def reference(self) -> Header:
        """The file whose grid is that of the product."""
        return next(iter(self.at_10m.values()))


def check_georeferencing(product: ProductRasters, problems: Problems) -> bool:
    """Check coordinate systems, orientation and pixel size; return if origins are valid."""
    before = len(problems.errors)
    tile_crs = CRS.from_epsg(product.tile.epsg)
    said = product.stated.epsg

    def unplaced(header: Header) -> str:
        if header.crs is None:
            return "no coordinate system in the file"
        return "no georeferencing in the file (identity transform)" * header.transform.is_identity

    def other_crs(header: Header) -> str:
        if header.crs is None or (header.crs == tile_crs and said in (None, product.tile.epsg)):
            return ""
        return (
            f"coordinate systems disagree: file EPSG:{header.epsg or '?'}, metadata "
            f"EPSG:{said or '?'}, tile {product.tile} EPSG:{product.tile.epsg}"
        )

    def turned(header: Header) -> str:
        t = header.transform
        if t.is_identity or (t.b == 0 and t.d == 0 and t.a > 0 and t.e < 0):
            return ""
        return f"rows must run from north to south without rotation, found {tuple(t)[:6]}"

    every = [*product.at_10m.values(), *product.at_20m.values()]
    again = "fetch the product again, or restore the georeferencing with gdal_edit"
    report_each(every, unplaced, ("E-IMAGE-NO-CRS", again), problems)
    report_each(every, other_crs, ("E-IMAGE-CRS", "is the product in the right folder?"), problems)
    report_each(every, turned, ("E-IMAGE-ROTATED", "bring it to north-up with gdalwarp"), problems)
    for headers, resolution in ((product.at_10m, 10), (product.at_20m, 20)):
        report_each(
            headers.values(),
            partial(_odd_pixel_size, resolution),
            (
                "E-IMAGE-RESOLUTION",
                "files must have the pixels of the tile; resampling is not done",
            ),
            problems,
        )
    return len(problems.errors) == before


def _odd_pixel_size(resolution: int, header: Header) -> str:
    transform = header.transform
    sizes = (abs(transform.a), abs(transform.e))
    if transform.is_identity or transform.b or transform.d:
        return ""  # reported as not placed or turned
    if all(abs(size / resolution - 1) < SNAP for size in sizes):
        return ""
    return f"pixels of {sizes[0]:.9g} m x {sizes[1]:.9g} m, expected {resolution} m"


def check_origins(product: ProductRasters, problems: Problems) -> None:
    """Check that all files share a corner, and that it lies where the tile has a pixel."""
    first = product.reference
    x, y = first.transform.c, first.transform.f

    def apart(header: Header) -> str:
        dx, dy = header.transform.c - x, header.transform.f - y
        if max(abs(dx), abs(dy)) < SNAP * 10:
            return ""
        return f"corner lies {dx:+g} m, {dy:+g} m from that of {first.path.name}"

    every = [*product.at_10m.values(), *product.at_20m.values()]
    hint = "all files of a product share the upper-left corner; fetch it again"
    report_each(every, apart, ("E-IMAGE-POSITION", hint), problems)

    corner = product.stated.corner
    if corner is not None and max(abs(corner[0] - x), abs(corner[1] - y)) > SNAP * 10:
        problems.error(
            "E-IMAGE-POSITION",
            f"corner ({x:.9g}, {y:.9g}) differs from ({corner[0]:.9g}, {corner[1]:.9g}) in the "
            f"metadata by {x - corner[0]:+g} m, {y - corner[1]:+g} m",
            first.path,
            "files and metadata do not belong together; fetch the product again",
        )
    _check_place_in_tile(product, problems)


def _check_place_in_tile(product: ProductRasters, problems: Problems) -> None:
    first, tile = product.reference, product.tile
    dx, dy = first.transform.c - tile.origin[0], tile.origin[1] - first.transform.f
    whole = first.shape == (TILE_SIZE_M // 10, TILE_SIZE_M // 10)
    step = TILE_GRID_M if whole else CUT_GRID_M
    off_x, off_y = (remainder(d, step) for d in (dx, dy))
    if max(abs(off_x), abs(off_y)) > SNAP * 10:
        problems.error(
            "E-IMAGE-POSITION",
            f"corner ({first.transform.c:.9g}, {first.transform.f:.9g}) lies {off_x:+g} m, "
            f"{-off_y:+g} m off the {step} m grid of tile {tile}",
            first.path,
            "images must keep the pixel grid of the tile; fetch the product again",
        )
    ends = dx + first.shape[1] * 10, dy + first.shape[0] * 10
    if min(dx, dy) < -step or max(ends) > TILE_SIZE_M + step:
        problems.error(
            "E-IMAGE-POSITION",
            f"the image begins {dx:+g} m east and {dy:+g} m south of the corner of tile {tile} and "
            f"does not lie within it",
            first.path,
            "is this a product of another tile?",
        )


def remainder(value: float, step: int) -> float:
    """Return the signed distance of `value` from the nearest multiple of `step`."""
    return value - step * round(value / step)


def report_each(
    headers: Iterable[Header],
    fault: Callable[[Header], str],
    code_and_hint: tuple[str, str],
    problems: Problems,
) -> None:
    """Report each kind of fault once, with the number of files that have it."""
    faulty: dict[str, list[Header]] = {}
    for header in headers:
        if message := fault(header):
            faulty.setdefault(message, []).append(header)
    code, hint = code_and_hint
    for message, found in faulty.items():
        also = f" (and {len(found) - 1} more files of the product)" if len(found) > 1 else ""
        problems.error(code, message + also, found[0].path, hint)
