"""Real deliveries with their real flaws are read as they were meant."""

from __future__ import annotations

import os
import shutil
import struct
import unicodedata
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.deliveries import DeliveryLayer
from oso_pipeline.reference.databases.vector_features import Reach, read_features
from oso_pipeline.vectors.field_names import find_field
from oso_pipeline.vectors.shapefiles import decoded, index_of, lacking_bytes
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.window import Window

COMPANIONS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@pytest.fixture
def vectors(shared_data: Path) -> Path:
    return shared_data / "reference_vectors"


def read(file: VectorFile, *columns: str, window: Window | None = None) -> geopandas.GeoDataFrame:
    problems = Problems()
    frame = file.read(columns, problems, window)
    assert frame is not None, [str(problem) for problem in problems]
    assert not len(problems)
    return frame


def refused(file: VectorFile, *columns: str) -> str:
    problems = Problems()
    assert file.read(columns, problems) is None
    return "\n".join(map(str, problems))


def listing(vectors: Path, name: str, field: str) -> dict[str, int]:
    table = pd.read_csv(vectors / "bdtopo_values.csv", keep_default_na=False)
    chosen = table[(table.file == name) & (table.field == field)]
    return dict(zip(chosen.value, chosen["count"], strict=True))


def copied(source: Path, folder: Path, *suffixes: str, stem: str | None = None) -> Path:
    """Copy a shapefile with some of its companions; folder and files cannot be written to."""
    folder.mkdir(exist_ok=True)
    for suffix in suffixes:
        target = folder / f"{stem or source.stem}{suffix}"
        shutil.copyfile(source.with_suffix(suffix), target)
        target.chmod(0o444)
    folder.chmod(0o555)
    return folder / f"{stem or source.stem}.shp"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("bdtopo_v3_35236/ZONE_DE_VEGETATION.shp", "NATURE"),  # .cpg UTF-8
        ("bdtopo_v3_12174/ZONE_DE_VEGETATION.shp", "NATURE"),  # UTF-8, no .cpg
        ("bdtopo_v3_12174/BATIMENT.shp", "USAGE1"),
        ("bdtopo_v3_12174/ZONE_D_ACTIVITE_OU_D_INTERET.shp", "CATEGORIE"),
        ("bdtopo_v2_layout/F_VEGETATION/ZONE_VEGETATION.SHP", "NATURE"),  # Latin-1
        ("bdtopo_v2_layout/E_BATI/BATI_INDUSTRIEL.SHP", "NATURE"),
    ],
)
def test_accents_come_through_whatever_the_encoding(vectors: Path, name: str, field: str) -> None:
    frame = read(VectorFile(vectors / name), field)
    assert Counter(frame[field]) == listing(vectors, name, field)


@pytest.mark.parametrize("declared", ["UTF-8", "ISO-8859-1", "1252", "65001", None])
@pytest.mark.parametrize("true", ["UTF-8", "ISO-8859-1"])
def test_wrong_cpg_does_no_harm(tmp_path: Path, declared: str | None, true: str) -> None:
    values = ["Forêt fermée", "Élevage", "plain", "abc"]
    points = geopandas.GeoSeries.from_xy(range(4), range(4), crs=2154).buffer(1)
    path = tmp_path / "p.shp"
    geopandas.GeoDataFrame({"NATURE": values}, geometry=points).to_file(path, encoding=true)
    path.with_suffix(".cpg").unlink(missing_ok=True)
    if declared is not None:
        path.with_suffix(".cpg").write_text(declared)
    assert read(VectorFile(path), "NATURE").NATURE.tolist() == values


def test_other_declared_encodings_are_believed(tmp_path: Path) -> None:
    points = geopandas.GeoSeries.from_xy([0], [0], crs=2154).buffer(1)
    path = tmp_path / "p.shp"
    frame = geopandas.GeoDataFrame({"NATURE": ["Łąka"]}, geometry=points)
    frame.to_file(path, encoding="ISO-8859-2")
    assert path.with_suffix(".cpg").read_text() == "ISO-8859-2"
    assert read(VectorFile(path), "NATURE").NATURE.tolist() == ["Łąka"]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F)), max_size=20))
