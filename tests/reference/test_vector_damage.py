"""Damaged vector files end in findings that name the file, and move no polygon unsaid."""

from __future__ import annotations

import random
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from oso_pipeline.config.independent import IndependentSet
from oso_pipeline.config.model import Area, Strata
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.kinds import ClcSource
from oso_pipeline.reference.databases.sources import Labelling
from oso_pipeline.reference.rules.codes import CodeTable
from oso_pipeline.validation.independent import read_units
from oso_pipeline.vectors.area_of_interest import read_outline
from oso_pipeline.vectors.geometry import repaired
from oso_pipeline.vectors.strata import StrataOfTask, read_strata
from oso_pipeline.vectors.systems import near_miss
from oso_pipeline.vectors.vector_files import VectorFile

LAMBERT_93 = pyproj.CRS(2154).to_wkt("WKT1_ESRI")
LOCAL = 'LOCAL_CS["Unknown",UNIT["metre",1]]'
OLD = (
    'PROJCS["Lambert_Conformal_Conic",GEOGCS["GCS_GRS 1980(IUGG, 1980)",DATUM["D_unknown",'
    'SPHEROID["GRS80",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["Degree",'
    '0.017453292519943295]],PROJECTION["Lambert_Conformal_Conic"],PARAMETER["standard_parallel_1",49],'
    'PARAMETER["standard_parallel_2",44],PARAMETER["latitude_of_origin",46.5],PARAMETER['
    '"central_meridian",3],PARAMETER["false_easting",700000],PARAMETER["false_northing",6600000],'
    'UNIT["Meter",1]]'
)
MISSPELT = [
    LAMBERT_93.replace("Standard_Parallel_2", "St?nd?rd_Parallel_2"),
    LAMBERT_93.replace('PARAMETER["False_Northing"', 'P?RAMETER["False_Northing"'),
    LAMBERT_93.replace("46.5", "46.6"),
]


def written(folder: Path, name: str = "a.shp", prj: str | None = LAMBERT_93) -> Path:
    x = 650_000 + 200 * np.arange(6)
    shapes = shapely.box(x, 6_650_000, x + 100, 6_650_100)
    frame = geopandas.GeoDataFrame({"code": np.arange(6) + 1}, geometry=shapes, crs=2154)
    path = folder / name
    frame.assign(CODE_18="211").to_file(path)
    if path.suffix == ".shp":
        path.with_suffix(".prj").unlink()
        if prj is not None:
            path.with_suffix(".prj").write_text(prj)
    return path


def with_nan(path: Path, value: float = np.nan) -> Path:
    """Put a vertex that is not a number into the third feature."""
    frame = geopandas.read_file(path)
    ring = np.array(frame.geometry[2].exterior.coords)
    ring[2] = value
    frame.loc[2, "geometry"] = shapely.Polygon(ring)
    frame.to_file(path)
    return path


def opened(path: Path) -> Path:
    """Open the ring of the third feature of a shapefile: its last vertex is another one."""
    content = bytearray(path.read_bytes())
    at = 100
    for _ in range(2):
        at += 8 + 2 * struct.unpack_from(">i", content, at + 4)[0]
    end = at + 8 + 2 * struct.unpack_from(">i", content, at + 4)[0]
    struct.pack_into("<d", content, end - 16, struct.unpack_from("<d", content, end - 16)[0] + 7)
    path.write_bytes(content)
    return path


def read(path: Path, **how: str) -> tuple[geopandas.GeoDataFrame | None, str]:
    problems = Problems()
    return VectorFile(path, **how).read(["code"], problems), "\n".join(map(str, problems))


