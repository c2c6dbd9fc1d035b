"""Corine Land Cover, BD Forêt and Randolph, on the real extract and in their layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from oso_pipeline.config.reference import Reference
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.databases.catalogue import open_sources
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.kinds import BdForetSource, ClcSource, RandolphSource
from oso_pipeline.reference.databases.plain_database import BDFORET, RANDOLPH, PlainDatabase
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling, ReferenceSource
from oso_pipeline.vectors.window import Window

EVERYWHERE = Window.everywhere(2154)
LABELLING = Labelling(load_nomenclature("oso17"))


@pytest.fixture
def granada(shared_data: Path) -> Path:
    return shared_data / "reference_vectors" / "clc_2018_granada" / "CLC18_sample.gpkg"


def clc(path: Path, **keys: Any) -> Clc:
    return Clc.of(ClcSource(kind="clc", path=path, **keys), LABELLING)


def read(source: ReferenceSource, window: Window = EVERYWHERE) -> LabelledPolygons:
    problems = Problems()
    source.check(problems)
    found = source.read(window, problems)
    assert found is not None, "\n".join(map(str, problems))
    assert not problems.errors
    return found


def wrong(source: ReferenceSource) -> str:
    checked, problems = Problems(), Problems()
    source.check(checked)
    assert checked.errors
    assert source.read(EVERYWHERE, problems) is None
    assert problems.errors
    return "\n".join(map(str, checked.errors))


def test_granada_labels(granada: Path) -> None:
    raw = geopandas.read_file(granada)
    found = read(clc(granada))
    assert found.name == "CLC 2018"
    # By hand: 321 natural grassland, 331 beaches, 332 rocks, 523 sea.
    by_code = Counter(raw.CODE_18)
    expected = {34: by_code["321"], 46: by_code["331"], 45: by_code["332"], 51: by_code["523"]}
    assert Counter(found.frame.code) == {code: n for code, n in expected.items() if n}
    assert found.n_features == len(raw) == 136
    assert sum(found.left_out.values()) == 136 - len(found.frame)
    assert found.frame.crs.to_epsg() == 25830
    assert found.frame.rule.isin(["321", "331", "332", "523"]).all()
    assert found.frame.area_ha.sum() == pytest.approx(
        raw.geometry[raw.CODE_18.isin(["321", "331", "332", "523"])].area.sum() / 1e4
    )


def test_granada_options_and_classes(granada: Path) -> None:
    by_code = Counter(geopandas.read_file(granada).CODE_18)
    found = read(clc(granada, options=(322, "512"), classes=(36, 51)))
    expected = {36: by_code["322"], 51: by_code["512"] + by_code["523"]}
    assert Counter(found.frame.code) == {code: n for code, n in expected.items() if n}


def test_granada_as_land_cover(granada: Path) -> None:
    raw = geopandas.read_file(granada).to_crs(2154)
    x, y = raw.geometry[raw.CODE_18 == "112"].iloc[0].representative_point().coords[0]
    window = Window(x - 500, y - 500, x + 500, y + 500, 2154)
    zones = clc(granada, labels=False).zones(["111", "112"], window, Problems())
    assert zones is not None
    assert set(zones.codes) <= {"111", "112"}
    box = shapely.box(*window.bounds)
    ours = shapely.union_all(zones.geometries[zones.codes == "112"]).intersection(box)
    theirs = raw.geometry[raw.CODE_18 == "112"].make_valid().union_all().intersection(box)
    assert ours.symmetric_difference(theirs).area < 1
    assert ours.area > 1000


def test_land_cover_only_yields_no_label(granada: Path) -> None:
    found = read(clc(granada, labels=False))
    assert (len(found.frame), found.n_features) == (0, 0)


@pytest.mark.parametrize(
    ("field", "name"),
    [("code_12", "clc.gpkg"), ("Code_18", "clc.gpkg"), ("CODE_12", "CLC12_FR_RGF.SHP"),
     ("CODE_CLC", "clc.shp"), ("code_00", "été.gpkg")],
)  # fmt: skip
def test_field_in_any_case_and_format(granada: Path, tmp_path: Path, field: str, name: str) -> None:
    frame = geopandas.read_file(granada).rename(columns={"CODE_18": field})
    path = tmp_path / name
    driver = "GPKG" if name.endswith("gpkg") else "ESRI Shapefile"
    frame.to_file(path, driver=driver)
    for written in list(tmp_path.glob("CLC12*")):
        written.rename(written.with_suffix(written.suffix.upper()))
    assert Counter(read(clc(path)).frame.code) == Counter(read(clc(granada)).frame.code)
    assert read(clc(tmp_path)).n_features == 136


def test_codes_as_numbers(granada: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(granada)
    frame["CODE_18"] = frame.CODE_18.astype(float)
    frame.to_file(tmp_path / "clc.gpkg")
    assert Counter(read(clc(tmp_path)).frame.code) == Counter(read(clc(granada)).frame.code)


def test_without_code_field_the_fields_are_listed(granada: Path, tmp_path: Path) -> None:
    geopandas.read_file(granada).rename(columns={"CODE_18": "class"}).to_file(tmp_path / "c.gpkg")
    message = wrong(clc(tmp_path))
    assert "E-DELIVERY-FIELDS" in message
    assert "class, AREA_HA" in message
    assert "CODE_18" in message
    assert read(clc(tmp_path, code_field="CLASS")).n_features == 136


def test_two_years_in_a_folder(granada: Path, tmp_path: Path) -> None:
    for year in ("12", "18"):
        frame = geopandas.read_file(granada).rename(columns={"CODE_18": f"CODE_{year}"})
        frame.to_file(tmp_path / f"CLC{year}.gpkg")
    message = wrong(clc(tmp_path))
    assert "CODE_12, CODE_18" in message
    assert "`path`" in message


def test_unknown_codes_are_listed(granada: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(granada)
    frame.loc[:1, "CODE_18"] = "999"
    frame.to_file(tmp_path / "c.gpkg")
    problems = Problems()
    assert clc(tmp_path).read(EVERYWHERE, problems) is None
    assert "CODE=999 (2, 87.8 ha)" in str(problems.errors[0])


def test_the_land_cover_of_the_configuration_serves_bdtopo(granada: Path, tmp_path: Path) -> None:
    reference = Reference.model_validate(
        {
            "sources": [
                {"kind": "bdtopo", "path": tmp_path},
                {"kind": "clc", "path": granada, "labels": False},
            ]
        }
    )
    first, second = open_sources(reference, LABELLING.nomenclature)
    assert isinstance(first, BdTopo)
    assert first.land_cover is second


def stands(folder: Path, name: str, columns: dict[str, list[Any]]) -> Path:
    n = len(next(iter(columns.values())))
    boxes = [shapely.box(600_000 + 200 * i, 0, 600_100 + 200 * i, 100) for i in range(n)]
    frame = geopandas.GeoDataFrame(columns, geometry=boxes, crs=2154)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pyogrio.write_dataframe(frame, path, driver="ESRI Shapefile", encoding="UTF-8")
    return path


def test_bdforet_v2_of_two_departments(tmp_path: Path) -> None:
    groups = ["Forêt fermée feuillus", "Forêt fermée conifères", "Lande", "Peupleraie"]
    for code, ids in (("031", ["a", "b", "c", "d"]), ("009", ["d", "e", "f", "b"])):
        name = f"BDFORET_2-0__SHP_LAMB93_D{code}_2014-04-01/FORMATION_VEGETALE.SHP"
        stands(tmp_path, name, {"ID": ids, "CODE_TFV": ["FF1"] * 4, "TFV_G11": groups})
    source = PlainDatabase(BdForetSource(kind="bdforet", path=tmp_path), LABELLING, BDFORET)
    found = read(source)
    assert found.name == "BD Forêt v2"
    # Departments are read in the order of their names; a feature of both counts as the first.
    codes = dict(zip(found.frame.source_id, found.frame.code, strict=True))
    assert codes == {"d": 31, "e": 32, "f": 36, "a": 31, "c": 36}
    assert found.left_out["also in another delivery"] == 2


def test_bdforet_v1(tmp_path: Path) -> None:
    names = ["FUTAIE DE FEUILLUS", "FUTAIE DE CONIFERES", "LANDE LIGNEUSE", "TAILLIS"]
    path = stands(tmp_path, "BDFORET.shp", {"TYPN": [11, 21, 40, 12], "NOM_TYPN": names})
    source = PlainDatabase(BdForetSource(kind="bdforet", path=path), LABELLING, BDFORET)
    found = read(source)
    assert found.name == "BD Forêt v1"
    assert found.frame.code.tolist() == [31, 32, 36]
    assert found.frame.source_id.tolist() == ["BDFORET 0", "BDFORET 1", "BDFORET 2"]
    wanted = PlainDatabase(
        BdForetSource(kind="bdforet", path=path, version="v2"), LABELLING, BDFORET
    )
    assert "those of BD Forêt v1" in wrong(wanted)


def test_bdforet_of_no_edition(tmp_path: Path) -> None:
    path = stands(tmp_path, "BDFORET.shp", {"CODE": [1, 2]})
    message = wrong(PlainDatabase(BdForetSource(kind="bdforet", path=path), LABELLING, BDFORET))
    assert "TFV_G11, NOM_TYPN, TYPN" in message
    assert "CODE" in message


@pytest.mark.parametrize("field", ["RGIId", "rgi_id"])
def test_randolph_in_degrees(tmp_path: Path, field: str) -> None:
    ids = ["RGI60-11.00001", "RGI60-11.00002"]
    boxes = [shapely.box(6.9, 45.8, 6.95, 45.85), shapely.box(7.0, 45.9, 7.01, 45.91)]
    frame = geopandas.GeoDataFrame({field: ids}, geometry=boxes, crs=4326)
    frame.to_file(tmp_path / "11_rgi60_CentralEurope.shp")
    lines = geopandas.GeoDataFrame({field: ids}, geometry=[b.boundary for b in boxes], crs=4326)
    lines.to_file(tmp_path / "centerlines.shp")
    source = PlainDatabase(RandolphSource(kind="randolph", path=tmp_path), LABELLING, RANDOLPH)
    found = read(source)
    assert found.frame.source_id.tolist() == ids
    assert set(found.frame.code) == {53}
    # 0.05 degrees are 5.56 km from south to north, 3.87 km along the 46th parallel.
    assert found.frame.area_ha[0] == pytest.approx(5560 * 3880 / 1e4, rel=0.01)
    on_map = frame.to_crs(2154).geometry[0].centroid
    window = Window(on_map.x - 10, on_map.y - 10, on_map.x + 10, on_map.y + 10, 2154)
    assert read(source, window).frame.source_id.tolist() == ids[:1]


def test_areas_without_features(granada: Path) -> None:
    away = Window(0.0, 0.0, 1000.0, 1000.0, 2154)
    found = read(clc(granada), away)
    assert len(found.frame) == 0
    assert found.frame.code.dtype == np.int32
