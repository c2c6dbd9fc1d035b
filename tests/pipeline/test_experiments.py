"""``oso experiment`` on a small world: shared stages once, accuracies as of runs of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.pipeline_tools import overall_accuracy, write_config
from typer.testing import CliRunner

from oso_pipeline.cli import app
from oso_pipeline.core.errors import OsoError
from oso_pipeline.runtime.folder.verification import verify_run
from oso_pipeline.studies.experiment.study import experiment

pytestmark = pytest.mark.slow

VARIANTS = """\
base: small.yaml
price_per_core_hour: 2
variants:
  - name: as_it_is
  - name: few_trees
    set: {learning.n_trees: 5}
  - name: other_resamples
    set: {validation.bootstrap: 150}
  - name: other_split
    set: {seed: 3}
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def compared(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an experiment that has ended."""
    folder = tmp_path_factory.mktemp("experiment")
    write_config(folder, small_world)
    (folder / "trees.yaml").write_text(VARIANTS)
    checked = call("check", folder / "trees.yaml")
    assert checked.exit_code == 0, checked.output
    assert "ok; variants as_it_is, few_trees, other_resamples, other_split" in checked.output
    done = call("experiment", folder / "trees.yaml")
    assert done.exit_code == 0, done.output
    assert "| few_trees |" in done.output
    return folder


def results(folder: Path) -> Path:
    return folder / "run" / "evaluation" / "experiments" / "trees"


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((results(folder) / "experiment.json").read_text())
    return {row["name"]: row for row in content["variants"]}


def inodes(folder: Path, pattern: str) -> dict[str, set[int]]:
    """Return the inodes of files by variant: equal ones are one file."""
    names = ("as_it_is", "few_trees", "other_resamples", "other_split")
    return {
        name: {path.stat().st_ino for path in (results(folder) / name).glob(pattern)}
        for name in names
    }


def test_shared_stages_are_done_once(compared: Path) -> None:
    samples, models = inodes(compared, "samples/*.parquet"), inodes(compared, "models/*/*/*.npz")
    assert samples["as_it_is"] == samples["few_trees"] == samples["other_resamples"] != set()
    assert samples["other_split"].isdisjoint(samples["as_it_is"])
    assert models["as_it_is"] == models["other_resamples"] != set()
    assert models["few_trees"].isdisjoint(models["as_it_is"])
    costs = {name: row["cost"] for name, row in rows(compared).items()}
    assert all(cost["unknown"] == 0 for cost in costs.values())
    shared = {name: cost["shared_seconds"] / cost["held_seconds"] for name, cost in costs.items()}
    assert shared["as_it_is"] == 0 < shared["few_trees"] < shared["other_resamples"] < 1
    assert all(row["price"] > 0 < row["map_core_seconds"] for row in rows(compared).values())


def test_an_accuracy_is_that_of_a_run_of_its_own(compared: Path, small_world: Path) -> None:
    path = write_config(compared / "alone", small_world)
    done = call("run", path, "--until", "validate", "--set", "learning.n_trees=5")
    assert done.exit_code == 0, done.output
    found = rows(compared)
    assert found["few_trees"]["overall"]["estimate"] == overall_accuracy(path.parent / "run")
    assert found["as_it_is"]["difference"] is None
    few, other = found["few_trees"], found["other_split"]
    assert few["interval"]["low"] <= few["difference"] <= few["interval"]["high"]
    assert found["other_resamples"]["interval"] == {"low": 0, "high": 0}
    assert other["difference"] is not None
    assert other["interval"]["low"] is None, "other polygons are held out"


def test_the_same_command_does_nothing_again_and_leaves_a_sound_folder(compared: Path) -> None:
    def made() -> dict[str, int]:
        return {
            str(path): path.stat().st_mtime_ns
            for path in results(compared).glob("*/**/*")
            if path.is_file() and path.parent.name != "activity"
        }

    before, told = made(), rows(compared)
    done = call("experiment", compared / "trees.yaml")
    assert done.exit_code == 0, done.output
    assert (made(), rows(compared)) == (before, told)
    found = verify_run(compared / "run")
    assert found.sound > 20
    assert list(found.problems) == []


def test_python_finds_what_the_command_has_done(compared: Path) -> None:
    told: list[str] = []
    variants = {"as_it_is": {}, "few_trees": {"learning.n_trees": 5}}
    base = compared / "small.yaml"
    frame = experiment(base, variants, name="trees", progress=told.append).to_frame()
    estimates = {name: rows(compared)[name]["overall"]["estimate"] for name in variants}
    assert frame["overall_accuracy"].to_dict() == estimates
    assert [line.split(":")[0] for line in told] == list(variants)
    assert frame.loc["few_trees", "shared_seconds"] > 0
    assert frame["price"].isna().all()


def test_what_is_wrong_with_the_input_of_variants_is_told_before_any_work(
    small_world: Path, tmp_path: Path
) -> None:
    write_config(tmp_path, small_world)
    (tmp_path / "trees.yaml").write_text(
        "base: small.yaml\nvariants:\n"
        "  - {name: a, set: {imagery.paths: [none]}}\n"
        "  - {name: b, set: {'reference.sources.0.code_field': none}}\n"
    )
    for command in ("check", "experiment"):
        error = call(command, tmp_path / "trees.yaml").exception
        assert isinstance(error, OsoError)
        text = str(error)
        assert "variant a: " in text
        assert "variant b: " in text
    assert not (tmp_path / "run").exists()
    assert call("check", tmp_path / "trees.yaml", "--set", "seed=1").exit_code == 2
