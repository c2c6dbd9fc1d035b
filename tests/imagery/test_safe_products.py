"""Reader of SAFE products: every layout in which they lie about, and every fault with its code."""

from __future__ import annotations

import shutil
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.inventories import ids, make_config, run
from support.muscate_factory import Muscate
from support.reader_inventories import build, codes, only
from support.safe_factory import FACTS, GRID, SIZE, edit, facts, image, scene, write

from oso_pipeline.core.errors import InputDataError
from oso_pipeline.imagery.acquisition import Skipped
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.protocol import Request
from oso_pipeline.imagery.safe.settings import SafeSettings
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.simulation.writers.safe import write_jp2, write_safe

NAME = FACTS.product_id
HALF = timedelta(seconds=1)


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    write(tmp_path / "sample")
    later = FACTS.sensed + timedelta(days=5)
    write(tmp_path / "sample", as_zip=True, sensed=later, platform="S2B", baseline="02.12")
    found = check_reader(SafeSettings(), tmp_path / "sample", tmp_path / "scratch")
    assert [one.version for one in found] == ["05.11", "02.12"]
    assert [one.bands["B4"].offset for one in found] == [-0.1, 0.0]
    assert {one.quality["SCL"].resolution_m for one in found} == {20}
    assert [one.platform for one in found] == ["S2A", "S2B"]


def test_3_6_safe_folders_need_no_setting(tmp_path: Path) -> None:
    write(tmp_path / "images")
    inventory, summary = run(make_config(tmp_path))
    assert ids(inventory) == [NAME]
    assert not summary["warnings"]


def test_muscate_folders_are_asked_for_as_before(tmp_path: Path) -> None:
    Muscate().write(tmp_path / "images")
    config = make_config(tmp_path)
    default = Request.of(config, "31TCJ", {"muscate"}).to_json()
    alone = Request.of(make_config(tmp_path, readers=[{"kind": "muscate"}]), "31TCJ").to_json()
    assert default == alone


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        NAME.replace("_N0511", ""),  # as archives copy them
        f"{NAME}.safe",
        "january",
        f"{NAME}_copy",
        "31TCJ/2018/january.SAFE",
        f"{NAME}/{NAME}.SAFE",  # unpacked into a folder of its name
    ],
)
def test_names_of_folders(tmp_path: Path, name: str) -> None:
    write(tmp_path / "images", name)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [NAME]
    assert not inventory.skipped
    assert set(codes(builder)) <= {"W-IMAGE-RENAMED"}
    assert only(inventory).acquired == FACTS.sensed.replace(microsecond=24_000)


def test_zips(tmp_path: Path) -> None:
    images = tmp_path / "images"
    days = [FACTS.sensed + timedelta(days=5 * n) for n in range(4)]
    for day in days[:2]:
        write(images, as_zip=True, sensed=day)
    several = [write(images, sensed=day) for day in days[2:]]
    with zipfile.ZipFile(images / "delivery.zip", "w") as archive:
        for product in several:
            for file in sorted(product.rglob("*.*")):
                if file.is_file():
                    archive.write(file, file.relative_to(images))
            shutil.rmtree(product)
    (images / f"{facts(sensed=days[1]).product_id}.SAFE.zip").rename(images / "renamed.zip")
    inventory, builder = build(images)
    assert [one.acquired.date() for one in inventory.acquisitions] == [day.date() for day in days]
    assert codes(builder) == []
    for one in inventory.acquisitions:
        assert all((tmp_path / "extracted") in asset.path.parents for asset in one.assets)


def test_lower_case_metadata_and_tiffs(tmp_path: Path) -> None:
    product = write(tmp_path / "images")
    (product / "MTD_MSIL2A.xml").rename(product / "MTD_MSIL2a.xml")
    path = image(product, "B02_10m")
    with rasterio.open(path) as source:
        profile, pixels = source.profile, source.read()
    path.unlink()
    profile = {k: profile[k] for k in ("count", "height", "width", "dtype", "crs", "transform")}
    with rasterio.open(path.with_suffix(".tif"), "w", driver="GTiff", **profile) as target:
        target.write(pixels)
    assert only(build(tmp_path / "images")[0]).bands["B2"].path.suffix == ".tif"


def test_metadata_of_2017(tmp_path: Path) -> None:
    write(tmp_path / "images", "old", baseline="02.05")
    acquisition = only(build(tmp_path / "images")[0])
    assert (acquisition.version, acquisition.bands["B8A"].offset) == ("02.05", 0.0)


def test_a_granule_without_the_metadata_of_its_product(tmp_path: Path) -> None:
    product = write(tmp_path / "made")
    (tmp_path / "images").mkdir()
    (product / "GRANULE" / FACTS.granule).rename(tmp_path / "images" / FACTS.granule)
    inventory, builder = build(tmp_path / "images")
    assert [one.reason for one in inventory.skipped] == ["unreadable"]
    assert codes(builder) == ["W-IMAGE-ARCHIVE"]
    (warning,) = builder.problems.warnings
    assert "holds no MTD_MSIL2A.xml" in warning.message
    assert str(warning.where).endswith(FACTS.granule)


