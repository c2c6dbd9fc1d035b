"""The model file: read back equal, refused when altered."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from support.learning_tools import LAYOUT, small_forest, small_model

from oso_pipeline.core.commit import digest
from oso_pipeline.core.errors import ExitCode, InputDataError
from oso_pipeline.core.indices import Index
from oso_pipeline.learning.model_file import cached_model, load_model, save_model
from oso_pipeline.timeseries.feature_layout import FeatureLayout


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(tmp_path, small_model())
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(InputDataError) as caught:
        load_model(folder)
    assert caught.value.exit_code == ExitCode.INPUT
    assert str(folder) in str(caught.value)
    return str(caught.value)


def forge(folder: Path, **changed: object) -> None:
    """Change arrays of a model and make all its digests fit again."""
    with np.load(folder / "forest.npz") as stored:
        arrays = {**stored, **changed}
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    (folder / "forest.npz").write_bytes(stream.getvalue())
    content = json.loads((folder / "model.json").read_text())
    del content["sha256"]
    content["arrays_sha256"] = sha256(stream.getvalue()).hexdigest()
    (folder / "model.json").write_text(json.dumps({**content, "sha256": digest(content)}))


def test_reads_back_what_was_written(saved: Path) -> None:
    model, written = load_model(saved), small_model()
    arrays = model.classifier.arrays()
    for name, array in written.classifier.arrays().items():
        np.testing.assert_array_equal(arrays[name], array)
    for name in ("layout", "grid", "nomenclature", "variant", "stratum", "seed", "counts"):
        assert getattr(model, name) == getattr(written, name)
    assert json.loads((saved / "model.json").read_text())["features"] == list(LAYOUT.names)


def described_anew(folder: Path, **changed: object) -> None:
    """Change the description of a model, None takes away; its digest fits again."""
    content = {**json.loads((folder / "model.json").read_text()), **changed}
    content = {name: value for name, value in content.items() if value is not None}
    del content["sha256"]
    (folder / "model.json").write_text(json.dumps({**content, "sha256": digest(content)}))


def test_a_model_of_0_1_is_a_forest(saved: Path) -> None:
    known = json.loads((saved / "model.json").read_text())["arrays_sha256"]
    old = {"trees": 10, "forest_sha256": known}
    described_anew(saved, kind=None, facts=None, arrays_sha256=None, **old)
    assert load_model(saved).classifier.facts["trees"] == 10


def test_a_learner_that_is_not_installed_is_named(saved: Path) -> None:
    described_anew(saved, kind="oracle")
    message = refused(saved)
    assert "made by the learner 'oracle'" in message
    assert "installed: forest" in message
    assert "install the package" in message


def test_equal_models_make_equal_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again", small_model())
    for name in ("model.json", "forest.npz"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_cached_by_key(saved: Path) -> None:
    assert cached_model(saved, "a") is cached_model(saved, "a")
    assert cached_model(saved, "a") is not cached_model(saved, "b")


@pytest.mark.fault(
    row=46,
    injected="model files truncated or changed",
    outcome="refused by their SHA-256 before they are used",
)
@pytest.mark.parametrize("name", ["model.json", "forest.npz"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_refuses_damaged_files(saved: Path, name: str, damage: str) -> None:
    path = saved / name
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    if damage == "gone":
        path.unlink()
    assert "error[E-INPUT-MODEL]" in refused(saved)


def test_refuses_altered_description(saved: Path) -> None:
    content = json.loads((saved / "model.json").read_text())
    content["seed"] = 99
    (saved / "model.json").write_text(json.dumps(content))
    assert "altered" in refused(saved)


def test_refuses_other_format(saved: Path) -> None:
    content = json.loads((saved / "model.json").read_text())
    del content["sha256"]
    content["format"] = 1
    (saved / "model.json").write_text(json.dumps({**content, "sha256": digest(content)}))
    assert "model format 1" in refused(saved)


@pytest.mark.fault(row=46, injected="a pickle in place of arrays", outcome="refused, not executed")
def test_refuses_pickles(saved: Path) -> None:
    forge(saved, classes=np.array([1, 2, {"a": 1}], dtype=object))
    assert "pickle" in refused(saved)


def with_value(name: str, index: int, value: int) -> dict[str, object]:
    array = getattr(small_forest(), name).copy()
    array[index] = value
    return {name: array}


def first_class_twice() -> dict[str, object]:
    forest = small_forest()
    start = forest.leaf_start.copy()
    start[1:] += 1
    classes, counts = (np.insert(a, 0, a[0]) for a in (forest.leaf_class, forest.leaf_count))
    return {"leaf_start": start, "leaf_class": classes, "leaf_count": counts}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (with_value("left", 0, 10_000_000), "left leads out"),
        (with_value("right", 0, -5), "right leads out"),
        (with_value("left", 0, 0), "in a circle"),
        (with_value("feature", 0, LAYOUT.size), "feature index"),
        (with_value("feature", 0, -2), "feature index"),
        (with_value("leaf_class", -1, 60000), "votes for none"),
        (with_value("leaf_count", 0, 0), "has no sample"),
        (with_value("leaf_count", 0, -7), "has no sample"),
        (with_value("leaf_start", 0, 1), "leaf_start does not begin"),
        (with_value("leaf_start", -1, 10_000_000), "leaf_start does not begin"),
        (with_value("leaf_start", 1, 0), "a leaf has no class"),
        (with_value("leaf_start", 1, -5), "a leaf has no class"),
        ({"leaf_start": np.zeros(3, np.int32)}, "leaf_start has 2 leaves"),
        ({"leaf_count": np.zeros(3, np.int32)}, "leaf_start does not begin"),
        (first_class_twice(), "classes of a leaf do not ascend"),
        (with_value("roots", -1, 3), "roots"),
        (with_value("roots", 1, 0), "roots"),
        (with_value("classes", 0, 10_000), "classes do not ascend"),
        ({"threshold": np.zeros(3, np.int16)}, "3 nodes"),
        ({"left": np.zeros(3, np.float64)}, "float64"),
    ],
)
def test_refuses_indices_out_of_range(saved: Path, changed: dict[str, object], words: str) -> None:
    forge(saved, **changed)
    assert words in refused(saved)


def test_row_53_other_features_are_refused_with_the_difference() -> None:
    model = small_model()
    model.refuse_layout(LAYOUT)
    dates = (*LAYOUT.series.dates[:-1], date(2018, 2, 5))
    groups = replace(LAYOUT.series, bands=("B8", "B4")), replace(LAYOUT.series, dates=dates)
    for other in (FeatureLayout((group,)) for group in groups):
        with pytest.raises(InputDataError, match=r"E-MODEL-FEATURES") as caught:
            model.refuse_layout(other, Path("model.json"))
        assert caught.value.exit_code == ExitCode.INPUT
        assert "model.json" in str(caught.value)
    assert "-B4_20180131" in str(caught.value)
    assert "+B4_20180205" in str(caught.value)


def test_another_definition_of_an_index_is_refused_though_its_name_is_the_same(
    tmp_path: Path,
) -> None:
    def layout(formula: str, scale: int = 1000) -> FeatureLayout:
        index = Index.defined("own", formula, scale)
        group = LAYOUT.series
        return FeatureLayout.optical(group.bands, group.dates, ("own",), (), (index,))

    model = replace(small_model(), layout=layout("nir / red"))
    model.refuse_layout(layout("B8 / (red)"))
    for other in (layout("nir - red"), layout("nir / red", 100)):
        with pytest.raises(InputDataError, match=r"E-MODEL-FEATURES") as caught:
            model.refuse_layout(other, Path("model.json"))
        assert "-own = nir / red, x 1000" in str(caught.value)
        assert f"+{other.series.index('own').definition}" in str(caught.value)
    save_model(tmp_path, model)
    assert load_model(tmp_path).layout == model.layout


def test_row_53_long_differences_are_cut() -> None:
    other = FeatureLayout.optical(("B11",), tuple(date(2019, 1, d) for d in range(1, 31)))
    with pytest.raises(InputDataError, match="lines more"):
        small_model().refuse_layout(other)
