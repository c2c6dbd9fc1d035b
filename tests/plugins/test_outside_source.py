"""The source of docs/write_your_own_source.md, as a package that is installed beside."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
from support.outside_package import files_of_page, install, oso_with, python_with, write_files

PAGE = files_of_page("write_your_own_source.md")
CONFIG = """\
year: 2018
run_dir: run
season: {start: 2018-01-01, end: 2018-12-31}
runtime: {cluster: {kind: serial}}
imagery: {paths: [images], tiles: [31UDQ]}
reference:
  sources:
    - {path: plots.geojson}
    - {SOURCE}
"""
LINE = 9
SURVEY = """\
point,x,y,cover
a1,655010,6860020,wheat
a2,655400,6860310,wheat
a3,655900,6860310,maize
a4,656900,6860310,maize
a5,657900,6860310,mixed
"""


def installed(folder: Path, **changed: tuple[str, str]) -> Path:
    """Install the package of the page in a folder, with changes as ``old, new`` by module."""
    files = dict(PAGE)
    for name, (old, new) in changed.items():
        path = f"oso_survey/{name}.py"
        assert old in files[path]
        files[path] = files[path].replace(old, new)
    write_files(folder, files)
    install(folder, "oso_survey", "sources", {"survey": "oso_survey:PLUGIN"})
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("package"))


@pytest.fixture
def write(tmp_path: Path) -> Path:
    """Return a folder with a survey and a vector file."""
    folder = tmp_path / "place"
    (folder / "images").mkdir(parents=True)
    (folder / "survey.csv").write_text(SURVEY)
    x = 660_000 + 300 * np.arange(4)
    plots = geopandas.points_from_xy(x, np.full(4, 6_860_000)).buffer(100)
    frame = geopandas.GeoDataFrame({"code": [31, 31, 51, 51]}, geometry=plots, crs=2154)
    frame.to_crs(4326).to_file(folder / "plots.geojson")
    return folder


def config_with(folder: Path, source: str) -> Path:
    path = folder / "oso.yaml"
    path.write_text(CONFIG.replace("{SOURCE}", f"{{{source}}}"))
    return path


@pytest.mark.slow
def test_the_example_of_the_page_conforms(package: Path) -> None:
    done = python_with(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", package)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_a_reference_is_made_with_the_source_of_another_package(
    package: Path, write: Path, tmp_path: Path
) -> None:
    (write / "words.csv").write_text("word,code\nwheat,211\nmaize,11\nmixed,\n")
    keys = "kind: survey, path: survey.csv, year: 2018, radius_m: 30, crosswalk: words.csv"
    config = config_with(write, keys)
    made = oso_with(package, "reference", config)
    assert made.returncode == 0, made.stdout + made.stderr
    table = geopandas.read_parquet(write / "run/reference.parquet")
    mine = table[table["source"] == "survey.csv"]
    assert dict(zip(mine.source_id, mine.code, strict=True)) == {
        "a1": 211, "a2": 211, "a3": 11, "a4": 11,
    }  # fmt: skip
    assert mine.geometry.area.to_numpy() == pytest.approx(np.pi * 30**2, rel=0.05)
    assert set(table["code"]) == {11, 31, 51, 211}
    gone = oso_with(tmp_path, "check", config)
    assert gone.returncode == 3
    assert "reference.sources[1].kind: found 'survey', allowed: vector, rpg, bdtopo" in gone.stderr
    assert f"{config}:{LINE}:" in gone.stderr


WRONG = {
    "kind: survei, path: a": (
        "found 'survei', allowed: vector, rpg, bdtopo, clc, bdforet, randolph, survey",
        "did you mean survey?",
    ),
    "kind: elsewhere, path: a": ("install the package that offers it",),
    "kind: survey, path: a, radius: 3": (
        "radius: unknown key, allowed: path, kind, year, classes, priority, crs, crosswalk, ",
        "did you mean radius_m?",
    ),
    "kind: survey, path: a, radius_m: -1": ("radius_m: found -1, allowed: number above 0",),
    "kind: survey, path: a, purity: pure": ("purity is a key of kind rpg",),
    "kind: survey": ("reference.sources[1].path: is missing, expected path",),
}
REFUSED = """
import sys
from pathlib import Path
from oso_pipeline.config import load_config
from oso_pipeline.core.errors import ConfigError
for path in map(Path, sys.argv[1:]):
    try:
        load_config(path)
    except ConfigError as error:
        print(*(f"{one.where} {one.message} {one.hint}" for one in error.problems), sep="; ")
