"""Metadata of real SAFE products, against the STAC items that another library made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.safe_factory import FACTS

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.metadata_file import MetadataError, parse_date
from oso_pipeline.imagery.safe.metadata import Metadata, parse_metadata, parse_tile_metadata
from oso_pipeline.imagery.safe.numbers import check_numbers
from oso_pipeline.imagery.sen2cor.names import parse_product_name
from oso_pipeline.simulation.writers.safe_metadata import product_xml, tile_xml

HALF = "S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T02215{}.SAFE"
GOLDEN = (
    "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857.SAFE",
    HALF.format(7),
    HALF.format(8),
    "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE",
)
OTHERS = (
    "S2A_MSIL2A_20150826T185436_N0212_R070_T11SLT_20210412T023147",
    "S2A_MSIL2A_20180721T053721_N0212_R062_T43MDV_20201011T181419.SAFE",
)


def sample(shared_data: Path, name: str, file: str) -> bytes:
    (path,) = (shared_data / "sensor_samples" / "safe_l2a" / name).rglob(file)
    return path.read_bytes()


@pytest.mark.parametrize("name", GOLDEN)
def test_real_metadata_say_what_another_library_reads(shared_data: Path, name: str) -> None:
    item = json.loads(sample(shared_data, name, "expected_output.json"))
    said, assets = item["properties"], item["assets"]
    metadata = parse_metadata(sample(shared_data, name, "MTD_MSIL2A.xml"))
    assert metadata.name is not None
    assert f"{metadata.name.text}.SAFE" == said["s2:product_uri"]
    assert metadata.baseline == said["s2:processing_baseline"]
    assert metadata.strip == said["s2:datastrip_id"]
    assert metadata.generated == parse_date(said["s2:generation_time"])
    assert metadata.sensed == parse_date(said["datetime"])
    assert metadata.cloud_percent == pytest.approx(said["eo:cloud_cover"], abs=1e-6)
    assert metadata.tiles == (said["grid:code"].removeprefix("MGRS-"),)
    assert metadata.orbit == said["sat:relative_orbit"]
    assert metadata.platform == said["platform"].replace("sentinel-2", "S2").upper()
    numbers = check_numbers(metadata, Path(name), problems := Problems())
    assert numbers is not None
    assert not problems.errors + problems.warnings
    assert (numbers.nodata, numbers.saturated) == (0, 65535)
    for band in SENTINEL2.bands:
        (stated,) = assets[_key(band.common_name)]["raster:bands"]
        assert numbers.scale == pytest.approx(stated["scale"], rel=1e-12)
        assert numbers.offsets[band.name] == pytest.approx(stated["offset"], abs=1e-12)


def _key(common_name: str) -> str:
    return {"rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3"}.get(
        common_name, common_name
    )


@pytest.mark.parametrize("name", OTHERS)
def test_other_real_metadata(shared_data: Path, name: str) -> None:
    # One of them is named MTD_MSIL2a.xml.
    metadata = parse_metadata(sample(shared_data, name, "MTD_MSIL2[Aa].xml"))
    stated = parse_product_name(name)
    assert metadata.name == stated
    assert stated is not None
    assert (metadata.baseline, metadata.tiles) == ("02.12", (stated.tile,))
    numbers = check_numbers(metadata, Path(name), Problems())
    assert numbers is not None
    assert set(numbers.offsets.values()) == {0.0}


@pytest.mark.parametrize(
    ("name", "file", "tile", "epsg"),
    [
        (GOLDEN[0], "MTD_TL.xml", "07HFE", 32707),
        (GOLDEN[3], "MTD_TL.xml", "33XWJ", 32633),
        (OTHERS[0], "MTD_TL.xml", "11SLT", 32611),
        ("S2B_MSIL2A_20200914T231559_N0500_R087_T01VCG_20230315T224658", "metadata.xml", "01VCG",
         32601),
    ],
)  # fmt: skip
def test_real_metadata_of_granules(
    shared_data: Path, name: str, file: str, tile: str, epsg: int
) -> None:
    said = parse_tile_metadata(sample(shared_data, name, file))
    assert (said.tile, said.grid.epsg, said.grid.shape) == (tile, epsg, (10980, 10980))
    if name in GOLDEN:
        item = json.loads(sample(shared_data, name, "expected_output.json"))
        transform = item["assets"]["blue"]["proj:transform"]
        assert said.grid.corner == (transform[2], transform[5])
        elevation = item["properties"]["view:sun_elevation"]
        assert said.sun_zenith_deg == pytest.approx(90 - elevation, abs=1e-9)


def metadata(baseline: str = "05.11", **changes: Any) -> Metadata:
    made = parse_metadata(product_xml(replace(FACTS, baseline=baseline), []).encode())
    return replace(made, **changes)


def test_elements_had_other_names_in_2017() -> None:
    old = replace(FACTS, baseline="02.05")
    assert "L2A_BOA_QUANTIFICATION_VALUE" in product_xml(old, [])
    assert "TILE_ID_2A" in tile_xml(old)
    read = metadata("02.05")
    assert (read.quantification, read.name and read.name.baseline) == ("10000", (2, 5))
    assert parse_tile_metadata(tile_xml(old).encode()).tile == "31TCJ"


@pytest.mark.parametrize(
    ("baseline", "stated", "offset"),
    [
        ("00.01", False, 0.0),
        ("02.12", False, 0.0),
        ("03.01", False, 0.0),
        ("04.00", True, -0.1),
        ("05.00", True, -0.1),
        ("05.10", True, -0.1),
        ("05.11", True, -0.1),
        ("04.00", False, -0.1),  # and a warning
        ("00.01", True, -0.1),  # metadata before baseline
    ],
)
def test_the_offset_is_that_of_the_metadata_or_the_baseline(
    baseline: str, stated: bool, offset: float
) -> None:
    # All of one date, which has no part in it.
    offsets = metadata("05.11").offsets if stated else {}
    numbers = check_numbers(metadata(baseline, offsets=offsets), Path(), problems := Problems())
    assert numbers is not None
    assert set(numbers.offsets.values()) == {offset}
    expected = ["W-IMAGE-BOA-OFFSET"] if baseline >= "04.00" and not stated else []
    assert [one.code for one in problems.warnings] == expected


def test_each_band_has_the_offset_of_its_own_identifier() -> None:
    offsets = {str(number): str(-1000 - number) for number in range(13)}
    numbers = check_numbers(metadata(offsets=offsets), Path(), Problems())
    assert numbers is not None
    stored = {band: round(offset * 10_000) + 1000 for band, offset in numbers.offsets.items()}
    assert stored == {
        "B2": -1, "B3": -2, "B4": -3, "B5": -4, "B6": -5, "B7": -6, "B8": -7, "B8A": -8,
        "B11": -11, "B12": -12,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"quantification": None}, "E-IMAGE-SCALE", "found None"),
        ({"quantification": "0"}, "E-IMAGE-SCALE", "found 0"),
        ({"quantification": "nan"}, "E-IMAGE-SCALE", "found nan"),
        ({"baseline": "five"}, "E-IMAGE-BASELINE", "is five"),
        ({"baseline": None}, "E-IMAGE-BASELINE", "is missing"),
        ({"offsets": {}, "baseline": "02.12"}, "E-IMAGE-BASELINE", "the product says 05.11"),
        ({"offsets": {str(n): "-1000" for n in range(5)}}, "E-IMAGE-BOA-OFFSET", "state 5 values"),
        ({"offsets": {str(n): "x" for n in range(13)}}, "E-IMAGE-BOA-OFFSET", "B8A (band_id 8)"),
        ({"specials": {"NODATA": "none"}}, "E-IMAGE-NODATA", "NODATA is none"),
    ],
)
def test_numbers_that_cannot_be_read(changes: dict[str, Any], code: str, said: str) -> None:
    problems = Problems()
    assert check_numbers(replace(metadata(), **changes), Path("P.SAFE"), problems) is None
    (error,) = problems.errors
    assert (error.code, error.where) == (code, "P.SAFE")
    assert said in error.message
    assert error.hint


def test_a_doctype_is_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    with pytest.raises(MetadataError, match="DOCTYPE"):
        parse_metadata(bomb)
    with pytest.raises(MetadataError, match="DOCTYPE"):
        parse_tile_metadata(bomb)
