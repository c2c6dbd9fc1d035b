"""``oso evaluate-learners`` on tables: what it compares, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import oso_pipeline as oso
from oso_pipeline.cli import app
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import OsoError
from oso_pipeline.learners import registry
from oso_pipeline.studies.learners.feature_sets import FeatureSet
from oso_pipeline.studies.learners.splits import columns_of, folds_plan
from oso_pipeline.studies.learners.table_reader import read_table

STAMPS = [f"2018{month:02d}01" for month in range(1, 7)]
SMALL = {"n_trees": 5, "engine": "sklearn"}


def table(polygons: int = 24, pixels: int = 4) -> pd.DataFrame:
    """Return polygons of three classes in two regions; the first date tells the classes apart."""
    rng = np.random.default_rng(0)
    polygon = np.repeat(np.arange(polygons), pixels)
    code = 1 + polygon % 3
    columns = {
        "polygon_id": polygon,
        "code": code,
        "label": np.array(["", "wheat", "maize", "grass"])[code],
        "region": np.where(polygon < polygons // 2, "north", "south"),
        "longitude": polygon.astype(float),
        "latitude": rng.uniform(0, 1, len(polygon)),
    }
    for band in ("B4", "B8"):
        for number, stamp in enumerate(STAMPS):
            level = 2000 * code if number == 0 else 1000
            columns[f"{band}_{stamp}"] = (level + rng.integers(0, 300, len(code))).astype(np.int16)
    return pd.DataFrame(columns)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "fields.parquet"
    table().to_parquet(path)
    return path


def test_the_command_prints_and_commits_its_tables(written: Path) -> None:
    small = f"small: {json.dumps(SMALL)}"
    arguments = ["evaluate-learners", str(written), "--learner", small, "--seeds", "1"]
    arguments += ["--folds", "2", "--features", "all", "--features", "B4+xy"]
    result = CliRunner().invoke(app, [*arguments, "--leave-out", "region"])
    assert result.exit_code == 0, result.output
    folder = written.parent / "evaluation"
    content = json.loads((folder / "learners.json").read_text(encoding="utf-8"))
    folds, regions = content["plans"]
    names = [one["name"] for one in folds["entries"]]
    assert names == ["forest, all", "small, all", "forest, B4+xy", "small, B4+xy"]
    assert folds["entries"][0]["scores"]["overall"]["value"] > 0.9
    assert folds["entries"][0]["gains"] == {}
    assert "overall" in folds["entries"][1]["gains"]
    assert set(regions["entries"][0]["parts"]) == {"north", "south"}
    assert read_sidecar(folder / "learners.json") is not None
    assert "| wheat" in (folder / "learners.md").read_text(encoding="utf-8").replace("1 ", "")
    assert "<h2>region left out</h2>" in (folder / "learners.html").read_text(encoding="utf-8")
    assert "small, B4+xy" in result.output


def test_in_python_and_again_with_the_same_figures(written: Path) -> None:
    how = {"seeds": 1, "folds": 2, "features": ["B4+relative+harmonics"]}
    first, again = (oso.evaluate_learners(written, {"a": SMALL}, **how) for _ in range(2))
    plain, other = (one.to_json()["plans"][0]["entries"] for one in (first, again))
    for one in (*plain, *other):
        del one["train_seconds"], one["pixel_us"]
    assert plain == other
    assert first.polygons == {1: 8, 2: 8, 3: 8}


def test_coordinates_bring_the_figure_of_regions_left_out(written: Path) -> None:
    found = oso.evaluate_learners(written, features=["B4", "B4+xy"], seeds=1, folds=2)
    assert [plan.name for plan in found.plans] == ["2 folds of whole polygons", "quadrant left out"]
    assert set(found.plans[1].entries[0].parts) == {
        f"{a} {b}" for a in ("west", "east") for b in ("north", "south")
    }


def test_no_polygon_is_on_both_sides(written: Path) -> None:
    samples = read_table(written)
    for splits in folds_plan(samples, 3, 2).repetitions:
        held = np.concatenate([one.test for one in splits])
        assert sorted(held) == list(range(len(samples)))
        for one in splits:
            assert not set(samples.polygons[one.train]) & set(samples.polygons[one.test])
            assert set(samples.codes[one.train]) == {1, 2, 3}
    assert "quadrant" in columns_of(samples)


def test_feature_sets_are_the_columns_that_they_name(written: Path) -> None:
    frame = table()
    frame["NDVI_20180101"] = np.int16(7)
    samples = read_table(written)
    one = FeatureSet("B8").of(samples)
    assert np.array_equal(one.features, frame[[f"B8_{stamp}" for stamp in STAMPS]])
    assert FeatureSet("all").of(samples) is samples
    more = FeatureSet("all+relative").of(samples)
    assert np.array_equal(more.features[:, :12], samples.features)
    series = frame[[f"B4_{stamp}" for stamp in STAMPS]].to_numpy(float)
    mean, spread = series.mean(axis=1, keepdims=True), series.std(axis=1, keepdims=True)
    found = more.features[:, more.layout.names.index("relative_B4_20180101")]
    assert np.abs(found / 1000 - ((series - mean) / spread)[:, 0]).max() < 0.002


def refused(path: Path, *arguments: str, **how: object) -> str:
    with pytest.raises(OsoError) as caught:
        oso.evaluate_learners(path, *arguments, **how)  # type: ignore[arg-type]
    return str(caught.value)


def broken(path: Path, **columns: object) -> Path:
    frame = table()
    for name, value in columns.items():
        if value is None:
            frame = frame.drop(columns=name)
        else:
            frame[name] = value
    frame.to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"polygon_id": None, "code": None}, "no column polygon_id"),
        ({"code": 1}, "1 class of 1 (grass) with 5 polygons or more"),
        ({"code": 0}, "E-LEARNERS-VALUES"),
        ({"code": 1.5}, "not a whole number"),
        ({"B4_20180101": np.nan}, "features B4_20180101: values are missing (NaN)"),
        ({"B4_20180101": np.inf}, "values are infinite"),
        ({"B4_20180101": 0.25}, "values are not whole numbers"),
        ({"B4_20180101": 40_000}, "values lie outside -32768 to 32767"),
        ({"B4_20180101": "dark"}, "expected whole numbers"),
        ({"B4_20180101": None}, "bands B4 do not have all of the 6 dates"),
        ({"longitude": np.nan}, "column longitude holds values that are not finite"),
        ({"polygon_id": 7}, "0 classes of 3"),
        ({f"{b}_{s}": None for b in ("B4", "B8") for s in STAMPS}, "no column is named as"),
    ],
)
def test_bad_tables_are_refused(written: Path, columns: dict[str, object], words: str) -> None:
    assert words in refused(broken(written, **columns))


def test_all_problems_of_a_table_at_once(written: Path) -> None:
    found = refused(broken(written, polygon_id=None, code=None, B4_20180101=np.inf))
    assert all(one in found for one in ("column polygon_id", "column code", "infinite"))


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("not a table")
    assert "E-TABLE-READ" in refused(path)


def test_bad_requests_are_refused(written: Path) -> None:
    found = refused(written, {"a": {"kind": "oracle"}, "b": {"n_tree": 3}, "c": {"n_trees": 0}})
    assert all(one in found for one in ("E-PLUGIN-KIND", "learning.n_tree:", "learning.n_trees"))
    assert "no feature B5" in refused(written, features=["B5", "all"])
    assert "there is no column stratum" in refused(written, leave_out=["stratum"])
    assert "expected 2 or more" in refused(written, folds=1)
    assert "two classes" not in refused(written, folds=9)
    assert "E-LEARNERS-NAME" in refused(written, {"forest": {"n_trees": 3}})
    alone = broken(written, longitude=None, region="north")
    assert "no coordinates" in refused(alone, features=["xy"])
    assert "1 value (north)" in refused(alone, leave_out=["region"])


def test_a_learner_whose_extra_is_missing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_is_installed", lambda name: name != "torch")
    mean = {"kind": "mean", "members": [{"kind": "attention"}, {}]}
    found = refused(written, {"attention": {"kind": "attention"}, "both": mean})
    assert found.count("E-LEARNER-EXTRA") == 2
    assert "pip install 'oso_pipeline[deep]'" in found


@pytest.mark.parametrize("text", ["- a", "a: 3", "{a: {}}: b", "'"])
def test_learners_that_are_not_written_as_they_should(written: Path, text: str) -> None:
    result = CliRunner().invoke(app, ["evaluate-learners", str(written), "--learner", text])
    assert isinstance(result.exception, OsoError), result.output