def test_renamed_without_metadata_is_placed_by_its_granule(tmp_path: Path) -> None:
    product = write(tmp_path / "images", "january")
    (product / "MTD_MSIL2A.xml").unlink()
    inventory, _ = build(tmp_path / "images")
    (skipped,) = inventory.skipped
    assert (skipped.reason, skipped.acquired) == ("unreadable", FACTS.sensed)


def test_the_halves_of_a_tile_are_both_used(tmp_path: Path) -> None:
    rows = SIZE // 4
    for made, part in (
        (FACTS.generated, slice(0, rows)),
        (FACTS.generated + HALF, slice(rows, None)),
    ):
        write_safe(tmp_path / "images", facts(generated=made), scene(rows=part))
    inventory, builder = build(tmp_path / "images")
    assert len(inventory.acquisitions) == 2
    assert not inventory.skipped
    assert codes(builder) == []


def test_halves_of_strips_that_begin_at_different_times(tmp_path: Path) -> None:
    write(tmp_path / "images")
    later = write(tmp_path / "images", generated=FACTS.generated + timedelta(hours=2))
    edit(later, lambda text: text.replace("_S20180105T105435_", "_S20180105T105441_"))
    assert len(build(tmp_path / "images")[0].acquisitions) == 2


@pytest.mark.parametrize(
    ("change", "better"),
    [
        ({"baseline": "02.07"}, NAME),
        ({"baseline": "05.10", "generated": FACTS.generated + timedelta(days=900)}, NAME),
        ({"generated": FACTS.generated + timedelta(hours=3)}, None),
    ],
)
def test_versions_of_an_acquisition(
    tmp_path: Path, change: dict[str, Any], better: str | None
) -> None:
    write(tmp_path / "images")
    write(tmp_path / "images", **change)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [better or facts(**change).product_id]
    assert [one.reason for one in inventory.skipped] == ["older_version"]
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_one_product_twice_is_no_half(tmp_path: Path) -> None:
    write(tmp_path / "images")
    write(tmp_path / "images" / "again", as_zip=True)
    inventory, builder = build(tmp_path / "images")
    assert only(inventory).path.is_dir()
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def test_an_acquisition_in_two_families_is_named(tmp_path: Path) -> None:
    write(tmp_path / "images")
    muscate = Muscate()
    muscate.write(tmp_path / "images")
    inventory, builder = build(tmp_path / "images")
    assert sorted(ids(inventory)) == sorted([NAME, muscate.name])
    assert codes(builder) == ["W-IMAGE-FAMILIES", "W-IMAGE-SCALES", "W-SEASON-PROCESSORS"]
    warning = next(one for one in builder.problems.warnings if "FAMILIES" in one.code)
    assert NAME in warning.message
    assert muscate.name in warning.message


def remove(end: str) -> Any:
    return lambda product: image(product, end).unlink()


def cut(end: str) -> Any:
    def damage(product: Path) -> None:
        path = image(product, end)
        path.write_bytes(path.read_bytes()[:-100])

    return damage


def resized(end: str, size: int, step_m: int) -> Any:
    def damage(product: Path) -> None:
        path = image(product, end)
        grid = GRID.zoom_out(step_m / 10) if step_m != 10 else GRID
        path.unlink()
        write_jp2(path, np.ones((size, size), np.uint16), grid[:size, :size])

    return damage


def texts(old: str, new: str, file: str = "MTD_MSIL2A.xml") -> Any:
    return lambda product: edit(product, lambda text: text.replace(old, new), file)


def without_offsets(text: str) -> str:
    return "\n".join(
        line for line in text.split("\n") if not any(f'band_id="{n}"' in line for n in range(5, 13))
    )


FAULTS = {
    "band missing": (remove("B04_10m"), "IMAGE-BAND", "B4 at 10 m missing"),
    "band of 20 m missing": (remove("B8A_20m"), "IMAGE-BAND", "B8A at 20 m missing"),
    "classification missing": (remove("SCL_20m"), "IMAGE-MASK", "classification is missing"),
    "band cut": (cut("B11_20m"), "IMAGE-BAND", "it is cut: 100 bytes"),
    "classification cut": (cut("SCL_20m"), "IMAGE-BAND", "it is cut: 100 bytes"),
    "no scale": (texts("BOA_QUANTIFICATION_VALUE", "OTHER"), "IMAGE-SCALE", "found None"),
    "5 offsets": (lambda p: edit(p, without_offsets), "IMAGE-BOA-OFFSET", "state 5 values"),
    "baseline is text": (
        texts(">05.11<", ">five<"), "IMAGE-BASELINE", "PROCESSING_BASELINE is five",
    ),
    "another size": (resized("B04_10m", SIZE - 2, 10), "IMAGE-SIZE", "size 14x14 differs"),
    "SCL of another size": (resized("SCL_20m", 6, 20), "IMAGE-HALF-SIZE", "size 6x6 is not"),
    "SCL of 60 m": (resized("SCL_20m", 2, 60), "IMAGE-RESOLUTION", "pixels of 60 m"),
    "metadata of another tile": (
        texts("_T31TCJ_", "_T31TDJ_", "MTD_TL.xml"), "IMAGE-CRS", "say tile T31TDJ",
    ),
    "metadata of another zone": (
        texts("EPSG:32631", "EPSG:32630", "MTD_TL.xml"), "IMAGE-CRS", "32630",
    ),
    "metadata of another corner": (
        texts("<ULX>300000<", "<ULX>300060<", "MTD_TL.xml"), "IMAGE-POSITION", "300060",
    ),
    "no XML": (texts("<n1:General_Info>", "<<"), "IMAGE-METADATA", "is not usable XML"),
    "doctype": (
        texts("<n1:Level-2A_User", "<!DOCTYPE a><n1:Level-2A_User"), "IMAGE-METADATA", "DOCTYPE",
    ),
    "no metadata": (
        lambda product: (product / "MTD_MSIL2A.xml").unlink(), "IMAGE-ARCHIVE", "holds no MTD",
    ),
}  # fmt: skip


