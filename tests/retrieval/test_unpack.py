"""Deliveries are unpacked whole or not at all, and an archive cannot do more than give files."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.imagery.archive import ArchiveError
from oso_pipeline.retrieval.unpack import RECORD, Bounds, Unpacked, remove_unfinished, unpack
from oso_pipeline.retrieval.unpack_formats import Joined, in_order

NAME = "RPG_2-0__SHP_LAMB93_R76_2018-01-01"
INNER = f"{NAME}/RPG/1_DONNEES_LIVRAISON_2018/RPG_2-0_SHP_LAMB93_R76_2018-01-01"
LAYER = {
    f"{INNER}/PARCELLES_GRAPHIQUES.shp": b"geometry" * 9000,
    f"{INNER}/PARCELLES_GRAPHIQUES.dbf": b"table" * 7000,
    f"{INNER}/PARCELLES_GRAPHIQUES.cpg": b"",
    f"{INNER}/PARCELLES_GRAPHIQUES.qix": b"an index",
    f"{NAME}/RPG/3_SUPPLEMENTS/page.pdf": b"%PDF",
    f"{NAME}/__MACOSX/._a.shp": b"clutter",
}
FREE = Bounds(keep_free_bytes=0)
Pack = Callable[[Path, Mapping[str, bytes]], Path]


def as_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    target = path.with_name(f"{path.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, content in members.items():
            stream.writestr(name, content)
    return target


def as_7z(path: Path, members: Mapping[str, bytes]) -> Path:
    import py7zr

    target = path.with_name(f"{path.name}.7z")
    with py7zr.SevenZipFile(target, "w", filters=quick()) as stream:
        for name, content in members.items():
            stream.writestr(content, name)
    return target


def quick() -> list[dict[str, int]]:
    """Return the compression of IGN with a small dictionary."""
    import py7zr

    return [{"id": py7zr.FILTER_LZMA2, "preset": 0}]


both = pytest.mark.parametrize("pack", [as_zip, as_7z])


def unpacked(archive: Path | Sequence[Path], folder: Path, bounds: Bounds = FREE) -> Unpacked:
    parts = [archive] if isinstance(archive, Path) else archive
    return unpack(parts, folder / NAME, folder / ".work", {"edition": NAME}, bounds)


def left(folder: Path) -> list[str]:
    """Return what is in a folder, and in that of work."""
    places = (folder, folder / ".work")
    found = [path.name for place in places if place.exists() for path in place.iterdir()]
    return [name for name in found if name != ".work"]


@both
def test_a_delivery_is_unpacked_with_a_record_of_its_files(pack: Pack, tmp_path: Path) -> None:
    into, came = tmp_path / "rpg", []
    parts = [pack(tmp_path / "a", LAYER)]
    found = unpack(parts, into / NAME, into / ".work", {"edition": NAME}, FREE, came.append)
    # The folder of the archive that is named like the delivery is not repeated.
    shp = into / NAME / INNER.removeprefix(f"{NAME}/") / "PARCELLES_GRAPHIQUES.shp"
    assert shp.read_bytes() == LAYER[f"{INNER}/PARCELLES_GRAPHIQUES.shp"]
    assert sum(came) == sum(size for _, size, _ in found.files)
    assert found.left_out == {".qix": 1, ".pdf": 1, ".shp": 1}
    assert shp.with_suffix(".cpg").read_bytes() == b""
    record = json.loads((into / NAME / RECORD).read_text())
    assert record["edition"] == NAME
    sums = {Path(one["name"]).name: one["sha256"] for one in record["files"]}
    assert sums["PARCELLES_GRAPHIQUES.shp"] == hashlib.sha256(shp.read_bytes()).hexdigest()
    assert left(into) == [NAME]


@pytest.mark.parametrize("size", [999, 4096, 10**9])
def test_parts_of_a_7z_are_read_as_one(size: int, tmp_path: Path) -> None:
    content = as_7z(tmp_path / "a", LAYER).read_bytes()
    parts = []
    for number, start in enumerate(range(0, len(content), size), start=1):
        parts.append(tmp_path / f"a.7z.{number:03d}")
        parts[-1].write_bytes(content[start : start + size])
    assert len(unpacked(parts[::-1], tmp_path / "rpg").files) == 3


def test_parts_with_a_gap_or_of_several_archives_are_refused(tmp_path: Path) -> None:
    def parts(*names: str) -> list[Path]:
        return [tmp_path / name for name in names]

    assert [p.name for p in in_order(parts("a.7z.002", "a.7z.001"))] == ["a.7z.001", "a.7z.002"]
    for names, text in (
        (("a.7z.001", "a.7z.003"), "part 002"),
        (("a.7z.002",), "part 001"),
        (("a.7z.001", "b.7z.002"), "several archives"),
        (("a.7z", "a.7z.001"), "twice"),
        (("a.zip.001",), "part of a zip"),
        (("a.tar",), "neither"),
        ((), "no file"),
    ):
        with pytest.raises(ArchiveError, match=text):
            in_order(parts(*names))


@pytest.mark.parametrize(
    "name",
    ["../a.shp", "a/../../b.shp", "/a.shp", "C:/a.shp", "..\\a.shp", "a\nb.shp", "x" * 300 + ".shp",
     "/".join("abcdefghijklm") + ".shp"],
)  # fmt: skip
def test_a_zip_whose_names_lead_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    archive = as_zip(tmp_path / "a", {**LAYER, name: b"x"})
    with pytest.raises(ArchiveError, match="member"):
        unpacked(archive, tmp_path / "rpg")
    assert left(tmp_path / "rpg") == []
    assert sorted(left(tmp_path)) == ["a.zip"]


@pytest.mark.parametrize("name", ["../a.shp", "a/../../b.shp", "..\\a.shp"])
def test_a_7z_whose_names_lead_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    harmless = "x" * len(name) + ".shp"
    archive = as_7z_renamed(tmp_path / "a", harmless[: len(name)], name)
    with pytest.raises(ArchiveError, match="member"):
        unpacked(archive, tmp_path / "rpg")
    assert left(tmp_path / "rpg") == []


def as_7z_renamed(path: Path, harmless: str, name: str) -> Path:
    """Write a 7z that an honest writer refuses: its list of members is not compressed."""
    import py7zr

    target = path.with_name(f"{path.name}.7z")
    stream = py7zr.SevenZipFile(target, "w", filters=quick())
    stream.encoded_header_mode = False
    stream.writestr(b"content", harmless)
    for member in stream.files:
        member._file_info["filename"] = name
    stream.close()
    assert name.encode("utf-16-le") in target.read_bytes()
    return target


def test_links_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link.shp")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as stream:
        stream.writestr("b.shp", b"b")
        stream.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link"):
        unpacked(tmp_path / "a.zip", tmp_path / "rpg")

    import py7zr

    (tmp_path / "link.shp").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "b.7z", "w", filters=quick()) as packed:
        packed.write(tmp_path / "a.zip", "b.shp")
        packed.write(tmp_path / "link.shp", "link.shp")
    with pytest.raises(ArchiveError, match="link"):
        unpacked(tmp_path / "b.7z", tmp_path / "rpg")
    assert left(tmp_path / "rpg") == []


@both
@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(members=3, keep_free_bytes=0), "members"),
        (Bounds(member_bytes=9999, keep_free_bytes=0), "PARCELLES_GRAPHIQUES.shp has 72000 bytes"),
        (Bounds(total_bytes=99_999, keep_free_bytes=0), "107000 bytes"),
    ],
)
def test_archives_that_would_fill_a_disk_are_refused(
    pack: Pack, bounds: Bounds, text: str, tmp_path: Path
) -> None:
    archive = pack(tmp_path / "a", LAYER)
    with pytest.raises(ArchiveError, match=text):
        unpacked(archive, tmp_path / "rpg", bounds)
    assert left(tmp_path / "rpg") == []


@both
def test_a_disk_without_space_is_an_error_before_anything_is_written(
    pack: Pack, tmp_path: Path
) -> None:
    archive = pack(tmp_path / "a", LAYER)
    with pytest.raises(EnvironmentFailure, match=r"E-DISK.*are needed"):
        unpacked(archive, tmp_path / "rpg", Bounds(keep_free_bytes=1 << 60))
    assert left(tmp_path / "rpg") == []


@both
def test_a_damaged_archive_leaves_nothing(pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / "a", {**LAYER, "b.shp": bytes(range(256)) * 40})
    content = bytearray(archive.read_bytes())
    content[120] ^= 0x10
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"damaged|cut"):
        unpacked(archive, tmp_path / "rpg")
    archive.write_bytes(content[:-40])
    with pytest.raises(ArchiveError, match="cut"):
        unpacked(archive, tmp_path / "rpg")
    archive.write_bytes(b"<html>maintenance</html>")
    with pytest.raises(ArchiveError, match="neither"):
        unpacked(archive, tmp_path / "rpg")
    assert left(tmp_path / "rpg") == []


def test_two_members_that_differ_in_case_are_refused(tmp_path: Path) -> None:
    archive = as_zip(tmp_path / "a", {"A.shp": b"1", "a.SHP": b"2"})
    with pytest.raises(ArchiveError, match="two members"):
        unpacked(archive, tmp_path / "rpg")


def test_an_archive_without_vector_files_is_refused(tmp_path: Path) -> None:
    archive = as_zip(tmp_path / "a", {"page.pdf": b"1", "a.csv": b"2"})
    with pytest.raises(ArchiveError, match=r"no \.shp"):
        unpacked(archive, tmp_path / "rpg")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = as_zip(tmp_path / "a", {"a.shp": b"1"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="encrypted"):
        unpacked(archive, tmp_path / "rpg")


@pytest.mark.slow  # a key takes half a million rounds
def test_an_encrypted_7z_is_refused(tmp_path: Path) -> None:
    import py7zr

    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as stream:
        stream.writestr(b"b" * 999, "b.shp")
    with pytest.raises(ArchiveError):
        unpacked(tmp_path / "a.7z", tmp_path / "rpg")
    assert left(tmp_path / "rpg") == []


def test_a_folder_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "rpg" / NAME).mkdir(parents=True)
    (tmp_path / "rpg" / NAME / "mine.shp").touch()
    with pytest.raises(EnvironmentFailure, match="E-DISK"):
        unpacked(as_zip(tmp_path / "a", LAYER), tmp_path / "rpg")
    assert [*(tmp_path / "rpg" / NAME).iterdir()] == [tmp_path / "rpg" / NAME / "mine.shp"]


def test_without_py7zr_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = as_7z(tmp_path / "a", LAYER)
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(EnvironmentFailure, match=r"E-FETCH-EXTRA[\s\S]*oso_pipeline\[fetch\]"):
        unpacked(archive, tmp_path / "rpg")
    assert archive.exists()


def test_what_a_killed_unpacking_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.0123abcd.unpacking").mkdir()
    (tmp_path / NAME).mkdir()
    assert remove_unfinished(tmp_path) == 1
    assert left(tmp_path) == [NAME]
    assert remove_unfinished(tmp_path / "none") == 0


def test_joined_files_are_one(tmp_path: Path) -> None:
    joined = io.BufferedReader(Joined([io.BytesIO(b"abc"), io.BytesIO(b""), io.BytesIO(b"defg")]))
    assert joined.read() == b"abcdefg"
    assert joined.seek(-3, io.SEEK_END) == 4
    assert joined.read(9) == b"efg"
    assert joined.seek(2) == 2
    assert joined.read(2) == b"cd"
    with pytest.raises(OSError, match="before"):
        Joined([]).seek(-1)
