"""``oso evaluate-learners`` on the configuration of a run: its samples are those of the export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.pipeline_tools import copy_as_demo
from support.pipeline_tools import oso as printed_by

import oso_pipeline as oso
from oso_pipeline.studies.learners.table_reader import read_run, read_table

pytestmark = pytest.mark.slow


def test_a_run_and_its_training_set_have_the_same_samples(small_run: Path, tmp_path: Path) -> None:
    oso.export_dataset(small_run, tmp_path / "set")
    of_table = read_table(tmp_path / "set" / "samples.parquet")
    of_run = read_run(oso.open_run(small_run))
    assert of_table.layout == of_run.layout
    assert of_table.classes == of_run.classes
    for name in ("features", "codes", "polygons", "coordinates"):
        assert np.array_equal(getattr(of_table, name), getattr(of_run, name)), name
    assert set(of_run.columns) == {"stratum", "tile", "season"}


def test_the_learner_of_the_run_is_what_others_differ_from(small_run: Path, tmp_path: Path) -> None:
    copy_as_demo(small_run, tmp_path)
    arguments = ["--learner", "leaf 1: {min_samples_leaf: 1, n_trees: 5}", "--seeds", "1"]
    arguments += ["--folds", "2", "--max-samples", "20", "--leave-out", "tile"]
    said = printed_by("evaluate-learners", tmp_path / "one_year.yaml", *arguments)
    path = tmp_path / "run_one_year" / "evaluation" / "learners.json"
    assert str(path) in said.replace("\n", "")
    _, tiles = json.loads(path.read_text(encoding="utf-8"))["plans"]
    assert [one["name"] for one in tiles["entries"]] == ["forest", "leaf 1"]
    assert set(tiles["entries"][0]["parts"]) <= {"30UYD", "31UCU"}
