"""Incomplete shapefiles: no index, no encoding, no table, or cut files.

Deliveries come without ``.shx``, without ``.cpg``, without ``.dbf`` or cut in copying. The
inputs may lie on a read-only disk, so nothing is ever written beside them.
"""

from __future__ import annotations

import codecs
import mmap
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
"""Extensions of the files of a shapefile that determine what is read."""
_HEADER_BYTES = 100
_RECORD_HEADER_BYTES = 8
_BOX, _BOX_AT = struct.Struct("<4d"), slice(36, 68)
_DBF_HEADER = struct.Struct("<4xIHH")
_DBF_LANGUAGE_BYTE = 29
_UNSAID = {0x00, 0x03, 0x57}
"""Language bytes that mean nothing, Western Europe, or whatever the writing machine used."""

BYTES_AS_THEY_ARE = "ISO-8859-1"
"""The encoding that keeps each byte apart, to decode value by value afterwards."""


def files_of_folder(folder: Path) -> tuple[Path, ...]:
    """Return the files that a folder is read from, sorted by name.

    All of a geodatabase, which is a folder; of any other folder the shapefiles, with what belongs
    to them, and nothing that lies deeper: that may be all of a disk.
    """
    if folder.suffix.lower() == ".gdb":
        return tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
    files = (file for file in folder.iterdir() if file.suffix.lower() in PARTS)
    return tuple(sorted(file for file in files if file.is_file()))


def companion(shp: Path, suffix: str) -> Path | None:
    """Return the file beside `shp` with a suffix in any case, None where there is none."""
    for spelt in (suffix.lower(), suffix.upper()):
        if (found := shp.with_suffix(spelt)).is_file():
            return found
    return None


