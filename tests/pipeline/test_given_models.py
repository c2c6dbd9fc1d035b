"""Maps with models that another run has trained, and models that stay when a product comes late."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.pipeline_tools import CONFIG, digests, oso, stdout_of, write_config

pytestmark = pytest.mark.slow
TILES = "30UYD, 31UCU"


def without_reference(folder: Path, world: Path) -> Path:
    """Write the configuration of `write_config` without section `reference`; return its path."""
    folder.mkdir(parents=True)
    text = CONFIG.format(run_dir=folder / "run", world=world, tiles=TILES)
    before, _, after = text.partition("reference:\n")
    path = folder / "applied.yaml"
    path.write_text(before + after[after.index("sampling:") :])
    return path


def pixels(run: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted((run / "maps").glob("OCS_2018*.tif")):
        with rasterio.open(path) as source:
            found[path.name] = source.read()
    return found


@pytest.fixture(scope="module")
def trained(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that has ended."""
    config = write_config(tmp_path_factory.mktemp("trained"), small_world)
    assert "models" in oso("train", config)
    assert not (config.parent / "run" / "maps").exists()
    oso("run", config)
    return config.parent / "run"


def test_3_3_given_models_make_the_same_pixels_without_reference(
    trained: Path, small_world: Path, tmp_path: Path
) -> None:
    config = without_reference(tmp_path / "there", small_world)
    points = small_world / "reference.gpkg"
    independent = f"validation.independent={{path: {points}, code_field: code}}"
    output = oso("apply", config, "--model", trained, "--set", independent)
    assert "W-MODEL-INDEPENDENT" in output
    assert "overall accuracy on the independent set" in output
    assert "no polygon was held out to evaluate the map" in output
    run = tmp_path / "there" / "run"
    expected = pixels(trained)
    assert {*pixels(run)} == {*expected}
    assert len(expected) == 3
    for name, values in pixels(run).items():
        assert values.tobytes() == expected[name].tobytes()
    there = {path.name for path in run.iterdir()}
    assert not there & {"reference.parquet", "samples", "labels"}
    assert {path.name for path in (run / "validation").iterdir()} == {"independent"}
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "trained by another run" in report
    assert json.loads((trained / "run.json").read_text())["run_id"] in report
    accuracy = json.loads((trained / "validation" / "accuracy.json").read_text())
    assert f"{accuracy['overall_accuracy']['estimate']:.3f} (" in report
    elsewhere = f"learning.model={trained}/models/run0"
    again = oso("run", config, "--set", elsewhere, "--set", independent)
    assert "nothing had to be redone" in again  # where the models lie is in no key


def test_a_bank_holds_models_with_their_origin(
    trained: Path, small_world: Path, tmp_path: Path
) -> None:
    bank = tmp_path / "bank"
    oso("export-models", trained, bank)
    model = bank / "2018" / "all"
    for name in ("model.json", "forest.npz", "model.json.json", "forest.npz.json"):
        assert (model / name).read_bytes() == (trained / "models/run0/all" / name).read_bytes()
    origin = json.loads((model / "origin.json").read_text())
    accuracy = json.loads((trained / "validation" / "accuracy.json").read_text())
    assert origin["year"] == 2018
    assert origin["accuracy"]["overall_accuracy"] == accuracy["overall_accuracy"]
    assert "all run0 2018 2018-01-01 19 x 20 d 10 + 3 17" in " ".join(oso("models", bank).split())
    config = without_reference(tmp_path / "there", small_world)
    plan = stdout_of("plan", config, "--json", "--set", f"learning.model={bank}")
    stages = {stage["stage"]: stage["tasks"] for stage in json.loads(plan)}
    assert not stages.keys() & {"polygons", "reference", "samples", "labels", "validate"}
    assert stages["train"] == 1


def records(run: Path, pattern: str) -> dict[str, int]:
    """Return when each commit that matches was made, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in run.glob(pattern)}


def test_3_3_a_late_product_leaves_frozen_models_and_the_blocks_that_do_not_see_it(
    small_world: Path, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    late = sorted((world / "products").rglob("SENTINEL*_T30UYD_*V?-?"))[3]
    late = late.rename(tmp_path / late.name)
    config = write_config(tmp_path / "here", world)
    run = tmp_path / "here" / "run"
    freeze = ("--set", "learning.freeze=true")
    oso("run", config, *freeze)
    models = digests(run, "models/*/*/*")
    kept, seen = (records(run, f"blocks/{tile}/*.tif") for tile in ("31UCU", "30UYD"))
    late.rename(world / "products" / late.name)
    output = oso("run", config, *freeze)
    assert "1 model, 1 kept though samples or labels changed" in output
    assert digests(run, "models/*/*/*") == models
    assert records(run, "blocks/31UCU/*.tif") == kept
    assert not set(records(run, "blocks/30UYD/*.tif").values()) & set(seen.values())
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "learning.freeze): samples/30UYD changed since" in report
    rows = re.findall(r"<tr><td>(30UYD|31UCU)</td>(.*?)</tr>", report)
    seen = {tile: re.findall(r"<td[^>]*>([^<]*)</td>", cells) for tile, cells in rows}
    assert {tile: cells[4] for tile, cells in seen.items()} == {
        "30UYD": "+1 products",
        "31UCU": "the same images",
    }
    assert int(seen["30UYD"][0]) == int(seen["30UYD"][2]) + 1
    assert seen["31UCU"][:2] == seen["31UCU"][2:4]
    assert "nothing had to be redone" in oso("run", config, *freeze)
    oso("run", config)
    assert digests(run, "models/*/*/*") != models
    assert "learning.freeze)" not in (run / "report.html").read_text(encoding="utf-8")
