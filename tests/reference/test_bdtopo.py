"""Real extracts of BD TOPO, as delivered and with flaws, against counts made by hand."""

from __future__ import annotations

import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.bdtopo import BdTopo
from oso_pipeline.reference.databases.clc import Clc
from oso_pipeline.reference.databases.deliveries import department_code, find_layers
from oso_pipeline.reference.databases.kinds import BdTopoSource, ClcSource
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling
from oso_pipeline.vectors.window import Window

EVERYWHERE = Window.everywhere(2154)
LABELLING = Labelling(load_nomenclature("oso17"))
OLEMPS = (663_500, 6_359_500, 665_400, 6_361_400)
"""Where the buildings of Olemps are."""
GPKG_NAMES = {
    "ID": "cleabs", "NATURE": "nature", "USAGE1": "usage_1", "USAGE2": "usage_2",
    "LEGER": "construction_legere", "ETAT": "etat_de_l_objet", "PERSISTANC": "persistance",
    "POS_SOL": "position_par_rapport_au_sol", "CATEGORIE": "categorie", "FICTIF": "fictif",
    "IMPORTANCE": "importance", "LARGEUR": "largeur_de_chaussee",
}  # fmt: skip


@pytest.fixture
def vectors(shared_data: Path) -> Path:
    return shared_data / "reference_vectors"


@pytest.fixture
def clc(tmp_path: Path) -> Clc:
    """Land cover of Olemps: dense in the west, diffuse in the east, industry in the north."""
    x0, y0, x1, y1 = OLEMPS
    middle, north = (x0 + x1) / 2, y1 - 700
    path = tmp_path / "CLC18_FR.shp"
    boxes = [(x0, y0, middle, north), (middle, y0, x1, north), (x0, north, x1, y1)]
    geopandas.GeoDataFrame(
        {"ID": ["FR-1", "FR-2", "FR-3"], "CODE_18": ["111", "112", "121"]},
        geometry=[shapely.box(*box) for box in boxes],
        crs=2154,
    ).to_file(path)
    return Clc.of(ClcSource(kind="clc", path=path, labels=False), LABELLING)


def database(path: Path, land_cover: Clc | None = None, **keys: Any) -> BdTopo:
    return BdTopo(BdTopoSource(kind="bdtopo", path=path, year=2022, **keys), LABELLING, land_cover)


def checked(source: BdTopo) -> list[str]:
    problems = Problems()
    source.check(problems)
    return [str(problem) for problem in problems]


def read(source: BdTopo, window: Window = EVERYWHERE) -> LabelledPolygons:
    problems = Problems()
    found = source.read(window, problems)
    assert found is not None, "\n".join(map(str, problems))
    return found


def refused(source: BdTopo) -> str:
    problems = Problems()
    assert source.read(EVERYWHERE, problems) is None
    assert problems.errors
    return "\n".join(map(str, problems.errors))


def classes(found: LabelledPolygons) -> dict[int, int]:
    return dict(sorted(Counter(found.frame.code.tolist()).items()))


def test_redon_with_the_tables_that_are_there(vectors: Path) -> None:
    source = database(vectors / "bdtopo_v3_35236", incomplete="skip")
    warnings = checked(source)
    assert [w.split("]")[0] for w in warnings] == ["warning[W-VECTOR-TABLE"] * 2
    assert "BATIMENT" in warnings[0]
    assert "TRONCON_DE_ROUTE" in warnings[1]
    found = read(source)
    # Counts of bdtopo_values.csv: NATURE of the vegetation, PERSISTANC of the water.
    assert classes(found) == {31: 57, 32: 4, 36: 13, 51: 20}
    assert found.name == "BD TOPO v3"
    assert found.n_features == 861 + 36
    assert found.left_out == {
        "left out by the rules: mixed_or_narrow_vegetation": 440 + 331 + 10 + 3 + 2,
        "left out by the rules: intermittent_water": 16,
        "an option that is not switched on: orchard": 1,
    }
    assert not dict(found.values)
    assert set(found.frame.operation) == {"erode"}
    assert set(found.frame.metres) == {10.0}
    assert set(found.frame.year) == {2022}
    assert not found.frame.has_z.any()
    river = found.frame.loc[found.frame.area_ha.idxmax()]
    assert river.code == 51
    assert shapely.length(river.geometry.envelope) > 2 * 39_000


