"""What of a delivery is still packed is named; what macOS adds to it is not a part of it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.kinds import BdTopoSource, ClcSource, RpgSource
from oso_pipeline.reference.databases.packed import files_below
from oso_pipeline.reference.databases.rpg import Rpg
from oso_pipeline.reference.databases.sources import Labelling, ReferenceSource
from oso_pipeline.vectors.window import Window

LABELLING = Labelling(load_nomenclature("oso17"))
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
FORK = bytes.fromhex("0005160700020000") + bytes(4000)
RPG = "RPG_2-0__SHP_LAMB93_R{}_2018-01-15"
BDTOPO = "BDTOPO_3-3_TOUSTHEMES_SHP_LAMB93_D0{}_2022-12-15"
PACKED = [".7z", ".7z.001", ".zip", ".tar.gz"]


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = shapely.box(650_000 + 200 * np.arange(3), 6_650_000, 650_100, 6_650_100)
    geopandas.GeoDataFrame(columns, geometry=shapes, crs=2154, index=range(3)).to_file(path)
    return path


def source(kind: str, path: Path) -> ReferenceSource:
    if kind == "rpg":
        return Rpg(RpgSource(kind="rpg", path=path, year=2018), LABELLING)
    if kind == "bdtopo":
        given = BdTopoSource(kind="bdtopo", path=path, classes=(34,), crs=None)
        return BdTopo(given, LABELLING)
    return Clc.of(ClcSource(kind="clc", path=path), LABELLING)


def delivery(kind: str, folder: Path, number: int = 31) -> Path:
    """Write what was unpacked of a region or department, and return its folder."""
    if kind == "rpg":
        home = folder / RPG.format(number)
        write(home / "DATA" / "PARCELLES_GRAPHIQUES.shp", ID_PARCEL="1", CODE_CULTU="BTH")
    elif kind == "bdtopo":
        home = folder / BDTOPO.format(number)
        write(home / "VEGETATION" / "ZONE_DE_VEGETATION.shp", ID="v1", NATURE="Lande ligneuse")
    else:
        home = folder / f"CLC_D0{number}"
        write(home / "CLC18.shp", CODE_18="211")
    return home


def checked(kind: str, path: Path) -> Problems:
    problems = Problems()
    source(kind, path).check(problems)
    return problems


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("kind", ["rpg", "bdtopo", "clc"])
def test_1_7_a_delivery_that_is_packed_is_to_be_unpacked(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    archive = tmp_path / f"{RPG.format(32)}{suffix}"
    archive.write_bytes(SEVEN_ZIP)
    (error,) = checked(kind, tmp_path).errors
    assert error.code == "E-DELIVERY-PACKED"
    assert archive.name in error.message
    assert "unpack" in (error.hint or "")


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("kind", ["rpg", "bdtopo", "clc"])
def test_1_7_a_packed_department_among_unpacked_ones_is_named(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    delivery(kind, tmp_path)
    other = {"rpg": RPG.format(32), "bdtopo": BDTOPO.format(32), "clc": "CLC_D032"}[kind]
    (tmp_path / f"{other}{suffix}").write_bytes(SEVEN_ZIP)
    problems = checked(kind, tmp_path)
    assert not problems.errors, [str(one) for one in problems.errors]
    (warning,) = [one for one in problems.warnings if "packed" in one.message]
    assert f"{other}{suffix}" in warning.message
    read = Problems()  # the warnings of reading are those that a run prints
    source(kind, tmp_path).read(Window.everywhere(2154), read)
    assert warning in list(read)


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("kind", ["rpg", "bdtopo", "clc"])
def test_1_7_the_archive_of_what_was_unpacked_is_not_named(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    home = delivery(kind, tmp_path)
    home.with_name(f"{home.name}{suffix}").write_bytes(SEVEN_ZIP)
    assert not [one for one in checked(kind, tmp_path) if "packed" in one.message]


@pytest.mark.parametrize("suffix", PACKED[:2])
@pytest.mark.parametrize("kind", ["rpg", "bdtopo", "clc"])
def test_1_7_an_archive_as_path_is_to_be_unpacked(tmp_path: Path, kind: str, suffix: str) -> None:
    archive = tmp_path / f"{RPG.format(31)}{suffix}"
    archive.write_bytes(SEVEN_ZIP)
    problems = checked(kind, archive)
    assert any("unpack" in (one.hint or "") for one in problems.errors)
    assert all(str(archive) in str(one) for one in problems.errors)


@pytest.mark.parametrize("kind", ["rpg", "bdtopo", "clc"])
def test_1_4_what_macos_adds_to_a_delivery_does_not_count(tmp_path: Path, kind: str) -> None:
    home = delivery(kind, tmp_path)
    for file in [one for one in home.rglob("*") if one.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(FORK)
    shutil.copytree(home, tmp_path / "__MACOSX" / home.name)
    (tmp_path / "._archive.7z").write_bytes(FORK)
    problems = checked(kind, tmp_path)
    assert not problems.errors, [str(one) for one in problems.errors]
    assert not [one for one in problems if "packed" in one.message]
    assert not [file for file in source(kind, tmp_path).files if file.name.startswith("._")]
    assert all("__MACOSX" not in file.parts for file in files_below(tmp_path))


def test_1_7_a_packed_region_of_another_year_is_not_requested(tmp_path: Path) -> None:
    delivery("rpg", tmp_path)
    with zipfile.ZipFile(tmp_path / "RPG_2-0__SHP_LAMB93_R32_2019-01-15.zip", "w"):
        pass
    assert not [one for one in checked("rpg", tmp_path) if "packed" in one.message]


def test_a_folder_of_far_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole disk, for example: to list it would take hours."""
    monkeypatch.setattr("oso_pipeline.reference.databases.packed.MAX_FILES", 3)
    for number in range(3):
        (tmp_path / f"{number}.shp").write_bytes(b"")
    assert len(files_below(tmp_path)) == 3
    (tmp_path / "last.shp").write_bytes(b"")
    with pytest.raises(InputDataError, match=r"E-DELIVERY-FILES.*\n.*file: .*\n.*this database"):
        files_below(tmp_path)