@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_1_12_vertices_that_are_no_numbers_are_dropped_and_reported(
    tmp_path: Path, name: str, value: float
) -> None:
    base = with_nan(written(tmp_path, "base.gpkg"), value)
    path = tmp_path / name
    frame = geopandas.read_file(base)
    if name == "a.parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    found, said = read(path)
    assert found is not None, said
    assert sorted(found["code"]) in ([1, 2, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    assert np.isfinite(shapely.get_coordinates(found.geometry)).all()
    if len(found) == 5:
        assert "W-GEOMETRY-INVALID" in said
        assert name in said


def test_1_12_nothing_is_left_of_a_shape_that_no_library_repairs() -> None:
    sound = shapely.box(0, 0, 1, 1)
    nan = shapely.Polygon([(0, 0), (1, 0), (np.nan, 1), (0, 1)])
    with pytest.raises(shapely.errors.GEOSException):
        shapely.make_valid(nan)
    shapes, broken = repaired(np.array([sound, nan]))
    assert shapes[0].equals(sound)
    assert shapes[1].is_empty
    assert broken.tolist() == [False, True]


def test_2_8_rings_that_are_not_closed_are_reported_and_stop_nothing(tmp_path: Path) -> None:
    path = opened(written(tmp_path))
    found, said = read(path)
    assert found is not None
    assert list(found["code"]) == [1, 2, 4, 5, 6]
    assert "W-GEOMETRY-INVALID" in said
    assert str(path) in said


def test_2_8_an_area_or_region_with_a_damaged_part_is_an_error(tmp_path: Path) -> None:
    path = opened(written(tmp_path))
    problems = Problems()
    assert read_outline(Area(path=path), problems) is None
    assert read_strata(Strata(path=path, field="code"), 2154, problems) is None
    assert [one.code for one in problems.errors] == ["E-GEOMETRY-INVALID", "E-GEOMETRY-INVALID"]


def test_2_8_no_damage_of_a_shapefile_is_a_traceback(tmp_path: Path) -> None:
    whole = written(tmp_path)
    contents = {s: whole.with_suffix(s).read_bytes() for s in (".shp", ".shx", ".dbf", ".prj")}
    draw = random.Random(7)
    for trial in range(60):
        for suffix, content in contents.items():
            damaged = bytearray(content)
            for _ in range(draw.randint(0, 6)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            whole.with_suffix(suffix).write_bytes(damaged)
        found, said = read(whole)
        assert found is not None or str(whole.with_suffix("")) in said, f"trial {trial}: {said}"


@pytest.mark.parametrize("system", [LOCAL, "EPSG:5720", "EPSG:4978", "no system at all"])
def test_1_12_a_system_without_a_place_is_reported_and_crs_counts(
    tmp_path: Path, system: str
) -> None:
    text = pyproj.CRS(system).to_wkt("WKT1_GDAL") if system.startswith("EPSG") else system
    path = written(tmp_path, prj=text)
    found, said = read(path)
    assert found is None
    assert "E-CRS-MISSING" in said
    assert "`crs`" in said
    found, said = read(path, crs="EPSG:2154")
    assert found is not None, said
    assert found.crs.to_epsg() == 2154


def test_1_12_a_local_system_of_parquet_is_reported_too(tmp_path: Path) -> None:
    frame = geopandas.read_file(written(tmp_path, "a.gpkg")).set_crs(LOCAL, allow_override=True)
    frame.to_parquet(tmp_path / "a.parquet")
    assert "Unknown" in read(tmp_path / "a.parquet")[1]
    assert read(tmp_path / "a.parquet", crs="EPSG:2154")[0] is not None


@pytest.mark.parametrize("system", MISSPELT)
def test_2_5_a_system_that_is_nearly_a_known_one_is_a_warning(tmp_path: Path, system: str) -> None:
    path = written(tmp_path, prj=system)
    found, said = read(path)
    assert found is not None
    assert "W-CRS-DAMAGED" in said
    assert "EPSG:2154" in said
    assert str(path) in said


@pytest.mark.parametrize("system", MISSPELT)
def test_2_5_it_is_an_error_for_databases(tmp_path: Path, system: str) -> None:
    path = written(tmp_path, prj=system)
    problems = Problems()
    source = ClcSource(kind="clc", path=path)
    Clc.of(source, Labelling(load_nomenclature("oso17"))).check(problems)
    assert "E-CRS-DAMAGED" in [one.code for one in problems.errors]


@pytest.mark.parametrize(
    "system",
    [
        "EPSG:2154", "EPSG:27572", "EPSG:3946", "EPSG:9842", "EPSG:4171", "EPSG:3035", "EPSG:2975",
        "EPSG:5698", "IGNF:LAMB93", "EPSG:31370", LAMBERT_93, OLD,
        "+proj=lcc +lat_1=49 +lat_2=44 +lat_0=46.5 +lon_0=3 +x_0=700000 +y_0=6600000 +ellps=GRS80",
        "+proj=laea +lat_0=20 +lon_0=40 +ellps=WGS84",
    ],
)  # fmt: skip
def test_2_5_systems_as_they_come_are_no_misses(system: str) -> None:
    assert near_miss(pyproj.CRS.from_user_input(system)) is None


def test_1_10_crs_of_the_independent_set_counts(tmp_path: Path) -> None:
    crosswalk = dict.fromkeys(range(1, 7), 11)
    path = written(tmp_path, prj=None)
    rules = IndependentSet(path=path, crs="EPSG:2154", crosswalk=crosswalk)
    problems = Problems()
    assert read_units(rules, load_nomenclature("oso17"), 2154, problems) is not None
    rules = IndependentSet(path=path, crosswalk=crosswalk)
    problems = Problems()
    assert read_units(rules, load_nomenclature("oso17"), 2154, problems) is None
    assert "E-CRS-MISSING" in [one.code for one in problems.errors]


def test_1_10_strata_have_the_key_that_the_message_advises(tmp_path: Path) -> None:
    path = written(tmp_path, prj=None)
    problems = Problems()
    strata = Strata(path=path, field="code", crs="EPSG:2154")
    regions = read_strata(strata, 2154, problems)
    assert regions is not None, [str(one) for one in problems]
    assert len(regions) == 6
    without = StrataOfTask.of(Strata(path=path, field="code"))
    given = StrataOfTask.of(strata)
    assert without is not None
    assert given is not None
    assert "crs" not in without.to_json()
    assert given.to_json()["crs"] == "EPSG:2154"


@pytest.mark.parametrize("of_file", ["NFC", "NFD"])
@pytest.mark.parametrize("of_crosswalk", ["NFC", "NFD"])
def test_1_14_accents_compare_whatever_system_wrote_them(of_file: str, of_crosswalk: str) -> None:
    nomenclature = load_nomenclature("oso17")
    crosswalk = {unicodedata.normalize(of_crosswalk, "forêt"): nomenclature.codes[0]}
    values = pd.Series([unicodedata.normalize(of_file, "forêt ")])
    assert CodeTable.of(nomenclature, crosswalk).codes(values).tolist() == [nomenclature.codes[0]]


def indexed(folder: Path, change: Callable[[list[list[int]]], object]) -> Path:
    """Write a shapefile whose index has changed entries of offset and length, in words."""
    path = written(folder)
    shx = path.with_suffix(".shx")
    content = shx.read_bytes()
    entries = np.frombuffer(content[100:], ">i4").reshape(-1, 2).tolist()
    change(entries)
    size = struct.pack(">i", 50 + 4 * len(entries))
    shx.write_bytes(content[:24] + size + content[28:100] + np.array(entries, ">i4").tobytes())
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[2].__setitem__(0, entries[2][0] ^ 64),
        lambda entries: entries[5].__setitem__(1, entries[5][1] + 40),
        lambda entries: entries[0].__setitem__(0, -5),
        lambda entries: entries.__setitem__(2, entries[3]) or entries.pop(),
        lambda entries: entries.pop(),
        lambda entries: entries.clear(),
        lambda entries: entries.__setitem__(slice(None), [[0, 0]] * 6),
    ],
)
def test_2_8_an_index_that_leads_elsewhere_is_reported(
    tmp_path: Path, change: Callable[[list[list[int]]], object]
) -> None:
    path = indexed(tmp_path, change)
    found, said = read(path)
    assert found is None
    for word in ("E-VECTOR-INDEX", str(path), ".shx"):
        assert word in said
    path.with_suffix(".shx").unlink()
    found, said = read(path)
    assert found is not None, said
    assert len(found) == 6


def test_2_8_an_index_that_is_cut_is_reported_and_what_follows_it_means_nothing(
    tmp_path: Path,
) -> None:
    path = written(tmp_path)
    shx = path.with_suffix(".shx")
    content = shx.read_bytes()
    shx.write_bytes(content + b"noise")
    assert read(path)[0] is not None
    for kept in (0, 50, 100, 120, len(content) - 1):
        shx.write_bytes(content[:kept])
        assert ".shx" in read(path)[1]


def test_2_8_records_in_another_order_than_in_the_file_are_right(tmp_path: Path) -> None:
    found, said = read(indexed(tmp_path, lambda entries: entries.reverse()))
    assert found is not None, said
    assert found.geometry.bounds["minx"].is_monotonic_decreasing


def test_strata_that_are_not_there_are_named(tmp_path: Path) -> None:
    strata = Strata(path=tmp_path / "regions.gpkg", field="code")
    with pytest.raises(InputDataError, match=r"E-PATH-READ.*strata\.path") as refused:
        StrataOfTask.of(strata)
    assert "regions.gpkg" in str(refused.value)
