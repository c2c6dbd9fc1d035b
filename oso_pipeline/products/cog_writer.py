"""Write a Cloud Optimized GeoTIFF from blocks that are compressed already.

The layout is that of GDAL's COG driver (gdal.org/drivers/raster/cog.html): header, the area in
which describes the layout for GDAL, directories from the image to the smallest overview, and
the blocks from the smallest overview to the image. Each block stands between its size and its
last four bytes. A block that is all nodata is not written: its offset and size are 0.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oso_pipeline.products.tiff import (
    IMAGE_LENGTH,
    IMAGE_WIDTH,
    NEW_SUBFILE_TYPE,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    Directory,
    longs,
    packed,
    tiff_header,
)

_TELLS = (
    "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    "BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = f"GDAL_STRUCTURAL_METADATA_SIZE={len(_TELLS):06d} bytes\n{_TELLS}\0".encode("ascii")
LEADER = 4
"""Bytes before a block: its size."""
_TRAILER = 4
_IN_OVERVIEWS = frozenset({258, 259, 262, 277, 284, 317, 320, 322, 323, 338, 339, 42113})
"""Tags that an overview shares with the image: type and compression of its values."""

_REDUCED = 1

_MOST_CLASSIC_BYTES = 2**32 - 1
_READ_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Level:
    """The image or an overview of it.

    Parameters
    ----------
    shape
        Rows and columns, pixels.
    sizes
        Bytes of each compressed block, int64, shape ``(rows of blocks, columns of blocks)``; 0
        for one that is all nodata.
    framed
        Gives the blocks that are not, row by row, each framed by `framed`; in pieces of any size.
    """

    shape: tuple[int, int]
    sizes: npt.NDArray[np.int64]
    framed: Callable[[], Iterable[bytes]]

    @property
    def bytes(self) -> int:
        """Size of its blocks in a file."""
        return int(framed_sizes(self.sizes).sum())


Checksums = list[tuple[int, int]]
"""Number of bytes and CRC-32 of what stands before the blocks, then of the blocks of each level
in the order of the file."""


def framed(block: bytes) -> bytes:
    """Return a compressed block between its size and its last four bytes."""
    return struct.pack("<I", len(block)) + block + block[-_TRAILER:]


def framed_sizes(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what blocks take in a file, with their frames."""
    return np.where(sizes > 0, sizes + LEADER + _TRAILER, 0)


def write_levels(
    path: Path, template: Directory, levels: Sequence[Level], *, big: bool | None = None
) -> Checksums:
    """Write a file.

    Parameters
    ----------
    path
        Where to.
    template
        The tags of the image, of which those about its size and its blocks are replaced.
    levels
        The image and its overviews, each half as large as the one before.
    big
        Whether to write a BigTIFF; None where only the size decides.

    Raises
    ------
    OSError
        If the disk is full or cannot be written.
    ValueError
        If a level gives other blocks than it said.
    """
    if big is None:
        head = _head(template, levels, big=True)  # longer than a classic one
        big = len(head) + sum(level.bytes for level in levels) > _MOST_CLASSIC_BYTES
    head = _head(template, levels, big=big)
    checksums = [(len(head), zlib.crc32(head))]
    with path.open("wb") as stream:
        stream.write(head)
        for level in reversed(levels):
            checksum = length = 0
            for piece in level.framed():
                stream.write(piece)
                checksum = zlib.crc32(piece, checksum)
                length += len(piece)
            if length != level.bytes:
                raise ValueError(f"{length} bytes of blocks came instead of {level.bytes}")
            checksums.append((length, checksum))
    return checksums


def verify_bytes(path: Path, checksums: Checksums) -> None:
    """Read a file back and compare its bytes with those that were written.

    Raises
    ------
    OSError
        If they differ, or the file cannot be read.
    """
    with path.open("rb") as stream:
        for length, expected in checksums:
            checksum, left = 0, length
            while left and (piece := stream.read(min(left, _READ_BYTES))):
                checksum = zlib.crc32(piece, checksum)
                left -= len(piece)
            if left or checksum != expected:
                raise OSError(f"{path}: the bytes read back differ from those written")
        if stream.read(1):
            raise OSError(f"{path}: there are bytes behind those written")


def _head(template: Directory, levels: Sequence[Level], *, big: bool) -> bytes:
    """Return all that stands before the blocks; how long it is does not depend on the sizes."""
    start = len(tiff_header(0, big=big)) + len(_GHOST)
    overview = {tag: entry for tag, entry in template.items() if tag in _IN_OVERVIEWS}
    overview[NEW_SUBFILE_TYPE] = longs([_REDUCED])
    tags = [template, *[overview] * (len(levels) - 1)]
    lengths = [
        len(packed(_image(tag, level, level.sizes, big=big), 0, 0, big=big))
        for tag, level in zip(tags, levels, strict=True)
    ]
    starts = np.cumsum([start, *lengths]).tolist()
    where, offsets = starts[-1], []
    for level in reversed(levels):
        taken = framed_sizes(level.sizes)
        ends = where + np.cumsum(taken).reshape(taken.shape)
        offsets.append(np.where(taken > 0, ends - taken + LEADER, 0))
        where += level.bytes
    found = [
        packed(_image(tag, level, at, big=big), here, there, big=big)
        for tag, level, at, here, there in zip(
            tags, levels, reversed(offsets), starts[:-1], [*starts[1:-1], 0], strict=True
        )
    ]
    return tiff_header(start, big=big) + _GHOST + b"".join(found)


def _image(
    tags: Directory, level: Level, offsets: npt.NDArray[np.int64], *, big: bool
) -> Directory:
    rows, columns = level.shape
    return {
        **tags,
        IMAGE_WIDTH: longs([columns]),
        IMAGE_LENGTH: longs([rows]),
        TILE_OFFSETS: longs(offsets, big=big),
        TILE_BYTE_COUNTS: longs(level.sizes),
    }