"""


@pytest.mark.slow
def test_wrong_keys_are_named_with_their_place(package: Path, write: Path) -> None:
    paths = []
    for number, source in enumerate(WRONG):
        paths.append(config_with(write, source).rename(write / f"{number}.yaml"))
    done = python_with(package, "-c", REFUSED, *paths)
    assert done.returncode == 0, done.stderr
    for path, told, expected in zip(paths, done.stdout.splitlines(), WRONG.values(), strict=True):
        assert f"{path}:{LINE}:" in told
        assert all(text in told for text in expected), told


FAULTS = (
    ("source", "def check(", "def checks(", "the source 'survey' cannot be used: it lacks check"),
    ("__init__", "source:SurveySource", "gone:SurveySource", "plug-in survey cannot be imported"),
    ("__init__", "SurveySettings(Source)", "SurveySettings(BaseModel)", "do not derive from oso_"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "old", "new", "said"), FAULTS)
def test_a_plug_in_that_does_not_fit_is_refused(
    write: Path, tmp_path: Path, module: str, old: str, new: str, said: str
) -> None:
    package = installed(tmp_path / "package", **{module: (old, new)})
    init = package / "oso_survey/__init__.py"
    init.write_text(init.read_text().replace("import Field", "import BaseModel, Field"))
    config = config_with(write, "kind: survey, path: survey.csv, year: 2018")
    done = oso_with(package, "reference", config)
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stderr


@pytest.mark.slow
def test_all_that_is_wrong_with_packages_is_said_at_once(write: Path, tmp_path: Path) -> None:
    package = installed(tmp_path / "package")
    text = PAGE["oso_survey/__init__.py"]
    for name, old, new in (
        ("oso_twin", "Points", "Points"),
        ("oso_reserved", "radius_m", "erosion_m"),
        ("oso_sorted", "    kind:", "    sort:"),
        ("oso_needy", "from pydantic", "from no_such_thing"),
    ):
        write_files(package, {f"{name}.py": text.replace(old, new)})
        install(package, name, "sources", {f"x_{name}": f"{name}:PLUGIN"})
    done = oso_with(package, "check", config_with(write, "kind: survey, path: survey.csv"))
    assert done.returncode == 3
    for said in (
        "oso_survey offers the kind 'survey' already",
        "use the reserved key erosion_m",
        "lack the field `kind: Literal['survey']`",
        "entry point x_oso_needy cannot be imported from oso_needy:PLUGIN",
        "fix or uninstall oso_twin",
    ):
        assert said in done.stderr


@pytest.mark.slow
def test_schema_and_page_of_keys_hold_the_kinds_of_this_package_alone(package: Path) -> None:
    code = (
        "from pathlib import Path; from oso_pipeline.config import schema; from oso_pipeline.config"
        ".describe import kinds_below; assert 'survey' in kinds_below(('reference', 'sources'));"
        "assert 'survey' not in schema.schema_text() + schema.reference_page()"
    )
    done = python_with(package, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_loading_a_configuration_does_not_import_what_reads_polygons(
    package: Path, write: Path
) -> None:
    config = config_with(write, "kind: survey, path: survey.csv")
    code = (
        "import sys; from pathlib import Path; from oso_pipeline.config import load_config;"
        f"load_config(Path({str(config)!r})); assert 'oso_survey' in sys.modules;"
        "print(*{'geopandas', 'pandas', 'numba', 'rasterio', 'sklearn'} & set(sys.modules))"
    )
    done = python_with(package, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