def test_redon_without_tables_is_an_error_that_names_them(vectors: Path) -> None:
    messages = checked(database(vectors / "bdtopo_v3_35236"))
    missing = [m for m in messages if "E-VECTOR-TABLE" in m]
    assert len(missing) == 2
    assert ".dbf" in missing[0]
    assert "BATIMENT.shp" in missing[0]
    assert "incomplete: skip" in missing[0]
    assert "TRONCON_DE_ROUTE.shp" in missing[1]
    assert "E-VECTOR-TABLE" in refused(database(vectors / "bdtopo_v3_35236"))


def olemps_by_hand(vectors: Path) -> pd.DataFrame:
    table = pyogrio.read_dataframe(
        vectors / "bdtopo_v3_12174" / "BATIMENT.shp", encoding="UTF-8", force_2d=True
    )
    return table[table.ETAT == "En service"]


def test_olemps_counts(vectors: Path, clc: Clc) -> None:
    source = database(vectors / "bdtopo_v3_12174", clc, incomplete="skip")
    found = read(source)
    plain = found.frame[found.frame.operation == "erode"]
    assert dict(Counter(plain.code)) == {31: 34, 32: 2, 36: 2, 51: 8}
    assert found.n_features == 665 + 28 + 1186
    assert found.left_out["left out by the rules: building_not_there"] == 1
    buildings = olemps_by_hand(vectors)
    industrial = buildings.USAGE1.isin(["Industriel", "Commercial et services"])
    light = (buildings.LEGER == "Oui") & ~industrial
    assert found.left_out["left out by the rules: light_building"] == light.sum()


def test_olemps_units_are_closings_inside_the_land_cover(vectors: Path, clc: Clc) -> None:
    found = read(database(vectors / "bdtopo_v3_12174", clc, incomplete="skip"))
    units = found.frame[found.frame.operation == "none"]
    buildings = olemps_by_hand(vectors)
    industrial = buildings.USAGE1.isin(["Industriel", "Commercial et services"])
    homes = buildings[~industrial & (buildings.LEGER == "Non")]
    zones = geopandas.read_file(clc.source.path).set_index("CODE_18").geometry
    for code, chosen, radius, zone in (
        (41, homes, 25, "111"), (42, homes, 25, "112"), (43, buildings[industrial], 50, "121")
    ):  # fmt: skip
        # The brute force: square by square, everything at once.
        corner = shapely.get_coordinates(shapely.get_point(chosen.geometry.exterior.values, 0))
        squares = [tuple(pair) for pair in np.floor(corner / 1000)]
        closed = [
            shapely.union_all(shapely.buffer(part.values, radius)).buffer(-radius, quad_segs=8)
            for _, part in chosen.geometry.groupby(pd.Series(squares, index=chosen.index))
        ]
        expected = shapely.union_all(closed).intersection(zones[zone])
        ours = units[units.code == code]
        assert len(ours) > 0
        assert ours.geometry.union_all().symmetric_difference(expected).area < 1
        # Every unit goes by its smallest building, and no building is in two of them.
        assert set(ours.source_id.str.split(" in ").str[0]) <= set(chosen.ID)
        assert ours.source_id.is_unique
    assert found.frame.source_id[found.frame.operation == "none"].is_unique


def windows_of(side: float) -> Iterator[Window]:
    for x in np.arange(661_000, 667_000, side):
        for y in np.arange(6_357_000, 6_363_000, side):
            yield Window(x, y, x + side, y + side, 2154)


