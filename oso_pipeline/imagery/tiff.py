"""Metadata of a TIFF file, read without decoding it.

A truncated TIFF opens without error as long as its directory survives, and a writer that was
killed leaves a file without pixels that reads as no data. The directory states where every
block of pixels has to lie, so both are found without reading a single pixel.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

from oso_pipeline.core.regular_files import open_regular
from oso_pipeline.imagery.damage import damage_as

INPUT_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""GDAL options for reading inputs: companion files such as ``.aux.xml`` can override the no
data value of an image, and listing folders is slow."""

_OFFSETS, _COUNTS = (273, 324), (279, 325)
_TYPES = {3: "u2", 4: "u4", 16: "u8"}


class UnreadableRaster(ValueError):
    """A raster that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a raster file.

    Parameters
    ----------
    path
        The file.
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


def read_header(path: Path | str) -> Header:
    """Read the header of a GeoTIFF and check that the file is whole.

    Parameters
    ----------
    path
        The file; for a member of a zip, the name GDAL opens, which is not checked for size.

    Raises
    ------
    UnreadableRaster
        If the file is not a TIFF, or is cut, or never got pixels.
    """
    if isinstance(path, Path):
        _check_whole(path)
    with (
        damage_as(UnreadableRaster, "GDAL cannot open it"),
        warnings.catch_warnings(),
        rasterio.Env(**INPUT_OPTIONS),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as source:
            return Header(
                Path(path),
                source.shape,
                source.transform,
                source.crs,
                source.dtypes[0],
                source.nodata,
                source.block_shapes[0],
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
        rasterio.open(header.path, driver="GTiff") as source,
    ):
        values = source.read(1, window=window)
    values = values[np.isfinite(values) & (values != nodata)]
    return float(values.max()) if values.size else 0.0


def _check_whole(path: Path) -> None:
    size = path.stat().st_size
    with damage_as(UnreadableRaster, "its directory is damaged"), open_regular(path) as stream:
        offsets, counts = _blocks(stream, size)
    if counts.size and not counts.any():
        raise UnreadableRaster("it holds no pixels: it was not written to its end")
    missing = int((offsets + counts).max(initial=0)) - size  # as floats: damaged ones are huge
    if missing > 0:
        raise UnreadableRaster(f"it is cut: {missing} bytes are missing at the end")


def _blocks(stream: BinaryIO, size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return offset and size of every block that the first TIFF directory lists.

    No more is read, and no more memory taken, than the file has bytes.
    """
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    magic = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) == 16 else 0
    if magic not in (42, 43):
        what = "a web page or XML" if head.lstrip()[:1] == b"<" else f"begins with {head[:8]!r}"
        raise UnreadableRaster(f"it is not a TIFF file ({'empty' if not head else what})")
    big = magic == 43
    offset_format, count_format, entry_size = ("Q", "Q", 20) if big else ("I", "H", 12)
    start = struct.unpack(f"{order}Q", head[8:16]) if big else struct.unpack(f"{order}I", head[4:8])
    stream.seek(start[0])
    (entries,) = struct.unpack(f"{order}{count_format}", stream.read(struct.calcsize(count_format)))
    directory = stream.read(min(entries * entry_size, size))
    if len(directory) < entries * entry_size:
        raise UnreadableRaster("its directory is cut")
    found: dict[int, npt.NDArray[np.float64]] = {}
    for i in range(entries):
        entry = directory[i * entry_size : (i + 1) * entry_size]
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        if tag in _OFFSETS + _COUNTS and kind in _TYPES:
            (count,) = struct.unpack(f"{order}{offset_format}", entry[4 : 12 if big else 8])
            value, dtype = entry[12 if big else 8 :], np.dtype(f"{order}{_TYPES[kind]}")
            if count * dtype.itemsize > size:
                raise UnreadableRaster("its directory lists more blocks than the file has bytes")
            if count * dtype.itemsize > len(value):
                stream.seek(struct.unpack(f"{order}{offset_format}", value)[0])
                value = stream.read(count * dtype.itemsize)
            found[tag] = np.frombuffer(value, dtype, count).astype(np.float64)
    offsets = next((found[tag] for tag in _OFFSETS if tag in found), None)
    counts = next((found[tag] for tag in _COUNTS if tag in found), None)
    if offsets is None or counts is None or offsets.shape != counts.shape:
        raise UnreadableRaster("its directory does not say where the pixels are")
    return offsets, counts