def lacking_bytes(path: Path) -> int:
    """Return how many bytes a shapefile, a dBase table or a GeoPackage is too short.

    The length is compared with the one that the header of the file states; other formats
    count as whole.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    size, kind = path.stat().st_size, path.suffix.lower()
    if kind == ".shp" and len(head) >= 28:
        return max(0, 2 * struct.unpack_from(">i", head, 24)[0] - size)
    if kind == ".dbf" and len(head) >= 12:
        rows, header, row = _DBF_HEADER.unpack_from(head)
        return max(0, int(header + rows * row) - size)
    if kind == ".gpkg" and len(head) == _HEADER_BYTES and _page_count_holds(path, head):
        page, pages = struct.unpack_from(">H", head, 16)[0], struct.unpack_from(">I", head, 28)[0]
        return max(0, (65536 if page == 1 else page) * pages - size)
    return 0 if size >= _HEADER_BYTES or kind not in (".shp", ".gpkg") else _HEADER_BYTES - size


def _page_count_holds(path: Path, head: bytes) -> bool:
    # SQLite file format 1.3.8: the count is valid where both change counters agree. Pages that
    # only the write-ahead log holds count too, but are not in the file.
    return head[24:28] == head[92:96] and not path.with_name(f"{path.name}-wal").exists()


def box_of(shp: Path) -> tuple[float, float, float, float] | None:
    """Return left, bottom, right and top of all features, as a shapefile states them.

    None where its index is missing or states another box, or where the box has no extent, as
    some programs leave it.
    """
    if companion(shp, ".shx") is None or boxes_differ(shp):
        return None
    left, bottom, right, top = _BOX.unpack(_head_of(shp)[_BOX_AT])
    return (left, bottom, right, top) if left < right and bottom < top else None


def boxes_differ(shp: Path) -> bool:
    """Return whether a shapefile and its index, where it has one, state different boxes."""
    shx = companion(shp, ".shx")
    return shx is not None and _head_of(shp)[_BOX_AT] != _head_of(shx)[_BOX_AT]


def index_with_both_boxes(shp: Path, shx: Path) -> bytes:
    """Return the content of an index, whose box holds that of the shapefile as well.

    GDAL reads nothing where the box of the index misses the window, so a damaged one hides
    features.
    """
    content = bytearray(shx.read_bytes())
    boxes = np.array([_BOX.unpack(_head_of(path)[_BOX_AT]) for path in (shp, shx)])
    low, high = np.fmin(*boxes[:, :2]), np.fmax(*boxes[:, 2:])
    content[_BOX_AT] = _BOX.pack(*low, *high)
    return bytes(content)


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def index_of(shp: Path) -> bytes:
    """Return the content of the ``.shx`` of a shapefile, from the headers of its records.

    Notes
    -----
    ESRI Shapefile Technical Description, July 1998: every record of the main file begins
    with its number and the length of its content in 16-bit words, both big-endian; the
    index repeats the header of the main file and lists offset and length, as text.

    Raises
    ------
    ValueError
        Where a record reaches beyond the end of the file.
    """
    entries = bytearray()
    with shp.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at, end = _HEADER_BYTES, min(len(content), 2 * struct.unpack_from(">i", content, 24)[0])
        while at + _RECORD_HEADER_BYTES <= end:
            _, words = struct.unpack_from(">ii", content, at)
            if words < 2 or at + _RECORD_HEADER_BYTES + 2 * words > len(content):
                raise ValueError(f"record {len(entries) // 8 + 1} reaches beyond the end")
            entries += struct.pack(">ii", at // 2, words)
            at += _RECORD_HEADER_BYTES + 2 * words
        header = bytearray(content[:_HEADER_BYTES])
    struct.pack_into(">i", header, 24, (_HEADER_BYTES + len(entries)) // 2)
    return bytes(header + entries)


def index_fits(shp: Path) -> bool:
    """Return whether the ``.shx`` of a shapefile leads to its records; also where there is none.

    A damaged one leads elsewhere, and a reader then takes other polygons without a word. Files
    that were edited in place have records in any order, so only headers of records are compared.
    """
    if (shx := companion(shp, ".shx")) is None:
        return True
    state, file = shx.stat(), shp.stat()
    return _index_fits(shp, shx, (state.st_size, state.st_mtime_ns, file.st_size, file.st_mtime_ns))


@lru_cache(maxsize=4096)  # all layers of all departments, needed by each cell
def _index_fits(shp: Path, shx: Path, state: tuple[int, ...]) -> bool:
    content = shx.read_bytes()
    size = 2 * struct.unpack_from(">i", content, 24)[0] if len(content) >= _HEADER_BYTES else -1
    content = content[_HEADER_BYTES : max(0, size)]
    if len(content) != size - _HEADER_BYTES or len(content) % _RECORD_HEADER_BYTES:
        return False
    offsets, lengths = np.frombuffer(content, ">i4").astype(np.int64).reshape(-1, 2).T
    starts = np.r_[_HEADER_BYTES // 2, offsets + lengths + _RECORD_HEADER_BYTES // 2]
    with shp.open("rb") as file:
        total = struct.unpack_from(">i", file.read(_HEADER_BYTES), 24)[0]
        if np.array_equal(offsets, starts[:-1]) and starts[-1] == total:
            return True
        if len(offsets) != _rows_of_table(shp):  # else a cut index would lose the last records
            return False
        for offset, length in zip(offsets.tolist(), lengths.tolist(), strict=True):
            if offset < _HEADER_BYTES // 2:
                return False
            file.seek(2 * offset)
            if file.read(_RECORD_HEADER_BYTES)[4:] != struct.pack(">i", length):
                return False
    return True


def _rows_of_table(shp: Path) -> int | None:
    """Return how many rows the ``.dbf`` states, None without one."""
    if (dbf := companion(shp, ".dbf")) is None:
        return None
    with dbf.open("rb") as file:
        head = file.read(_DBF_HEADER.size)
    return int(_DBF_HEADER.unpack(head)[0]) if len(head) == _DBF_HEADER.size else None


def foreign_encoding(shp: Path) -> bool:
    """Whether a shapefile states an encoding other than UTF-8 and those of Western Europe.

    Such a statement is left to GDAL. Any other is not a promise: files without ``.cpg``, with
    language byte 0, hold UTF-8 as often as Latin-1, and a ``.cpg`` may contradict its table.
    """
    if (cpg := companion(shp, ".cpg")) is not None:
        said = cpg.read_text(encoding="ascii", errors="replace").strip()
        return _codec(said) not in {None, "utf-8", "iso8859-1", "cp1252", "ascii"}
    if (dbf := companion(shp, ".dbf")) is None:
        return False
    with dbf.open("rb") as file:
        head = file.read(_DBF_LANGUAGE_BYTE + 1)
    return len(head) > _DBF_LANGUAGE_BYTE and head[_DBF_LANGUAGE_BYTE] not in _UNSAID


def _codec(said: str) -> str | None:
    name = said.upper().removeprefix("ANSI ").replace(" ", "")
    spelt = {"65001": "utf-8", "88591": "iso-8859-1"}.get(name, name)
    for candidate in (spelt, f"cp{spelt}", f"iso-8859-{spelt.removeprefix('8859')}"):
        try:
            return codecs.lookup(candidate).name
        except (LookupError, ValueError):
            continue
    return None


def decoded(values: pd.Series) -> pd.Series:
    """Return texts that were read as `BYTES_AS_THEY_ARE`, as UTF-8 wherever the bytes are that.

    Decided value by value: Latin-1 letters with accents are never valid UTF-8 in French, and
    a value cut in the middle of a letter, as the width of a field does, spoils no other.
    """
    positions, distinct = pd.factorize(values)
    texts = [_as_utf8(value) if isinstance(value, str) else value for value in distinct]
    result = pd.Series([*texts, None], dtype=object).to_numpy()[positions]
    return pd.Series(result, index=values.index, dtype=object)


def _as_utf8(text: str) -> str:
    if text.isascii():
        return text
    raw = text.encode(BYTES_AS_THEY_ARE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_short = error.reason == "unexpected end of data" and error.start > 0
        whole = raw[: error.start] if cut_short else b""
        # A letter cut by the width of the field; Latin-1 has no run of such bytes before it.
        return whole.decode("utf-8") if cut_short and not whole.isascii() else text
