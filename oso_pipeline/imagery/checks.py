"""Checks of the rasters of a product against each other, the metadata and the tile.

What the file header says is trusted before the metadata, and these before the name; where
they disagree, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import TILE_SIZE_M, Tile
from oso_pipeline.imagery.acquisition import BANDS_10M
from oso_pipeline.imagery.muscate.metadata import Metadata
from oso_pipeline.imagery.tiff import Header, UnreadableRaster, greatest_value

SNAP = 1e-6
"""Deviations of origin and pixel size below this share of a pixel are rounding."""

TILE_LATTICE_M, CUT_LATTICE_M = 60, 20
"""Origins of whole tiles are multiples of 60 m. Smaller cuts, as made for tests and studies,
must at least keep 20 m pixels whole."""

_REFLECTANCE_TYPES = ("int16", "uint16", "float32", "float64")
_MASK_TYPES = ("uint8", "uint16", "int16")


@dataclass(frozen=True)
class ProductRasters:
    """The headers of the files of one product, and what they are held against.

    Parameters
    ----------
    where
        The product, for messages.
    tile
        The tile that is read.
    bands, masks
        Headers by name of the band (``B8A``), and by name and resolution (``CLM_R1``).
    metadata
        What the metadata file says.
    """

    where: Path
    tile: Tile
    bands: Mapping[str, Header]
    masks: Mapping[str, Header]
    metadata: Metadata

    @cached_property
    def at_10m(self) -> dict[str, Header]:
        """The files on the 10 m grid; a band comes first if there is one."""
        bands = {name: header for name, header in self.bands.items() if name in BANDS_10M}
        return bands | {name: h for name, h in self.masks.items() if name.endswith("R1")}

    @cached_property
    def at_20m(self) -> dict[str, Header]:
        """The files on the 20 m grid."""
        bands = {name: header for name, header in self.bands.items() if name not in BANDS_10M}
        return bands | {name: h for name, h in self.masks.items() if name.endswith("R2")}

    @property
    def reference(self) -> Header:
        """The file whose grid is that of the product."""
        return next(iter(self.at_10m.values()))


def check_rasters(product: ProductRasters, problems: Problems) -> GeoBox | None:
    """Check all rasters of a product; return its 10 m grid, None where an error was found."""
    before = len(problems.errors)
    _check_types(product, problems)
    _check_sizes(product, problems)
    placed = _check_georeferencing(product, problems)
    if placed:
        _check_origins(product, problems)
    if len(problems.errors) > before:
        return None
    transform = snapped(product.reference.transform, 10)
    return GeoBox(product.reference.shape, transform, f"EPSG:{product.tile.epsg}")


def check_numbers(product: ProductRasters, problems: Problems) -> tuple[float, int] | None:
    """Return stored value of reflectance 1 and no data value, None where they are unknown."""
    before = len(problems.errors)
    scale, text = product.metadata.scale, product.metadata.nodata
    if scale is None or not 0 < scale < float("inf"):
        problems.error(
            "E-INPUT-015",
            f"the metadata give no usable REFLECTANCE_QUANTIFICATION_VALUE (found {scale})",
            product.where,
            "use the complete metadata file of the product",
        )
    nodata = _whole_number(text)
    if nodata is None:
        problems.error(
            "E-INPUT-016",
            f"the no data value is unknown: SPECIAL_VALUE nodata is {text or 'missing'} in the "
            "metadata, expected a whole number such as -10000",
            product.where,
            "use the complete metadata file of the product",
        )
    if scale is None or nodata is None or len(problems.errors) > before:
        return None
    tags = {h.nodata for h in product.bands.values() if h.nodata not in (None, nodata)}
    if tags:
        found = ", ".join(f"{tag:g}" for tag in tags if tag is not None)
        problems.warn(
            "W-INPUT-016",
            f"files are tagged with no data {found} but the metadata say {nodata}, which is used",
            product.where,
        )
    _check_floats(product, scale, nodata, problems)
    return None if len(problems.errors) > before else (scale, nodata)


def check_series(grids: Mapping[str, GeoBox], where: object, problems: Problems) -> None:
    """Report products whose 10 m grid differs from that of most products of the tile."""
    shared = most_common_grid(grids.values())
    for product, grid in grids.items():
        if grid != shared:
            dx = grid.affine.c - shared.affine.c
            dy = grid.affine.f - shared.affine.f
            problems.error(
                "E-INPUT-012",
                f"{product} lies {dx:+g} m, {dy:+g} m off the other products of the tile and has "
                f"{_size(grid.shape)} pixels where they have {_size(shared.shape)}",
                where,
                "all products of a tile must share one grid; remove or repair the odd one",
            )


def most_common_grid(grids: Iterable[GeoBox]) -> GeoBox:
    """Return the grid that occurs most often, the first of equals."""
    every = list(grids)
    return max(every, key=every.count)


def snapped(transform: Affine, resolution_m: int) -> Affine:
    """Return `transform` with exact pixel size and whole metres of origin."""
    return Affine(resolution_m, 0, round(transform.c), 0, -resolution_m, round(transform.f))


def _check_types(product: ProductRasters, problems: Problems) -> None:
    for headers, allowed in (
        (product.bands, _REFLECTANCE_TYPES),
        (product.masks, _MASK_TYPES),
    ):
        hint = f"expected one of {', '.join(allowed)}"
        _report(headers.values(), partial(_odd_type, allowed), ("E-INPUT-014", hint), problems)


def _check_floats(product: ProductRasters, scale: float, nodata: int, problems: Problems) -> None:
    for header in product.bands.values():
        if header.dtype.startswith("float"):
            try:
                greatest = greatest_value(header, nodata) / scale
            except (OSError, UnreadableRaster) as error:
                hint = "the file is damaged: fetch the product again"
                problems.error("E-INPUT-014", f"values cannot be read: {error}", header.path, hint)
                continue
            if greatest > 2:
                problems.error(
                    "E-INPUT-014",
                    f"{header.dtype} values reach reflectance {greatest:g} with the quantification "
                    f"{scale:g} of the metadata, expected at most 2",
                    header.path,
                    "the file and REFLECTANCE_QUANTIFICATION_VALUE do not belong together",
                )


def _check_sizes(product: ProductRasters, problems: Problems) -> None:
    rows, columns = size = product.reference.shape
    for header in product.at_10m.values():
        if header.shape != size:
            problems.error(
                "E-INPUT-007",
                f"size {_size(header.shape)} differs from {_size(size)} of "
                f"{product.reference.path.name}",
                header.path,
                "both must have the same size; fetch the product again",
            )
    for header in product.at_20m.values():
        if (2 * header.shape[0], 2 * header.shape[1]) != (rows, columns):
            problems.error(
                "E-INPUT-008",
                f"size {_size(header.shape)} is not exactly half of {_size(size)} of "
                f"{product.reference.path.name}",
                header.path,
                "files at 20 m must have half as many rows and columns as files at 10 m",
            )
    group = product.metadata.groups.get("R1")
    if group is not None and (group.rows, group.columns) != size:
        problems.error(
            "E-INPUT-007",
            f"size {_size(size)} differs from {group.rows}x{group.columns} in the metadata",
            product.reference.path,
            "files and metadata do not belong together; fetch the product again",
        )


def _check_georeferencing(product: ProductRasters, problems: Problems) -> bool:
    """Check coordinate systems, orientation and pixel size; whether origins make sense."""
    before = len(problems.errors)
    tile_crs = CRS.from_epsg(product.tile.epsg)
    said = product.metadata.epsg

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
    _report(every, unplaced, ("E-INPUT-010", again), problems)
    _report(every, other_crs, ("E-INPUT-009", "is the product in the right folder?"), problems)
    _report(every, turned, ("E-INPUT-011", "bring it to north-up with gdalwarp"), problems)
    for headers, resolution in ((product.at_10m, 10), (product.at_20m, 20)):
        _report(
            headers.values(),
            partial(_odd_pixel_size, resolution),
            ("E-INPUT-013", "files must have the pixels of the tile; resampling is not done"),
            problems,
        )
    return len(problems.errors) == before


def _odd_type(allowed: tuple[str, ...], header: Header) -> str:
    return "" if header.dtype in allowed else f"values of type {header.dtype}"


def _odd_pixel_size(resolution: int, header: Header) -> str:
    transform = header.transform
    sizes = (abs(transform.a), abs(transform.e))
    if transform.is_identity or transform.b or transform.d:
        return ""  # reported as not placed or turned
    if all(abs(size / resolution - 1) < SNAP for size in sizes):
        return ""
    return f"pixels of {sizes[0]:.9g} m x {sizes[1]:.9g} m, expected {resolution} m"


def _check_origins(product: ProductRasters, problems: Problems) -> None:
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
    _report(every, apart, ("E-INPUT-012", hint), problems)

    group = product.metadata.groups.get("R1")
    if group is not None and max(abs(group.ulx - x), abs(group.uly - y)) > SNAP * 10:
        problems.error(
            "E-INPUT-012",
            f"corner ({x:.9g}, {y:.9g}) differs from ({group.ulx:.9g}, {group.uly:.9g}) in the "
            f"metadata by {x - group.ulx:+g} m, {y - group.uly:+g} m",
            first.path,
            "files and metadata do not belong together; fetch the product again",
        )
    _check_place_in_tile(product, problems)


def _check_place_in_tile(product: ProductRasters, problems: Problems) -> None:
    first, tile = product.reference, product.tile
    dx, dy = first.transform.c - tile.origin[0], tile.origin[1] - first.transform.f
    whole = first.shape == (TILE_SIZE_M // 10, TILE_SIZE_M // 10)
    lattice = TILE_LATTICE_M if whole else CUT_LATTICE_M
    off_x, off_y = (remainder(d, lattice) for d in (dx, dy))
    if max(abs(off_x), abs(off_y)) > SNAP * 10:
        problems.error(
            "E-INPUT-012",
            f"corner ({first.transform.c:.9g}, {first.transform.f:.9g}) lies {off_x:+g} m, "
            f"{-off_y:+g} m off the {lattice} m grid of tile {tile}",
            first.path,
            "images must keep the pixel grid of the tile; fetch the product again",
        )
    ends = dx + first.shape[1] * 10, dy + first.shape[0] * 10
    if min(dx, dy) < -lattice or max(ends) > TILE_SIZE_M + lattice:
        problems.error(
            "E-INPUT-012",
            f"the image begins {dx:+g} m east and {dy:+g} m south of the corner of tile {tile} and "
            f"does not lie within it",
            first.path,
            "is this a product of another tile?",
        )


def remainder(value: float, step: int) -> float:
    """Return the signed distance of `value` from the nearest multiple of `step`."""
    return value - step * round(value / step)


def _report(
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


def _whole_number(text: str | None) -> int | None:
    try:
        value = float(text or "")
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None


def _size(shape: Iterable[int]) -> str:
    rows, columns = shape
    return f"{rows}x{columns}"