@pytest.mark.parametrize("incomplete", ["skip", "error"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(tmp_path: Path, fault: str, incomplete: str) -> None:
    damage, code, said = FAULTS[fault]
    damage(write(tmp_path / "images"))
    if incomplete == "error":
        with pytest.raises(InputDataError) as caught:
            build(tmp_path / "images", incomplete=incomplete)
        found = [one for one in caught.value.problems if one.code == f"E-{code}"]
    else:
        # Another date is left, so that the faulty one can be left out.
        write(tmp_path / "images", sensed=FACTS.sensed + timedelta(days=5))
        inventory, builder = build(tmp_path / "images", incomplete=incomplete)
        assert len(inventory.acquisitions) == 1
        found = [one for one in builder.problems.warnings if one.code == f"W-{code}"]
    assert found, "no such problem"
    assert any(said in one.message for one in found)
    assert all(one.where and str(tmp_path) in one.where for one in found)


@pytest.mark.parametrize(
    "rename",
    [
        lambda folder: folder.rename(folder.with_name(NAME.replace("MSIL2A", "MSIL1C") + ".SAFE")),
        lambda folder: (folder / "MTD_MSIL2A.xml").rename(folder / "MTD_MSIL1C.xml"),
        lambda folder: edit(folder, lambda text: text.replace("Level-2A<", "Level-1C<")),
    ],
)
def test_products_of_level_1_are_not_supported(tmp_path: Path, rename: Any) -> None:
    rename(write(tmp_path / "images", "january.SAFE"))
    inventory, _ = build(tmp_path / "images")
    assert [one.reason for one in inventory.skipped] == ["not_supported"]


def test_the_layout_of_the_aws_archive_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "tiles" / "31" / "T" / "CJ" / "2018" / "1" / "5" / "0"
    (folder / "R10m").mkdir(parents=True)
    write_jp2(folder / "R10m" / "B04.jp2", np.ones((SIZE, SIZE), np.uint16), GRID)
    (folder / "tileInfo.json").write_text("{}")
    (skipped,) = build(tmp_path / "images")[0].skipped
    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.tile) == ("not_supported", "31TCJ")
    assert "AWS" in skipped.detail


def test_without_its_reader_the_setting_is_named(tmp_path: Path) -> None:
    write(tmp_path / "images")
    inventory, builder = build(tmp_path / "images", readers=(MuscateSettings(),))
    (skipped,) = inventory.skipped
    assert "`imagery.readers: [{kind: safe}]` reads it" in skipped.detail
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]


def test_a_safe_folder_of_another_mission_is_not_recognised(tmp_path: Path) -> None:
    other = (
        tmp_path / "images" / "S1A_IW_GRDH_1SDV_20180105T055400_20180105T055425_020026_0221.SAFE"
    )
    (other / "measurement").mkdir(parents=True)
    (skipped,) = build(tmp_path / "images")[0].skipped
    assert skipped.reason == "not_recognised"


@pytest.mark.parametrize(
    ("clear", "hidden"),
    [("oso", (0, 1, 3, 8, 9, 10)), ("conservative", (0, 1, 2, 3, 7, 8, 9, 10))],
)
def test_classes_that_hide_a_pixel(tmp_path: Path, clear: Any, hidden: tuple[int, ...]) -> None:
    write(tmp_path / "images")
    (rule,) = only(build(tmp_path / "images", clear=clear)[0]).rules
    classes = np.arange(12, dtype=np.uint8)
    assert tuple(classes[~rule.allows(classes)]) == hidden
    assert rule.allows(np.array([11])).all()  # snow is a class of land cover


def test_bits_of_a_cloud_mask_have_no_meaning(tmp_path: Path) -> None:
    write(tmp_path / "images")
    with pytest.raises(InputDataError, match="E-IMAGE-CLEAR"):
        build(tmp_path / "images", clear=(1, 2), incomplete="error")
    problems = STAGE.check(make_config(tmp_path, clear=[1, 2]))
    assert [one.code for one in problems.errors] == ["E-IMAGE-CLEAR"]
    assert "classes, not bits" in problems.errors[0].message
