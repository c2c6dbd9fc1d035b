"""The compressed strips of a GeoTIFF, and files that are put together from them.

GDAL writes an image with the tags it gives any GeoTIFF. Its strips are then taken byte for byte,
and the directory is written again (TIFF 6.0, sections 2 and 8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

Numbers = npt.NDArray[np.int64]

_HEIGHT, _OFFSETS, _ROWS_PER_STRIP, _COUNTS = 257, 273, 278, 279
_LONG = 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8}

HEAD_BYTES = 8
"""Bytes of a file before its first strip."""

Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, their bytes."""


@dataclass(frozen=True)
class Strips:
    """The deflated rows of an image, a strip each, and the directory that came with them."""

    rows: tuple[bytes, ...]
    entries: dict[int, Entry]

    @classmethod
    def of(cls, image: npt.NDArray[Any], transform: Affine, grid: GeoBox, level: int = 6) -> Strips:
        """Compress an image.

        Parameters
        ----------
        image
            Pixels, shape ``(rows, columns)``.
        transform
            From pixels of the file that is to be written to coordinates.
        grid
            Gives the coordinate system.
        level
            How hard deflate tries, 1 to 9.
        """
        content = _file_of(image, transform, grid, level)
        entries = {entry[0]: entry for entry in _directory(content)}
        (per_strip,) = struct.unpack("<H", entries[_ROWS_PER_STRIP][3][:2])
        if per_strip != 1:
            raise ValueError(f"strips of one row are needed, GDAL wrote {per_strip} rows")
        offsets, counts = _numbers(entries[_OFFSETS]), _numbers(entries[_COUNTS])
        rows = tuple(content[o : o + n] for o, n in zip(offsets, counts, strict=True))
        return cls(rows, entries)

    @property
    def counts(self) -> Numbers:
        """Bytes of each row."""
        return np.array([len(row) for row in self.rows], np.int64)

    def directory(self, offsets: Numbers, counts: Numbers, at: int) -> bytes:
        """Return the directory of a file whose rows lie at `offsets`, itself at byte `at`."""
        height = len(offsets)
        entries = dict(self.entries)
        entries[_HEIGHT] = (_HEIGHT, _LONG, 1, struct.pack("<I", height))
        entries[_OFFSETS] = (_OFFSETS, _LONG, height, offsets.astype("<u4").tobytes())
        entries[_COUNTS] = (_COUNTS, _LONG, height, counts.astype("<u4").tobytes())
        return _encoded([entries[tag] for tag in sorted(entries)], at)


def head(at: int) -> bytes:
    """Return the first bytes of a little-endian classic TIFF with its directory at byte `at`."""
    return struct.pack("<2sHI", b"II", 42, at)


def refuse_large(path: Path, size: int) -> None:
    """Raise ValueError where a classic TIFF cannot hold so many bytes of strips."""
    if size >= 2**32 - 2**20:
        raise ValueError(f"{path} would exceed the 4 GiB of a classic TIFF")


def _file_of(image: npt.NDArray[Any], transform: Affine, grid: GeoBox, level: int) -> bytes:
    rows, columns = image.shape
    profile = {
        "driver": "GTiff", "count": 1, "height": rows, "width": columns,
        "dtype": image.dtype.name, "crs": grid.crs.to_wkt(), "transform": transform,
        "compress": "deflate", "tiled": False, "blockysize": 1, "zlevel": level,
    }  # fmt: skip
    with rasterio.Env(GDAL_NUM_THREADS=1), rasterio.MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(image, 1)
        return bytes(memory.read())


def _directory(content: bytes) -> Iterator[Entry]:
    """Yield the entries of the first directory of a little-endian classic TIFF."""
    mark, version, at = struct.unpack_from("<2sHI", content)
    if (mark, version) != (b"II", 42):
        raise ValueError("GDAL wrote no little-endian classic TIFF")
    (number,) = struct.unpack_from("<H", content, at)
    for n in range(number):
        place = at + 2 + 12 * n
        tag, kind, count = struct.unpack_from("<HHI", content, place)
        size = _SIZES[kind] * count
        start = place + 8 if size <= 4 else struct.unpack_from("<I", content, place + 8)[0]
        yield tag, kind, count, content[start : start + size]


def _numbers(entry: Entry) -> Numbers:
    return np.frombuffer(entry[3], "<u2" if entry[1] == 3 else "<u4").astype(np.int64)


def _encoded(entries: list[Entry], at: int) -> bytes:
    """Return a directory that begins at byte `at`, followed by the values too long for it."""
    behind = at + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, kind, count, content in entries:
        directory += struct.pack("<HHI", tag, kind, count)
        if len(content) <= 4:
            directory += content.ljust(4, b"\0")
            continue
        directory += struct.pack("<I", behind + len(values))
        values += content + bytes(len(content) % 2)
    return directory + struct.pack("<I", 0) + values
