"""Bad input through the command that users type: message, file, remedy and exit code."""

from __future__ import annotations

import shutil
from pathlib import Path

import geopandas
import pytest
import rasterio
import shapely
from rasterio.crs import CRS
from support.pipeline_tools import write_config
from support.typed_command import Oso

TILE = "31UCU"


@pytest.fixture
def config(small_world: Path, tmp_path: Path) -> Path:
    """Return a configuration of one tile, two products and polygons that a test may damage."""
    world = tmp_path / "world"
    products = sorted(
        path
        for path in (small_world / "products").rglob(f"SENTINEL2*_T{TILE}_*")
        if path.is_dir() and any(path.glob("*_FRE_B4.tif"))
    )
    for product in products[:2]:
        shutil.copytree(product, world / "products" / product.name)
    shutil.copy(small_world / "reference.gpkg", world / "reference.gpkg")
    path = write_config(tmp_path, world)
    change(path, "tiles: [30UYD, 31UCU]", f"tiles: [{TILE}]")
    return path


def change(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def a_band(config: Path) -> Path:
    return sorted((config.parent / "world" / "products").rglob("*_FRE_B4.tif"))[0]


def polygons(config: Path) -> Path:
    return config.parent / "world" / "reference.gpkg"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param(
            "n_trees: 20",
            "n_tree: 20",
            ("E-CONFIG-KEY", ":13:12", "learning.n_tree: unknown key", "did you mean n_trees?"),
            id="row 55: a typo",
        ),
        pytest.param(
            "year: 2018",
            "year: 2018\nyear: 2019",
            ("E-CONFIG-YAML", ":2:1", "year: this key stands twice", "keep one of the two"),
            id="row 56: a key twice",
        ),
        pytest.param(
            "n_trees: 20",
            "n_trees: -1",
            ("E-CONFIG-VALUE", ":13:21", "learning.n_trees: found -1, allowed:", "from 1"),
            id="row 57: an impossible value",
        ),
        pytest.param(
            f"tiles: [{TILE}]",
            "tiles: [31TXX]",
            ("E-TILE-NAME", ":6:11", "31TXX"),
            id="row 60: no such tile",
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_mistakes_in_the_configuration(
    oso: Oso, config: Path, command: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    change(config, old, new)
    said = oso(3, command, config)
    for word in (str(config), *words):
        assert word in said
    assert not (config.parent / "run").exists()


def test_all_mistakes_are_named_together(oso: Oso, config: Path) -> None:
    change(config, "n_trees: 20", "n_tree: 20")
    change(config, "erosion_m: 0", "erosion_m: -5")
    change(config, "year: 2018", "year: 3018")
    said = oso(3, "check", config)
    for word in ("learning.n_tree:", "reference.erosion_m: found -5", "year: found 3018"):
        assert word in said


def test_row_45_a_nomenclature_with_a_class_twice(oso: Oso, config: Path) -> None:
    table = config.with_name("classes.csv")
    table.write_text("code,name\n1,wood\n2,water\n1,town\n")
    change(config, "year: 2018", "year: 2018\nnomenclature: classes.csv")
    said = oso(3, "check", config)
    for word in ("E-NOMENCLATURE", f"{table}:4", "code '1' of a class", "fix:"):
        assert word in said


def test_row_59_a_run_folder_among_the_images(oso: Oso, config: Path) -> None:
    inside = config.parent / "world" / "products" / "run"
    said = oso(3, "run", config, "--set", f"run_dir={inside}")
    for word in ("E-RUN-INSIDE", str(inside), "lies inside imagery.paths[0]", "fix:"):
        assert word in said
    assert not inside.exists()


def test_row_63_a_configuration_in_utf_16(oso: Oso, config: Path) -> None:
    config.write_text(config.read_text(), encoding="utf-16")
    said = oso(3, "run", config)
    for word in ("E-TEXT-ENCODING", str(config), "UTF-16", "save it as UTF-8"):
        assert word in said


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_row_58_missing_paths(oso: Oso, config: Path, command: str) -> None:
    polygons(config).unlink()
    shutil.rmtree(config.parent / "world" / "products")
    said = oso(4, command, config)
    for word in ("E-PATH-MISSING", "imagery.paths[0]", "reference.sources[0].path", "correct"):
        assert word in said
    assert str(polygons(config)) in said


def test_row_03_a_missing_band_with_incomplete_error(oso: Oso, config: Path) -> None:
    band = a_band(config)
    band.unlink()
    change(config, "imagery:\n", "imagery:\n  incomplete: error\n")
    said = oso(4, "run", config, "--until", "inventory")
    for word in ("E-IMAGE-BAND", "FRE B4 missing", band.parent.name, "fix:"):
        assert word in said


def test_row_09_a_band_in_the_coordinate_system_of_another_zone(oso: Oso, config: Path) -> None:
    band = a_band(config)
    with rasterio.open(band, "r+") as raster:
        raster.crs = CRS.from_epsg(32630)
    said = oso(0, "run", config, "--until", "inventory")
    assert "left out: 1 contradictory" in said
    change(config, "imagery:\n", "imagery:\n  incomplete: error\n")
    said = oso(4, "run", config, "--until", "inventory")
    for word in ("E-IMAGE-CRS", band.name, "32630", "32631", "fix:"):
        assert word in said


def test_row_30_a_tile_without_products(oso: Oso, config: Path) -> None:
    change(config, f"tiles: [{TILE}]", f"tiles: [{TILE}, 30UYD]")
    for command in ("plan", "run"):
        said = oso(4, command, config)
        for word in ("E-TILE-NO-IMAGE", "30UYD", "allow_missing_tiles"):
            assert word in said


@pytest.mark.slow
def test_row_30_a_missing_tile_that_is_allowed_is_seen_in_the_report(
    oso: Oso, config: Path
) -> None:
    change(config, f"tiles: [{TILE}]", f"tiles: [{TILE}, 30UYD]\n  allow_missing_tiles: true")
    oso(0, "run", config, "--set", "learning.n_trees=5")
    report = (config.parent / "run" / "report.html").read_text(encoding="utf-8")
    assert "tile 30UYD has no product: the map has a hole there" in report
    assert f"tile {TILE} has no product" not in report


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_rows_31_and_32_an_area_elsewhere_or_with_swapped_coordinates(
    oso: Oso, config: Path, command: str
) -> None:
    paris = shapely.box(2.2, 48.8, 2.5, 48.9)
    for shape, words in (
        (
            paris,
            ("E-PLACE-OUTSIDE", "outside all tiles", "x 2.2 to 2.5, y 48.8 to 48.9", "the tiles"),
        ),
        (
            shapely.box(52.4, 0.3, 52.9, 0.8),
            ("E-PLACE-COORDINATES", "look swapped", "EPSG:4326", "fix:"),
        ),
    ):
        path = config.parent / f"{words[0]}.gpkg"
        geopandas.GeoDataFrame(geometry=[shape], crs=4326).to_file(path)
        said = oso(4, command, config, "--set", f"map.area.path={path}")
        for word in (str(path), *words):
            assert word in said
    assert not (config.parent / "run").exists()


def test_row_33_polygons_without_coordinate_system(oso: Oso, config: Path) -> None:
    frame = geopandas.read_file(polygons(config))
    path = polygons(config).with_suffix(".shp")
    frame.to_file(path)
    path.with_suffix(".prj").unlink()
    change(config, "reference.gpkg", "reference.shp")
    said = oso(4, "run", config, "--until", "reference")
    for word in ("E-CRS-MISSING", str(path), "no coordinate system", ".prj"):
        assert word in said


def test_rows_41_and_42_unknown_column_and_unknown_codes(oso: Oso, config: Path) -> None:
    frame = geopandas.read_file(polygons(config))
    frame.loc[0, "code"] = 777
    polygons(config).unlink()
    frame.to_file(polygons(config))
    said = oso(4, "run", config, "--until", "reference")
    for word in ("E-CLASS-UNKNOWN", polygons(config).name, "777", "unknown_codes"):
        assert word in said
    change(config, "code_field: code", "code_field: cod")
    said = oso(4, "run", config, "--until", "reference")
    for word in ("E-VECTOR-COLUMN", polygons(config).name, "cod", "did you mean"):
        assert word in said


@pytest.mark.parametrize(
    ("year", "codes", "cut", "words"),
    [
        pytest.param(
            2013, ["BTH", "MIS"], False,
            ("E-DELIVERY-YEAR", "only PARCELLES_GRAPHIQUES of an RPG since 2015", "`year`"),
            id="parcels where blocks are due",
        ),
        pytest.param(
            2018, ["01", "02"], False,
            ("E-DELIVERY-YEAR", "PARCELLES_GRAPHIQUES.gpkg", "2 of 2 values are like 01, 02"),
            id="codes of groups where crops are due",
        ),
        pytest.param(
            2018, ["XXX", "YYY"], False,
            ("E-CLASS-UNKNOWN", "CODE_CULTU=XXX (1, ", "unknown_codes: drop"),
            id="row 42: crops that no list holds",
        ),
        pytest.param(
            2018, ["BTH", "MIS"], True,
            ("E-VECTOR-CUT", "PARCELLES_GRAPHIQUES.gpkg", "cut"), id="a file cut in half",
        ),
    ],
)  # fmt: skip
def test_rpg_that_is_not_what_the_source_says(
    oso: Oso, config: Path, year: int, codes: list[str], cut: bool, words: tuple[str, ...]
) -> None:
    path = config.parent / "rpg" / "PARCELLES_GRAPHIQUES.gpkg"
    path.parent.mkdir()
    shapes = geopandas.read_file(polygons(config)).geometry[: len(codes)]
    numbers = [str(n) for n in range(len(codes))]
    table = {"id_parcel": numbers, "code_cultu": codes}
    geopandas.GeoDataFrame(table, geometry=shapes).to_file(path)
    if cut:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = f"reference.sources=[{{kind: rpg, path: {path.parent}, year: {year}}}]"
    said = oso(4, "run", config, "--until", "reference", "--set", source)
    for word in words:
        assert word in said


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_folder_that_is_no_run(oso: Oso, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    for name, finding in (("empty", "holds no config.yaml"), ("nowhere", "there is nothing")):
        said = oso(4, command, tmp_path / name)
        for word in ("E-RUN-NONE", str(tmp_path / name), finding, "oso run"):
            assert word in said


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_configuration_that_is_not_there(oso: Oso, tmp_path: Path, command: str) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        said = oso(3, command, path)
        for word in ("E-PATH-READ", str(path), "oso init"):
            assert word in said


@pytest.mark.parametrize("command", ["init", "simulate", "demo"])
def test_a_file_where_a_folder_is_to_be_written(oso: Oso, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("mine")
    said = oso(6, command, tmp_path / "file")
    for word in ("E-FOLDER", str(tmp_path / "file"), "cannot be written", "fix:"):
        assert word in said
    assert (tmp_path / "file").read_text() == "mine"


def test_init_never_overwrites(oso: Oso, tmp_path: Path) -> None:
    (tmp_path / "oso.yaml").write_text("mine")
    assert "E-CONFIG-EXISTS" in oso(3, "init", tmp_path)
    assert (tmp_path / "oso.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--stage", "trane"), ("no stage 'trane'", "inventory", "train")),
        (("--until", "maps"), ("no stage 'maps'", "mosaic")),
        (("--until", "train", "--stage", "train"), ("exclude each other",)),
        (("--tiles", "99ZZZ"), ("99ZZZ", "tile name")),
        (("--tiles", "31TCJ"), ("31TCJ", TILE)),
        (("--workers", "0"), ("--workers",)),
        (("--colour",), ("No such option",)),
    ],
)
def test_wrong_use_of_run(
    oso: Oso, config: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = oso(2, "run", config, *options)
    for word in words:
        assert word in said
    assert not (config.parent / "run").exists()


def test_a_stage_whose_input_is_not_made(oso: Oso, config: Path) -> None:
    said = oso(4, "run", config, "--stage", "train")
    for word in ("E-RUN-STAGE", "train needs stage samples", "finish the run first"):
        assert word in said
