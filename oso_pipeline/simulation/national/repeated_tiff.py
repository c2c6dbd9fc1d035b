"""GeoTIFF files whose rows repeat: compressed once, written as often as the file is high.

GDAL writes the patch that repeats, with the tags it gives any GeoTIFF. The strips of the patch
are then copied byte for byte, and the directory is written anew (TIFF 6.0, sections 2 and 8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

_HEIGHT, _OFFSETS, _ROWS_PER_STRIP, _COUNTS = 257, 273, 278, 279
_LONG = 4
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8}

Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, their bytes."""


def repeated_tiff(
    path: Path, patch: npt.NDArray[Any], rows: int, transform: Affine, grid: GeoBox
) -> None:
    """Write a file of `rows` rows that repeats `patch`, in deflated strips of one row.

    Parameters
    ----------
    path
        File to write; less than 4 GiB.
    patch
        Pixels, shape ``(rows of the patch, columns)``.
    rows
        Height of the file.
    transform
        From pixels of the file to coordinates.
    grid
        Gives the coordinate system.
    """
    content = _patch_file(patch, transform, grid)
    entries = {entry[0]: entry for entry in _directory(content)}
    (per_strip,) = struct.unpack("<H", entries[_ROWS_PER_STRIP][3][:2])
    if per_strip != 1:
        raise ValueError(f"strips of one row are needed, GDAL wrote {per_strip} rows")
    offsets = np.frombuffer(entries[_OFFSETS][3], "<u4").astype(np.int64)
    counts = _numbers(entries[_COUNTS])
    strips = [content[o : o + n] for o, n in zip(offsets, counts, strict=True)]
    whole, rest = divmod(rows, len(strips))
    all_counts = np.concatenate([np.tile(counts, whole), counts[:rest]])
    starts = 8 + np.concatenate([[0], np.cumsum(all_counts)])
    if starts[-1] >= 2**32 - 2**20:
        raise ValueError(f"{path} would exceed the 4 GiB of a classic TIFF")
    entries[_HEIGHT] = (_HEIGHT, _LONG, 1, struct.pack("<I", rows))
    entries[_OFFSETS] = (_OFFSETS, _LONG, rows, starts[:-1].astype("<u4").tobytes())
    entries[_COUNTS] = (_COUNTS, _LONG, rows, all_counts.astype("<u4").tobytes())
    blob = b"".join(strips)
    first = int(starts[-1]) + int(starts[-1]) % 2
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, first))
        for _ in range(whole):
            file.write(blob)
        file.write(b"".join(strips[:rest]))
        file.write(bytes(first - int(starts[-1])))
        file.write(_encoded([entries[tag] for tag in sorted(entries)], first))


def _patch_file(patch: npt.NDArray[Any], transform: Affine, grid: GeoBox) -> bytes:
    rows, columns = patch.shape
    profile = {
        "driver": "GTiff", "count": 1, "height": rows, "width": columns,
        "dtype": patch.dtype.name, "crs": grid.crs.to_wkt(), "transform": transform,
        "compress": "deflate", "tiled": False, "blockysize": 1,
    }  # fmt: skip
    with rasterio.Env(GDAL_NUM_THREADS=1), rasterio.MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(patch, 1)
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


def _numbers(entry: Entry) -> npt.NDArray[np.int64]:
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
