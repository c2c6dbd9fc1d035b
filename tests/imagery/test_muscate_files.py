"""Names, metadata and archives of MUSCATE products."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.muscate_factory import Muscate

from oso_pipeline.imagery.archive import ArchiveError, ZipContents
from oso_pipeline.imagery.metadata_file import parse_date
from oso_pipeline.imagery.muscate.files import NEEDED
from oso_pipeline.imagery.muscate.metadata import parse_metadata
from oso_pipeline.imagery.muscate.names import parse_product_name
from oso_pipeline.imagery.muscate.reader import MuscateReader
from oso_pipeline.imagery.muscate.settings import MuscateSettings

A = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"


@pytest.mark.parametrize(
    ("text", "satellite", "tile", "version"),
    [
        ("SENTINEL2A_20160114-110938-000_L2A_T31TCJ_D_V1-4", "S2A", "31TCJ", (1, 4)),
        ("SENTINEL2B_20190101-105435-457_L2A_T31TCJ_H_V2-2", "S2B", "31TCJ", (2, 2)),
        ("SENTINEL2C_20250214-105139-024_L2A_T31UDQ_C_V4-0", "S2C", "31UDQ", (4, 0)),
        ("SENTINEL2D_20280214-105139-024_L2A_T31UDQ_C_V4-0", "S2D", "31UDQ", (4, 0)),
        ("SENTINEL2X_20181015-000000-000_L3A_T31TCJ_D_V1-1", "S2X", "31TCJ", (1, 1)),
        ("LANDSAT8-OLITIRS-XS_20170504-103532-111_L2A_T31TCH_C_V1-0", None, "31TCH", (1, 0)),
        ("VENUS-XS_20190428-173944-000_L2A_ARM_D_V2-15", None, None, (2, 15)),
        ("VENUS-XS_20190428-173944-000_L2A_FR-LUS_C_V1-0", None, None, (1, 0)),
    ],
)
def test_published_names_are_understood(
    text: str, satellite: str | None, tile: str | None, version: tuple[int, int]
):
    name = parse_product_name(text)
    assert name is not None
    assert (name.tile, name.version) == (tile, version)
    if satellite:
        assert name.satellite == satellite


@pytest.mark.parametrize(
    "text",
    [
        "",
        "january",
        A + ".zip",
        A[:-5],
        A.replace("20180105", "20181305"),  # no such month
        "S2B_MSIL2A_20180105T105435_N0509_R108_T31TCJ_20180105T120000.SAFE",
    ],
)
def test_other_names_are_not(text: str):
    assert parse_product_name(text) is None


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_not(text: str):
    name = parse_product_name(text)
    assert name is None or name.text == text


def test_names_seen_in_real_deliveries(shared_data: Path):
    for facts in json.loads((shared_data / "muscate_samples/mtd_facts.json").read_text()):
        name = parse_product_name(facts["PRODUCT_ID"])
        assert name is not None
        assert f"T{name.tile}" == facts["zone"]
        assert "{}.{}".format(*name.version) == facts["version"]
        assert parse_date(facts["acquisition"]) == name.acquired


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2017-04-02T09:38:44.724Z", 724000),
        ("2017-04-02T09:38:44.380210Z", 380210),
        ("2017-04-02T09:38:44.46Z", 460000),
        ("\n 2017-04-02T09:38:44 \n", 0),
        ("2017-04-02T09:38:44.1234567Z", 123456),
    ],
)
def test_dates_in_all_spellings(text: str, microsecond: int):
    assert parse_date(text) == datetime(2017, 4, 2, 9, 38, 44, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "2017-13-02T09:38:44Z", "2017-04-02T25:00:00"]
)
def test_other_dates_are_unknown(text: str | None):
    assert parse_date(text) is None


def test_metadata_with_white_space_and_several_product_ids():
    metadata = parse_metadata(Muscate(A, cloud_percent="12.5").metadata().encode())
    assert metadata.name is not None
    assert metadata.name.text == A  # not the source product's, which comes first in the file
    assert (metadata.epsg, metadata.scale, metadata.nodata) == (32631, 10000, "-10000")
    assert metadata.cloud_percent == 12.5
    assert set(metadata.groups) == {"R1", "R2", "R3"}
    assert (metadata.groups["R1"].rows, metadata.groups["R2"].columns) == (16, 8)
    assert metadata.images == 10


def flip_a_byte_of(archive: Path, member: str) -> None:
    with zipfile.ZipFile(archive) as stream:
        info = stream.getinfo(member)
    content = bytearray(archive.read_bytes())
    content[info.header_offset + 30 + len(member) + 200] ^= 0xFF
    archive.write_bytes(bytes(content))


@pytest.mark.fault(
    row=23, injected="a byte flipped in an archive, stored and deflated", outcome="found by its CRC"
)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte_in_an_archive_is_found(tmp_path: Path, compression: int):
    archive = Muscate(A, size=64).write_zip(tmp_path, compression)
    name = f"{A}_FRE_B2.tif"
    flip_a_byte_of(archive, f"{A}/{name}")
    contents = ZipContents(archive, tmp_path / "out", NEEDED)
    with pytest.raises(ArchiveError, match=r"FRE_B2\.tif is damaged"):
        contents.paths([name])
    assert not list((tmp_path / "out").glob("*"))
    assert contents.paths([f"{A}_FRE_B3.tif"])


def test_only_needed_members_are_taken_and_none_leaves_the_folder(tmp_path: Path):
    archive = tmp_path / f"{A}.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for member in (f"../../{A}_FRE_B2.tif", f"/etc/{A}_CLM_R1.tif", "../evil.sh", "a/b.txt"):
            stream.writestr(member, "content")
    contents = ZipContents(archive, tmp_path / "deep" / "er" / "out", NEEDED)
    assert set(contents.sizes) == {f"{A}_FRE_B2.tif", f"{A}_CLM_R1.tif"}
    for path in contents.paths(contents.sizes).values():
        assert path.parent == tmp_path / "deep" / "er" / "out"
    assert not list(tmp_path.rglob("evil.sh"))


@pytest.mark.fault(
    row=25,
    injected="archives that are truncated or contain links or duplicates",
    outcome="refused before anything is extracted",
)
def test_links_doubles_and_cut_archives_are_refused(tmp_path: Path):
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as stream:
        info = zipfile.ZipInfo(f"{A}_FRE_B2.tif")
        info.external_attr = 0o120777 << 16
        stream.writestr(info, "/etc/passwd")
    double = tmp_path / "double.zip"
    with zipfile.ZipFile(double, "w") as stream:
        stream.writestr(f"a/{A}_FRE_B2.tif", "1")
        stream.writestr(f"b/{A}_FRE_B2.tif", "2")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(link.read_bytes()[:-30])
    for archive, finding in ((link, "symbolic link"), (double, "two members"), (cut, "is cut")):
        with pytest.raises(ArchiveError, match=finding):
            _ = ZipContents(archive, tmp_path / "out", NEEDED).sizes


def test_archives_that_would_fill_a_disk_are_refused(tmp_path: Path, monkeypatch):
    bomb, many = tmp_path / "bomb.zip", tmp_path / "many.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr(f"{A}_FRE_B2.tif", bytes(10_000))
        stream.filelist[0].file_size = 5 * 1024**3  # what it says it holds
    with pytest.raises(ArchiveError, match="5368709120 bytes, at most"):
        _ = ZipContents(bomb, tmp_path / "out", NEEDED).sizes
    monkeypatch.setattr("oso_pipeline.imagery.archive.MAX_MEMBERS", 100)
    with zipfile.ZipFile(many, "w") as stream:
        for number in range(101):
            stream.writestr(f"{number}.txt", "")
    with pytest.raises(ArchiveError, match="101 members, at most 100"):
        _ = ZipContents(many, tmp_path / "out", NEEDED).sizes


def test_no_more_is_extracted_than_an_archive_says(tmp_path: Path):
    archive = tmp_path / "liar.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr(f"{A}_FRE_B2.tif", bytes(50_000_000))
        stream.filelist[0].file_size = 1000
    contents = ZipContents(archive, tmp_path / "out", NEEDED)
    with pytest.raises(ArchiveError, match=r"damaged|whole"):
        contents.paths(contents.sizes)
    assert not list((tmp_path / "out").glob("*"))


def test_extraction_keeps_whole_files_and_repairs_others(tmp_path: Path):
    archive = Muscate(A).write_zip(tmp_path)
    name = f"{A}_FRE_B2.tif"
    contents = ZipContents(archive, tmp_path / "out", NEEDED)
    path = contents.paths([name])[name]
    content, written = path.read_bytes(), path.stat().st_mtime_ns
    assert contents.paths([name])[name].stat().st_mtime_ns == written
    path.write_bytes(b"x" * len(content))
    assert contents.paths([name])[name].read_bytes() == content


def test_the_digest_of_a_product_follows_metadata_and_sizes(tmp_path: Path):
    reader = MuscateReader(MuscateSettings())
    home = Muscate(A).write(tmp_path)
    (candidate,) = reader.recognise(home)
    before = reader.digest(candidate)
    assert reader.digest(candidate) == before
    xml = home / f"{A}_MTD_ALL.xml"
    xml.write_text(xml.read_text().replace("10000", "10001"))
    assert reader.digest(candidate) != before
