"""The learner of docs/write_your_own_learner.md, as a package that is installed beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio
from support.outside_package import files_of_page, install, oso_with, python_with, write_files
from support.pipeline_tools import overall_accuracy, write_config

PAGE = files_of_page("write_your_own_learner.md")
LEARNER = "oso_centroid/learner.py"


def installed(folder: Path, **changed: tuple[str, str]) -> Path:
    """Install the package of the page in a folder, with changes as ``old, new`` by module."""
    files = dict(PAGE)
    for name, (old, new) in changed.items():
        path = f"oso_centroid/{name}.py"
        assert old in files[path]
        files[path] = files[path].replace(old, new)
    write_files(folder, files)
    install(folder, "oso_centroid", "learners", {"centroid": "oso_centroid:PLUGIN"})
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("package"))


def config_on(folder: Path, world: Path, learning: str) -> Path:
    path = write_config(folder, world)
    text = path.read_text().replace("learning: {n_trees: 20}", f"learning: {{{learning}}}")
    path.write_text(text)
    return path


@pytest.mark.slow
def test_the_example_of_the_page_conforms(package: Path) -> None:
    done = python_with(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", package)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


TABLE = """
import oso_pipeline as oso
table = oso.read_series(oso.simulate_series(70, seed=1), label="crop", group="field")
model = oso.SeriesClassifier(scale=10_000, learning={"kind": "centroid", "softness": 300})
found = oso.cross_validate(model, *table, folds=2)
made = model.fit(*table).classifier_
print(made.kind, made.softness, found.overall_accuracy.estimate > 0.4)
"""


@pytest.mark.slow
def test_a_table_is_classified_by_the_learner_of_another_package(package: Path) -> None:
    done = python_with(package, "-c", TABLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["centroid", "300.0", "True"]


@pytest.mark.slow
def test_a_map_is_made_by_the_learner_of_another_package(
    package: Path, small_world: Path, tmp_path: Path
) -> None:
    config = config_on(tmp_path, small_world, "kind: centroid, softness: 400")
    planned = oso_with(package, "plan", config)
    assert planned.returncode == 0, planned.stderr
    assert "learner centroid has no compiled kernel: about" in planned.stdout + planned.stderr
    made = oso_with(package, "run", config)
    assert made.returncode == 0, made.stdout + made.stderr
    run = tmp_path / "run"
    description = json.loads((run / "models/run0/all/model.json").read_text())
    assert description["kind"] == "centroid"
    assert description["parameters"] == {"middle": "median"}
    assert description["software"]["oso_centroid"] == "1.0"
    assert (run / "models/run0/all/centroid.npz").exists()
    with rasterio.open(run / "maps/OCS_2018.tif", driver="GTiff") as source:
        assert (source.read(1) > 0).mean() > 0.5
    assert overall_accuracy(run) > 0.4
    with rasterio.open(run / "maps/OCS_2018_confidence.tif", driver="GTiff") as source:
        assert source.descriptions == ("confidence: probability of the class, percent",)
    again = oso_with(package, "plan", config, "--json", "--set", "learning.softness=300")
    states = {one["stage"]: one for one in json.loads(again.stdout)}
    assert states["train"]["done"] == states["train"]["tasks"]
    assert states["predict"]["outdated"] == states["predict"]["tasks"]
    gone = oso_with(tmp_path, "plan", config)
    assert gone.returncode == 3
    assert "learning.kind: found 'centroid', allowed: forest" in gone.stderr
    assert "install the package that offers it" in gone.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("learning", "said"),
    [
        (
            "kind: centriod",
            "learning.kind: found 'centriod', allowed: forest, attention, mean, centroid",
        ),
        ("kind: centroid, softnes: 3", "did you mean softness?"),
        ("kind: centroid, softness: -1", "found -1, allowed: number above 0"),
        ("kind: centroid, n_trees: 3", "n_trees is a key of kind forest"),
    ],
)
def test_wrong_keys_are_named_with_their_place(
    package: Path, small_world: Path, tmp_path: Path, learning: str, said: str
) -> None:
    config = config_on(tmp_path, small_world, learning)
    done = oso_with(package, "check", config)
    assert done.returncode == 3
    assert said in done.stderr
    assert f"{config}:13:" in done.stderr


@pytest.mark.slow
def test_adaptation_needs_a_learner_that_can(
    package: Path, small_world: Path, tmp_path: Path
) -> None:
    config = config_on(tmp_path, small_world, "kind: centroid")
    extra = (
        "adaptation:\n  perennial_classes: [31]\n  sources:\n"
        f"    - {{year: 2017, imagery: {{paths: [{small_world}/products]}},"
        " season: {start: 2017-01-01, end: 2017-12-31}}\n"
    )
    config.write_text(config.read_text() + extra)
    done = oso_with(package, "check", config)
    assert done.returncode == 3
    assert "learning.kind: found centroid, which cannot learn from past seasons" in done.stderr
    assert "allowed: forest" in done.stderr
    assert f"{config}:13:" in done.stderr


FAULTS = (
    ("learner", "def fit(", "def fits(", "the learner 'centroid' cannot be used: it lacks fit"),
    ("learner", "def arrays(", "def array(", "its classifier lacks arrays"),
    ("learner", 'kind = "centroid"\n    classifier', 'kind = "x"\n    classifier', "is 'x'"),
    ("__init__", "softness: float", "seed: float", "use the reserved key seed"),
    ("__init__", "centroid.learner:LEARNER", "centroid.gone:LEARNER", "cannot be imported"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "old", "new", "said"), FAULTS)
def test_a_plug_in_that_does_not_fit_is_refused(
    small_world: Path, tmp_path: Path, module: str, old: str, new: str, said: str
) -> None:
    package = installed(tmp_path / "package", **{module: (old, new)})
    config = config_on(tmp_path, small_world, "kind: centroid")
    done = oso_with(package, "check", config)
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stderr
