"""What is found before a run begins: every mistake by its own words, and by all commands alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from ruamel.yaml import YAML
from support.muscate_factory import Muscate

from oso_pipeline import cli
from oso_pipeline.core.errors import ConfigError, ExitCode, OsoError
from oso_pipeline.runtime import session

X, Y = 560_000, 6_260_000
"""A place in tile 31TCJ, in EPSG:2154."""
CODES = (1, 2, 3)
SITE = "{system: shell, walltime: '01:00:00', jobs: 2, cores: 1, memory_per_worker_gb: %s}"


def squares(side: float = 100.0, x: float = X, y: float = Y, number: int = 12) -> list[Any]:
    corners = [(x + 200 * column, y) for column in range(number)]
    return [shapely.box(left, low, left + side, low + side) for left, low in corners]


@dataclass
class Small:
    """A sound configuration in a folder, of which a test spoils a part."""

    folder: Path
    products: Path
    content: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "nom.csv").write_text("code,name\n1,water\n2,wood\n3,field\n")
        self.content = {
            "year": 2018,
            "nomenclature": "nom.csv",
            "run_dir": "run",
            "season": {"start": "2018-01-01", "end": "2018-12-31", "step_days": 60},
            "imagery": {"paths": [str(self.products)], "tiles": ["31TCJ"]},
            "reference": {"sources": [{"path": "labels.gpkg"}]},
            "learning": {"n_trees": 2},
        }
        self.labels()

    def labels(
        self, shapes: list[Any] | None = None, name: str = "labels.gpkg", **how: Any
    ) -> Path:
        """Write polygons whose classes take turns."""
        shapes, path = shapes or squares(), self.folder / name
        codes = how.get("codes", CODES)
        values = [codes[number % len(codes)] for number in range(len(shapes))]
        frame = geopandas.GeoDataFrame({"code": values}, geometry=shapes, crs=how.get("crs", 2154))
        path.unlink(missing_ok=True)
        frame.to_file(path)
        if how.get("crs", 2154) is None and path.suffix == ".shp":
            path.with_suffix(".prj").unlink(missing_ok=True)
        return path

    def source(self, name: str, **keys: Any) -> None:
        """Add a source of its own file."""
        self.content["reference"]["sources"].append({"path": name, **keys})

    @property
    def path(self) -> Path:
        path = self.folder / "small.yaml"
        with path.open("w") as stream:
            YAML().dump(self.content, stream)
        return path

    def said(self, kind: type[OsoError] = OsoError) -> str:
        """Return what a check refuses the configuration for."""
        with pytest.raises(kind) as refused:
            session.load(self.path)
        return str(refused.value)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("products")
    for day in ("20180115", "20180615"):
        Muscate(f"SENTINEL2A_{day}-105435-457_L2A_T31TCJ_C_V2-2").write(folder)
    return folder


@pytest.fixture
def small(tmp_path: Path, products: Path) -> Small:
    return Small(tmp_path, products)


def wrong_column(small: Small) -> None:
    small.labels(name="columns.gpkg")
    small.source("columns.gpkg", code_field="coed")


def forgotten_class(small: Small) -> None:
    small.labels(name="forgotten.gpkg", codes=("wood", "heath"))
    small.source("forgotten.gpkg", crosswalk={"wood": 2})


def lacking_code(small: Small) -> None:
    small.labels(name="lacking.gpkg", codes=("wood",))
    small.source("lacking.gpkg", crosswalk={"wood": 99})


def tile_without_products(small: Small) -> None:
    small.content["imagery"]["tiles"].append("30TYP")


def polygons_elsewhere(small: Small) -> None:
    small.content["reference"]["sources"] = []
    small.labels(squares(x=900_000, y=6_800_000), "elsewhere.gpkg")
    small.source("elsewhere.gpkg")


def wrong_system(small: Small) -> None:
    small.content["reference"]["sources"] = []
    small.labels(squares(x=350_000, y=4_850_000), "utm.gpkg")  # written down as Lambert 93
    small.source("utm.gpkg")


def no_system(small: Small) -> None:
    small.labels(name="nowhere.shp", crs=None)
    small.source("nowhere.shp")


def points(small: Small) -> None:
    small.labels([shape.centroid for shape in squares()], "points.gpkg")
    small.source("points.gpkg")


def tiny_polygons(small: Small) -> None:
    small.content["reference"]["sources"] = []
    small.labels(squares(side=15), "tiny.gpkg")
    small.source("tiny.gpkg")


def year_without_images(small: Small) -> None:
    small.content |= {"year": 2021}
    small.content["season"] = {"start": "2021-01-01", "end": "2021-12-31", "step_days": 60}


Mistake = Callable[[Small], None]
MISTAKES: dict[Mistake, tuple[str, ...]] = {
    wrong_column: ("E-VECTOR-COLUMN", "columns.gpkg", "did you mean 'code'?"),
    forgotten_class: ("E-CLASS-UNKNOWN", "forgotten.gpkg", "6 features", "'heath' (feature 1)"),
    lacking_code: ("E-CLASS-UNKNOWN", "crosswalk", "[99]"),
    tile_without_products: ("E-TILE-NO-IMAGE", "tile 30TYP has no product", "31TCJ"),
    polygons_elsewhere: (
        "E-PLACE-OUTSIDE",
        "x 900000 to 902300, y 6800000 to 6800100",
        "the tiles x",
    ),
    wrong_system: (
        "E-PLACE-COORDINATES",
        "x 350000 to 352300",
        "read in EPSG:32631 they meet a tile",
    ),
    no_system: ("E-CRS-MISSING", "nowhere.shp", "no coordinate system"),
    points: ("E-GEOMETRY-TYPE", "points.gpkg", "Point"),
    tiny_polygons: ("E-POLYGON-SMALL", "tiny.gpkg", "nothing is left of the 12 polygons"),
    year_without_images: ("E-SEASON-NO-IMAGE", "2021 has no image", "2018-01-15 to 2018-06-15"),
}


def test_what_is_sound_is_described(small: Small) -> None:
    loaded = session.load(small.path)
    assert loaded.warnings == ()
    assert loaded.notes == (
        "tile 31TCJ: 2 products of 2018-01-15 to 2018-06-15",
        "completeness: passes are not counted, as the dates are too few or irregular",
        "labels.gpkg: 12 features, classes in column 'code'",
    )
    assert not (small.folder / "run").exists()


def test_products_of_tiles_that_are_not_requested_are_noted(small: Small) -> None:
    Muscate("SENTINEL2A_20180115-105435-457_L2A_T30TYP_C_V2-2").write(small.folder / "own")
    small.content["imagery"]["paths"].append(str(small.folder / "own"))
    noted = "not read, as imagery.tiles does not list them: 1 product of 30TYP"
    assert session.load(small.path).notes[1] == noted


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_3_4_each_mistake_in_the_data_is_named(small: Small, mistake: Mistake) -> None:
    mistake(small)
    said = small.said()
    for word in MISTAKES[mistake]:
        assert word in said
    assert said.count("error[") == 1, said


def test_3_4_mistakes_are_named_together(small: Small) -> None:
    together = [*MISTAKES]
    together.sort(key=lambda one: one not in (polygons_elsewhere, wrong_system, tiny_polygons))
    for mistake in together:  # the first three begin with no source
        kept = [*small.content["reference"]["sources"]] if mistake is not together[0] else []
        mistake(small)
        mine = small.content["reference"]["sources"]
        small.content["reference"]["sources"] = kept + [one for one in mine if one not in kept]
    said = small.said()
    for words in MISTAKES.values():
        for word in words:
            assert word in said
    assert said.count("error[") == len(MISTAKES), said


def test_3_4_a_layer_of_any_type_with_points_among_polygons(small: Small) -> None:
    small.labels([*squares(), shapely.Point(X, Y)])
    assert "1 Point among 13 features" in small.said()


@pytest.mark.parametrize("name", ["labels.parquet", "labels.shp", "labels.geojson"])
def test_3_4_other_formats_are_looked_at_alike(small: Small, name: str) -> None:
    frame = geopandas.read_file(small.labels(codes=(1, 2, 7)))
    path = small.folder / name
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)
    small.content["reference"]["sources"] = [{"path": name}]
    said = small.said()
    assert "E-CLASS-UNKNOWN" in said
    assert "4 features have 1 values of 'code'" in said
    assert "'7' (feature 2)" in said


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_3_4_classes_of_other_places_are_no_mistake(small: Small, suffix: str) -> None:
    near, far = squares(), squares(x=900_000, y=6_800_000)
    path = small.folder / f"wide.{suffix}"
    codes = [1] * len(near) + [77] * len(far)
    frame = geopandas.GeoDataFrame({"code": codes}, geometry=near + far, crs=2154)
    frame.to_parquet(path) if suffix == "parquet" else frame.to_file(path)
    small.content["reference"]["sources"] = [{"path": path.name}]
    assert session.load(small.path).warnings == ()


def test_3_13_a_database_of_another_country(small: Small, shared_data: Path) -> None:
    path = shared_data / "reference_vectors" / "clc_2018_granada"
    small.content |= {"nomenclature": "oso17"}
    small.content["reference"]["sources"] = [{"kind": "clc", "path": str(path)}]
    said = small.said()
    assert "E-PLACE-OUTSIDE" in said
    assert "the polygons lie outside all tiles: they cover x " in said


def test_3_4_a_mistake_that_others_make_up_for_is_a_warning(small: Small) -> None:
    for mistake in (polygons_elsewhere, tiny_polygons):
        mistake(small)
    for name in ("elsewhere.gpkg", "labels.gpkg"):
        small.source(name)
    codes = [warning.code for warning in session.load(small.path).warnings]
    assert codes == ["W-POLYGON-SMALL", "W-PLACE-OUTSIDE"]


def test_3_4_small_polygons_among_large_ones_are_no_mistake(small: Small) -> None:
    small.labels([*squares(side=15, number=1500), *squares(y=Y + 500)])
    assert session.load(small.path).warnings == ()


def test_1_12_a_vertex_that_is_no_number_is_looked_past(small: Small) -> None:
    damaged = np.array(squares()[0].exterior.coords)
    damaged[2] = np.nan
    small.labels([shapely.Polygon(damaged), *squares()[1:]])
    assert session.load(small.path).warnings == ()


def test_3_4_sides_that_are_none_are_named(small: Small) -> None:
    frame = geopandas.read_file(small.labels())
    frame["side"] = ["train", "validation", "test"] * 4
    frame.to_file(small.folder / "labels.gpkg")
    small.content["reference"]["split"] = {"method": "column", "column": "side"}
    assert "column 'side' holds 'test' in 4 features" in small.said()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"code_field": "crop"}, ("E-VECTOR-COLUMN", "'crop'")),
        ({"layer": "none"}, ("E-VECTOR-LAYER", "layer 'none'")),
        ({"crosswalk": {"1": 1}}, ("E-CLASS-UNKNOWN", "8 features have no class of nom: 2, 3")),
        ({"crosswalk": {"1": 1, "2": None, "3": 44}}, ("E-CLASS-UNKNOWN", "[44]")),
        ({"compare": {"before": "none.tif"}}, ("E-PATH-MISSING", "compare.before")),
    ],
)
def test_3_9_an_independent_set_is_looked_at_before_the_map_is_made(
    small: Small, keys: dict[str, Any], words: tuple[str, ...]
) -> None:
    small.labels(name="field.gpkg")
    small.content["validation"] = {"independent": {"path": "field.gpkg", **keys}}
    said = small.said()
    for word in words:
        assert word in said
    assert said.count("error[") == 1, said


def test_a_map_to_compare_that_is_no_raster_is_a_warning(small: Small) -> None:
    small.labels(name="field.gpkg")
    compare = {"before": "nom.csv"}
    small.content["validation"] = {"independent": {"path": "field.gpkg", "compare": compare}}
    (warning,) = session.load(small.path).warnings
    assert (warning.code, warning.where) == ("W-COMPARE-READ", str(small.folder / "nom.csv"))


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_3_9_an_independent_set_elsewhere_or_without_system(small: Small, suffix: str) -> None:
    small.labels(squares(x=900_000), f"field.{suffix}", crs=None if suffix == "shp" else 2154)
    small.content["validation"] = {"independent": {"path": f"field.{suffix}"}}
    said = small.said()
    assert ("E-CRS-MISSING" if suffix == "shp" else "E-PLACE-OUTSIDE") in said
    assert "field" in said


def test_3_13_elsewhere_and_another_system_are_distinguished_with_both_boxes(small: Small) -> None:
    tiles = "the tiles x 499825.4 to 609783.1, y 6240658 to 6350611"
    polygons_elsewhere(small)
    elsewhere = small.said()
    small.content["reference"]["sources"] = []
    wrong_system(small)
    system = small.said()
    for said in (elsewhere, system):
        assert "the polygons lie outside all tiles: they cover x " in said
        assert "in EPSG:2154" in said
        assert tiles in said, said
    assert "E-PLACE-COORDINATES" not in elsewhere
    assert "the system looks swapped: read in EPSG:32631" in system


def test_3_13_swapped_coordinates_of_polygons_are_reported(small: Small) -> None:
    frame = geopandas.GeoSeries(squares(), crs=2154).to_crs(4326)
    turned = [shapely.transform(shape, lambda xy: xy[:, ::-1]) for shape in frame]
    small.labels(turned, crs=4326)
    assert "x and y look swapped: read as y, x in EPSG:4326 they meet a tile" in small.said()


@pytest.mark.parametrize(
    ("box", "code"), [((0, 6e6, 1e6, 7e6), None), ((9e5, 6.8e6, 1e6, 7e6), "E-PLACE-OUTSIDE")]
)
def test_strata_cover_the_tiles(small: Small, box: tuple[float, ...], code: str | None) -> None:
    path = small.folder / "regions.gpkg"
    frame = geopandas.GeoDataFrame({"name": ["all"]}, geometry=[shapely.box(*box)], crs=2154)
    frame.to_file(path)
    small.content["strata"] = {"path": path.name, "field": "name"}
    if code is None:
        assert session.load(small.path).warnings == ()
    else:
        said = small.said()
        assert code in said
        assert "the strata lie outside all tiles" in said


def test_strata_that_leave_a_tile_out_are_a_warning(small: Small) -> None:
    path = small.folder / "regions.gpkg"
    shape = shapely.box(X - 1000, Y - 1000, X + 1000, Y + 1000)
    geopandas.GeoDataFrame({"name": ["one"]}, geometry=[shape], crs=2154).to_file(path)
    small.content["strata"] = {"path": path.name, "field": "name"}
    small.content["imagery"] |= {"tiles": ["31TCJ", "31TDH"], "allow_missing_tiles": True}
    small.content["runtime"] = {"memory_per_worker_gb": 4}
    (warning,) = session.load(small.path).warnings
    assert warning.code == "W-STRATA-COVER"
    assert "tiles 31TDH lie outside all strata" in warning.message


@pytest.fixture
def oso(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["oso", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.err

    return call


def mistaken_data(small: Small) -> None:
    for mistake in MISTAKES:
        mistake(small)


def no_labels(small: Small) -> None:
    (small.folder / "labels.gpkg").unlink()


def run_among_the_images(small: Small) -> None:
    wrong_column(small)
    small.content["run_dir"] = str(small.products / "run")


def small_workers(small: Small) -> None:
    small.content["runtime"] = {"memory_per_worker_gb": 0.5}


BROKEN = {
    mistaken_data: ExitCode.INPUT,
    no_labels: ExitCode.INPUT,
    run_among_the_images: ExitCode.CONFIG,
    small_workers: ExitCode.CONFIG,
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.__name__)
def test_3_4_all_commands_refuse_for_the_same_reasons(
    small: Small, oso: Callable[..., Any], broken: Mistake
) -> None:
    broken(small)
    site = small.folder / "site.yaml"
    memory = small.content.get("runtime", {}).get("memory_per_worker_gb", 1.5)
    site.write_text(SITE % memory)
    commands = [
        ("check", small.path),
        ("plan", small.path),
        ("run", small.path, "--cluster", "serial"),
        ("run", small.path, "--cluster", "serial", "--shard", "1/3"),
        ("submit", small.path, "--site", site),
        ("submit", small.path, "--site", site, "--print-script"),
    ]
    answers = {" ".join(map(str, command)): oso(*command) for command in commands}
    first = answers[f"check {small.path}"]
    assert first[0] == BROKEN[broken], first[1]
    assert first[1]
    for command, answer in answers.items():
        assert answer == first, command
    assert not list(small.folder.glob("run/*"))


def test_3_12_scripts_are_refused_where_the_workers_of_the_site_are_too_small(
    small: Small, oso: Callable[..., Any]
) -> None:
    site = small.folder / "site.yaml"
    for memory, expected in ((0.25, 3), (2, 0)):
        site.write_text(SITE % memory)
        code, said = oso("submit", small.path, "--site", site, "--print-script")
        assert code == expected, said
        assert ("E-RUN-MEMORY" in said) == (expected == 3)
        assert ("a worker has runtime.memory_per_worker_gb: 0.25" in said) == (expected == 3)


def test_a_plan_that_is_refused_for_memory_shows_its_stages(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_workers(small)
    monkeypatch.setattr(sys, "argv", ["oso", "plan", str(small.path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == ExitCode.CONFIG
    assert "E-RUN-MEMORY" in said.err
    listed = [line.split()[0] for line in said.out.splitlines() if line.strip()]
    assert {"stage", "inventory", "polygons", "reference", "samples", "train"} <= set(listed)


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_warnings_of_a_check_are_printed_once(
    small: Small, oso: Callable[..., Any], command: str
) -> None:
    small.labels(squares(side=15), "tiny.gpkg")
    small.source("tiny.gpkg")
    more = ("--until", "inventory", "--cluster", "serial") if command == "run" else ()
    code, said = oso(command, small.path, *more)
    assert code == 0, said
    # A run that ends before the polygons does not look at them.
    assert said.count("warning[W-POLYGON-SMALL]") == (command != "run")


def test_a_cluster_that_is_not_here_is_found(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(small.folder))
    cluster = {"kind": "pilot", "system": "slurm", "tls": "keys"}
    small.content["runtime"] = {"cluster": cluster}
    said = small.said()
    assert "E-CLUSTER-QUEUE" in said
    assert "E-CLUSTER-KEYS" in said


def test_a_nomenclature_that_cannot_be_used_hides_no_images(small: Small) -> None:
    (small.folder / "nom.csv").write_text("code,name\n1,wood\n1,water\n")
    tile_without_products(small)
    said = small.said(ConfigError)
    assert "E-NOMENCLATURE" in said
    assert "E-TILE-NO-IMAGE" in said
    assert said.count("error[") == 2, said
