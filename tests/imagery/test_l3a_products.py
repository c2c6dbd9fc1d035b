"""Reader of monthly syntheses: every layout in which they lie about, and faults with codes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.inventories import A, Context, ids, make_config, run
from support.l3a_factory import OCTOBER, SEPTEMBER, synthesis
from support.muscate_factory import Muscate, rewrite
from support.reader_inventories import build, codes, only

from oso_pipeline.config import Config
from oso_pipeline.core.errors import InputDataError
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.imagery.conformance import check_reader
from oso_pipeline.imagery.l3a.settings import SynthesisSettings
from oso_pipeline.imagery.muscate.settings import MuscateSettings
from oso_pipeline.imagery.passes_check import NOTE, Expected, note
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.report.images import passes_of
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.worker import do


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    # The digest follows files that are read; dates and weights are not.
    synthesis(masks=("FLG_R1", "FLG_R2")).write(tmp_path / "sample")
    synthesis(SEPTEMBER.replace("2X", "2A")).write_zip(tmp_path / "sample")
    found = check_reader(SynthesisSettings(), tmp_path / "sample", tmp_path / "scratch")
    assert sorted(one.platform for one in found) == ["S2A", "S2X"]
    for one in found:
        assert set(one.quality) == {"FLG_R1", "FLG_R2"}
        assert {asset.scale for asset in one.bands.values()} == {1e-4}
        assert {asset.nodata for asset in one.bands.values()} == {-10_000}
        assert (one.processing.relative_orbit, one.version) == (None, "1.1")


def test_syntheses_need_no_setting(tmp_path: Path) -> None:
    synthesis().write(tmp_path / "images")
    inventory, summary = run(make_config(tmp_path))
    assert ids(inventory) == [OCTOBER]
    assert only(inventory).family == "l3a"
    assert not summary["warnings"]


def test_the_date_is_that_of_the_name(tmp_path: Path) -> None:
    synthesis(date="2018-10-03T10:54:35.457Z").write(tmp_path / "images")
    found = only(build(tmp_path / "images")[0])
    assert f"{found.acquired:%Y-%m-%d %H:%M}" == "2018-10-15 00:00"


@pytest.mark.parametrize(
    "name", [OCTOBER, "october", f"{OCTOBER}_copy", "31TCJ/2018/october", f"{OCTOBER}/{OCTOBER}"]
)
def test_names_of_folders(tmp_path: Path, name: str) -> None:
    synthesis().write(tmp_path / "images", name)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [OCTOBER]
    assert not inventory.skipped
    assert codes(builder) == []


def test_zips(tmp_path: Path) -> None:
    path = synthesis().write_zip(tmp_path / "images")
    path.rename(path.with_name("october.zip"))
    inventory, builder = build(tmp_path / "images")
    found = only(inventory)
    assert found.product_id == OCTOBER
    assert all((tmp_path / "extracted") in asset.path.parents for asset in found.assets)
    assert not list((tmp_path / "extracted").rglob("*_WGT_*"))  # never read
    assert codes(builder) == []


def test_files_without_compression_and_cloud_optimised_ones(tmp_path: Path) -> None:
    for name, size in ((OCTOBER, 64), (SEPTEMBER, 64)):
        synthesis(name, size=size).write(tmp_path / "images")
    for path in (tmp_path / "images" / SEPTEMBER).rglob("*.tif"):
        with rasterio.open(path) as file:
            pixels, profile = file.read(), file.profile
        path.unlink()
        kept = {k: profile[k] for k in ("count", "height", "width", "dtype", "crs", "transform")}
        cog = {"driver": "COG", "compress": "deflate", "blocksize": 16, "overviews": "AUTO"}
        if "FRC" in path.name:
            cog["nodata"] = -10_000
        with rasterio.open(path, "w", **kept, **cog) as file:
            file.write(pixels)
    with rasterio.open(next((tmp_path / "images" / SEPTEMBER).glob("*_B2.tif"))) as file:
        assert file.overviews(1)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [SEPTEMBER, OCTOBER]
    assert codes(builder) == []


@pytest.mark.parametrize(
    ("other", "best"),
    [
        (OCTOBER.replace("V1-1", "V1-2"), OCTOBER.replace("V1-1", "V1-2")),
        (OCTOBER.replace("_D_", "_C_"), OCTOBER.replace("_D_", "_C_")),
        (OCTOBER.replace("2X", "2A"), OCTOBER),
        (OCTOBER.replace("2X", "2B").replace("V1-1", "V2-0"),) * 2,
    ],
)
def test_one_synthesis_of_a_month_is_used(tmp_path: Path, other: str, best: str) -> None:
    for name in (OCTOBER, other):
        synthesis(name).write(tmp_path / "images")
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [best]
    assert [one.reason for one in inventory.skipped] == ["older_version"]
    assert codes(builder) == ["W-IMAGE-VERSIONS"]


def file_of(product: Path, end: str) -> Path:
    (path,) = product.rglob(f"*_{end}")
    return path


def remove(end: str) -> Any:
    return lambda product: file_of(product, end).unlink()


def cut(end: str) -> Any:
    def damage(product: Path) -> None:
        path = file_of(product, end)
        path.write_bytes(path.read_bytes()[:-100])

    return damage


def changed(end: str, **changes: Any) -> Any:
    return lambda product: rewrite(file_of(product, end), **changes)


def text(old: str, new: str) -> Any:
    def damage(product: Path) -> None:
        path = file_of(product, "MTD_ALL.xml")
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")

    return damage


FAULTS = {
    "flags missing": (remove("FLG_R1.tif"), "IMAGE-MASK", "mask FLG_R1 is missing"),
    "flags cut": (cut("FLG_R1.tif"), "IMAGE-MASK", "it is cut"),
    "flags of another size": (changed("FLG_R1.tif", shape=(12, 12)), "IMAGE-SIZE", "12x12"),
    "flags at 20 m of another size": (
        changed("FLG_R2.tif", shape=(6, 6)), "IMAGE-HALF-SIZE", "6x6",
    ),
    "flags are no numbers of a class": (
        changed("FLG_R1.tif", dtype="float32"), "IMAGE-VALUES", "float32",
    ),
    "band missing": (remove("FRC_B4.tif"), "IMAGE-BAND", "FRC B4 missing"),
    "band cut": (cut("FRC_B11.tif"), "IMAGE-BAND", "it is cut"),
    "no metadata": (remove("MTD_ALL.xml"), "IMAGE-ARCHIVE", "holds no *_MTD_ALL.xml"),
    "no XML": (text("<Product_Characteristics>", "<<"), "IMAGE-METADATA", "is not usable XML"),
    "no scale": (text("QUANTIFICATION", "OTHER"), "IMAGE-SCALE", "found None"),
    "no no-data value": (text('name="nodata"', 'name="other"'), "IMAGE-NODATA", "is missing"),
    "another tile": (text("T31TCJ", "T31TDJ"), "IMAGE-CRS", "say tile T31TDJ"),
    "another corner": (text("<ULX>300000", "<ULX>300060"), "IMAGE-POSITION", "300060"),
}  # fmt: skip


@pytest.mark.parametrize("incomplete", ["skip", "error"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(tmp_path: Path, fault: str, incomplete: str) -> None:
    damage, code, said = FAULTS[fault]
    damage(synthesis().write(tmp_path / "images"))
    if incomplete == "error":
        with pytest.raises(InputDataError) as caught:
            build(tmp_path / "images", incomplete=incomplete)
        found = [one for one in caught.value.problems if one.code == f"E-{code}"]
    else:
        synthesis(SEPTEMBER).write(tmp_path / "images")  # what is left out may not be all
        inventory, builder = build(tmp_path / "images")
        assert ids(inventory) == [SEPTEMBER]
        found = [one for one in builder.problems.warnings if one.code == f"W-{code}"]
    assert found, "no such problem"
    assert any(said in one.message for one in found)
    assert all(one.where and str(tmp_path) in one.where for one in found)


def test_metadata_of_an_acquisition_are_not_a_synthesis(tmp_path: Path) -> None:
    product = synthesis().write(tmp_path / "images")
    text("_L3A_", "_L2A_")(product)
    (skipped,) = build(tmp_path / "images")[0].skipped
    assert skipped.reason == "not_supported"


@pytest.mark.parametrize("zipped", [False, True])
def test_without_its_reader_the_setting_is_named(tmp_path: Path, zipped: bool) -> None:
    made = synthesis()
    (made.write_zip if zipped else made.write)(tmp_path / "images")
    inventory, builder = build(tmp_path / "images", readers=(MuscateSettings(),))
    (skipped,) = inventory.skipped
    assert "`imagery.readers: [{kind: l3a}]` reads it" in skipped.detail
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]


@pytest.mark.parametrize(
    ("clear", "needed"), [("oso", ["FLG_R1"]), ("conservative", ["FLG_R1", "FLG_R2"])]
)
def test_flags_that_hide_a_pixel(tmp_path: Path, clear: Any, needed: list[str]) -> None:
    synthesis().write(tmp_path / "images")
    rules = only(build(tmp_path / "images", clear=clear)[0]).rules
    assert [rule.asset for rule in rules] == needed
    for rule in rules:
        # No data, cloud; snow, water and land are land cover. As bits, 3 would be cloud too.
        assert rule.allows(np.arange(5, dtype=np.uint8)).tolist() == [
            False,
            False,
            True,
            True,
            True,
        ]


def test_conservative_needs_the_flags_at_20_m(tmp_path: Path) -> None:
    remove("FLG_R2.tif")(synthesis().write(tmp_path / "images"))
    with pytest.raises(InputDataError, match="E-IMAGE-MASK"):
        build(tmp_path / "images", clear="conservative", incomplete="error")
    assert set(only(build(tmp_path / "images")[0]).quality) == {"FLG_R1"}


def test_bits_of_a_cloud_mask_have_no_meaning(tmp_path: Path) -> None:
    synthesis().write(tmp_path / "images")
    with pytest.raises(InputDataError, match="E-IMAGE-CLEAR"):
        build(tmp_path / "images", clear=(1, 2), incomplete="error")
    problems = STAGE.check(make_config(tmp_path, clear=[1, 2]))
    assert [one.code for one in problems.errors] == ["E-IMAGE-CLEAR"]
    assert "classes, not bits" in problems.errors[0].message


def test_syntheses_beside_acquisitions_of_the_season_are_warned_of(tmp_path: Path) -> None:
    synthesis().write(tmp_path / "images")
    Muscate(A).write(tmp_path / "images")
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [A, OCTOBER]
    (warning,) = [one for one in builder.problems.warnings if "FAMILIES" in one.code]
    assert "1 composite of many dates" in warning.message
    assert A in warning.message
    assert OCTOBER in warning.message


def test_files_of_both_levels_in_one_folder(tmp_path: Path) -> None:
    for made in (Muscate(A), synthesis()):
        home = made.write(tmp_path / "made")
        for path in home.rglob("*.*"):
            if path.is_file():
                target = tmp_path / "images" / "all" / path.relative_to(home)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    inventory, builder = build(tmp_path / "images")
    assert ids(inventory) == [A]
    assert codes(builder) == ["W-IMAGE-UNKNOWN"]
    assert OCTOBER in builder.problems.warnings[0].message


def test_syntheses_are_no_passes(tmp_path: Path) -> None:
    images, alone = tmp_path / "images", make_config(tmp_path)
    for month in range(4, 9):
        name = OCTOBER.replace("201810", f"2018{month:02d}").replace("2X", "2A")
        synthesis(name, bands=("B2",), masks=("FLG_R1",)).write(images)
    problems = STAGE.check(alone)
    assert not problems.errors
    assert not [one.code for one in problems.warnings]
    assert not [one for one in problems.notes if NOTE in one]


def test_the_report_counts_acquisitions_alone(tmp_path: Path) -> None:
    start = datetime(2018, 1, 5)
    for number in range(6):
        Muscate(A.replace("20180105", f"{start + timedelta(days=10 * number):%Y%m%d}")).write(
            tmp_path / "images"
        )
    config = make_config(tmp_path)
    before = _passes(config)
    synthesis(OCTOBER.replace("2X", "2A")).write(tmp_path / "images")
    synthesis(OCTOBER.replace("2X", "2A").replace("V1-1", "V1-2")).write(tmp_path / "images")
    assert _passes(config) == before
    assert before


def _passes(config: Config) -> str:
    tasks = STAGE.plan(Context(config))
    for task in tasks:
        assert do(task).status == "done"
    outputs = {"inventory": [task.outputs[0] for task in tasks]}
    files = RunFiles(
        config.run_dir, config.name, config.year, load_nomenclature(config.nomenclature), outputs
    )
    return note(passes_of(files, Expected.of(config)))
