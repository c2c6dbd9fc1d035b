"""The directories of a TIFF file: tags and positions of blocks.

Little-endian files only, classic and BigTIFF, as GDAL writes them here. The numbers are those
of TIFF 6.0 and of the BigTIFF design (libtiff.gitlab.io/libtiff/specification/bigtiff.html).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NEW_SUBFILE_TYPE, IMAGE_WIDTH, IMAGE_LENGTH = 254, 256, 257
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTE_COUNTS = 322, 323, 324, 325
LONG, LONG8 = 4, 16
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_SIZES |= {13: 4, 17: 8, 18: 8}
_NUMBERS = {1: "<u1", 3: "<u2", 4: "<u4", 16: "<u8"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tag of a directory.

    Parameters
    ----------
    type
        Number of its type.
    count
        How many values.
    raw
        The values, as they stand in the file.
    """

    type: int
    count: int
    raw: bytes

    @property
    def values(self) -> npt.NDArray[np.int64]:
        """The values of a tag of whole numbers."""
        return np.frombuffer(self.raw, _NUMBERS[self.type]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where the blocks of an image lie; 0 for one that is not there, as it is all nodata.

    Parameters
    ----------
    offsets, sizes
        In bytes, int64, shape ``(rows of blocks, columns of blocks)``.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]


Directory = dict[int, Entry]
"""An image of a file: entries by the number of the tag."""


def directories(content: bytes | memoryview) -> Iterator[Directory]:
    """Yield the images of a file, in the order of its directories.

    Parameters
    ----------
    content
        The file, or as much of it as holds the directories.

    Raises
    ------
    ValueError
        If that is not a TIFF file, or ends too early.
    """
    try:
        kind, version = struct.unpack_from("<2sH", content)
        if kind != b"II" or version not in (42, 43):
            raise ValueError("this is not a little-endian TIFF file")
        big = version == 43
        (where,) = struct.unpack_from(*(("<Q", content, 8) if big else ("<I", content, 4)))
        while where:
            found, where = _directory(content, where, big=big)
            yield found
    except struct.error as error:
        raise ValueError(f"the TIFF file ends too early: {error}") from error


def blocks_of(directory: Directory) -> Blocks:
    """Return where the blocks of a tiled image lie."""
    width, height = (int(directory[tag].values[0]) for tag in (IMAGE_WIDTH, IMAGE_LENGTH))
    across, down = (int(directory[tag].values[0]) for tag in (TILE_WIDTH, TILE_LENGTH))
    shape = -(-height // down), -(-width // across)
    offsets, sizes = (
        directory[tag].values.reshape(shape) for tag in (TILE_OFFSETS, TILE_BYTE_COUNTS)
    )
    return Blocks(offsets, sizes)


def longs(values: npt.ArrayLike, *, big: bool = False) -> Entry:
    """Return an entry of whole numbers, of 4 bytes each, or of 8."""
    content = np.asarray(values, "<u8" if big else "<u4")
    return Entry(LONG8 if big else LONG, content.size, content.tobytes())


def tiff_header(first: int, *, big: bool) -> bytes:
    """Return the header of a file whose first directory lies at byte `first`."""
    if big:
        return struct.pack("<2sHHHQ", b"II", 43, 8, 0, first)
    return struct.pack("<2sHI", b"II", 42, first)


def packed(directory: Directory, where: int, following: int, *, big: bool) -> bytes:
    """Return a directory as it stands in a file, with the values that do not fit in its entries.

    Parameters
    ----------
    directory
        Its entries.
    where
        The byte at which it begins.
    following
        Where the next one begins; 0 for the last.
    big
        Whether the file is a BigTIFF.
    """
    head, entry, offset, inline = ("<Q", "<HHQ", "<Q", 8) if big else ("<H", "<HHI", "<I", 4)
    size = struct.calcsize
    values_at = size(head) + len(directory) * (size(entry) + inline) + size(offset)
    found, values = struct.pack(head, len(directory)), b""
    for tag, item in sorted(directory.items()):
        found += struct.pack(entry, tag, item.type, item.count)
        if len(item.raw) <= inline:
            found += item.raw.ljust(inline, b"\0")
        else:
            found += struct.pack(offset, where + values_at + len(values))
            values += item.raw + b"\0" * (len(item.raw) % 2)  # values begin at even bytes
    return found + struct.pack(offset, following) + values


def _directory(content: bytes | memoryview, where: int, *, big: bool) -> tuple[Directory, int]:
    (number,) = struct.unpack_from("<Q" if big else "<H", content, where)
    where += 8 if big else 2
    found: Directory = {}
    for _ in range(number):
        tag, kind, count = struct.unpack_from("<HHQ" if big else "<HHI", content, where)
        value, size = where + (12 if big else 8), _SIZES[kind] * count
        if size > (8 if big else 4):
            (value,) = struct.unpack_from("<Q" if big else "<I", content, value)
        raw = bytes(content[value : value + size])
        if len(raw) != size:
            raise ValueError(f"the TIFF file ends within tag {tag}")
        found[tag] = Entry(kind, count, raw)
        where += 20 if big else 12
    (following,) = struct.unpack_from("<Q" if big else "<I", content, where)
    return found, int(following)
