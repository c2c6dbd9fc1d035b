"""Whether a TIFF file is whole, found without decoding it.

A truncated TIFF opens without error as long as its directory survives, and a writer that was
killed leaves a file without pixels that reads as no data. The directory states where every
block of pixels has to lie, so both are found without reading a single pixel.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from oso_pipeline.imagery.damage import UnreadableRaster

_OFFSETS, _COUNTS = (273, 324), (279, 325)
_TYPES = {3: "u2", 4: "u4", 16: "u8"}


def check_whole(stream: BinaryIO, size: int) -> None:
    """Check that a TIFF file has all its blocks.

    Parameters
    ----------
    stream
        The file, at its begin.
    size
        Its bytes.

    Raises
    ------
    UnreadableRaster
        If it is not a TIFF, or is cut, or never got pixels.
    """
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
