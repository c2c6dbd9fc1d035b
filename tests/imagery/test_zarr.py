"""Stores in the Zarr format, against zarr-python, which is not ours."""

from __future__ import annotations

import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr
from numcodecs import Blosc, Zlib, Zstd

from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import driver_of, read_header
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError
from oso_pipeline.imagery.zarr.array import (
    ArrayInfo,
    Documents,
    check_sizes,
    gdal_name,
    missing_chunks,
    parse_array,
    require_chunks,
    split_name,
)
from oso_pipeline.imagery.zarr.store import (
    FolderStore,
    Store,
    ZipStore,
    is_store,
    open_store,
    roots_in,
    store_at,
)

# GDAL does not know the attributes that hold the grid.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

EOPF = Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)
COMPRESSORS = {"eopf": EOPF, "lz4": Blosc(), "zlib": Zlib(1), "zstd": Zstd(1), "none": None}
ARRAY = "measurements/r10m/b02"
PIXELS = np.arange(1, 50 * 50 + 1, dtype=np.uint16).reshape(50, 50)
GRID = {"proj:epsg": 32631, "proj:transform": [10.0, 0, 300000, 0, -10.0, 4900020, 0, 0, 1.0]}


def make(folder: Path, pixels: np.ndarray = PIXELS, together: bool = True, **changes: Any) -> Path:
    """Write a store of one array with zarr-python."""
    root = zarr.open_group(folder, mode="w", zarr_format=2)
    chosen = {"chunks": (20, 30), "compressors": EOPF, "fill_value": 0, **changes}
    array = root.create_array(
        ARRAY, shape=pixels.shape, dtype=pixels.dtype, config={"write_empty_chunks": True}, **chosen
    )
    array.attrs.update(GRID)
    array[:] = pixels
    if together:
        zarr.consolidate_metadata(folder, zarr_format=2)
    return folder


def zipped(folder: Path, top: str, method: int = zipfile.ZIP_STORED) -> Path:
    path = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{top}{file.relative_to(folder).as_posix()}")
    return path


def info_of(store: Store) -> ArrayInfo:
    info = Documents(store).array(ARRAY)
    assert info is not None
    return info


def check_chunks(store: Store) -> None:
    info, sizes = info_of(store), store.sizes(ARRAY)
    require_chunks(info, missing_chunks(info, sizes))
    check_sizes(store, info, sizes)


def read(store: Store) -> np.ndarray:
    name = gdal_name(store, ARRAY)
    with rasterio.open(name, driver=driver_of(name)) as source:
        return source.read(1)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_arrays_are_those_that_another_library_wrote(
    tmp_path: Path, compressor: str, separator: str, together: bool
) -> None:
    encoding = {"name": "v2", "separator": separator}
    path = make(
        tmp_path / "s.zarr", together=together, compressors=COMPRESSORS[compressor],
        chunk_key_encoding=encoding,
    )  # fmt: skip
    store = FolderStore(path)
    info = info_of(store)
    assert (info.shape, info.chunks, info.counts) == ((50, 50), (20, 30), (3, 2))
    assert (info.dtype, info.fill, info.separator) == (np.uint16, 0, separator)
    sizes = store.sizes(ARRAY)
    assert sorted(sizes) == sorted(info.chunk_names())
    check_chunks(store)
    np.testing.assert_array_equal(read(store), PIXELS)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", ">u2"])
def test_types_and_fill_values(tmp_path: Path, dtype: str) -> None:
    is_float = "float" in dtype
    pixels = (PIXELS % 200).astype(dtype)
    path = make(tmp_path / "s.zarr", pixels, fill_value=math.nan if is_float else 7)
    info = info_of(FolderStore(path))
    assert info.dtype == np.dtype(dtype)
    assert info.fill is not None
    assert math.isnan(info.fill) if is_float else info.fill == 7
    check_chunks(FolderStore(path))
    np.testing.assert_array_equal(read(FolderStore(path)), pixels)


