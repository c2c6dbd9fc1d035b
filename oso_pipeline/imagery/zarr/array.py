"""Arrays of a Zarr store, by their metadata, and whether their chunks are there.

GDAL reads a chunk whose file is missing as the fill value, without a word. The format allows that,
but a copy that was stopped looks the same, so chunks are counted here. A chunk that is compressed
with Blosc states its sizes in its first bytes, so one that was cut is found without decoding.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from oso_pipeline.imagery.damage import UnreadableRaster, damage_as
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError
from oso_pipeline.imagery.zarr.store import (
    ARRAY,
    ATTRIBUTES,
    CONSOLIDATED,
    GROUP,
    VERSION_3,
    Store,
    ZipStore,
    store_at,
)

MOST_PIXELS, MOST_CHUNKS, MOST_CHUNK_BYTES = 1 << 20, 100_000, 1 << 31
"""Rows or columns of an array, its chunks, and bytes of a chunk; more are refused."""

_COMPRESSORS = ("blosc", "zlib", "gzip", "zstd", "lz4")
_NAME = re.compile(r'^ZARR:"((?:[^"\\]|\\.)*)":/(.+)$', re.DOTALL)
_SHOWN = 3
_BLOSC_HEAD = 16


@dataclass(frozen=True)
class ArrayInfo:
    """What the metadata say of an array of rows and columns.

    Parameters
    ----------
    name
        Its path in the store.
    shape, chunks
        Rows and columns of the array and of a chunk.
    dtype
        Type of the numbers.
    fill
        Number of pixels that were never written, NaN included; None where the metadata name none.
    compressor
        Kind of the compression, '' without one.
    separator
        Between the numbers in the name of a chunk.
    attributes
        Its attributes.
    """

    name: str
    shape: tuple[int, int]
    chunks: tuple[int, int]
    dtype: np.dtype[Any]
    fill: float | None
    compressor: str
    separator: str = "."
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def pixels_of(self, chunk: str) -> tuple[slice, slice]:
        """Return the rows and columns of a chunk, those beyond the array left out."""
        numbers = map(int, chunk.split(self.separator))
        rows, columns = (
            slice(n * size, min((n + 1) * size, end))
            for n, size, end in zip(numbers, self.chunks, self.shape, strict=True)
        )
        return rows, columns

    @property
    def counts(self) -> tuple[int, int]:
        """Number of chunks along rows and along columns."""
        rows, columns = (ceil(n / c) for n, c in zip(self.shape, self.chunks, strict=True))
        return rows, columns

    def chunk_names(self) -> Iterator[str]:
        """Return the names of all chunks below the array."""
        for numbers in product(*(range(n) for n in self.counts)):
            yield self.separator.join(map(str, numbers))


class Documents:
    """The metadata of a store, read as they are needed.

    Where the store has them together in ``.zmetadata``, that file counts, as it does for GDAL and
    xarray.

    Parameters
    ----------
    store
        The store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def version(self) -> int:
        """Version of the format: 2 or 3."""
        old = any(self.store.holds(name) for name in (CONSOLIDATED, GROUP, ATTRIBUTES))
        return 3 if not old and self.store.holds(VERSION_3) else 2

    @cached_property
    def consolidated(self) -> Mapping[str, Any] | None:
        """The metadata of all arrays and groups by file name; None where they are not together.

        Raises
        ------
        MetadataError
            If the file cannot be understood.
        """
        if not self.store.holds(CONSOLIDATED):
            return None
        content = self._read(CONSOLIDATED).get("metadata")
        if not isinstance(content, dict):
            raise MetadataError(f"{CONSOLIDATED} holds no object `metadata`")
        return content

    def attributes(self, path: str = "") -> Mapping[str, Any]:
        """Return the attributes of a group or array; of the root by default.

        Raises
        ------
        MetadataError
            If they cannot be understood.
        """
        if self.version == 3:
            attributes = self._read(f"{path}/{VERSION_3}".lstrip("/")).get("attributes")
            return attributes if isinstance(attributes, dict) else {}
        return self._document(f"{path}/{ATTRIBUTES}".lstrip("/")) or {}

    def array(self, path: str) -> ArrayInfo | None:
        """Return what the metadata say of an array; None where they do not name it.

        Raises
        ------
        MetadataError
            If they cannot be understood.
        """
        content = self._document(f"{path}/{ARRAY}")
        return None if content is None else parse_array(path, content, self.attributes(path))

    def arrays_in(self, group: str) -> list[str]:
        """Return the names of the arrays of a group, where the metadata are together."""
        start, end = f"{group}/", f"/{ARRAY}"
        found = [name for name in self.consolidated or {} if name.startswith(start)]
        names = (name[len(start) : -len(end)] for name in found if name.endswith(end))
        return sorted(name for name in names if "/" not in name)

    def _document(self, name: str) -> Mapping[str, Any] | None:
        if self.consolidated is None:
            return self._read(name) if self.store.holds(name) else None
        content = self.consolidated.get(name)
        if content is None or isinstance(content, dict):
            return content
        raise MetadataError(f"{name} is not an object")

    def _read(self, name: str) -> dict[str, Any]:
        content = self.store.read(name, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise MetadataError(f"{name} has more than {MAX_BYTES} bytes")
        with damage_as(MetadataError, f"{name} is not usable JSON"):
            found = json.loads(content)
            if not isinstance(found, dict):
                raise ValueError("expected an object")
            return found


def parse_array(
    name: str, content: Mapping[str, Any], attributes: Mapping[str, Any] | None = None
) -> ArrayInfo:
    """Return what ``.zarray`` says of an array.

    Raises
    ------
    MetadataError
        If it is not of rows and columns of numbers in version 2 of the format, or GDAL cannot
        decode it.
    """
    with damage_as(MetadataError, f"{name}/{ARRAY} cannot be understood"):
        if content.get("zarr_format") != 2:
            raise ValueError(f"zarr_format is {content.get('zarr_format')}, expected 2")
        shape, chunks = _sizes(content, "shape"), _sizes(content, "chunks")
        dtype = _dtype(content)
        if chunks[0] * chunks[1] * dtype.itemsize > MOST_CHUNK_BYTES:
            raise ValueError(f"chunks of {chunks[0]}x{chunks[1]} pixels are too large")
        if content.get("filters"):
            raise ValueError("it has filters, which are not read")
        separator = content.get("dimension_separator", ".")
        if separator not in (".", "/"):
            raise ValueError(f"dimension_separator is {separator!r}")
        fill = content.get("fill_value")
        info = ArrayInfo(
            name,
            shape,
            chunks,
            dtype,
            None if fill is None else float(fill),
            _compressor(content),
            separator,
            attributes or {},
        )
        if prod(info.counts) > MOST_CHUNKS:
            raise ValueError(f"{prod(info.counts)} chunks, at most {MOST_CHUNKS} are accepted")
        return info


def missing_chunks(info: ArrayInfo, sizes: Mapping[str, int]) -> list[str]:
    """Return the names of the chunks of an array that are not there.

    Parameters
    ----------
    info
        The array.
    sizes
        Sizes of its chunks that are there.
    """
    return [name for name in info.chunk_names() if name not in sizes]


def require_chunks(info: ArrayInfo, missing: Sequence[str]) -> None:
    """Refuse an array that lacks chunks.

    Raises
    ------
    UnreadableRaster
        Naming those that are missing, if there are any.
    """
    if missing:
        raise UnreadableRaster(
            f"{len(missing)} of {prod(info.counts)} chunks are missing ({some_of(missing)}); they "
            "would read as no data"
        )


def check_sizes(store: Store, info: ArrayInfo, sizes: Mapping[str, int]) -> None:
    """Check that each chunk of an array that is there has the size that it states.

    Parameters
    ----------
    store, info
        The array.
    sizes
        Sizes of its chunks that are there.

    Raises
    ------
    UnreadableRaster
        Naming the chunks that are empty or cut.
    """
    names = [name for name in info.chunk_names() if name in sizes]
    if empty := [name for name in names if not sizes[name]]:
        raise UnreadableRaster(f"{len(empty)} of {len(names)} chunks are empty ({some_of(empty)})")
    odd = {name: why for name in names if (why := _size_fault(store, info, name, sizes[name]))}
    if odd:
        first = next(iter(odd))
        raise UnreadableRaster(
            f"{len(odd)} of {len(names)} chunks are damaged ({some_of(list(odd))}): {odd[first]}"
        )


def gdal_name(store: Store, array: str) -> str:
    r"""Return the name by which GDAL opens an array.

    Examples
    --------
    >>> from pathlib import Path
    >>> from oso_pipeline.imagery.zarr.store import FolderStore
    >>> gdal_name(FolderStore(Path("/data/S2A.zarr")), "r10m/b02")
    'ZARR:"/data/S2A.zarr":/r10m/b02'
    """
    return f'ZARR:"{_escaped(store.gdal_path)}":/{array}'


def gdal_folder(store: Store, array: str) -> str:
    """Return a name by which GDAL opens an array without the metadata of the whole store."""
    return f'ZARR:"{_escaped(f"{store.gdal_path}/{array}")}"'


def split_name(name: str) -> tuple[str, str] | None:
    """Return the path of the store and the array of a name that GDAL opens; None if it is none."""
    match = _NAME.match(name)
    return None if match is None else (re.sub(r"\\(.)", r"\1", match[1]), match[2])


def stored_bytes(name: str) -> int:
    """Return the size of the chunks of an array that are there.

    Parameters
    ----------
    name
        Name by which GDAL opens it.

    Raises
    ------
    ArchiveError
        If the zip cannot be read.
    FileNotFoundError
        If there is neither a folder nor a zip.
    """
    place, array = split_name(name) or ("", "")
    return sum(store_at(place).sizes(array).values())


def files_of(name: str) -> list[Path]:
    """Return the files that hold an array: its chunks that are there, or the zip.

    Parameters
    ----------
    name
        Name by which GDAL opens it.

    Raises
    ------
    ArchiveError
        If there is no such store in the zip.
    """
    place, array = split_name(name) or ("", "")
    store = store_at(place)
    if isinstance(store, ZipStore):
        return [store.archive]
    return [store.root / array / chunk for chunk in store.sizes(array)]


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _sizes(content: Mapping[str, Any], key: str) -> tuple[int, int]:
    found = content.get(key)
    if not isinstance(found, list) or len(found) != 2:
        raise ValueError(f"{key} is {found}, expected rows and columns")
    if not all(type(n) is int and 0 < n <= MOST_PIXELS for n in found):
        raise ValueError(f"{key} is {found}")
    return found[0], found[1]


def _dtype(content: Mapping[str, Any]) -> np.dtype[Any]:
    text = content.get("dtype")
    if not isinstance(text, str) or not re.fullmatch(r"[<>|][uif]\d", text):
        raise ValueError(f"dtype is {text}, expected that of whole or floating-point numbers")
    return np.dtype(text)


def _compressor(content: Mapping[str, Any]) -> str:
    found = content.get("compressor")
    if found is None:
        return ""
    kind = found.get("id") if isinstance(found, dict) else found
    if kind not in _COMPRESSORS:
        raise ValueError(f"compressor is {kind}, expected one of {', '.join(_COMPRESSORS)}")
    return str(kind)


def _size_fault(store: Store, info: ArrayInfo, name: str, size: int) -> str:
    """Return why a chunk cannot have this size; empty where it can."""
    pixels = info.chunks[0] * info.chunks[1] * info.dtype.itemsize
    if not info.compressor:
        return "" if size == pixels else f"it has {size} bytes, expected {pixels}"
    if info.compressor != "blosc":
        return ""
    head = store.read(f"{info.name}/{name}", _BLOSC_HEAD)
    if len(head) < _BLOSC_HEAD:
        return f"it has {size} bytes, less than a head of Blosc"
    # Blosc 1: four bytes, then the sizes uncompressed, of a block, and compressed.
    held, _, stored = struct.unpack("<III", head[4:16])
    if stored != size:
        return f"it has {size} bytes, its head says {stored}"
    return "" if held == pixels else f"it holds {held} bytes of pixels, expected {pixels}"


def some_of(names: Sequence[str]) -> str:
    """Return the first names of chunks, for a message."""
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
