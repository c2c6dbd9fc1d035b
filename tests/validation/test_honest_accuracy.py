"""Accuracies that say no more than their polygons do: classes nobody evaluates, few polygons."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from oso_pipeline.core.coverage import covered_in_words
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.studies.adaptation.scores import interval_over, paired_interval
from oso_pipeline.validation.accuracy import Method, Predictions, assess
from oso_pipeline.validation.accuracy_tables import classes_csv
from oso_pipeline.validation.confusion import scores
from oso_pipeline.validation.exact_intervals import (
    clopper_pearson,
    paired_difference,
    score_intervals,
)
from oso_pipeline.validation.intervals import UNDEFINED, ClusteredPairs, Interval, student_interval

OSO17 = load_nomenclature("oso17")
METHOD = Method(OSO17, 100, 0.95, 0, folds=False)


def evaluated(
    code: list[int], predicted: list[int], nomenclature: str = "oso17", **more: Any
) -> dict[str, Any]:
    """Return the accuracy of polygons of four pixels each."""
    polygon = np.repeat(np.arange(len(code)), 4)
    four = Predictions("run0", polygon, np.repeat(code, 4), np.repeat(predicted, 4), {})
    method = replace(METHOD, nomenclature=load_nomenclature(nomenclature))
    return assess([four], method, **more)


def test_3_7_classes_without_polygons_are_not_evaluated() -> None:
    # Grassland and forest are held out; maize (12) is on the map, and predicted for grassland.
    found = evaluated(
        [211] * 20 + [31] * 20, [211] * 15 + [12] * 5 + [31] * 20, mapped={211, 31, 12}
    )
    maize, grassland, rice = (found["classes"][code] for code in ("12", "211", "222"))
    for name in ("precision", "recall", "f_score"):
        assert maize[name] is None
        assert maize["intervals"][name] == {"low": None, "high": None}
    assert maize["not_judged"] == "no validation polygon of this class"
    assert maize["predicted_pixels"] == 20
    # The errors still count where they were made, and the estimates are what they were.
    assert grassland["recall"] == 0.75
    assert "not_judged" not in grassland
    assert found["overall_accuracy"]["estimate"] == 35 / 40
    assert found["covers"]["judged"] == ["31", "211"]
    assert [*found["covers"]["not_judged"]] == ["12"]
    assert "222" in found["covers"]["not_mapped"]
    assert rice["precision"] is None
    assert covered_in_words(found) == "over 2 of 3 classes; not evaluated: 12 winter crops"
    assert [*found["level1"]["covers"]["not_judged"]] == ["110"]
    stored = json.loads(
        json.dumps(evaluated([13] * 20, [13] * 20, nomenclature="oso23"), sort_keys=True)
    )
    assert "not evaluated: 1 dense built-up area, 2 diffuse" in covered_in_words(stored)
    (unseen,) = [one["message"] for one in found["warnings"] if "not evaluated" in one["message"]]
    assert "12" in unseen
    assert "222" not in unseen


def test_3_7_a_table_leaves_scores_of_such_classes_empty() -> None:
    found = evaluated([211] * 20, [211] * 15 + [12] * 5)
    rows = {
        row["code"]: row for row in csv.DictReader(io.StringIO(classes_csv({2: found}).decode()))
    }
    assert rows["12"]["precision"] == rows["12"]["f_score"] == ""
    assert rows["12"]["not_judged"] == "no validation polygon of this class"
    assert (rows["211"]["recall"], rows["211"]["not_judged"]) == ("0.750000", "")


def test_3_7_a_split_that_lacks_a_class_gives_no_zero_to_its_mean() -> None:
    polygon = np.arange(20)
    both = np.where(polygon < 10, 211, 12)
    one = np.full(20, 211)
    runs = [
        Predictions("run0", polygon, both, both, {}),
        Predictions("run1", polygon, one, both, {}),  # no polygon of class 12, which is predicted
    ]
    found = assess(runs, METHOD)["runs"]["classes"]["12"]
    assert found["precision"]["values"] == [1.0, None]
    assert found["f_score"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("right", "units", "low", "high"),
    [
        (5, 5, 0.478, 1.0),
        # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 5.
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_3_8_exact_intervals_are_the_published_ones(
    right: int, units: int, low: float, high: float
) -> None:
    found = clopper_pearson(right / units, units, 0.95)
    assert found.low == pytest.approx(low, abs=2e-4)
    assert found.high == pytest.approx(high, abs=2e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_3_8_exact_intervals_are_those_of_scipy(units: int, share: float, level: float) -> None:
    right = round(share * units)
    found = clopper_pearson(right / units, units, level)
    expected = binomtest(right, units).proportion_ci(level, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    between = clopper_pearson(share, units, level)  # no whole number of polygons
    assert between.low is not None
    assert between.high is not None
    assert between.low - 1e-9 <= share <= between.high + 1e-9


def test_3_8_five_of_five_polygons_are_no_hundred_per_cent() -> None:
    found = evaluated([211] * 5 + [31] * 2, [211] * 5 + [31] * 2)
    for name, units in (("211", 5), ("31", 2)):
        ends = binomtest(units, units).proportion_ci(0.95)
        for score in ("precision", "recall"):
            interval = found["classes"][name]["intervals"][score]
            assert interval == {"low": pytest.approx(ends.low), "high": 1.0}
        wider = binomtest(units, units).proportion_ci(0.975)
        f_score = found["classes"][name]["intervals"]["f_score"]
        assert f_score == {"low": pytest.approx(wider.low), "high": 1.0}
    overall = found["overall_accuracy"]
    assert overall["low"] == pytest.approx(binomtest(7, 7).proportion_ci(0.95).low)
    assert found["kappa"]["low"] < overall["low"]
    assert found["kappa"]["high"] == pytest.approx(1.0)
    assert "Clopper" in found["intervals"]


def test_3_8_an_f_score_is_no_surer_than_what_it_follows_from() -> None:
    """Ten polygons all found; of one other a pixel is taken for them: a width, but a narrow one."""
    polygon = np.repeat(np.arange(20), 10)
    code = np.repeat([31] * 10 + [211] * 10, 10)
    predicted = np.where(np.arange(200) == 199, 31, code)
    found = assess([Predictions("run0", polygon, code, predicted, {})], METHOD)["classes"]["31"]
    recall, f_score = found["intervals"]["recall"], found["intervals"]["f_score"]
    assert recall["low"] == pytest.approx(binomtest(10, 10).proportion_ci(0.95).low)
    assert f_score["low"] < recall["low"]


pairs = st.lists(
    st.tuples(st.sampled_from([11, 12, 31]), st.sampled_from([11, 12, 31]), st.integers(1, 9)),
    min_size=2,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_3_8_every_interval_has_a_width_and_holds_its_estimate(
    drawn: list[tuple[int, int, int]],
) -> None:
    code, predicted, pixels = (np.array(column) for column in zip(*drawn, strict=True))
    polygon = np.repeat(np.arange(len(drawn)), pixels)
    found = ClusteredPairs.of(
        (11, 12, 31), polygon, np.repeat(code, pixels), np.repeat(predicted, pixels)
    )
    of_all, estimates = score_intervals(found, 50, 0.95, 0), scores(found.confusion.counts)
    ends = [(of_all.overall_accuracy, float(estimates.overall_accuracy))]
    for name in ("precision", "recall", "f_score"):
        ends += zip(getattr(of_all, name), getattr(estimates, name), strict=True)
    for interval, estimate in ends:
        if interval.low is None or interval.high is None or np.isnan(estimate):
            continue
        assert interval.low < interval.high
        if len(drawn) < 10:  # then all are exact
            assert interval.low - 1e-12 <= estimate <= interval.high + 1e-12


def test_3_8_two_maps_that_never_differ_may_differ_elsewhere() -> None:
    found = paired_difference(0.0, 0.0, 5, 0.95)
    most = binomtest(0, 5).proportion_ci(0.975).high
    assert found == Interval(pytest.approx(-most), pytest.approx(most))
    gained = paired_difference(1.0, 0.0, 20, 0.95)
    assert gained.low is not None
    assert 0.6 < gained.low < gained.high == 1.0
    assert paired_difference(0.0, 0.0, 0, 0.95) == UNDEFINED


def test_3_8_studies_and_splits_give_no_interval_without_width() -> None:
    alike = paired_interval(np.arange(30), np.zeros(30), 0.95, 0)
    most = binomtest(0, 30).proportion_ci(0.975).high
    assert alike.high == pytest.approx(most)
    few = paired_interval(np.arange(5), np.array([1.0, 0, 0, 0, 0]), 0.95, 0)
    assert few.low is not None
    assert few.low < -0.3, "five polygons say little"
    assert interval_over([0.5, 0.5, 0.5], 0.95, 0) == UNDEFINED
    same = student_interval([0.9, 0.9, 0.9], 0.95)
    assert (same.mean, same.interval) == (pytest.approx(0.9), UNDEFINED)


def test_3_8_exact_intervals_cover_where_the_bootstrap_does_not() -> None:
    """Eight polygons right or wrong as a whole, nine of ten of the world's right."""
    covered = 0
    for trial in range(200):
        right = np.random.default_rng(trial).random(8) < 0.9
        found = ClusteredPairs.of(
            (11, 12),
            np.repeat(np.arange(8), 5),
            np.full(40, 11),
            np.repeat(np.where(right, 11, 12), 5),
        )
        interval = score_intervals(found, 50, 0.95, trial).overall_accuracy
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.9 <= interval.high
    assert covered >= 0.95 * 200