def test_the_header_of_an_array_needs_no_pixel(tmp_path: Path) -> None:
    store = FolderStore(make(tmp_path / "s.zarr"))
    header = read_header(gdal_name(store, ARRAY))
    assert (header.shape, header.block_shape, header.dtype) == ((50, 50), (20, 30), "uint16")
    assert (header.epsg, header.nodata) == (32631, 0)
    assert tuple(header.transform)[:6] == (10, 0, 300000, 0, -10, 4900020)


@pytest.mark.parametrize(
    ("attributes", "epsg", "placed"),
    [
        ({"proj:code": "EPSG:32631", "proj:transform": [10, 0, 0, 0, -10, 0]}, 32631, True),
        ({"proj:epsg": "https://a.b/c", "proj:transform": [10, 0, 0]}, None, False),
        ({"proj:epsg": 99999, "proj:transform": ["a"] * 9}, None, False),
        ({"proj:epsg": None, "proj:transform": {}}, None, False),
        ({"proj:transform": [10, 0, float("inf"), 0, -10, 0]}, None, False),
        ({"proj:transform": [10, 0, 10**400, 0, -10, float("nan")]}, None, False),
    ],
)
def test_grids_that_are_not_stated_are_not_made_up(
    tmp_path: Path, attributes: dict[str, Any], epsg: int | None, placed: bool
) -> None:
    path = make(tmp_path / "s.zarr", together=False)
    (path / ARRAY / ".zattrs").write_text(json.dumps(attributes))
    header = read_header(gdal_name(FolderStore(path), ARRAY))
    assert (header.epsg, not header.transform.is_identity) == (epsg, placed)


@pytest.mark.parametrize("name", ["a.zarr", "a b,c.zarr", "q'\"u\\o.zarr", "{x}.zarr", "é:y.zarr"])
def test_names_of_folders_and_zips_reach_gdal(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name)
    store = FolderStore(path)
    np.testing.assert_array_equal(read(store), PIXELS)
    assert split_name(gdal_name(store, ARRAY)) == (str(path), ARRAY)
    for top in ("", "a/b.zarr/"):
        inside = open_store(zipped(path, top))
        assert isinstance(inside, ZipStore)
        np.testing.assert_array_equal(read(inside), PIXELS)
        assert read_header(gdal_name(inside, ARRAY)).shape == (50, 50)
        again = store_at(inside.gdal_path)
        assert isinstance(again, ZipStore)
        assert (again.archive, again.root) == (inside.archive, inside.root)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zips_say_what_folders_say(tmp_path: Path, method: int) -> None:
    path = make(tmp_path / "s.zarr", chunk_key_encoding={"name": "v2", "separator": "/"})
    inside = open_store(zipped(path, "s.zarr/", method))
    assert inside.sizes(ARRAY) == FolderStore(path).sizes(ARRAY)
    assert info_of(inside) == info_of(FolderStore(path))
    check_chunks(inside)
    inside.verify(ARRAY)


def chunk(path: Path, name: str = "1.1") -> Path:
    return path / ARRAY / name