def test_utf8_is_always_recognised(texts: list[str]) -> None:
    raw = pd.Series([text.encode().decode("latin-1") for text in texts], dtype=object)
    assert decoded(raw).tolist() == texts


@settings(deadline=None)
@given(st.text(st.sampled_from("aeiou -'éèêëàâçôùûîïÉÀŒ".replace("Œ", ""))))
def test_french_latin1_is_always_recognised(text: str) -> None:
    assert decoded(pd.Series([text], dtype=object)).tolist() == [text]


def test_letter_cut_by_the_width_of_the_field_spoils_nothing() -> None:
    whole = ["Forêt fermée de conifères", "Forêt ouverte"]
    raw = [text.encode()[:9] for text in whole] + ["Forêt".encode()[:4]]
    found = decoded(pd.Series([value.decode("latin-1") for value in raw], dtype=object))
    assert found.tolist() == ["Forêt fe", "Forêt ou", "For\xc3"]


@pytest.mark.parametrize("name", ["SURFACE_HYDROGRAPHIQUE", "BATIMENT", "TRONCON_DE_ROUTE"])
def test_index_is_rebuilt_byte_for_byte(vectors: Path, name: str) -> None:
    shp = vectors / "bdtopo_v3_12174" / f"{name}.shp"
    assert index_of(shp) == shp.with_suffix(".shx").read_bytes()


def test_missing_index_with_inputs_that_cannot_be_written(vectors: Path, tmp_path: Path) -> None:
    source = vectors / "bdtopo_v3_12174" / "SURFACE_HYDROGRAPHIQUE.shp"
    path = copied(source, tmp_path / "in", ".shp", ".dbf", ".prj")
    try:
        before = sorted(os.listdir(path.parent))
        found = read(VectorFile(path), "ID", "NATURE", "PERSISTANC")
        assert sorted(os.listdir(path.parent)) == before
    finally:
        path.parent.chmod(0o755)
    whole = read(VectorFile(source), "ID", "NATURE", "PERSISTANC")
    pd.testing.assert_frame_equal(found.drop(columns="geometry"), whole.drop(columns="geometry"))
    assert shapely.equals_exact(np.array(found.geometry), np.array(whole.geometry)).all()


