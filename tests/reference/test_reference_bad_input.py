"""Rows 33 to 49 and 63 of the bad-input matrix, on real files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from oso_pipeline.core.errors import ConfigError, InputDataError

FOUR = [11, 11, 12, 12]


def four(places: Any) -> list[Any]:
    return [places(i, 0) for i in range(4)]


def said(message: str, *words: str) -> None:
    for word in words:
        assert word in message, f"{word!r} not in: {message}"


def test_row_033_shapefile_without_prj(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, "p.shp")
    path.with_suffix(".prj").unlink()
    said(world.refused(path), "E-CRS-MISSING", str(path), "no coordinate system", ".prj")


def test_row_033_real_bdtopo_layer_without_prj(world: Any, shared_data: Path) -> None:
    folder = shared_data / "reference_vectors" / "bdtopo_v3_flawed"
    (path,) = folder.rglob("ZONE_D_ACTIVITE_OU_D_INTERET.shp")
    message = world.refused(path, source={"code_field": "NATURE"})
    said(message, "E-CRS-MISSING", path.name)


def test_row_034_other_coordinate_system_is_projected(world: Any, places: Any) -> None:
    plain, summary = world.run(world.write(four(places), FOUR))
    assert summary["reprojected"] == {}
    frame = geopandas.GeoDataFrame({"code": FOUR}, geometry=four(places), crs=2154)
    path = world.folder / "wgs.gpkg"
    frame.to_crs(4326).to_file(path)
    moved, summary = world.run(path)
    assert summary["reprojected"] == {"wgs.gpkg": "EPSG:4326"}
    assert moved.crs == plain.crs == "EPSG:2154"
    distance = shapely.hausdorff_distance(plain.geometry.values, moved.geometry.values)
    assert distance.max() < 1e-3


def test_row_035_bow_tie_is_repaired_and_counted(world: Any, places: Any) -> None:
    x, y = 560_000, 6_260_400
    tie = shapely.Polygon([(x, y), (x + 80, y + 80), (x + 80, y), (x, y + 80)])
    assert tie.area == 0
    flat = shapely.Polygon([(x, y + 500), (x + 90, y + 500), (x, y + 500)])
    table, summary = world.run(world.write([*four(places), tie, flat], [*FOUR, 11, 11]))
    assert table.geometry[table.feature == 4].area.sum() == pytest.approx(3200)
    assert summary["reasons"]["repaired"]["11"]["count"] == 1
    assert summary["reasons"]["no area after repair"]["11"]["count"] == 1
    assert any("W-GEOMETRY-INVALID" in warning for warning in summary["warnings"])


def test_row_036_empty_and_absent_geometries_are_counted(world: Any, places: Any) -> None:
    geometries = [None, *four(places), shapely.Polygon()]
    table, summary = world.run(world.write(geometries, [11, *FOUR, 12]))
    assert table.feature.tolist() == [1, 2, 3, 4]
    (warning,) = (text for text in summary["warnings"] if "W-GEOMETRY-MISSING" in text)
    said(warning, "2 of 6 features have no geometry", "p.gpkg")


def test_row_037_points_and_lines_are_refused_with_counts(world: Any, places: Any) -> None:
    geometries = [places(0, 0), places(1, 0).centroid, places(2, 0).boundary, places(3, 0).centroid]
    message = world.refused(world.write(geometries, FOUR))
    said(message, "E-GEOMETRY-TYPE", "2 Point", "1 LineString", "among 4", "p.gpkg")


def test_row_037_table_without_geometry(world: Any) -> None:
    path = world.folder / "p.csv"
    path.write_text("code\n11\n")
    said(world.refused(path), "E-GEOMETRY-NONE", "without geometry")


def test_row_038_small_and_eroded_polygons_are_counted_per_class(world: Any, places: Any) -> None:
    geometries = [*four(places), places(5, 0, 5), places(6, 0, 22), places(7, 0, 30)]
    path = world.write(geometries, [*FOUR, 11, 12, 12])
    table, summary = world.run(path, reference={"erosion_m": 10, "min_area_m2": 90})
    assert table.feature.tolist() == [0, 1, 2, 3, 6]
    assert table.geometry.area.round(6).tolist() == [6400] * 4 + [100]
    assert summary["classes"]["11"]["reasons"]["eroded away"] == 1
    assert summary["classes"]["12"]["reasons"]["too small"] == 1
    assert sum("W-POLYGON-SMALL" in warning for warning in summary["warnings"]) == 2


def test_row_039_overlap_of_classes_is_taken_from_both(world: Any, places: Any) -> None:
    geometries = [*four(places), places(0.25, 0.25)]
    table, summary = world.run(world.write(geometries, [*FOUR, 12]))
    areas = table.geometry.area.groupby(table.feature).sum()
    assert areas.round(6).to_dict() == {0: 7500, 1: 10000, 2: 10000, 3: 10000, 4: 7500}
    counts = summary["reasons"]["overlap with another class"]
    assert counts == {
        "11": {"count": 1, "hectares": 0.25},
        "12": {"count": 1, "hectares": 0.25},
    }
    (warning,) = (text for text in summary["warnings"] if "W-POLYGON-OVERLAP" in text)
    assert "10 %" in warning  # 0.5 of 5 ha


def test_row_040_duplicates_are_dropped_also_across_sources(world: Any, places: Any) -> None:
    first = world.write([*four(places), places(0, 0)], [*FOUR, 11])
    turned = shapely.Polygon(
        [*places(1, 0).exterior.coords][2:] + [*places(1, 0).exterior.coords][1:3]
    )
    second = world.write([turned, places(9, 9)], [11, 11], "q.gpkg")
    table, summary = world.run(first, second)
    assert table.feature.tolist() == [0, 1, 2, 3, 1]
    assert table.source.tolist() == ["p.gpkg"] * 4 + ["q.gpkg"]
    assert summary["reasons"]["duplicate"]["11"]["count"] == 2
    assert any("W-POLYGON-DUPLICATE" in warning for warning in summary["warnings"])


def test_row_041_missing_field_suggests_the_nearest(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, Crop_Code=FOUR)
    message = world.refused(path, source={"code_field": "crop_cod"})
    said(message, "E-VECTOR-COLUMN", "'crop_cod'", "code, Crop_Code", "did you mean 'Crop_Code'")


@pytest.mark.filterwarnings("ignore:Column names longer than 10")
@pytest.mark.filterwarnings("ignore:Normalized/laundered")
def test_row_041_name_cut_by_a_shapefile(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, "p.shp", land_cover_code=FOUR)
    message = world.refused(path, source={"code_field": "land_cover_code"})
    said(message, "E-VECTOR-COLUMN", "did you mean 'land_cover'", "10 characters")


def test_row_042_unknown_codes_are_named_with_their_features(world: Any, places: Any) -> None:
    path = world.write([*four(places), places(5, 0), places(6, 0)], [*FOUR, 99, 99])
    message = world.refused(path)
    said(
        message, "E-CLASS-UNKNOWN", "2 features", "'99' (feature 4)", "oso17", "unknown_codes: drop"
    )
    table, summary = world.run(path, reference={"unknown_codes": "drop"})
    assert table.feature.tolist() == [0, 1, 2, 3]
    assert summary["left_out"] == {"p.gpkg": {"unknown code": 2}}
    assert any("W-CLASS-UNKNOWN" in warning for warning in summary["warnings"])


def test_row_042_crosswalk_to_codes_outside_the_nomenclature(world: Any, places: Any) -> None:
    crosswalk = world.folder / "c.csv"
    crosswalk.write_text("value,code\n11,11\n12,1234\n")
    message = world.refused(world.write(four(places), FOUR), source={"crosswalk": crosswalk})
    said(message, "E-CLASS-UNKNOWN", "[1234]", str(crosswalk))


@pytest.mark.parametrize(
    "codes", [[11, 11, 12, 12], [11.0, 11.0, 12.0, 12.0], ["011", "11 ", "12.0", "12"]]
)
@pytest.mark.parametrize("name", ["p.gpkg", "p.shp", "p.parquet"])
def test_row_043_codes_as_text_or_number_mean_the_same(
    world: Any, places: Any, codes: list[Any], name: str
) -> None:
    table, _ = world.run(world.write(four(places), codes, name))
    assert table.code.tolist() == FOUR
    assert table.code.dtype == np.int32


@pytest.mark.parametrize(
    "codes", [[11, None, 12, 12], [11, np.nan, 12, 12], ["11", "", "12", "12"]]
)
def test_row_043_absent_codes_are_counted(world: Any, places: Any, codes: list[Any]) -> None:
    path = world.write(four(places), codes)
    said(world.refused(path), "E-CLASS-MISSING", "1 features have no value in 'code'", ": 1")


def test_row_044_codes_above_255_stay_what_they_are(world: Any, places: Any) -> None:
    (world.folder / "n.csv").write_text("code,name\n300,a\n65535,b\n")
    path = world.write(four(places), [300, 300, 65535, 65535])
    table, _ = world.run(path, nomenclature=str(world.folder / "n.csv"))
    assert table.code.tolist() == [300, 300, 65535, 65535]


@pytest.mark.parametrize(
    ("text", "code"), [("1,a\n1,b", "NOMENCLATURE"), ("1,a\n65536,b", "NOMENCLATURE-CODE")]
)
def test_rows_044_045_bad_nomenclature_stops_the_plan(
    world: Any, places: Any, text: str, code: str
) -> None:
    (world.folder / "n.csv").write_text(f"code,name\n{text}\n")
    path = world.write(four(places), FOUR)
    with pytest.raises(ConfigError, match=rf"E-{code}\]"):
        world.task(world.config(path, nomenclature=str(world.folder / "n.csv")))


def test_row_048_rare_classes_are_refused_or_dropped(world: Any, places: Any) -> None:
    path = world.write([*four(places), places(5, 0), places(6, 0, 5)], [*FOUR, 31, 51])
    message = world.refused(path)
    said(message, "E-CLASS-RARE", "31 broad-leaved forest: 1 of 1 left", "51 water: 0 of 1 left")
    said(message, "rare_classes: drop", "min_area_m2")
    table, summary = world.run(path, reference={"rare_classes": "drop"})
    assert set(table.code) == {11, 12}
    assert summary["classes"]["31"]["reasons"]["class too rare"] == 1
    assert any("W-CLASS-RARE" in warning for warning in summary["warnings"])


def test_row_048_nothing_left_at_all(world: Any, places: Any) -> None:
    path = world.write([places(0, 0)], [11])
    said(
        world.refused(path, reference={"rare_classes": "drop"}), "E-CLASS-RARE", "no class is left"
    )
    message = world.refused(path, source={"crosswalk": {"11": None}})
    said(message, "E-POLYGON-NONE", "no polygon", "crosswalk")


def test_row_049_copies_of_a_polygon_on_both_sides(world: Any, places: Any) -> None:
    sides = ["train", "validation", "train", "validation", "validation"]
    path = world.write([*four(places), places(0, 0)], [*FOUR, 11], side=sides)
    split = {"split": {"method": "column", "column": "side"}}
    said(world.refused(path, reference=split), "E-SPLIT-OVERLAP", "1 polygons", "p.gpkg")


def test_row_049_sides_must_be_train_or_validation(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, side=["train", "test", "train", None])
    split = {"split": {"method": "column", "column": "side"}}
    said(world.refused(path, reference=split), "E-SPLIT-COLUMN", "'test'", "''", "2 features")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_row_063_crosswalk_of_a_spreadsheet(world: Any, places: Any, encoding: str) -> None:
    crosswalk = world.folder / "c.csv"
    crosswalk.write_bytes("culture;code\r\nmaïs;11\r\nblé;12\r\njachère;\r\n".encode(encoding))
    names = ["maïs", "maïs", "blé", "blé", "jachère"]
    path = world.write([*four(places), places(6, 6)], names)
    if encoding == "utf-16":
        message = world.refused(path, source={"crosswalk": crosswalk})
        said(message, "E-TEXT-ENCODING", "UTF-16", str(crosswalk))
        return
    table, summary = world.run(path, source={"crosswalk": crosswalk})
    assert table.code.tolist() == FOUR
    assert summary["left_out"] == {"p.gpkg": {"left out by the crosswalk": 1}}


def test_cut_file_is_a_message(world: Any, places: Any) -> None:
    for name in ("p.gpkg", "q.parquet"):
        path = world.write(four(places), FOUR, name)
        os.truncate(path, path.stat().st_size // 3)
        said(world.refused(path), "E-VECTOR-", str(path), "cannot be read")


def test_shapefile_without_index_is_read_all_the_same(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR, "p.shp")
    path.with_suffix(".shx").unlink()
    table, _ = world.run(path)
    assert table.code.tolist() == FOUR
    assert not path.with_suffix(".shx").exists()


def test_several_layers_need_a_name(world: Any, places: Any) -> None:
    path = world.write(four(places), FOUR)
    geopandas.read_file(path).to_file(path, layer="fields")
    said(world.refused(path), "E-VECTOR-LAYER", "2 layers", "fields")
    said(world.refused(path, source={"layer": "feilds"}), "E-VECTOR-LAYER", "did you mean 'fields'")
    table, _ = world.run(path, source={"layer": "fields"})
    assert set(table.source) == {"p.gpkg:fields"}


def test_all_missing_files_are_named_before_anything_runs(world: Any) -> None:
    config = world.config(world.folder / "a.gpkg", world.folder / "b.shp")
    with pytest.raises(InputDataError) as caught:
        world.task(config)
    said(str(caught.value), "E-PATH-MISSING", "a.gpkg", "b.shp")


def test_problems_of_all_sources_are_reported_together(world: Any, places: Any) -> None:
    one = world.write(four(places), [11, 11, 12, 98], "one.gpkg")
    two = world.write(four(places), FOUR, "two.shp")
    three = world.write([places(0, 0).centroid], [None], "three.gpkg")
    message = world.refused(one, two, three)
    said(message, "E-CLASS-UNKNOWN", "one.gpkg", "E-GEOMETRY-TYPE", "E-CLASS-MISSING", "three.gpkg")
    two.with_suffix(".prj").unlink()
    message = world.refused(one, two, three, source={"code_field": "cod"})
    said(message, "E-VECTOR-COLUMN", "one.gpkg", "three.gpkg", "E-CRS-MISSING", "two.shp")
    assert not (world.folder / "run").exists() or not any((world.folder / "run").rglob("*.parquet"))