def cut(path: Path) -> None:
    chunk(path).write_bytes(chunk(path).read_bytes()[:-1])


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: chunk(p).unlink(), r"1 of 6 chunks are missing \(1.1\)"),
    "half": (
        lambda p: [chunk(p, n).unlink() for n in ("0.1", "1.0", "1.1", "2.0", "2.1")],
        r"5 of 6 chunks are missing \(0.1, 1.0, 1.1 ...\)",
    ),
    "all": (lambda p: [shutil.rmtree(p / ARRAY)], "6 of 6 chunks are missing"),
    "empty": (lambda p: chunk(p).write_bytes(b""), r"1 of 6 chunks are empty \(1.1\)"),
    "cut": (cut, r"1 of 6 chunks are damaged \(1.1\): it has \d+ bytes, its head says"),
    "short": (lambda p: chunk(p).write_bytes(b"12"), "less than a head of Blosc"),
    "of another array": (
        lambda p: chunk(p).write_bytes(EOPF.encode(np.zeros(7, np.uint16))),
        "it holds 14 bytes of pixels, expected 1200",
    ),
    "folder": (lambda p: [chunk(p).unlink(), chunk(p).mkdir()], "chunks are missing"),
    "pipe": (lambda p: [chunk(p).unlink(), os.mkfifo(chunk(p))], "chunks are missing"),
    "dead link": (lambda p: [chunk(p).unlink(), chunk(p).symlink_to("x")], "chunks are missing"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_chunks_that_are_not_whole_are_named(tmp_path: Path, damage: str) -> None:
    path = make(tmp_path / "s.zarr")
    DAMAGE[damage][0](path)
    with pytest.raises(UnreadableRaster, match=DAMAGE[damage][1]):
        check_chunks(FolderStore(path))
    if "missing" not in DAMAGE[damage][1]:
        with pytest.raises(UnreadableRaster, match=DAMAGE[damage][1]):
            read_header(gdal_name(FolderStore(path), ARRAY))


def test_chunks_without_compression_have_the_size_of_their_pixels(tmp_path: Path) -> None:
    path = make(tmp_path / "s.zarr", compressors=None)
    cut(path)
    with pytest.raises(UnreadableRaster, match="it has 1199 bytes, expected 1200"):
        read_header(gdal_name(FolderStore(path), ARRAY))


@pytest.mark.parametrize("separator", [".", "/"])
def test_where_the_pixels_of_a_chunk_lie(tmp_path: Path, separator: str) -> None:
    encoding = {"name": "v2", "separator": separator}
    store = FolderStore(make(tmp_path / "s.zarr", chunk_key_encoding=encoding))
    info = info_of(store)
    seen = np.zeros(info.shape, int)
    for name in info.chunk_names():
        seen[info.pixels_of(name)] += 1
    assert (seen == 1).all()
    name = separator.join("21")
    chunk(store.root, name).unlink()
    empty = np.zeros(info.shape, bool)
    empty[info.pixels_of(name)] = True
    np.testing.assert_array_equal(read(store) == 0, empty)


def test_gdal_reads_a_missing_chunk_without_a_word(tmp_path: Path) -> None:
    # Why chunks are counted. Were this to fail with a newer GDAL, the count may go.
    path = make(tmp_path / "s.zarr")
    chunk(path, "0.0").unlink()
    assert not read(FolderStore(path))[:20, :30].any()


def test_a_byte_changed_within_a_zip_is_found(tmp_path: Path) -> None:
    archive = zipped(make(tmp_path / "s.zarr"), "s.zarr/")
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(f"s.zarr/{ARRAY}/0.0")
    content = bytearray(archive.read_bytes())
    content[info.header_offset + 200] ^= 255
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=f"member {ARRAY}/0.0 is damaged"):
        open_store(archive).verify(ARRAY)


def test_stores_in_a_zip(tmp_path: Path) -> None:
    for name in ("a.zarr", "b.zarr"):
        make(tmp_path / "x" / name)
    both = zipped(tmp_path / "x", "")
    assert roots_in(both) == ["a.zarr", "b.zarr"]
    assert open_store(both, "b.zarr/").gdal_path.endswith("}/b.zarr")
    for root in ("", "c.zarr"):
        with pytest.raises(ArchiveError, match="holds 2 Zarr stores, expected one"):
            open_store(both, root)
    assert roots_in(zipped(tmp_path / "x" / "a.zarr", "")) == [""]
    with zipfile.ZipFile(tmp_path / "clutter.zip", "w") as archive:
        archive.writestr("__MACOSX/a.zarr/.zgroup", "{}")
        archive.writestr("a.zarr/._.zgroup", "{}")
    assert roots_in(tmp_path / "clutter.zip") == []