def test_margin_of_a_window_is_read_and_not_counted(vectors: Path, clc: Clc) -> None:
    source = database(vectors / "bdtopo_v3_12174", clc, incomplete="skip")
    x, y = 664_000, 6_359_600
    bare = read(source, Window(x, y, x + 400, y + 400, 2154))
    wide = read(source, Window(x, y, x + 400, y + 400, 2154, margin_m=700))
    reached = read(source, Window(x - 700, y - 700, x + 1100, y + 1100, 2154))
    assert (wide.n_features, wide.left_out) == (bare.n_features, bare.left_out)
    assert set(wide.frame.source_id) == set(reached.frame.source_id) > set(bare.frame.source_id)


def test_nothing_depends_on_the_window(vectors: Path, clc: Clc) -> None:
    source = database(vectors / "bdtopo_v3_12174", clc, incomplete="skip")
    whole = read(source)
    by_id = whole.frame.set_index("source_id")
    counts: Counter[str] = Counter()
    n_features = 0
    for window in windows_of(2600.0):
        part = read(source, window)
        n_features += part.n_features
        counts.update(part.left_out)
        box = shapely.box(*window.bounds)
        meets = set(whole.frame.source_id[whole.frame.intersects(box)])
        assert meets <= set(part.frame.source_id)
        same = by_id.loc[part.frame.source_id]
        assert (same.code.to_numpy() == part.frame.code.to_numpy()).all()
        assert shapely.equals(np.array(same.geometry), np.array(part.frame.geometry)).all()
    assert n_features == whole.n_features
    assert counts == whole.left_out


def test_v2_layout(vectors: Path, clc: Clc) -> None:
    source = database(vectors / "bdtopo_v2_layout", clc)
    warnings = checked(source)
    assert len(warnings) == 1
    assert "ROUTE_PRIMAIRE, ROUTE_SECONDAIRE, SURFACE_ROUTE" in warnings[0]
    found = read(source)
    assert found.name == "BD TOPO v2"
    plain = found.frame[found.frame.operation == "erode"]
    assert dict(Counter(plain.code)) == {31: 34, 32: 2, 36: 2, 51: 7}
    assert found.n_features == 665 + 28 + 1157 + 3 + 26
    assert set(found.frame.code[found.frame.operation == "none"]) == {41, 42, 43}
    assert found.left_out["left out by the rules: basin"] == 20


