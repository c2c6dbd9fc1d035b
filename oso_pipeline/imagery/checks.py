"""Checks of the rasters of a product against each other, the metadata and the tile.

The file header has priority over the metadata, and the metadata over the name; where
they disagree, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.tiles import Tile
from oso_pipeline.imagery.acquisition import Acquisition, Asset
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import Header, greatest_value, read_header
from oso_pipeline.imagery.placement import (
    ProductRasters,
    StatedGrid,
    check_georeferencing,
    check_origins,
    report_each,
)

_REFLECTANCE_TYPES = ("int16", "uint16", "float32", "float64")
_MASK_TYPES = ("uint8", "uint16", "int16")


def check_rasters(product: ProductRasters, problems: Problems) -> GeoBox | None:
    """Check all rasters of a product; return its 10 m grid, None where an error was found."""
    before = len(problems.errors)
    _check_types(product, problems)
    _check_sizes(product, problems)
    placed = check_georeferencing(product, problems)
    if placed:
        check_origins(product, problems)
    if len(problems.errors) > before:
        return None
    transform = snapped(product.reference.transform, 10)
    return GeoBox(product.reference.shape, transform, f"EPSG:{product.tile.epsg}")


def check_acquisition(
    acquisition: Acquisition, problems: Problems, stated: StatedGrid | None = None
) -> bool:
    """Check all files of an acquisition, as a reader has to before it gives it away.

    Parameters
    ----------
    acquisition
        With the assets as the reader found them.
    problems
        Takes errors; ``E-IMAGE-BAND`` for a file that cannot be read, else those of
        :func:`check_rasters` and :func:`check_floats`.
    stated
        Grid according to the metadata, if they state one.

    Returns
    -------
    bool
        Whether no error was found.
    """
    before = len(problems.errors)
    headers: dict[str, Header] = {}
    assets = {**acquisition.bands, **acquisition.quality}
    for name, asset in assets.items():
        try:
            headers[name] = read_header(asset.path)
        except (UnreadableRaster, OSError) as error:
            hint = "fetch the product again, or take it out of the folder"
            problems.error("E-IMAGE-BAND", f"{name} cannot be read: {error}", asset.href, hint)
    if len(problems.errors) > before:
        return False
    rasters = ProductRasters(
        acquisition.path,
        Tile(acquisition.tile),
        {name: headers[name] for name in acquisition.bands},
        {name: headers[name] for name in acquisition.quality},
        {name: asset.resolution_m for name, asset in assets.items()},
        stated or StatedGrid(),
    )
    check_rasters(rasters, problems)
    try:
        check_floats(rasters, acquisition.bands, problems)
    except UnreadableRaster as error:
        hint = "fetch the product again, or take it out of the folder"
        problems.error("E-IMAGE-BAND", f"values cannot be read: {error}", acquisition.path, hint)
    return len(problems.errors) == before


def check_floats(product: ProductRasters, assets: Mapping[str, Asset], problems: Problems) -> bool:
    """Check that floating numbers and the scale that metadata state belong together.

    A wrong scale shows in the numbers of a corner; of whole numbers it does not, as they are
    often saturated there.

    Parameters
    ----------
    product
        The files.
    assets
        Scale, offset and no data of each band.
    problems
        Takes errors (``E-IMAGE-VALUES``).

    Raises
    ------
    UnreadableRaster
        If values cannot be decoded.
    """
    before = len(problems.errors)
    for name, header in product.bands.items():
        if header.dtype.startswith("float"):
            try:
                _check_greatest(header, assets[name], problems)
            except UnreadableRaster as error:
                raise UnreadableRaster(f"{header.path.name}: {error}") from error
    return len(problems.errors) == before


def check_series(grids: Mapping[str, GeoBox], where: object, problems: Problems) -> None:
    """Report products whose 10 m grid differs from that of most products of the tile."""
    shared = most_common_grid(grids.values())
    for product, grid in grids.items():
        if grid != shared:
            dx = grid.affine.c - shared.affine.c
            dy = grid.affine.f - shared.affine.f
            problems.error(
                "E-IMAGE-POSITION",
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
        (product.quality, _MASK_TYPES),
    ):
        hint = f"expected one of {', '.join(allowed)}"
        report_each(
            headers.values(), partial(_odd_type, allowed), ("E-IMAGE-VALUES", hint), problems
        )


def _check_greatest(header: Header, asset: Asset, problems: Problems) -> None:
    scale = asset.scale or 1.0
    nodata = float("nan") if asset.nodata is None else asset.nodata
    greatest = greatest_value(header, nodata) * scale + asset.offset
    if greatest > 2:
        problems.error(
            "E-IMAGE-VALUES",
            f"{header.dtype} values reach reflectance {greatest:g} with the scale {scale:g} and "
            f"the offset {asset.offset:g} of the metadata, expected at most 2",
            header.path,
            "the file and the scale that the metadata state do not belong together",
        )


def _check_sizes(product: ProductRasters, problems: Problems) -> None:
    rows, columns = size = product.reference.shape
    for header in product.at_10m.values():
        if header.shape != size:
            problems.error(
                "E-IMAGE-SIZE",
                f"size {_size(header.shape)} differs from {_size(size)} of "
                f"{product.reference.path.name}",
                header.path,
                "both must have the same size; fetch the product again",
            )
    for header in product.at_20m.values():
        if (2 * header.shape[0], 2 * header.shape[1]) != (rows, columns):
            problems.error(
                "E-IMAGE-HALF-SIZE",
                f"size {_size(header.shape)} is not exactly half of {_size(size)} of "
                f"{product.reference.path.name}",
                header.path,
                "files at 20 m must have half as many rows and columns as files at 10 m",
            )
    stated = product.stated.shape
    if stated is not None and stated != size:
        problems.error(
            "E-IMAGE-SIZE",
            f"size {_size(size)} differs from {_size(stated)} in the metadata",
            product.reference.path,
            "files and metadata do not belong together; fetch the product again",
        )


def _odd_type(allowed: tuple[str, ...], header: Header) -> str:
    return "" if header.dtype in allowed else f"values of type {header.dtype}"


def _size(shape: Iterable[int]) -> str:
    rows, columns = shape
    return f"{rows}x{columns}"