def test_members_that_a_zip_holds_twice_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "twice.zip"
    with zipfile.ZipFile(archive, "w") as twice:
        twice.writestr("a/.zgroup", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            twice.writestr("a/.zgroup", "{}")
    with pytest.raises(ArchiveError, match="holds two members named"):
        open_store(archive).holds(".zgroup")


def test_a_folder_is_a_store_by_its_metadata() -> None:
    assert is_store(["a", ".zgroup"])
    assert is_store(["zarr.json"])
    assert not is_store(["MTD_MSIL2A.xml", "GRANULE"])


def test_version_3_is_told_from_version_2(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "3", mode="w", zarr_format=3, attributes={"a": 1})
    documents = Documents(FolderStore(tmp_path / "3"))
    assert (documents.version, documents.attributes()) == (3, {"a": 1})
    assert Documents(FolderStore(make(tmp_path / "2"))).version == 2


WHOLE = {
    "zarr_format": 2, "shape": [50, 50], "chunks": [20, 30], "dtype": "<u2", "fill_value": 0,
    "compressor": {"id": "blosc"}, "filters": None, "order": "C",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zarr_format": 3}, "zarr_format is 3, expected 2"),
        ({"shape": [50]}, r"shape is \[50\], expected rows and columns"),
        ({"shape": [3, 50, 50]}, "expected rows and columns"),
        ({"shape": [50, -1]}, "shape is"),
        ({"shape": [50, 1e9]}, "shape is"),
        ({"shape": [50, True]}, "shape is"),
        ({"chunks": [0, 30]}, "chunks is"),
        ({"chunks": None}, "chunks is None"),
        ({"chunks": [1 << 20, 1 << 20]}, "are too large"),
        ({"shape": [1 << 20, 1 << 20], "chunks": [1, 1]}, "at most 100000"),
        ({"dtype": "<U7"}, "dtype is <U7"),
        ({"dtype": "|O"}, "dtype is"),
        ({"dtype": [["a", "<u2"]]}, "dtype is"),
        ({"compressor": {"id": "jpeg2k"}}, "compressor is jpeg2k"),
        ({"compressor": "blosc2"}, "compressor is blosc2"),
        ({"filters": [{"id": "delta"}]}, "it has filters"),
        ({"dimension_separator": "-"}, "dimension_separator is '-'"),
        ({"fill_value": "x"}, "could not convert"),
        ({"fill_value": {}}, "float"),
    ],
)
def test_arrays_that_are_not_read(changes: dict[str, Any], said: str) -> None:
    assert parse_array("a", WHOLE).shape == (50, 50)
    with pytest.raises(MetadataError, match=said):
        parse_array("a", {**WHOLE, **changes})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not usable JSON"),
        ("[1]", "expected an object"),
        ('{"metadata": 1}', "holds no object `metadata`"),
        ('{"metadata": {"measurements/r10m/b02/.zarray": 5}}', "is not an object"),
        ("[" * 200_000, "is not usable JSON"),
        (" " * (MAX_BYTES + 1), "has more than"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path: Path, content: str, said: str) -> None:
    path = make(tmp_path / "s.zarr")
    (path / ".zmetadata").write_text(content)
    with pytest.raises(MetadataError, match=said):
        Documents(FolderStore(path)).array(ARRAY)
    with pytest.raises(UnreadableRaster, match="its metadata cannot be read"):
        read_header(gdal_name(FolderStore(path), ARRAY))


def test_an_array_that_is_not_there(tmp_path: Path) -> None:
    store = FolderStore(make(tmp_path / "s.zarr"))
    documents = Documents(store)
    assert documents.array("measurements/r10m/b03") is None
    assert documents.arrays_in("measurements/r10m") == ["b02"]
    with pytest.raises(UnreadableRaster, match="no such array"):
        read_header(gdal_name(store, "measurements/r10m/b03"))
