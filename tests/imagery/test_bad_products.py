"""Damaged and contradictory products: the message names file, finding and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from support.muscate_factory import BANDS_20M, MASKS, Muscate, rewrite

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition, Skipped
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.inventory_builder import InventoryBuilder, Period
from oso_pipeline.imagery.muscate.quality import rules_of
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products

A = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V2-2"
B = "SENTINEL2B_20180110-105421-123_L2A_T31TCJ_C_V2-2"


def build(
    images: Path,
    incomplete: str = "skip",
    reflectance: str = "FRE",
    bands: tuple[str, ...] = SENTINEL2.names,
    clear: ClearPolicy = "oso",
    may_be_empty: bool = True,
) -> tuple[Inventory, list[str]]:
    settings = MuscateSettings(reflectance=reflectance)  # type: ignore[arg-type]
    request = Request("31TCJ", bands, incomplete, clear, (settings,))  # type: ignore[arg-type]
    problems = Problems()
    findings = find_products([images], Readers.of([settings]), problems)
    period = Period(*(np.datetime64(d).item() for d in ("2018-01-01", "2018-12-31")))
    builder = InventoryBuilder(request, period, images.parent / "extracted", problems)
    inventory = builder.build(findings.of_tile("31TCJ"), findings.unrecognised, may_be_empty)
    return inventory, [str(problem) for problem in problems.warnings]


def refused(images: Path, **options: object) -> str:
    with pytest.raises(InputDataError) as caught:
        build(images, may_be_empty=False, **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 4
    for problem in caught.value.problems:
        assert problem.where is not None
        assert problem.hint is not None
    return str(caught.value)


def band(home: Path, name: str) -> Path:
    return home / f"{A}_FRE_{name}.tif"


def mask(home: Path, name: str) -> Path:
    return home / "MASKS" / f"{A}_{name}.tif"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def home(images: Path) -> Path:
    return Muscate(A).write(images)


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6])


def make_empty(path: Path) -> None:
    path.write_bytes(b"")


def make_html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>503 Service Unavailable</body></html>")


def make_killed(path: Path) -> None:
    """Leave what a writer leaves that was killed before it wrote pixels."""
    with rasterio.open(path) as source:
        profile = source.profile
    path.unlink()
    with rasterio.open(path, "w", **profile, SPARSE_OK=True):
        pass


DAMAGES = [
    (remove, "FRE B8A missing"),
    (cut, "10 bytes are missing"),
    (cut_header, "not a TIFF"),
    (make_empty, "empty"),
    (make_html, "web page"),
    (make_killed, "holds no pixels"),
]


@pytest.mark.fault(
    row=21,
    injected="a band truncated or missing when the inventory is made",
    outcome="date left out, or run refused, as configured; file named",
)
@pytest.mark.parametrize(("damage", "finding"), DAMAGES)
def test_row_03_a_missing_or_damaged_band_leaves_the_date_out_or_stops(
    images: Path, home: Path, damage: Callable[[Path], None], finding: str
):
    damage(band(home, "B8A"))
    inventory, warnings = build(images)
    assert [s.reason for s in inventory.skipped] == ["incomplete"]
    assert "W-IMAGE-BAND" in warnings[0]
    for text in (warnings[0], refused(images, incomplete="error")):
        assert finding in text
        assert "B8A" in text
        assert str(home) in text
    assert "E-IMAGE-BAND" in refused(images, incomplete="error")


def test_row_03_a_band_that_nobody_wants_may_be_missing(images: Path, home: Path):
    remove(band(home, "B12"))
    inventory, warnings = build(images, bands=("B4", "B8"))
    assert set(inventory.acquisitions[0].bands) == {"B4", "B8"}
    assert warnings == []


def test_row_04_fre_missing_and_sre_present(images: Path):
    Muscate(A, kinds=("SRE",)).write(images)
    text = refused(images)
    assert "E-IMAGE-REFLECTANCE" in text
    assert "reflectance: SRE" in text
    inventory, _ = build(images, reflectance="SRE")
    assert all("_SRE_" in p.href for p in inventory.acquisitions[0].bands.values())


def test_row_04_fre_is_used_where_both_are_there(images: Path):
    Muscate(A, kinds=("SRE", "FRE")).write(images)
    inventory, _ = build(images)
    assert all("_FRE_" in p.href for p in inventory.acquisitions[0].bands.values())


@pytest.mark.parametrize("damage", [remove, cut, make_html])
def test_row_06_clouds_and_edge_are_needed_saturation_is_not(
    images: Path, home: Path, damage: Callable[[Path], None]
):
    damage(mask(home, "SAT_R1"))
    inventory, warnings = build(images)
    assert "SAT_R1" not in inventory.acquisitions[0].quality
    assert "W-IMAGE-MASK" in warnings[0]
    damage(mask(home, "CLM_R1"))
    damage(mask(home, "EDG_R1"))
    if damage is not remove:
        # A damaged one never stops a season that may go on without the date.
        inventory, warnings = build(images)
        assert [s.reason for s in inventory.skipped] == ["incomplete"]
    text = refused(images, incomplete="error")
    assert "error[E-IMAGE-MASK]" in text
    assert "CLM_R1" in text
    assert "EDG_R1" in text


def test_row_06_masks_at_20_m_may_be_absent(images: Path):
    Muscate(A, masks=("CLM_R1", "EDG_R1", "SAT_R1")).write(images)
    inventory, warnings = build(images)
    assert set(inventory.acquisitions[0].quality) == {"CLM_R1", "EDG_R1", "SAT_R1"}
    assert warnings == []
    assert "mask MG2_R1 is missing" in refused(images, clear="conservative")


def test_row_06_saturation_at_20_m_may_be_absent_also_when_conservative(images: Path):
    Muscate(A, masks=("CLM_R1", "EDG_R1", "SAT_R1", "MG2_R1")).write(images)
    (warning,) = build(images, clear="conservative")[1]
    assert "mask SAT_R2 is missing" in warning


def test_the_rules_of_the_policy_are_kept_with_the_product(images: Path, home: Path):
    for policy in ("oso", "conservative", (0, 7)):
        assert build(images, clear=policy)[0].acquisitions[0].rules == rules_of(policy)


def test_row_07_a_mask_of_another_size(images: Path, home: Path):
    rewrite(mask(home, "CLM_R1"), shape=(8, 8))
    text = refused(images)
    assert "E-IMAGE-SIZE" in text
    assert "8x8 differs from 16x16" in text
    assert "CLM_R1.tif" in text
    assert "FRE_B2.tif" in text


def test_row_08_20_m_is_not_half_of_10_m(images: Path, home: Path):
    rewrite(band(home, "B11"), shape=(9, 8))
    text = refused(images)
    assert "E-IMAGE-HALF-SIZE" in text
    assert "9x8 is not exactly half of 16x16" in text


@pytest.mark.parametrize("fault", [{"epsg": 32632}, {"xml_epsg": 32630}])
def test_row_09_coordinate_systems_that_disagree(images: Path, fault: dict[str, int]):
    Muscate(A, **fault).write(images)  # type: ignore[arg-type]
    text = refused(images)
    assert "E-IMAGE-CRS" in text
    assert f"file EPSG:{fault.get('epsg', 32631)}" in text
    assert f"metadata EPSG:{fault.get('xml_epsg', 32631)}" in text
    assert "tile 31TCJ EPSG:32631" in text


def test_row_09_a_product_of_another_tile_in_this_folder(images: Path):
    Muscate(A.replace("31TCJ", "30TYP")).write(images, A)
    text = refused(images)
    assert "E-IMAGE-CRS" in text
    assert "T30TYP" in text


@pytest.mark.parametrize("fault", [{"epsg": None}, {"transform": None}])
def test_row_10_no_georeferencing(images: Path, home: Path, fault: dict[str, None]):
    rewrite(band(home, "B4"), **fault)
    assert "E-IMAGE-NO-CRS" in refused(images)


@pytest.mark.parametrize(
    "transform",
    [Affine(10, 0, 300000, 0, 10, 4899860), Affine(10, 1, 300000, 1, -10, 4900020)],
)
def test_row_11_south_up_or_rotated(images: Path, home: Path, transform: Affine):
    rewrite(band(home, "B4"), transform=transform)
    text = refused(images)
    assert "E-IMAGE-ROTATED" in text
    assert "FRE_B4.tif" in text


def test_row_12_an_image_off_the_grid_of_the_tile(images: Path):
    Muscate(A, offset_m=(4, -7)).write(images)
    text = refused(images)
    assert "E-IMAGE-POSITION" in text
    assert "+4 m, -7 m off the 20 m grid of tile 31TCJ" in text


def test_row_12_a_whole_tile_off_the_60_m_grid(images: Path):
    home = Muscate(A, offset_m=(20, 0), bands=("B2",), masks=("CLM_R1", "EDG_R1")).write(images)
    for path in (band(home, "B2"), mask(home, "CLM_R1"), mask(home, "EDG_R1")):
        with rasterio.open(path) as source:
            profile = {**source.profile, "width": 10980, "height": 10980, "blockysize": 1}
        path.unlink()
        with rasterio.open(path, "w", **profile, SPARSE_OK=True) as sink:
            sink.write(np.ones((1, 1, 10980), profile["dtype"]), window=((0, 1), (0, 10980)))
    text = refused(images, bands=("B2",))
    assert "+20 m, +0 m off the 60 m grid" in text.replace("-0 m", "+0 m")


def test_row_12_an_image_outside_its_tile(images: Path):
    Muscate(A, offset_m=(240_000, 0)).write(images)
    assert "does not lie within it" in refused(images)


def test_row_12_origins_that_differ_between_dates(images: Path, home: Path):
    Muscate(B, offset_m=(60, -120)).write(images)
    Muscate(A.replace("20180105", "20180115")).write(images)
    text = refused(images, incomplete="error")
    assert "E-IMAGE-POSITION" in text
    assert f"{B} lies +60 m, -120 m off" in text
    inventory, (warning,) = build(images)
    assert [(s.product_id, s.reason) for s in inventory.skipped] == [(B, "contradictory")]
    assert f"W-IMAGE-POSITION] date left out: {B} lies +60 m, -120 m off" in warning


def test_row_12_two_grids_of_which_neither_is_that_of_most(images: Path, home: Path):
    Muscate(B, offset_m=(60, -120)).write(images)
    assert "E-IMAGE-POSITION" in refused(images)


def test_row_12_origins_that_differ_within_a_product_or_from_the_metadata(images: Path, home: Path):
    rewrite(band(home, "B11"), transform=Affine(20, 0, 300020, 0, -20, 4900020))
    assert "corner lies +20 m, +0 m from that of" in refused(images)
    xml = home / f"{A}_MTD_ALL.xml"
    xml.write_text(xml.read_text().replace("<ULX>300000.0", "<ULX>300060.0"))
    assert "in the metadata by -60 m, +0 m" in refused(images)


def test_row_13_rounding_is_forgiven_another_pixel_size_is_not(images: Path, home: Path):
    rewrite(band(home, "B2"), transform=Affine(10.0000001, 0, 300000.0000001, 0, -10, 4900020))
    inventory, _ = build(images)
    assert tuple(inventory.grid.affine)[:6] == (10, 0, 300000, 0, -10, 4900020)
    rewrite(band(home, "B2"), transform=Affine(10.001, 0, 300000, 0, -10.001, 4900020))
    text = refused(images)
    assert "E-IMAGE-RESOLUTION" in text
    assert "10.001 m" in text


@pytest.mark.parametrize(
    ("dtype", "scale", "value"),
    [("uint16", "10000", 40000), ("float32", "1", 0.4), ("float32", "10000", 4000)],
)
def test_row_14_other_types_are_accepted_where_the_quantification_fits(
    images: Path, dtype: str, scale: str, value: float
):
    values = dict.fromkeys(SENTINEL2.names, value)
    Muscate(A, dtype=dtype, scale=scale, values=values).write(images)
    bands = build(images)[0].acquisitions[0].bands
    assert {asset.scale for asset in bands.values()} == {1 / float(scale)}


def test_row_14_types_and_values_that_cannot_be_reflectance(images: Path):
    Muscate(A, dtype="uint8", values=dict.fromkeys(SENTINEL2.names, 5)).write(images)
    Muscate(B, dtype="float32", scale="1", values={"B4": 4000.0}).write(images)
    text = refused(images)
    assert text.count("error[E-IMAGE-VALUES]") >= 2
    assert "values of type uint8 (and 9 more files of the product)" in text
    assert "reach reflectance 4000" in text


@pytest.mark.parametrize("scale", [None, "0", "-1", "ten thousand"])
def test_row_15_unknown_quantification(images: Path, scale: str | None):
    Muscate(A, scale=scale).write(images)
    assert "E-IMAGE-SCALE" in refused(images)


@pytest.mark.parametrize("nodata", [None, "NaN", "none"])
def test_row_16_unknown_nodata(images: Path, nodata: str | None):
    Muscate(A, nodata=nodata).write(images)
    text = refused(images)
    assert "E-IMAGE-NODATA" in text
    assert "SPECIAL_VALUE" in text


def _change_metadata(home: Path, old: str, new: str) -> None:
    xml = home / f"{A}_MTD_ALL.xml"
    text = xml.read_text()
    assert old in text
    xml.write_text(text.replace(old, new))


_ONE_BAD_PRODUCT: dict[str, Callable[[Path], object]] = {
    "IMAGE-MASK": lambda home: remove(mask(home, "CLM_R1")),
    "IMAGE-SIZE": lambda home: rewrite(mask(home, "CLM_R1"), shape=(8, 8)),
    "IMAGE-HALF-SIZE": lambda home: rewrite(band(home, "B11"), shape=(9, 8)),
    "IMAGE-CRS": lambda home: rewrite(band(home, "B4"), epsg=32632),
    "IMAGE-NO-CRS": lambda home: rewrite(band(home, "B4"), transform=None),
    "IMAGE-ROTATED": lambda home: rewrite(
        band(home, "B4"), transform=Affine(10, 1, 300000, 1, -10, 4900020)
    ),
    "IMAGE-POSITION": lambda home: rewrite(
        band(home, "B11"), transform=Affine(20, 0, 300020, 0, -20, 4900020)
    ),
    "IMAGE-RESOLUTION": lambda home: rewrite(
        band(home, "B2"), transform=Affine(10.001, 0, 300000, 0, -10.001, 4900020)
    ),
    "IMAGE-VALUES": lambda home: rewrite(band(home, "B2"), dtype="uint8"),
    "IMAGE-SCALE": lambda home: _change_metadata(home, "10000\n</REFL", "ten thousand</REFL"),
    "IMAGE-NODATA": lambda home: _change_metadata(home, " -10000 <", ">none<"),
}


@pytest.mark.parametrize("code", list(_ONE_BAD_PRODUCT))
def test_2_7_one_product_that_contradicts_itself_stops_no_season(
    images: Path, home: Path, code: str
):
    Muscate(B).write(images)
    _ONE_BAD_PRODUCT[code](home)
    inventory, warnings = build(images, may_be_empty=False)
    assert [item.product_id for item in inventory.acquisitions] == [B]
    assert [(item.product_id, item.reason) for item in inventory.skipped] == [(A, "contradictory")]
    assert any(f"warning[W-{code}] date left out: " in warning for warning in warnings)
    assert f"E-{code}" in refused(images, incomplete="error")


@pytest.mark.parametrize("target", [f"{A}_FRE_B4.tif", "x" * 300], ids=["itself", "too_long"])
def test_2_7_a_band_that_is_a_link_to_nowhere_is_missing(images: Path, home: Path, target: str):
    Muscate(B).write(images)
    path = band(home, "B4")
    remove(path)
    path.symlink_to(target)
    inventory, (warning,) = build(images, may_be_empty=False)
    assert [item.reason for item in inventory.skipped] == ["incomplete"]
    assert "FRE B4 missing" in warning


@pytest.mark.parametrize("target", [f"{A}.zip", "nowhere"], ids=["itself", "nothing"])
def test_an_archive_that_is_a_link_to_nowhere_is_left_out(images: Path, target: str):
    Muscate(B).write(images)
    (images / f"{A}.zip").symlink_to(target)
    inventory, warnings = build(images, may_be_empty=False)
    assert [item.product_id for item in inventory.acquisitions] == [B]
    assert [item.product_id for item in inventory.skipped] == [A]
    assert "is a link that leads nowhere" in "\n".join(warnings)
    assert "is a link that leads nowhere" in refused(images, incomplete="error")


def test_row_69_a_companion_file_cannot_change_what_is_read(images: Path, home: Path):
    path = band(home, "B2")
    path.with_name(path.name + ".aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>1</NoDataValue></PAMRasterBand>"
        "</PAMDataset>"
    )
    inventory, warnings = build(images)
    assert inventory.acquisitions[0].bands["B2"].nodata == -10000
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "DOCTYPE"),
        ("<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a><a/>".encode("utf-16"), "DOCTYPE"),
        (b"<a><b></a>", "not usable XML"),
        (b"<a>" + b" " * 21_000_000 + b"</a>", "at most"),
        (b"", "not usable XML"),
    ],
)
def test_row_70_metadata_that_are_refused(images: Path, home: Path, content: bytes, finding: str):
    (home / f"{A}_MTD_ALL.xml").write_bytes(content)
    text = refused(images, incomplete="error")
    assert "E-IMAGE-METADATA" in text
    assert finding in text
    inventory, (warning,) = build(images)
    assert [s.reason for s in inventory.skipped] == ["unreadable"]
    assert "W-IMAGE-METADATA" in warning
    assert finding in warning


def test_a_product_without_metadata_is_left_out_or_stops(images: Path, home: Path):
    remove(home / f"{A}_MTD_ALL.xml")
    inventory, warnings = build(images)
    assert [s.reason for s in inventory.skipped] == ["unreadable"]
    assert "MTD_ALL.xml" in warnings[0]
    assert "E-IMAGE-ARCHIVE" in refused(images, incomplete="error")


@pytest.mark.fault(
    row=25,
    injected="a member whose CRC is wrong",
    outcome="product left out, or run refused, as configured; archive and member named",
)
def test_a_damaged_archive_is_left_out_or_stops(images: Path):
    archive = Muscate(A, size=64).write_zip(images)
    content = bytearray(archive.read_bytes())
    place = content.index(b"FRE_B8.tif") + 300  # within the pixels that follow the name
    content[place] ^= 0xFF
    archive.write_bytes(bytes(content))
    inventory, warnings = build(images)
    assert [s.reason for s in inventory.skipped] == ["incomplete"]
    for text in (warnings[0], refused(images, incomplete="error")):
        assert "FRE_B8.tif is damaged" in text
        assert "CRC" in text
        assert str(archive) in text


def test_a_full_disk_is_not_taken_for_a_damaged_product(
    images: Path, monkeypatch: pytest.MonkeyPatch
):
    Muscate(A).write_zip(images)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("oso_pipeline.imagery.archive.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        build(images)


def test_all_problems_of_a_tile_are_reported_together(images: Path, home: Path):
    remove(mask(home, "CLM_R1"))
    Muscate(B, epsg=32630, nodata=None).write(images)
    third = Muscate(A.replace("20180105", "20180115"), kinds=("SRE",)).write(images)
    text = refused(images, incomplete="error")
    assert text == refused(images), "nothing is left, so each reason is told as an error"
    for code in ("E-IMAGE-REFLECTANCE", "E-IMAGE-MASK", "E-IMAGE-CRS", "E-IMAGE-NODATA"):
        assert code in text
    assert str(third) in text


def test_nothing_is_assumed_about_tiling_compression_or_tags(images: Path):
    variants = (
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
        {"compress": "lzw", "nodata": -10000, "blockysize": 3},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
    )
    for day, profile in enumerate(variants, 10):
        Muscate(A.replace("20180105", f"201801{day}"), profile=profile).write(images)
    inventory, _ = build(images)
    assert len(inventory.acquisitions) == len(variants)


def test_the_rows_of_an_inventory_give_the_same_objects_again(images: Path, home: Path):
    Muscate(B, valid=False).write(images)
    inventory, _ = build(images)
    first, second = inventory.rows
    assert Acquisition.from_row(first) == inventory.acquisitions[0]
    assert Skipped.from_row(second) == inventory.skipped[0]
    assert set(inventory.acquisitions[0].quality) == set(MASKS)
    assert set(BANDS_20M) < set(inventory.acquisitions[0].bands)
