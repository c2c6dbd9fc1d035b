"""The accuracy report: its data, its peers, its page."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from bench.accuracy import page, peer_process
from bench.accuracy.central_asia import central_asia
from bench.accuracy.france import france
from bench.accuracy.settings import CASES, OURS
from oso_pipeline.studies.learners.feature_sets import FeatureSet
from oso_pipeline.studies.learners.methods import Predicted, settings_of
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.study import LearnerRequest, compare_entries
from oso_pipeline.studies.learners.trial import Entry
from oso_pipeline.timeseries.feature_layout import FeatureLayout


def test_real_sets_have_what_a_comparison_needs(shared_data: Path) -> None:
    parcels, fields = france(shared_data), central_asia(shared_data)
    assert len(parcels.samples) == 412
    assert len(parcels.frequent().samples.classes) == 9
    assert set(fields.samples.columns) == {"region", "year"}
    assert len(np.unique(fields.samples.polygons)) < len(fields.samples)  # surveyed twice
    assert parcels.series is not None
    some = parcels.take(np.arange(5))
    assert some.series is not None
    assert np.array_equal(some.series.values, parcels.series.values[..., :5])


def test_every_entry_is_a_learner_of_the_package() -> None:
    for name, (section, _) in OURS.items():
        settings_of(section, name)


def test_the_peer_is_the_library_with_its_defaults() -> None:
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 3000, (60, 8)).astype(np.int16) for _ in range(2))
    codes = rng.choice([2, 5], 60)
    given = {"train": train, "codes": codes, "seed": np.uint64(3), "shape": np.array([4, 2])}
    expected = RandomForestClassifier(100, random_state=3).fit(train, codes)
    found = peer_process.forest(given)(test)
    assert np.array_equal(found, expected.predict_proba(test))


class Constant:
    """Says the first class of what it was trained on."""

    name = "constant"

    def predict(self, train: LabelledSamples, test: LabelledSamples, seed: int) -> Predicted:
        classes = np.unique(train.codes).astype(np.int32)
        shares = np.eye(len(classes))[np.zeros(len(test), int)]
        return Predicted(classes, shares, 1.0, 1e-6)


def test_tables_go_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polygons = np.arange(12)
    samples = LabelledSamples(
        "Nowhere",
        FeatureLayout.optical(("B4",), (date(2018, 1, 1),)),
        np.zeros((12, 1), np.int16),
        (1 + polygons % 2).astype(np.int32),
        polygons,
        {1: "a", 2: "b"},
    )
    entry = Entry("constant", Constant(), FeatureSet("all"))
    found = compare_entries(samples, [entry], LearnerRequest(seeds=1, folds=2))
    marks = [
        f"<!-- {n}: {page._MARK} -->\nstale\n<!-- end of {n} -->" for n in ("gains", "Nowhere")
    ]
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "FIGURES", tmp_path / "figures.json")
    page.PAGE.write_text("before\n" + "\nbetween\n".join(marks) + "\nafter\n")
    page.write([found], {"missing": ["a peer: no network"], "seconds": [2.0]})
    text = page.PAGE.read_text()
    assert "stale" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "| constant | 50.0 | 33.3 |" in text
    assert "Not compared: a peer: no network." in text


def test_the_page_has_a_place_for_every_table() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    for name in ("gains", *(case.name for case in CASES)):
        assert f"<!-- {name}: {page._MARK} -->" in text
        assert f"<!-- end of {name} -->" in text
