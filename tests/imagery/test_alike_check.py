"""What `oso check` says of products that were made in different ways, before anything runs."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from support.inventories import make_config
from support.muscate_factory import Muscate
from support.stac_factory import write

from oso_pipeline.config import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery import alike_check
from oso_pipeline.imagery.muscate import reader as muscate
from oso_pipeline.imagery.muscate.files import Flags
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.stac.reader import StacReader
from oso_pipeline.imagery.stage import STAGE


def check(config: Config) -> Problems:
    problems = STAGE.check(config)
    problems.raise_errors(AssertionError)
    return problems


def mixed(problems: Problems) -> list[tuple[str, str]]:
    codes = ("W-SEASON-BASELINES", "W-SEASON-PROCESSORS", "W-SEASON-CAMS")
    return [(one.code, one.message) for one in problems.warnings if one.code in codes]


def muscate_names(n: int, version: str = "2-2", tile: str = "31TCJ") -> list[str]:
    days = (date(2018, 4, 1) + timedelta(days=5 * number) for number in range(n))
    return [f"SENTINEL2A_{day:%Y%m%d}-105435-457_L2A_T{tile}_C_V{version}" for day in days]


def empty(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / "images" / name).mkdir(parents=True)


def test_baselines_are_compared_by_the_names_of_safe_products(tmp_path: Path) -> None:
    names = [
        f"S2A_MSIL2A_2018{month}05T105435_N{baseline}_R051_T31TCJ_2018{month}06T000000.SAFE"
        for month, baseline in (("04", "0207"), ("05", "0207"), ("06", "0500"))
    ]
    empty(tmp_path, names[:2])
    config = make_config(tmp_path, readers=[{"kind": "safe"}])
    assert mixed(check(config)) == []
    empty(tmp_path, names[2:])
    ((code, message),) = mixed(check(config))
    assert code == "W-SEASON-BASELINES"
    assert "02.07: 2 products (2018-04-05, 2018-05-05); 05.00: 1 product (2018-06-05)" in message


def test_baselines_of_stac_items_are_those_that_the_search_read(tmp_path: Path) -> None:
    (reader,) = Readers.of(
        make_config(tmp_path, readers=[{"kind": "stac"}]).imagery.readers
    ).readers
    assert isinstance(reader, StacReader)
    (found,) = reader.recognise(write(tmp_path))
    assert found.rank[:2] == (5, 11)
    assert reader.named(found).baseline == "05.11"


def test_versions_are_compared_by_the_names_of_muscate_products(tmp_path: Path) -> None:
    empty(tmp_path, [*muscate_names(2), muscate_names(3, "3-0")[2]])
    ((code, message),) = mixed(check(make_config(tmp_path)))
    assert code == "W-SEASON-PROCESSORS"
    assert "muscate 2: 2 products (2018-04-01, 2018-04-06); muscate 3: 1 product" in message


def test_an_older_version_of_an_acquisition_has_no_part(tmp_path: Path) -> None:
    empty(tmp_path, [*muscate_names(2, "3-0"), *muscate_names(1, "2-2")])
    assert mixed(check(make_config(tmp_path))) == []


def test_cams_is_compared_by_metadata_and_images_of_other_days_are_not(tmp_path: Path) -> None:
    on, off = muscate_names(2)
    other_year = off.replace("2018", "2016")
    Muscate(on, cams="Activated_OK").write(tmp_path / "images")
    Muscate(other_year, cams="Deactivated").write(tmp_path / "images")
    assert mixed(check(make_config(tmp_path))) == []
    Muscate(off, cams="Deactivated").write_zip(tmp_path / "images")
    ((code, message),) = mixed(check(make_config(tmp_path)))
    assert code == "W-SEASON-CAMS"
    assert "with CAMS: 1 product (2018-04-01); without CAMS: 1 product (2018-04-06)" in message


def test_metadata_of_few_products_are_read_and_a_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def spy(contents: object) -> Flags:
        read.append("one")
        return Flags()

    monkeypatch.setattr(alike_check, "MOST_METADATA", 5)
    monkeypatch.setattr(muscate, "read_flags", spy)
    empty(tmp_path, muscate_names(23))
    notes = check(make_config(tmp_path)).notes
    assert len(read) == 5
    assert any("the names of 23 products and the metadata of 5 of them" in one for one in notes)


def test_one_warning_stands_for_all_tiles(tmp_path: Path) -> None:
    for tile in ("31TCJ", "30TYP"):
        empty(tmp_path, [*muscate_names(2, tile=tile), muscate_names(3, "3-0", tile)[2]])
    config = make_config(tmp_path, tiles=("31TCJ", "30TYP"))
    ((code, message),) = mixed(check(config))
    assert code == "W-SEASON-PROCESSORS"
    assert message.endswith("; so does that of 1 other tile")


def test_products_of_two_families_are_named_before_anything_is_copied(tmp_path: Path) -> None:
    for tile in ("31TCJ", "30TYP"):
        product = f"S2A_MSIL2A_20180405T105435_N0511_R051_T{tile}_20180406T000000"
        empty(tmp_path, [f"{product}.SAFE", f"{product}.zarr"])
    empty(tmp_path, ["SENTINEL2A_20180405-105635-457_L2A_T31TCJ_C_V2-2"])
    config = make_config(tmp_path, tiles=("31TCJ", "30TYP"))
    (warning,) = [one for one in check(config).warnings if one.code == "W-IMAGE-FAMILIES"]
    assert "1 product of tile 31TCJ in several formats: S2A_MSIL2A_20180405" in warning.message
    assert "(eopf and safe)" in warning.message
    assert warning.message.endswith("; and 2 more such findings")
