"""Whether a JPEG 2000 file is whole, found without decoding it.

GDAL opens a truncated JP2 without error and decodes it to zeros, which read as no data. A JP2 is
a row of boxes that state their length, and the code stream of the image, in the box ``jp2c``, has
a marker at its end (ISO/IEC 15444-1, annexes A and I).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from oso_pipeline.imagery.damage import UnreadableRaster

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
"""The first box of every JP2 file."""

_CODE_STREAM = b"jp2c"
_START, _END = b"\xff\x4f\xff\x51", b"\xff\xd9"
"""Markers: start of the code stream and size of the image; end of the code stream."""

_MOST_BOXES = 10_000


def check_whole(stream: BinaryIO, size: int) -> None:
    """Check that a JP2 file has all its boxes, and its code stream an end.

    Parameters
    ----------
    stream
        The file, at its begin.
    size
        Its bytes.

    Raises
    ------
    UnreadableRaster
        If it is not a JP2, or is cut, or its code stream does not end.
    """
    head = stream.read(len(SIGNATURE))
    if head != SIGNATURE:
        what = "a web page or XML" if head.lstrip()[:1] == b"<" else f"begins with {head[:8]!r}"
        raise UnreadableRaster(f"it is not a JPEG 2000 file ({'empty' if not head else what})")
    at, ends = len(SIGNATURE), False
    for _ in range(_MOST_BOXES):
        if at >= size:
            break
        kind, begin, end = _box(stream, at, size)
        if end > size:
            raise UnreadableRaster(f"it is cut: {end - size} bytes are missing at the end")
        if kind == _CODE_STREAM:
            _require_end(stream, begin, end)
            ends = True
        at = end
    if not ends:
        raise UnreadableRaster("it holds no image: it is cut, or was not written to its end")


def _box(stream: BinaryIO, at: int, size: int) -> tuple[bytes, int, int]:
    """Return kind, begin of the content and end of the box at a place."""
    stream.seek(at)
    head = stream.read(16)
    if len(head) < 8:
        raise UnreadableRaster("it is cut within the head of a box")
    length, kind = struct.unpack(">I4s", head[:8])
    if length == 0:  # up to the end of the file
        return kind, at + 8, size
    begin = at + 8
    if length == 1:
        if len(head) < 16:
            raise UnreadableRaster("it is cut within the head of a box")
        (length,) = struct.unpack(">Q", head[8:])
        begin = at + 16
    if at + length < begin:
        raise UnreadableRaster(f"a box states a length of {length} bytes")
    return kind, begin, at + length


def _require_end(stream: BinaryIO, begin: int, end: int) -> None:
    stream.seek(begin)
    if stream.read(len(_START)) != _START:
        raise UnreadableRaster("its code stream has no head")
    stream.seek(max(begin, end - len(_END)))
    if stream.read(len(_END)) != _END:
        raise UnreadableRaster(
            "its code stream has no end: it is cut or was not written to its end"
        )
