"""RPG in both forms: real extracts with counted classes, and every way a delivery can be wrong."""

from __future__ import annotations

import csv
import shutil
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.kinds import RpgSource
from oso_pipeline.reference.databases.rpg import NOT_DECLARED, Rpg
from oso_pipeline.reference.databases.rpg_ilots import NOT_IN_TABLE, OTHER_GROUP, SEVERAL_GROUPS
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling
from oso_pipeline.reference.rules.rule_set import NO_RULE, load_rules
from oso_pipeline.vectors.window import Window

X, Y = 600_000, 6_300_000
NATIONAL = "RPG_2-0__GPKG_LAMB93_FXX_2022-01-01"
REUNION = "RPG_2-0_SHP_RGR92UTM40S_D974-2019"


def rpg(path: Path, year: int, nomenclature: str = "oso17", **keys: Any) -> Rpg:
    unknown = keys.pop("unknown_codes", "error")
    source = RpgSource.model_validate({"path": path, "kind": "rpg", "year": year, **keys})
    return Rpg(source, Labelling(load_nomenclature(nomenclature), unknown))


def read(source: Rpg, window: Window | None = None) -> LabelledPolygons:
    problems = Problems()
    source.check(problems)
    found = source.read(window or Window.everywhere(2154), problems)
    assert found is not None, [str(problem) for problem in problems]
    assert problems.errors == []
    return found


def refused(source: Rpg) -> list[Problem]:
    """Return what the check finds; reading must find something as well and return nothing."""
    problems, again = Problems(), Problems()
    source.check(problems)
    assert source.read(Window.everywhere(2154), again) is None
    assert again.errors
    return problems.errors


def square(column: int, row: int = 0, side: float = 100.0) -> shapely.Polygon:
    return shapely.box(
        X + 200 * column, Y + 200 * row, X + 200 * column + side, Y + 200 * row + side
    )