def test_flawed_water_without_index(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_flawed" / "SURFACE_HYDROGRAPHIQUE.shp"
    frame = read(VectorFile(path), "PERSISTANC")
    assert Counter(frame.PERSISTANC) == {"Permanent": 8, "Intermittent": 20}
    assert not path.with_suffix(".shx").exists()


def test_flawed_layer_without_prj_needs_the_config(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_flawed" / "ZONE_D_ACTIVITE_OU_D_INTERET.shp"
    message = refused(VectorFile(path), "CATEGORIE")
    assert "E-CRS-MISSING" in message
    assert "`crs`" in message
    frame = read(VectorFile(path, crs="EPSG:2154"), "CATEGORIE")
    assert len(frame) == 21
    assert frame.crs.to_epsg() == 2154


def test_flawed_layer_without_prj_and_index(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_flawed" / "TERRAIN_DE_SPORT.shp"
    frame = read(VectorFile(path, crs="EPSG:2154"), "NATURE")
    assert Counter(frame.NATURE) == listing(
        vectors, "bdtopo_v3_12174/TERRAIN_DE_SPORT.shp", "NATURE"
    )


def test_config_never_replaces_the_system_of_a_file(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_12174" / "CIMETIERE.shp"
    assert read(VectorFile(path, crs="EPSG:4326"), "NATURE").crs.to_epsg() == 2154


def test_flawed_layer_without_table_says_so(vectors: Path) -> None:
    message = refused(VectorFile(vectors / "bdtopo_v3_flawed" / "CIMETIERE.shp"), "NATURE")
    assert "E-VECTOR-TABLE" in message
    assert ".dbf" in message
    assert "NATURE" in message


@pytest.mark.parametrize(("name", "count"), [("AERODROME", 0), ("BATIMENT", 1186)])
def test_empty_layers_and_heights(vectors: Path, name: str, count: int) -> None:
    frame = read(VectorFile(vectors / "bdtopo_v3_12174" / f"{name}.shp"), "ID")
    assert len(frame) == count
    assert not frame.has_z.any()


def test_names_with_accents(vectors: Path, tmp_path: Path) -> None:
    source = vectors / "bdtopo_v3_12174" / "CIMETIERE.shp"
    stem = unicodedata.normalize("NFD", "Cimetière de l'été")
    path = copied(source, tmp_path / "Département de l’Aveyron", *COMPANIONS[:4], stem=stem)
    path.parent.chmod(0o755)
    assert len(read(VectorFile(path), "NATURE")) == 3
    gpkg = tmp_path / "été.gpkg"
    pyogrio.write_dataframe(read(VectorFile(path), "NATURE"), gpkg, layer="zone_de_végétation")
    assert read(VectorFile(gpkg, "zone_de_végétation"), "NATURE").NATURE.tolist() == ["Civil"] * 3


@pytest.mark.parametrize("suffix", [".shp", ".dbf"])
def test_shapefile_cut_in_copying(vectors: Path, tmp_path: Path, suffix: str) -> None:
    path = copied(vectors / "bdtopo_v3_12174" / "BATIMENT.shp", tmp_path / "in", *COMPANIONS[:4])
    path.parent.chmod(0o755)
    cut = path.with_suffix(suffix)
    cut.chmod(0o644)
    os.truncate(cut, cut.stat().st_size // 2)
    message = refused(VectorFile(path), "ID")
    assert "E-VECTOR-" in message
    assert str(cut) in message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_geopackage_cut_in_copying(vectors: Path, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.gpkg"
    shutil.copyfile(vectors / "clc_2018_granada" / "CLC18_sample.gpkg", path)
    assert lacking_bytes(path) == 0
    os.truncate(path, int(share * path.stat().st_size))
    message = refused(VectorFile(path), "CODE_18")
    assert "E-VECTOR-" in message
    assert str(path) in message


def test_window_reads_what_meets_it_and_not_the_rest(vectors: Path) -> None:
    path = vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp"
    whole = read(VectorFile(path), "ID")
    window = Window(318_000, 6_739_000, 319_000, 6_740_500, 2154)
    part = read(VectorFile(path), "ID", window=window)
    meets = whole.intersects(shapely.box(*window.bounds))
    assert set(whole.ID[meets]) <= set(part.ID)
    assert len(part) < len(whole) / 3
    # Features keep their numbers, whatever window they were read by.
    assert (whole.ID.loc[part.index] == part.ID).all()


@pytest.mark.parametrize("format_", ["gpkg", "parquet"])
@pytest.mark.parametrize("epsg", [4326, 3035, 32631, 25830])
def test_window_in_another_system(vectors: Path, tmp_path: Path, epsg: int, format_: str) -> None:
    frame = read(VectorFile(vectors / "bdtopo_v3_35236" / "ZONE_DE_VEGETATION.shp"), "ID")
    moved, path = frame.to_crs(epsg), tmp_path / f"p.{format_}"
    moved.to_parquet(path) if format_ == "parquet" else moved.to_file(path)
    window = Window(318_000, 6_739_000, 319_000, 6_740_500, 2154)
    part = read(VectorFile(path), "ID", window=window)
    meets = frame.intersects(shapely.box(*window.bounds))
    assert set(frame.ID[meets]) <= set(part.ID)
    assert len(part) < len(frame) / 2


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(100_000, 1_150_000),
    y=st.floats(6_100_000, 7_050_000),
    width=st.floats(100, 100_000),
    height=st.floats(100, 100_000),
    epsg=st.sampled_from([4326, 3035, 32630, 32632]),
)
def test_projected_window_holds_the_image_of_every_point(
    x: float, y: float, width: float, height: float, epsg: int
) -> None:
    window = Window(x, y, x + width, y + height, 2154)
    box = window.bounds_in(pyproj.CRS.from_epsg(epsg))
    assert box is not None
    columns, rows = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33))
    to = pyproj.Transformer.from_crs(2154, epsg, always_xy=True)
    east, north = to.transform(x + columns * width, y + rows * height)
    assert box[0] <= east.min() <= east.max() <= box[2]
    assert box[1] <= north.min() <= north.max() <= box[3]


@pytest.mark.parametrize(
    ("names", "present", "found"),
    [
        (["PERSISTANC"], ["cleabs", "persistance"], None),
        (["PERSISTANC", "persistance"], ["cleabs", "persistance"], "persistance"),
        (["persistance"], ["ID", "PERSISTANC"], "PERSISTANC"),
        (["USAGE1"], ["usage_1"], "usage_1"),
        (["cleabs", "ID"], ["ID", "CLEABS"], "CLEABS"),
        (["CODE_18"], ["code_18", "area_ha"], "code_18"),
        (["POS_SOL", "position_par_rapport_au_sol"], ["position_p"], "position_p"),
        (["NATURE"], ["NAT_DETAIL"], None),
    ],
)
def test_fields_go_by_many_names(names: list[str], present: list[str], found: str | None) -> None:
    assert find_field(names, present) == found


def test_a_file_that_changes_is_described_again(tmp_path: Path) -> None:
    path = tmp_path / "parcels.gpkg"
    for column in ("code", "kind"):
        frame = geopandas.GeoDataFrame({column: [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=2154)
        frame.to_file(path, layer="parcels")
        schema = VectorFile(path).schema(Problems())
        assert schema is not None
        assert schema.fields == (column,)
    frame.to_file(path, layer="others", mode="a")
    problems = Problems()
    assert VectorFile(path).schema(problems) is None
    assert "2 layers" in str(problems.errors[0])


def test_a_cell_opens_only_the_deliveries_that_it_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = []
    for name, x in (("near", 0.0), ("far", 5e5)):
        shapes = shapely.box(x + np.arange(3) * 100, 0, x + np.arange(3) * 100 + 50, 50)
        frame = geopandas.GeoDataFrame({"ID": [f"{name}{i}" for i in range(3)]}, geometry=shapes)
        frame.set_crs(2154).to_file(tmp_path / f"{name}.shp")
        layers.append(DeliveryLayer(name, None, "layer", VectorFile(tmp_path / f"{name}.shp")))
    opened = []
    read = VectorFile._read
    monkeypatch.setattr(VectorFile, "_read", lambda self, *a: opened.append(self) or read(self, *a))
    cell = Window(-10, -10, 1000, 1000, 2154)
    problems = Problems()

    found = read_features(layers, [], Reach(cell, cell), problems)

    assert found is not None
    assert [*found.table["ID"]] == ["near0", "near1", "near2"]
    assert [file.path.stem for file in opened] == ["near"]
    beyond = Window(1e6, 0, 2e6, 1e6, 2154)
    nothing = read_features(layers, [], Reach(beyond, beyond), problems)
    assert nothing is not None
    assert not len(nothing)
    assert not problems


@pytest.mark.parametrize("suffix", [".shp", ".shx"])
def test_a_damaged_box_hides_no_feature(tmp_path: Path, suffix: str) -> None:
    shapes = shapely.box(np.arange(3) * 100, 0, np.arange(3) * 100 + 50, 50)
    frame = geopandas.GeoDataFrame({"ID": [*"abc"]}, geometry=shapes, crs=2154)
    frame.to_file(tmp_path / "a.shp")
    path = tmp_path / f"a{suffix}"
    content = bytearray(path.read_bytes())
    struct.pack_into("<4d", content, 36, 7e5, 7e5, 8e5, 8e5)
    path.write_bytes(content)
    file, problems = VectorFile(tmp_path / "a.shp"), Problems()
    schema = file.schema(problems)

    assert schema is not None
    assert not file.misses(Window(0, 0, 10, 10, 2154), schema)
    assert len(read(file, "ID", window=Window(0, 0, 300, 100, 2154))) == 3


def test_a_box_without_extent_says_nothing(tmp_path: Path) -> None:
    point = geopandas.GeoDataFrame({"ID": ["a"]}, geometry=[shapely.Point(5, 5)], crs=2154)
    point.to_file(tmp_path / "a.shp")
    file = VectorFile(tmp_path / "a.shp")
    schema = file.schema(Problems())

    assert schema is not None
    assert not file.misses(Window(100, 100, 200, 200, 2154), schema)
