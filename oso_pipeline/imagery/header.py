"""Headers of image files, read without decoding them.

GeoTIFF and JPEG 2000 are read, each with its own driver, by the end of the name; arrays of Zarr
stores by the name that GDAL gives them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery import jp2, tiff
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.image_kinds import DRIVERS, Kind, kind_of
from oso_pipeline.imagery.zarr.array import ArrayInfo, Documents, check_sizes, split_name
from oso_pipeline.imagery.zarr.store import store_at

INPUT_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""GDAL options for reading inputs: companion files such as ``.aux.xml`` can override the no
data value of an image, and listing folders is slow."""

_FARTHEST_M = 1e9  # coordinates beyond are none of the Earth

ZARR = DRIVERS["zarr"]
"""The GDAL driver of arrays of Zarr stores."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a raster file.

    Parameters
    ----------
    path
        The file, or the name by which GDAL opens an array.
    shape
        Rows and columns.
    transform
        From pixel to coordinates.
    crs
        Coordinate system, None where the file has none.
    dtype
        Type of the values, as NumPy names it.
    nodata
        No data value of the file's own tag, if any.
    block_shape
        Rows and columns of the file's internal blocks.
    """

    path: Path
    shape: tuple[int, int]
    transform: Affine
    crs: CRS | None
    dtype: str
    nodata: float | None
    block_shape: tuple[int, int]

    @property
    def epsg(self) -> int | None:
        """EPSG code of the coordinate system, None without one."""
        code = None if self.crs is None else self.crs.to_epsg()
        return None if code is None else int(code)


def read_header(path: Path | str, named: str | None = None) -> Header:
    """Read the header of an image file and check that the file is whole.

    Parameters
    ----------
    path
        The file; for a member of a zip, the name GDAL opens, which is not checked for size; for an
        array of a Zarr store, its name, ``ZARR:"...":/...``. Chunks may be left out of a store; its
        reader knows whether those of an array are complete.
    named
        The name that says what the file is, where it has a temporary one.

    Raises
    ------
    UnreadableRaster
        If the file is not what its name says, or is cut, or never got pixels.
    """
    driver = driver_of(named or path)
    _require_driver(driver)
    if driver == ZARR:
        return _read_array_header(str(path))
    if isinstance(path, Path):
        _require_whole(path, kind_of(named or path))
    with (
        damage_as(UnreadableRaster, "GDAL cannot open it"),
        warnings.catch_warnings(),
        rasterio.Env(**INPUT_OPTIONS),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, driver=driver) as source:
            return Header(
                Path(path),
                source.shape,
                source.transform,
                source.crs,
                source.dtypes[0],
                source.nodata,
                source.block_shapes[0],
            )


def read_headers(files: Mapping[str, Path]) -> dict[str, Header]:
    """Read the headers of several files, by the names of the assets that they hold.

    Raises
    ------
    UnreadableRaster
        Naming each file that :func:`read_header` refuses.
    """
    headers, damaged = {}, []
    for name, path in files.items():
        try:
            headers[name] = read_header(path)
        except UnreadableRaster as error:
            damaged.append(f"{path.name}: {error}")
    if damaged:
        raise UnreadableRaster("; ".join(damaged))
    return headers


def array_header(info: ArrayInfo, name: str) -> Header:
    """Return the header of an array, from its metadata.

    Parameters
    ----------
    info
        The metadata. The grid stands in the attributes ``proj:transform`` and ``proj:epsg`` or
        ``proj:code`` of the STAC extension for projections; without them it is unknown.
    name
        Name by which GDAL opens it.
    """
    stated = info.attributes.get("proj:transform")
    numbers = stated[:6] if isinstance(stated, list) and len(stated) in (6, 9) else ()
    placed = len(numbers) == 6 and all(type(n) in (int, float) for n in numbers)
    placed = placed and all(abs(n) < _FARTHEST_M for n in numbers)  # NaN and infinity are not
    code = info.attributes.get("proj:code", info.attributes.get("proj:epsg"))
    number = re.fullmatch(r"(?:EPSG:)?(\d{4,6})", str(code))
    crs = None
    with suppress(CRSError):  # of a number that is no coordinate system
        crs = CRS.from_epsg(int(number[1])) if number else None
    return Header(
        Path(name),
        info.shape,
        Affine(*numbers) if placed else Affine.identity(),
        crs,
        info.dtype.name,
        info.fill,
        info.chunks,
    )


def greatest_value(header: Header, nodata: float) -> float:
    """Return the greatest value of the upper-left 1024 x 1024 pixels that is not `nodata`.

    Raises
    ------
    UnreadableRaster
        If they cannot be decoded.
    """
    window = ((0, min(1024, header.shape[0])), (0, min(1024, header.shape[1])))
    with (
        damage_as(UnreadableRaster, "its values cannot be read"),
        rasterio.Env(**INPUT_OPTIONS),
        rasterio.open(header.path, driver=driver_of(header.path)) as source,
    ):
        values = source.read(1, window=window)
    values = values[np.isfinite(values) & (values != nodata)]
    return float(values.max()) if values.size else 0.0


def driver_of(path: Path | str) -> str:
    """Return the GDAL driver of an image file; no other is tried.

    Examples
    --------
    >>> driver_of("B2.tif"), driver_of("T31TCJ_20180105T105435_B02_10m.jp2")
    ('GTiff', 'JP2OpenJPEG')
    >>> driver_of('ZARR:"/data/S2A.zarr":/measurements/reflectance/r10m/b02')
    'Zarr'
    """
    return DRIVERS[kind_of(path)]


def _read_array_header(name: str) -> Header:
    place, array = split_name(name) or ("", "")
    with damage_as(UnreadableRaster, "its metadata cannot be read"):
        store = store_at(place)
        info = Documents(store).array(array)
        if info is None:
            raise UnreadableRaster("the store has no such array")
    check_sizes(store, info, store.sizes(array))
    return array_header(info, name)


@cache
def _require_driver(driver: str) -> None:
    """Refuse to go on without a driver: no file is damaged for want of it."""
    with rasterio.Env() as environment:
        if driver in environment.drivers():
            return
    raise EnvironmentFailure(
        Problem(
            "E-RUN-DRIVER",
            f"the GDAL of rasterio has no driver {driver}, needed to read images",
            None,
            "take it out of GDAL_SKIP if it is there, or install rasterio as a wheel",
        )
    )


def _require_whole(path: Path, kind: Kind) -> None:
    is_jp2 = kind == "jp2"
    what = "its boxes are damaged" if is_jp2 else "its directory is damaged"
    check = jp2.check_whole if is_jp2 else tiff.check_whole
    size = path.stat().st_size
    with damage_as(UnreadableRaster, what), open_regular(path) as stream:
        check(stream, size)