def test_flawed_copies(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_flawed"
    found = read(database(path))
    assert classes(found) == {51: 8}
    # The zones of activity have no .prj, and matter only as an option.
    options = {"options": ("activity_zone",)}
    message = refused(database(path, **options))
    assert "E-CRS-MISSING" in message
    assert "ZONE_D_ACTIVITE_OU_D_INTERET.shp" in message
    found = read(database(path, crs="EPSG:2154", **options))
    assert classes(found) == {43: 4, 51: 8}


_LAYERS = ("BATIMENT", "ZONE_DE_VEGETATION", "SURFACE_HYDROGRAPHIQUE", "AERODROME",
           "ZONE_D_ACTIVITE_OU_D_INTERET")  # fmt: skip


def as_geopackage(folder: Path, target: Path) -> Path:
    """Write layers as IGN names them in GeoPackages, with booleans where there are any."""
    for path in sorted(folder.glob("*.shp")):
        if path.stem not in _LAYERS:
            continue
        frame = pyogrio.read_dataframe(path, encoding="UTF-8", force_2d=True)
        for name in ("LEGER", "FICTIF"):
            if name in frame:
                frame[name] = frame[name] == "Oui"
        frame = frame.rename(columns=GPKG_NAMES).rename(columns=str.lower)
        kept = [name for name in GPKG_NAMES.values() if name in frame]
        frame = frame[[*kept, "geometry"]]
        pyogrio.write_dataframe(frame, target, layer=path.stem.lower(), promote_to_multi=True)
    return target


def test_geopackage_yields_the_same(vectors: Path, clc: Clc, tmp_path: Path) -> None:
    folder = vectors / "bdtopo_v3_12174"
    name = "BDT_3-3_GPKG_LAMB93_D012-ED2022-12-15.gpkg"
    path = as_geopackage(folder, tmp_path / name)
    options = {"options": ("activity_zone", "Verger")}
    ours = read(database(path, clc, departments=("12",), **options))
    shapes = read(database(folder, clc, incomplete="skip", **options))
    assert classes(ours) == classes(shapes)
    assert ours.left_out == shapes.left_out
    a, b = ours.frame.sort_values("source_id"), shapes.frame.sort_values("source_id")
    assert a.source_id.tolist() == b.source_id.tolist()
    assert shapely.equals(np.array(a.geometry), np.array(b.geometry)).all()


def test_layers_and_folders_with_accents(vectors: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp")
    frame = frame[["ID", "NATURE", "geometry"]]
    path = tmp_path / "Données d’été" / "Ille-et-Vilaine.gpkg"
    path.parent.mkdir()
    frame.to_file(path, layer=unicodedata.normalize("NFD", "Zone de végétation"))
    assert classes(read(database(tmp_path))) == {31: 57, 32: 4, 36: 13}


def test_cut_geopackage(vectors: Path, clc: Clc, tmp_path: Path) -> None:
    path = as_geopackage(vectors / "bdtopo_v3_12174", tmp_path / "BDT_3-3_D012.gpkg")
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)
    message = refused(database(path, clc))
    assert "E-VECTOR-CUT" in message
    assert "shorter" in message


def department(vectors: Path, root: Path, code: str, rows: slice, epsg: int = 2154) -> None:
    """Write some of the vegetation of Redon as a department."""
    folder = root / f"BDT_3-3_SHP_LAMB93_D{code}-ED2022-12-15" / "OCCUPATION_DU_SOL"
    folder.mkdir(parents=True)
    frame = geopandas.read_file(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp")
    frame = frame[["ID", "NATURE", "geometry"]].iloc[rows].to_crs(epsg)
    frame.to_file(folder / "ZONE_DE_VEGETATION.shp", encoding="UTF-8")


def test_overlap_of_departments_counts_once(vectors: Path, tmp_path: Path) -> None:
    department(vectors, tmp_path, "035", slice(0, 500))
    department(vectors, tmp_path, "044", slice(400, None))
    source = database(tmp_path, departments=("35", "D044"))
    assert all("W-DELIVERY-LAYER" in message for message in checked(source))
    found = read(source)
    assert classes(found) == {31: 57, 32: 4, 36: 13}
    assert found.frame.source_id.is_unique
    assert found.left_out["also in another delivery"] == 100
    assert found.n_features == 861 + 100


def test_departments_in_two_systems_are_projected_and_logged(vectors: Path, tmp_path: Path) -> None:
    department(vectors, tmp_path, "035", slice(0, 500))
    department(vectors, tmp_path, "044", slice(400, None), epsg=32630)
    source = database(tmp_path)
    (message,) = [m for m in checked(source) if "W-CRS-SEVERAL" in m]
    assert "D035" in message
    assert "D044" in message
    assert "UTM zone 30N" in message
    found = read(source)
    assert found.frame.crs.to_epsg() == 2154
    assert classes(found) == {31: 57, 32: 4, 36: 13}
    shutil.rmtree(tmp_path)
    department(vectors, tmp_path, "035", slice(0, None))
    alone = read(database(tmp_path)).frame.set_index("source_id").geometry
    moved = found.frame.set_index("source_id").geometry.loc[alone.index]
    assert shapely.hausdorff_distance(np.array(alone), np.array(moved)).max() < 0.01


def test_missing_and_double_departments(vectors: Path, tmp_path: Path) -> None:
    department(vectors, tmp_path, "035", slice(0, 5))
    messages = checked(database(tmp_path, departments=("35", "2A", "971")))
    assert "E-DELIVERY-DEPARTMENT" in messages[0]
    assert "02A, 971" in messages[0]
    assert "found: 035" in messages[0]
    twice = tmp_path / "BDT_3-0_SHP_LAMB93_D035-ED2021-03-15"
    shutil.copytree(tmp_path / "BDT_3-3_SHP_LAMB93_D035-ED2022-12-15", twice)
    messages = checked(database(tmp_path))
    assert "E-DELIVERY-TWICE" in messages[0]
    assert "ED2021-03-15" in messages[0]


def test_two_versions_and_wrong_version(vectors: Path, tmp_path: Path) -> None:
    department(vectors, tmp_path, "035", slice(0, 5))
    assert "not v2" in checked(database(tmp_path, version="v2"))[0]
    shutil.copytree(vectors / "bdtopo_v2_layout", tmp_path / "BDT_2-1_SHP_LAMB93_D02A-ED152")
    (message,) = checked(database(tmp_path))
    assert "E-DELIVERY-EDITION" in message
    assert "D035" in message
    assert "D02A" in message
    chosen = read(database(tmp_path, version="v3"))
    assert (chosen.name, chosen.n_features) == ("BD TOPO v3", 5)


def test_path_without_bdtopo(vectors: Path, tmp_path: Path) -> None:
    assert "does not exist" in checked(database(tmp_path / "no"))[0]
    assert "no .shp and no .gpkg" in checked(database(tmp_path))[0]
    (message,) = checked(database(vectors / "clc_2018_granada"))
    assert "CLC18_sample" in message


def test_layer_without_a_field(vectors: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(vectors / "bdtopo_v3_35236" / "SURFACE_HYDROGRAPHIQUE.shp")
    frame[["ID", "NATURE", "geometry"]].to_file(tmp_path / "SURFACE_HYDROGRAPHIQUE.shp")
    message = next(m for m in checked(database(tmp_path)) if "E-VECTOR-COLUMN" in m)
    assert "PERSISTANC or persistance" in message
    assert "its fields: ID, NATURE" in message


def test_built_up_classes_need_a_land_cover(vectors: Path) -> None:
    source = database(vectors / "bdtopo_v3_12174", incomplete="skip")
    (message,) = [m for m in checked(source) if "E-LAND-COVER-MISSING" in m]
    assert "41, 42, 43" in message
    assert "kind clc" in message
    assert "E-LAND-COVER-MISSING" in refused(source)
    without = database(vectors / "bdtopo_v3_12174", incomplete="skip", classes=(31, 51))
    assert checked(without) == []
    found = read(without)
    assert classes(found) == {31: 34, 51: 8}
    assert found.left_out["class not taken from this source"] == 4


def test_only_one_of_two_classes_of_the_same_buildings(vectors: Path, clc: Clc) -> None:
    path = vectors / "bdtopo_v3_12174"
    both = read(database(path, clc, incomplete="skip"))
    one = read(database(path, clc, incomplete="skip", classes=(42,)))
    assert classes(one) == {42: classes(both)[42]}


def test_unknown_values_are_listed_with_counts(vectors: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp")
    frame.loc[:4, "NATURE"] = "Forêt pétrifiée"
    frame[["ID", "NATURE", "geometry"]].to_file(
        tmp_path / "ZONE_DE_VEGETATION.shp", encoding="UTF-8"
    )
    message = refused(database(tmp_path))
    assert "E-CLASS-UNKNOWN" in message
    assert "NATURE=Forêt pétrifiée (5, " in message
    source = BdTopo(
        BdTopoSource(kind="bdtopo", path=tmp_path),
        Labelling(load_nomenclature("oso17"), unknown_codes="drop"),
    )
    assert read(source).left_out["unknown value"] == 5


def test_rules_of_the_user(vectors: Path, tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(
        "database: bdtopo\nedition: v3\nextends: default\nrules:\n"
        "  - {id: poplars, layer: ZONE_DE_VEGETATION, where: {NATURE: peupleraie},"
        " classes: {oso17: 31}}\n"
        "  - {id: pitches, layer: TERRAIN_DE_SPORT, where: {NATURE: Grand terrain de sport},"
        " classes: {oso17: 211}, geometry: none}\n"
    )
    path = vectors / "bdtopo_v3_35236"
    found = read(database(path, incomplete="skip", rules=rules))
    assert classes(found) == {31: 57 + 3, 32: 4, 36: 13, 51: 20, 211: 8}
    assert rules in database(path, rules=rules).files


def test_points_and_lines_are_refused(vectors: Path, tmp_path: Path) -> None:
    frame = geopandas.read_file(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp")
    for name, shapes in (("point", frame.centroid), ("line", frame.boundary)):
        path = tmp_path / name / "ZONE_DE_VEGETATION.shp"
        path.parent.mkdir()
        frame[["ID", "NATURE"]].set_geometry(shapes, crs=2154).to_file(path, encoding="UTF-8")
        message = refused(database(path))
        assert "E-GEOMETRY-TYPE" in message
        assert "polygons are expected" in message


def roads(folder: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [shapely.LineString([(0, 100 * n, 5), (90, 100 * n, 5)]) for n in range(len(rows))]
    usual = {"NATURE": "Route à 1 chaussée", "ETAT": "En service", "FICTIF": "Non"}
    table = [{"ID": f"T{n}", **usual, "POS_SOL": "0", **row} for n, row in enumerate(rows)]
    frame = geopandas.GeoDataFrame(table, geometry=lines, crs=2154)
    path = folder / "TRONCON_DE_ROUTE.shp"
    frame.to_file(path, encoding="UTF-8")
    return path


def test_roads(tmp_path: Path) -> None:
    path = roads(
        tmp_path,
        [
            {"IMPORTANCE": "1", "LARGEUR": 21.0},
            {"IMPORTANCE": "3", "LARGEUR": 0.0},
            {"IMPORTANCE": "2", "LARGEUR": None},
            {"IMPORTANCE": "4", "LARGEUR": 5.0},
            {"IMPORTANCE": "1", "LARGEUR": 21.0, "POS_SOL": "-1"},
            {"IMPORTANCE": "1", "LARGEUR": 21.0, "FICTIF": "Oui"},
            {"IMPORTANCE": "2", "LARGEUR": 8.0, "NATURE": "Bac ou liaison maritime"},
            {"IMPORTANCE": "2", "LARGEUR": 8.0, "ETAT": "En projet"},
        ],
    )
    found = read(database(path))
    assert found.frame.source_id.tolist() == ["T0", "T1", "T2"]
    assert set(found.frame.code) == {44}
    assert set(found.frame.operation) == {"buffer"}
    assert found.frame.metres.tolist() == [10.5, 10.0, 10.0]
    assert found.n_features == 8


@pytest.mark.parametrize(
    ("text", "code"), [("1", "001"), ("31", "031"), ("2a", "02A"), ("D077", "077"), ("974", "974")]
)
def test_department_codes(text: str, code: str) -> None:
    assert department_code(text) == code


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("BDT_3-3_SHP_LAMB93_D077-ED2022-12-15/BATI", "077"),
        ("BDT_2-1_SHP_LAMB93_D02A-ED152/E_BATI", "02A"),
        ("BDTOPO_3-3_TOUSTHEMES_SHP_LAMB93_D031_2022-12-15/BDTOPO/1_DONNEES/x/BATI", "031"),
        ("Données d’été/bâti", None),
    ],
)
def test_departments_by_the_names_of_folders(
    tmp_path: Path, folder: str, expected: str | None
) -> None:
    path = tmp_path / folder / "BATIMENT.SHP"
    path.parent.mkdir(parents=True)
    path.touch()
    (layer,) = find_layers(tmp_path, ["BATIMENT"], None, Problems())
    assert layer.department == expected
