"""Damaged products end in a finding that names them, and never stop a season that may skip."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.inventories import A, B, Context, ids, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.damage import damage_as
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.tasks.worker import do


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def left_out(images: Path, name: str = A) -> None:
    """The whole product is used, the damaged one is named."""
    Muscate(B).write(images)
    inventory, summary = run(make_config(images.parent))
    assert ids(inventory) == [B]
    assert inventory.skipped, "the damaged product is not listed"
    assert any(name in text for text in summary["warnings"])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize("element", ["NROWS", "NCOLS", "ULX", "XDIM"])
def test_2_7_a_grid_that_is_no_number(images: Path, element: str, value: str):
    home = Muscate(A).write(images)
    path = home / f"{A}_MTD_ALL.xml"
    before, _, after = path.read_text().partition(f"<{element}>")
    path.write_text(f"{before}<{element}>{value}</{element}>{after.partition('>')[2]}")
    left_out(images)


def _central(content: bytearray) -> int:
    return content.index(b"PK\1\2")


def _version(content: bytearray) -> None:
    struct.pack_into("<H", content, _central(content) + 6, 99)


def _bad_utf8(content: bytearray) -> None:
    place = _central(content)
    struct.pack_into("<H", content, place + 8, 0x800)
    content[place + 46] = 0xFF


def _empty_name(content: bytearray) -> None:
    place = _central(content)
    length = struct.unpack_from("<H", content, place + 28)[0]
    struct.pack_into("<HHH", content, place + 28, 0, 0, length)  # the name becomes a comment


def _directory_beyond(content: bytearray) -> None:
    struct.pack_into("<I", content, content.rindex(b"PK\5\6") + 16, 0xFFFFFF00)


def _method(number: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        place = 0
        while (place := content.find(b"PK\1\2", place)) >= 0:
            struct.pack_into("<H", content, place + 10, number)
            place += 4
        place = 0
        while (place := content.find(b"PK\3\4", place)) >= 0:
            struct.pack_into("<H", content, place + 8, number)
            place += 4

    return change


def _cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


@pytest.mark.parametrize(
    "damage",
    [_version, _bad_utf8, _directory_beyond, _method(12), _method(14), _method(97), _cut],
    ids=["version 9.9", "bad UTF-8", "directory beyond", "bzip2", "lzma", "unknown", "cut"],
)
def test_2_7_a_damaged_zip(images: Path, damage: Callable[[bytearray], None]):
    archive = Muscate(A).write_zip(images)
    content = bytearray(archive.read_bytes())
    damage(content)
    archive.write_bytes(content)
    left_out(images)


def test_2_7_an_empty_name_in_a_zip_means_nothing(images: Path):
    archive = images / f"{A}.zip"
    home = Muscate(A).write(images.parent / "raw")
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("nothing", "")
        for path in sorted(home.rglob("*.*")):
            stream.write(path, path.relative_to(home.parent))
    content = bytearray(archive.read_bytes())
    _empty_name(content)
    archive.write_bytes(content)
    assert ids(run(make_config(images.parent))[0]) == [A]


def _entry(content: bytearray, tag: int, big: bool) -> int:
    """Return where the entry of a tag begins in a little-endian TIFF."""
    start = struct.unpack_from("<Q" if big else "<I", content, 8 if big else 4)[0]
    first, step = (start + 8, 20) if big else (start + 2, 12)
    places = range(first, len(content) - step, step)
    return next(p for p in places if struct.unpack_from("<H", content, p)[0] == tag)


@pytest.mark.parametrize("suffix", ["FRE_B4", "CLM_R1"])
@pytest.mark.parametrize("tag", [273, 279])
@pytest.mark.parametrize("big", [False, True])
def test_2_7_a_tiff_with_huge_counts(images: Path, tag: int, big: bool, suffix: str):
    home = Muscate(A, profile={"BIGTIFF": "YES"} if big else {}).write(images)
    path = next(home.rglob(f"*_{suffix}.tif"))
    content = bytearray(path.read_bytes())
    place = _entry(content, tag, big) + 4
    struct.pack_into("<Q" if big else "<I", content, place, 2**63 if big else 2**32 - 1)
    path.write_bytes(content)
    left_out(images)


def test_2_7_a_big_tiff_with_huge_numbers_of_entries_and_offsets(images: Path):
    for number, offset in ((2**63, 16), (5, 2**64 - 8)):
        home = Muscate(A, profile={"BIGTIFF": "YES"}).write(images / str(offset))
        path = home / f"{A}_FRE_B4.tif"
        content = bytearray(path.read_bytes())
        struct.pack_into("<Q", content, 8, offset)
        content[16:24] = struct.pack("<Q", number)
        path.write_bytes(content)
    left_out(images)


def test_2_7_floats_that_cannot_be_decoded(images: Path):
    home = Muscate(A, dtype="float32", profile={"compress": "deflate"}).write(images)
    path = home / f"{A}_FRE_B4.tif"
    content = bytearray(path.read_bytes())
    place = struct.unpack_from("<I", content, _entry(content, 273, False) + 8)[0]
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    left_out(images)


@pytest.mark.parametrize("kind", ["xml", "tif", "mask", "zip"])
def test_2_7_random_bytes_end_in_a_finding_or_change_nothing(images: Path, kind: str):
    random_ = random.Random(kind)
    if kind == "zip":
        path = Muscate(A).write_zip(images)
    else:
        end = {"xml": "MTD_ALL.xml", "tif": "FRE_B4.tif", "mask": "CLM_R1.tif"}[kind]
        path = next(Muscate(A).write(images).rglob(f"*_{end}"))
    Muscate(B).write(images)
    whole = path.read_bytes()
    config = make_config(images.parent)
    for _ in range(15):
        content = bytearray(whole)
        for _ in range(random_.randint(1, 8)):
            content[random_.randrange(len(content))] = random_.randrange(256)
        if random_.random() < 0.3:
            del content[random_.randrange(len(content)) :]
        path.write_bytes(content)
        try:
            (task,) = STAGE.plan(Context(config))
        except InputDataError:
            continue
        result = do(task)
        if result.status == "done":
            assert B in ids(read_inventory(task.output()))
        else:
            assert "E-" in str(result.error)
            assert "Traceback" not in str(result.error)


def test_2_7_a_name_that_is_no_text_is_named(images: Path):
    for name in (b"bad\xff", b"bad\xff.zip"):
        (images / os.fsdecode(name)).mkdir()
    (images / os.fsdecode(b"bad\xff") / "a.tif").touch()
    left_out(images, "bad\\udcff")


def test_2_7_trouble_of_the_system_is_no_damage():
    for trouble in (OSError(28, "No space left on device"), MemoryError()):
        with pytest.raises(type(trouble)), damage_as(ValueError, "x"):
            raise trouble
    for error in (RecursionError(), OverflowError("big"), OSError("Invalid data stream")):
        with pytest.raises(ValueError, match="x: "), damage_as(ValueError, "x"):
            raise error