def write(path: Path, codes: list[Any], crs: int = 2154, **columns: Any) -> Path:
    """Write squares with CODE_CULTU; `geometry` may say others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = columns.pop("geometry", [square(i) for i in range(len(codes))])
    fields = columns.pop("fields", ("ID_PARCEL", "CODE_CULTU"))
    numbers = columns.pop("numbers", [str(1000 + i) for i in range(len(codes))])
    table = dict(zip(fields, (numbers, codes), strict=True))
    frame = geopandas.GeoDataFrame({**table, **columns}, geometry=shapes, crs=2154).to_crs(crs)
    pyogrio.write_dataframe(frame, path, layer=path.stem if path.suffix == ".gpkg" else None)
    return path


def write_ilots(folder: Path, groups: list[Any], lines: list[str] | None, **more: Any) -> Path:
    """Write blocks 008-1, 008-2 ... and the lines of their table."""
    encoding = more.pop("encoding", "utf-8")
    numbers = more.pop("numbers", [f"008-{i + 1}" for i in range(len(groups))])
    path = folder / "ILOTS_ANONYMES.shp"
    write(path, groups, fields=("NUM_ILOT", "CODE_CULTU"), numbers=numbers, **more)
    if lines is not None:
        header = "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE;NOM_GROUPE_CULTURE"
        text = "\r\n".join([header, *lines, ""])
        table = folder / "ILOTS-ANONYMES-GROUPES-CULTURE.csv"
        table.write_bytes(text.encode(encoding))
    return path


def classes(found: LabelledPolygons) -> dict[int, int]:
    return {int(code): int(n) for code, n in found.frame["code"].value_counts().items()}


# Real extracts.


@pytest.mark.parametrize(
    ("nomenclature", "expected"),
    [
        ("oso17", {11: 11, 12: 16, 211: 28, 221: 1, 222: 8}),
        ("oso23", {5: 1, 6: 14, 7: 1, 10: 10, 12: 1, 13: 28, 14: 1, 15: 8}),
    ],
)
def test_hundred_real_parcels(
    nomenclature: str, expected: dict[int, int], shared_data: Path
) -> None:
    folder = shared_data / "reference_vectors" / NATIONAL
    found = read(rpg(folder, 2022, nomenclature))
    assert classes(found) == expected
    assert (found.n_features, found.name, dict(found.values)) == (100, "RPG 2022", {})
    assert sum(found.left_out.values()) == 100 - sum(expected.values()) == 36
    (path,) = folder.rglob("*.gpkg")
    real = pyogrio.read_dataframe(path).set_index("id_parcel")
    with (shared_data / "nomenclatures" / "rpg_to_oso.csv").open(encoding="utf-8") as file:
        facts = {row["code"]: row for row in csv.DictReader(file)}
    for row in found.frame.itertuples():
        parcel = real.loc[row.source_id]
        assert row.rule == parcel.code_cultu
        assert row.code == int(facts[row.rule][nomenclature])
        assert row.area_ha == pytest.approx(parcel.geometry.area / 1e4)
        assert (row.operation, row.metres, row.year, row.side) == ("erode", 10, 2022, "")


def test_options_of_real_parcels(shared_data: Path) -> None:
    folder = shared_data / "reference_vectors" / NATIONAL
    found = read(rpg(folder, 2022, options=["PTR", "RGA", "NOX"], classes=[211, 221]))
    assert classes(found) == {211: 34, 221: 2}
    assert found.left_out["class not taken from this source"] == 35


def test_windows_share_the_real_parcels_without_loss(shared_data: Path) -> None:
    source = rpg(shared_data / "reference_vectors" / NATIONAL, 2022)
    whole = read(source)
    x_min, y_min, x_max, y_max = whole.frame.total_bounds
    x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
    low, high = -1e7, 1e7
    quarters = [
        (low, low, x, y), (x, low, high, y), (low, y, x, high), (x, y, high, high),
    ]  # fmt: skip
    parts = [read(source, Window(*bounds, 2154)) for bounds in quarters]
    assert sum(part.n_features for part in parts) == 100
    left_out: Counter[str] = sum((Counter(part.left_out) for part in parts), Counter())
    assert left_out == Counter(whole.left_out)
    assert set().union(*(part.frame.source_id for part in parts)) == set(whole.frame.source_id)
    ids = [set(part.frame.source_id) for part in parts]
    for part, bounds in zip(parts, quarters, strict=True):
        box = shapely.box(*np.clip(bounds, -1e7, 1e7))
        meets = whole.frame[whole.frame.intersects(box)]
        assert set(meets.source_id) <= set(part.frame.source_id)
    assert sum(map(len, ids)) < 1.2 * len(whole.frame)


def test_real_delivery_without_its_geometry(shared_data: Path) -> None:
    (problem,) = refused(rpg(shared_data / "reference_vectors" / REUNION, 2019))
    assert problem.code == "E-GEOMETRY-NONE"
    assert "no PARCELLES_GRAPHIQUES.shp beside it: there are attributes, but no geometry" in (
        problem.message
    )
    assert str(problem.where).endswith("PARCELLES_GRAPHIQUES.dbf")


def test_real_codes_of_la_reunion(shared_data: Path) -> None:
    """All 89 codes of the island are known; what is taken is what the facts say."""
    (path,) = (shared_data / "reference_vectors" / REUNION).rglob("*.dbf")
    table = pyogrio.read_dataframe(path)
    problems = Problems()
    source = RpgSource.model_validate({"path": path, "kind": "rpg", "year": 2019})
    rules = load_rules(source, "parcels", load_nomenclature("oso17"), problems)
    assert rules is not None
    match = rules.first_match({"CODE_CULTU": table["CODE_CULTU"]})
    assert (match != NO_RULE).all()
    codes = Counter(rules.rules[row].code for row in match)
    with (shared_data / "nomenclatures" / "rpg_to_oso.csv").open(encoding="utf-8") as file:
        facts = {
            row["code"]: int(row["oso17"])
            for row in csv.DictReader(file)
            if row["status"] == "core"
        }
    assert codes == Counter(facts.get(code) for code in table["CODE_CULTU"])
    assert codes == {None: 1326, 11: 93, 12: 2, 211: 80, 221: 40, 222: 8}


def test_real_parcels_given_as_an_old_year(shared_data: Path) -> None:
    folder = shared_data / "reference_vectors" / NATIONAL
    (problem,) = refused(rpg(folder, 2013))
    assert problem.code == "E-DELIVERY-YEAR"
    assert "only PARCELLES_GRAPHIQUES of an RPG since 2015 is there" in problem.message
    (problem,) = refused(rpg(folder, 2019))
    assert problem.message == "the source is of 2019, the files are of 2022 by their names"


# Parcels, since 2015.


def test_regions_in_folders_keep_their_numbers_apart(tmp_path: Path) -> None:
    for region, epsg in (("R28", 2154), ("R11", 2154), ("D974", 32631)):
        name = f"RPG_2-0_SHP_LAMB93_{region}_2019-01-01/RPG/1_DONNEES/Données d’été"
        shift = {"R28": 0, "R11": 10, "D974": 20}[region]
        shapes = [square(shift + i) for i in range(2)]
        write(tmp_path / name / "PARCELLES_GRAPHIQUES.shp", ["BTH", "MIS"], epsg, geometry=shapes)
    problems = Problems()
    rpg(tmp_path, 2019).check(problems)
    assert [problem.code for problem in problems] == ["W-CRS-SEVERAL"]
    found = read(rpg(tmp_path, 2019))
    assert sorted(found.frame.source_id) == [
        "D974/1000", "D974/1001", "R11/1000", "R11/1001", "R28/1000", "R28/1001",
    ]  # fmt: skip
    # Regions in different systems are brought to that of the map.
    assert found.frame.crs.to_epsg() == 2154
    by_id = found.frame.set_index("source_id")
    assert by_id.geometry["D974/1000"].centroid.distance(square(20).centroid) < 0.01
    assert by_id.area_ha["D974/1000"] == pytest.approx(1, rel=0.01)


def test_year_of_the_folder_chooses_among_editions(tmp_path: Path) -> None:
    for year, code in ((2018, "BTH"), (2019, "MIS")):
        write(tmp_path / f"RPG_2-0_SHP_LAMB93_R28_{year}" / "PARCELLES_GRAPHIQUES.shp", [code])
    assert classes(read(rpg(tmp_path, 2018))) == {12: 1}
    assert classes(read(rpg(tmp_path, 2019))) == {11: 1}


@pytest.mark.parametrize("suffix", [".shp", ".SHP", ".gpkg", ".parquet"])
def test_case_of_names_and_fields_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"Parcelles_Graphiques{suffix}"
    fields = ("id_parcel", "Code_Cultu")
    if suffix == ".parquet":
        frame = geopandas.GeoDataFrame(
            {"id_parcel": ["1"], "Code_Cultu": ["BTH"]}, geometry=[square(0)], crs=2154
        )
        frame.to_parquet(path)
    elif suffix == ".SHP":
        write(tmp_path / "small" / "p.shp", ["bth"], fields=fields, numbers=["1"])
        for file in (tmp_path / "small").iterdir():
            file.rename(tmp_path / f"PARCELLES_GRAPHIQUES{file.suffix.upper()}")
    else:
        write(path, ["BTH"], fields=fields, numbers=["1"])
    found = read(rpg(tmp_path, 2019))
    assert (classes(found), found.frame.source_id.tolist()) == ({12: 1}, ["1"])


def test_missing_codes_zero_surfaces_and_numbers(tmp_path: Path) -> None:
    path = write(
        tmp_path / "PARCELLES_GRAPHIQUES.gpkg",
        ["BTH", "NR", None, "", "MIS", "SOG"],
        SURF_PARC=[0.0, 1.0, 1.0, 1.0, 0.0, 1.0],
        CULTURE_D1=["MIS"] * 6,
        numbers=["7", "8", "9", "10", None, "12"],
    )
    found = read(rpg(path, 2019))
    # Declared surfaces are rounded; the geometry decides. Catch crops are not the crop.
    assert found.frame.area_ha.tolist() == [1.0, 1.0]
    assert dict(zip(found.frame.source_id, found.frame.code, strict=True)) == {
        "7": 12, "feature 5": 11,
    }  # fmt: skip
    assert found.left_out == {NOT_DECLARED: 3, "left out by the rules: SOG": 1}


def test_row_042_unknown_crops_are_listed_with_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.gpkg", ["BTH", "XYZ", "XYZ", "QQQ", "MIS"])
    problems = Problems()
    assert rpg(path, 2019).read(Window.everywhere(2154), problems) is None
    (problem,) = problems.errors
    assert problem.code == "E-CLASS-UNKNOWN"
    assert "3 features of RPG 2019" in problem.message
    assert "CODE_CULTU=QQQ (1, 1.0 ha); CODE_CULTU=XYZ (2, 2.0 ha)" in problem.message
    problems = Problems()
    found = rpg(path, 2019, unknown_codes="drop").read(Window.everywhere(2154), problems)
    assert found is not None
    assert classes(found) == {11: 1, 12: 1}
    assert dict(found.values) == {"CODE_CULTU=QQQ": 1, "CODE_CULTU=XYZ": 2}
    assert [problem.code for problem in problems] == ["W-CLASS-UNKNOWN"]


def test_rules_of_the_user_in_a_source(tmp_path: Path) -> None:
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.gpkg", ["SOG", "BTH"])
    rules = tmp_path / "mine.yaml"
    rules.write_text(
        "database: rpg\nedition: parcels\nextends: default\n"
        "values: {SOG: {classes: {oso17: 11}, geometry: {erode_m: 20}}}\n",
        encoding="utf-8",
    )
    found = read(rpg(path, 2019, rules=rules))
    assert classes(found) == {11: 1, 12: 1}
    assert dict(zip(found.frame.rule, found.frame.metres, strict=True)) == {"SOG": 20, "BTH": 10}
    assert rules in rpg(path, 2019, rules=rules).files


# Blocks, up to 2014.


def test_only_pure_blocks_by_default(tmp_path: Path) -> None:
    lines = [
        "008-1;01;5,25;Blé tendre",
        "008-2;02;3.5;Maïs grain",
        "008-2;18;1,0;Prairies",
        "008-3;18;0,75;Prairies",
        "008-3;02;0,00;Maïs grain",  # no surface: not grown
        "008-4;5;NR;Colza",
        "008-6;01;1;Blé tendre",
        "008-7;28;1;Divers",
        "008-8;01;1;Blé tendre",
        "008-8;01;2;Blé tendre",  # twice the same group
        "008-9;21;1;Vignes",
        "008-10;NR;1;NR",
    ]
    groups = ["01", "02", "18", "05", "01", "03", "28", "01", "NR", "NR"]
    path = write_ilots(tmp_path / "RPG_1-0_SHP_LAMB93_R075-2013", groups, lines)
    found = read(rpg(tmp_path, 2013))
    assert dict(zip(found.frame.source_id, found.frame.code, strict=True)) == {
        "R075/008-1": 12, "R075/008-3": 211, "R075/008-4": 12, "R075/008-8": 12,
        "R075/008-9": 222,
    }  # fmt: skip
    assert found.left_out == {
        SEVERAL_GROUPS: 1, NOT_IN_TABLE: 1, OTHER_GROUP: 1, "left out by the rules: 28": 1,
        NOT_DECLARED: 1,
    }  # fmt: skip
    assert found.n_features == 10
    majority = read(rpg(path, 2013, purity="majority"))
    assert classes(majority) == {12: 5, 11: 1, 211: 1}
    assert majority.left_out == {NOT_DECLARED: 2, "left out by the rules: 28": 1}
    csv_file = path.with_name("ILOTS-ANONYMES-GROUPES-CULTURE.csv")
    assert csv_file in rpg(tmp_path, 2013).files
    assert csv_file not in rpg(path, 2013, purity="majority").files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings_of_the_table(tmp_path: Path, encoding: str) -> None:
    lines = ["008-1;01;5,25;Blé d'été", "008-2;02;1;Maïs", "008-2;01;1;Blé"]
    write_ilots(tmp_path, ["01", "02"], lines, encoding=encoding)
    assert classes(read(rpg(tmp_path, 2010))) == {12: 1}


def test_pure_blocks_of_tables_of_several_regions(tmp_path: Path) -> None:
    for region in ("R075", "R076"):
        folder = tmp_path / f"RPG_1-0_SHP_LAMB93_{region}-2012" / "Île"
        lines = ["008-1;01;1;x"] + (["008-1;02;1;x"] if region == "R076" else [])
        write_ilots(folder, ["01"], lines)
    found = read(rpg(tmp_path, 2012))
    assert found.frame.source_id.tolist() == ["R075/008-1"]


def test_blocks_without_commune_and_surface_as_in_2008(tmp_path: Path) -> None:
    write_ilots(tmp_path, ["18"], ["008-1;18;1;x"])
    fields = pyogrio.read_info(tmp_path / "ILOTS_ANONYMES.shp")["fields"]
    assert set(fields) == {"NUM_ILOT", "CODE_CULTU"}
    assert classes(read(rpg(tmp_path, 2008, "oso23"))) == {13: 1}


def test_missing_table_of_groups_proposes_the_majority(tmp_path: Path) -> None:
    path = write_ilots(tmp_path, ["18"], None)
    (problem,) = refused(rpg(tmp_path, 2012))
    assert (problem.code, problem.where) == ("E-PATH-MISSING", str(path))
    assert "purity: majority" in str(problem.hint)
    assert classes(read(rpg(tmp_path, 2012, purity="majority"))) == {211: 1}


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("NUM_ILOT;GROUPE\n008-1;18\n", "TABLE-COLUMN", 1, "'CODE_GROUPE_CULTURE' is not in"),
        (
            "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE\n008-1;18;1\n008-2;18;1;x;y\n",
            "TABLE-LINE", 3, "1 lines have not 3 values, the first of them 5",
        ),
        (
            "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE\n008-1;18;1\n008-2\n",
            "TABLE-LINE", 3, "1 lines have not 3 values, the first of them 1",
        ),
        (
            "NUM_ILOT;CODE_GROUPE_CULTURE;SURFACE_GROUPE_CULTURE\n008-1;18;1\n008-2;;1\n",
            "TABLE-LINE", 3, "1 lines have no block or no group",
        ),
        ("", "TABLE-COLUMN", 1, "its columns:"),
    ],
)  # fmt: skip
def test_broken_table_of_groups(
    tmp_path: Path, text: str, code: str, line: int, words: str
) -> None:
    write_ilots(tmp_path, ["18"], [])
    table = tmp_path / "ILOTS-ANONYMES-GROUPES-CULTURE.csv"
    table.write_text(text, encoding="utf-8")
    problems = refused(rpg(tmp_path, 2012))
    assert f"E-{code}" in {problem.code for problem in problems}
    assert words in "\n".join(problem.message for problem in problems)
    assert {problem.where for problem in problems} == {f"{table}:{line}"}


# Wrong generation, broken files, messages.


def test_parcels_in_files_of_blocks_and_the_reverse(tmp_path: Path) -> None:
    write_ilots(tmp_path / "old", ["BTH", "MIS", "NR"], ["008-1;1;1;x"])
    problems = refused(rpg(tmp_path / "old", 2014))
    assert [problem.code for problem in problems] == ["E-DELIVERY-YEAR"]
    assert problems[0].message == (
        "the source is of 2014, when CODE_CULTU held groups of two digits, but 2 of 2 values "
        "are like BTH, MIS: this is an RPG since 2015, with crops of three letters"
    )
    write(tmp_path / "new" / "PARCELLES_GRAPHIQUES.shp", ["01", "02", "18", "BTH"])
    (problem,) = refused(rpg(tmp_path / "new", 2015))
    assert problem.code == "E-DELIVERY-YEAR"
    assert "when CODE_CULTU held crops of three letters, but 3 of 4" in problem.message


def test_the_form_may_be_named(tmp_path: Path) -> None:
    write_ilots(tmp_path, ["01", "02"], ["008-1;01;1;x", "008-2;02;1;x"])
    assert classes(read(rpg(tmp_path, 2017, form="ilots"))) == {12: 1, 11: 1}
    write(tmp_path / "PARCELLES_GRAPHIQUES.shp", ["BTH", "MIS", "MIS"])
    assert classes(read(rpg(tmp_path, 2017))) == {12: 1, 11: 2}
    write_ilots(tmp_path / "wrong", ["BTH"], ["008-1;1;1;x"])
    (problem,) = refused(rpg(tmp_path / "wrong", 2017, form="ilots"))
    assert problem.code == "E-DELIVERY-YEAR"
    assert "of 2017, of form ilots, where CODE_CULTU held groups" in problem.message


def test_old_blocks_given_as_a_new_year(tmp_path: Path) -> None:
    write_ilots(tmp_path, ["01"], ["008-1;01;1;x"])
    (problem,) = refused(rpg(tmp_path, 2016))
    assert problem.code == "E-DELIVERY-YEAR"
    assert "only ILOTS_ANONYMES of an RPG up to 2014 is there" in problem.message
    (problem,) = refused(rpg(tmp_path / "ILOTS_ANONYMES.shp", 2016))
    assert problem.code == "E-DELIVERY-YEAR"


def test_outlines_of_blocks_since_2015_have_no_crop(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"ID_ILOT": ["1"]}, geometry=[square(0)], crs=2154)
    frame.to_file(tmp_path / "ILOTS_ANONYMES.shp")
    (problem,) = refused(rpg(tmp_path / "ILOTS_ANONYMES.shp", 2019))
    assert (problem.code, "CODE_CULTU" in problem.message) == ("E-VECTOR-COLUMN", True)


def test_row_037_centres_of_parcels_are_no_parcels(tmp_path: Path) -> None:
    centres = [square(0).centroid]
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.gpkg", ["BTH"], geometry=centres)
    (problem,) = refused(rpg(path, 2019))
    assert (problem.code, problem.where) == ("E-GEOMETRY-TYPE", str(path))
    assert problem.message == "polygons are expected, but the file holds Point"


@pytest.mark.parametrize("groups", [["01", "18"], ["1", "18"], [1, 18], [1.0, 18.0]])
def test_row_043_groups_as_text_or_number(tmp_path: Path, groups: list[Any]) -> None:
    write_ilots(tmp_path, groups, ["008-1;1;1;x", "008-2;018;1;x"])
    assert classes(read(rpg(tmp_path, 2012))) == {12: 1, 211: 1}


def test_row_041_column_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.gpkg", ["BTH"], fields=("ID_PARCEL", "CODE_CULT"))
    (problem,) = refused(rpg(path, 2019))
    assert (problem.code, problem.hint) == ("E-VECTOR-COLUMN", "did you mean 'CODE_CULT'?")
    path = write(tmp_path / "b.gpkg", ["BTH"], fields=("ID_PARCEL", "X"))
    (problem,) = refused(rpg(path, 2013))
    assert problem.hint == "ID_PARCEL is of an RPG since 2015: is `year` right?"


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (problem,) = refused(rpg(tmp_path, 2019))
    assert problem.message == "no PARCELLES_GRAPHIQUES (.shp, .gpkg) in this folder or below"
    (problem,) = refused(rpg(tmp_path / "none", 2019))
    assert (problem.code, problem.where) == ("E-PATH-MISSING", str(tmp_path / "none"))


def test_geopackage_cut_in_half(tmp_path: Path) -> None:
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.gpkg", ["BTH"] * 400)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    problems = refused(rpg(tmp_path, 2019))
    assert {problem.code for problem in problems} == {"E-VECTOR-CUT"}
    assert {str(problem.where) for problem in problems} == {str(path)}


def test_row_033_no_coordinate_system(tmp_path: Path) -> None:
    path = write(tmp_path / "PARCELLES_GRAPHIQUES.shp", ["BTH"])
    path.with_suffix(".prj").unlink()
    (problem,) = refused(rpg(tmp_path, 2019))
    assert problem.code == "E-CRS-MISSING"
    assert classes(read(rpg(tmp_path, 2019, crs="EPSG:2154"))) == {12: 1}


def test_accents_in_layer_and_folder_names(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        folder = tmp_path / form / unicodedata.normalize(form, "Région Île-de-France")
        write(folder / unicodedata.normalize(form, "Parcelles_Graphiqués.gpkg"), ["BTH"])
        assert classes(read(rpg(tmp_path / form, 2019))) == {12: 1}


def test_several_layers_in_one_geopackage(tmp_path: Path) -> None:
    path = tmp_path / "RPG.gpkg"
    for layer, code in (("ilots_anonymes", "01"), ("parcelles_graphiques", "BTH")):
        frame = geopandas.GeoDataFrame(
            {"id_parcel": ["1"], "code_cultu": [code]}, geometry=[square(0)], crs=2154
        )
        frame.to_file(path, layer=layer)
    assert classes(read(rpg(tmp_path, 2019))) == {12: 1}
    assert classes(read(rpg(path, 2019))) == {12: 1}
    others = tmp_path / "others"
    others.mkdir()
    for layer in ("communes", "departements"):
        frame.to_file(others / "ign.gpkg", layer=layer)
    (problem,) = refused(rpg(others / "ign.gpkg", 2019))
    assert problem.message == (
        "no layer PARCELLES_GRAPHIQUES in the file, which holds communes, departements"
    )
    (problem,) = refused(rpg(others, 2019))
    assert "in this folder or below" in problem.message


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        ("RPG_Parcelles.gpkg", "rpg_parcelles"),  # RPG 3.0, of 2024
        ("PARCELLES_GRAPHIQUES.gpkg", "parcelles_graphiques"),
        ("mine.gpkg", "parcelles_graphiques"),
        ("Parcelles_graphiques_31.gpkg", "sheet"),
        ("RPG_2-0__SHP_LAMB93_FR-2017_2024-01-01/PARCELLES_GRAPHIQUES.gpkg", "x"),
    ],
)
def test_names_of_files_and_layers(tmp_path: Path, file: str, layer: str) -> None:
    frame = geopandas.GeoDataFrame(
        {"id_parcel": ["1"], "code_cultu": ["BTH"]}, geometry=[square(0)], crs=2154
    )
    (tmp_path / file).parent.mkdir(exist_ok=True)
    frame.to_file(tmp_path / file, layer=layer)
    found = read(rpg(tmp_path, 2024))
    assert (classes(found), found.frame.source_id.tolist()) == ({12: 1}, ["1"])


def test_problems_of_all_regions_at_once(tmp_path: Path) -> None:
    first = write(tmp_path / "RPG_R11_2019" / "PARCELLES_GRAPHIQUES.shp", ["01", "02"])
    second = write(tmp_path / "RPG_R28_2019" / "PARCELLES_GRAPHIQUES.shp", ["BTH"])
    second.with_suffix(".prj").unlink()
    third = write(tmp_path / "RPG_R32_2019" / "PARCELLES_GRAPHIQUES.shp", ["BTH"])
    shutil.copy(first, third.with_name("copy.shp"))  # another name: not read
    problems = refused(rpg(tmp_path, 2019, options=["BTH"]))
    assert {(problem.code, str(problem.where)) for problem in problems} == {
        ("E-DELIVERY-YEAR", str(first)),
        ("E-CRS-MISSING", str(second)),
        ("E-CONFIG-VALUE", "reference.sources.options"),
    }


def test_result_does_not_depend_on_the_order_of_folders(tmp_path: Path) -> None:
    tables = []
    for order in (("R11", "R28"), ("R28", "R11")):
        root = tmp_path / "-".join(order)
        for region in order:
            shapes = [square(int(region[1:]) * 10 + i) for i in range(3)]
            path = root / f"RPG_SHP_{region}_2019" / "PARCELLES_GRAPHIQUES.shp"
            write(path, ["BTH", "MIS", "BTH"], geometry=shapes)
        tables.append(read(rpg(root, 2019)).frame)
    pd.testing.assert_frame_equal(pd.DataFrame(tables[0]), pd.DataFrame(tables[1]))


# Through the stage.


def test_both_forms_become_polygons_of_the_reference(world: Any, tmp_path: Path) -> None:
    lines = [f"031-{n};{group};1;x" for n, group in enumerate(["01", "01", "18", "18", "18"])]
    write_ilots(
        tmp_path / "RPG_1-0_SHP_LAMB93_R073-2014",
        ["01", "01", "18", "18", "18"],
        [*lines, "031-4;05;2;x"],
        numbers=[f"031-{n}" for n in range(5)],
        geometry=[square(n, 0) for n in range(5)],
    )
    write(
        tmp_path / "RPG_2-0_SHP_LAMB93_R76_2018-01-01" / "PARCELLES_GRAPHIQUES.shp",
        ["MIS", "MIE", "BTH", "PTR", "ORH", "NR"],
        geometry=[square(n, 5) for n in range(6)],
    )

    def prepared(**source: Any) -> tuple[Any, geopandas.GeoDataFrame, dict[str, Any]]:
        sources = [
            {"kind": "rpg", "path": tmp_path, "year": 2014},
            {"kind": "rpg", "path": tmp_path, "year": 2018, **source},
        ]
        config = world.config(reference={"sources": sources, "erosion_m": 10})
        task, result = world.outcome(config)
        assert result.status == "done", result.error
        return task, geopandas.read_parquet(task.output()), result.summary

    task, table, summary = prepared()
    found = {row.source_id: (row.code, row.year, row.source) for row in table.itertuples()}
    assert found == {
        "R073/031-0": (12, 2014, "RPG 2014"),
        "R073/031-1": (12, 2014, "RPG 2014"),
        "R073/031-2": (211, 2014, "RPG 2014"),
        "R073/031-3": (211, 2014, "RPG 2014"),
        "R76/1000": (11, 2018, "RPG 2018"),
        "R76/1001": (11, 2018, "RPG 2018"),
        "R76/1002": (12, 2018, "RPG 2018"),
        "R76/1004": (12, 2018, "RPG 2018"),
    }
    assert table.area.tolist() == pytest.approx([6400.0] * 8)
    assert summary["left_out"] == {
        "RPG 2014": {SEVERAL_GROUPS: 1},
        "RPG 2018": {NOT_DECLARED: 1, "an option that is not switched on: PTR": 1},
    }
    again, table, _ = prepared(options=["PTR"])
    assert again.key != task.key
    assert table.set_index("source_id").code["R76/1003"] == 211
