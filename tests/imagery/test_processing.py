"""What products tell of their processing, from the metadata to the inventory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.inventories import A, make_config, run
from support.muscate_factory import Muscate
from support.safe_factory import write as write_safe_product

from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.muscate.orbits import relative_orbit
from oso_pipeline.imagery.processing import UNSTATED, Processing
from oso_pipeline.report.images import images_section

YEAR = datetime(2019, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("platform", "orbit", "relative"),
    [  # products that name both, in their file names
        ("S2A", 925, 70),
        ("S2A", 16075, 62),
        ("S2A", 19029, 13),
        ("S2A", 41826, 73),
        ("S2B", 18417, 87),
        ("S2B", 26649, 25),
    ],
)
def test_the_relative_orbit_is_that_in_the_names_of_real_products(
    platform: str, orbit: int, relative: int
) -> None:
    assert relative_orbit(platform, orbit, YEAR) == relative


def test_where_the_shift_is_not_known_the_orbit_is_not_guessed() -> None:
    assert relative_orbit("S2C", 1000, YEAR) is None
    assert relative_orbit("S2A", None, YEAR) is None
    # 53773 of 2025-10-08 is orbit 122: the shift of 2015 to 2024 would make it 8.
    assert relative_orbit("S2A", 53773, datetime(2025, 10, 8, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("said", "cams"),
    [
        ("Activated_OK", True),
        ("Activated_PartiallyAvailableData", True),
        ("Activated_NoAvailableData", False),
        ("Deactivated", False),
        ("?", None),
        (None, None),
    ],
)
def test_the_inventory_tells_cams_sun_and_orbit(
    tmp_path: Path, said: str | None, cams: bool | None
) -> None:
    product = Muscate(A, orbit="13204", sun_zenith="69.25", cams=said)
    product.write(tmp_path / "images")
    inventory, _ = run(make_config(tmp_path))
    (one,) = inventory.acquisitions
    assert one.processing == Processing(cams=cams, sun_zenith_deg=69.25, relative_orbit=51)


def test_nothing_is_told_where_the_metadata_are_silent_or_no_number(tmp_path: Path) -> None:
    Muscate(A, orbit="?", sun_zenith="NaN", cams=None).write(tmp_path / "images")
    (one,) = run(make_config(tmp_path))[0].acquisitions
    assert one.processing == UNSTATED


def test_all_facts_survive_the_inventory() -> None:
    facts = Processing(
        processor="Sen2Cor",
        processor_version="2.11",
        baseline="05.11",
        cams=True,
        aerosol_optical_depth=0.12,
        sun_zenith_deg=41.6,
        relative_orbit=51,
        aerosols={"total": 0.15, "dust": 0.02},
    )
    said = (
        "Sen2Cor 2.11, CAMS, baseline 05.11, orbit 51, sun zenith 42°, AOD 0.12, "
        "forecast of aerosols (total 0.15, dust 0.02)"
    )
    assert facts.described == said
    one = Acquisition("P", "31TCJ", YEAR, "S2A", "toy", "1", {}, {}, (), processing=facts)
    assert Acquisition.from_row(one.to_row()) == one


def test_the_report_shows_how_each_product_was_made(tmp_path: Path) -> None:
    Muscate(A, sun_zenith="69.25", cams="Deactivated").write(tmp_path / "images")
    write_safe_product(tmp_path / "images")
    readers = [{"kind": "muscate"}, {"kind": "safe"}]
    config = make_config(tmp_path, readers=readers)
    run(config)

    class Files:
        def committed_files(self, stage: str) -> list[Path]:
            return sorted(config.run_dir.glob(f"{stage}/*.parquet"))

    (tile,) = images_section(Files(), None)["tiles"]
    made = {row["product_id"][:10]: row["processing"] for row in tile["rows"]}
    assert made["SENTINEL2A"].startswith("version 2.2, without CAMS, ")
    assert "sun zenith 69°" in made["SENTINEL2A"]
    assert made["S2A_MSIL2A"] == "baseline 05.11, orbit 51, sun zenith 60°"
