"""Deals, scores, intervals and gates of the comparison, against NumPy and scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2
from sklearn.metrics import accuracy_score, f1_score

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain, pooled
from oso_pipeline.studies.adaptation.evaluate import ComparisonRequest, setting_of
from oso_pipeline.studies.adaptation.scores import (
    McNemar,
    accuracy,
    mcnemar_of_polygons,
    paired_interval,
    ratio_interval,
)
from oso_pipeline.studies.adaptation.setting import Rule, Setting, Shares, sample_splits
from oso_pipeline.studies.adaptation.summary import Gain, GateCounts, MethodSummary
from oso_pipeline.studies.adaptation.trial import METHODS, GateOfRun, fitting
from oso_pipeline.validation.intervals import Interval

SPACE = SeriesSpace.plain((0, 10, 20))
RULE = Rule({1: "wheat", 2: "maize", 3: "woods"}, (3,))


def domain(n_polygons: int, seed: int, first: int = 0, outlines: bool = False) -> Domain:
    """Two samples in each polygon, three classes; polygons are squares in a row."""
    rng = np.random.default_rng(seed)
    polygons = np.repeat(np.arange(n_polygons), 2) + first
    labels = np.repeat(rng.permutation(np.arange(n_polygons) % 3 + 1), 2).astype(np.int32)
    boxes = shapely.box(polygons * 2.0, 0, polygons * 2.0 + 1, 1)
    return Domain(
        f"d{seed}",
        SPACE,
        rng.integers(0, 9000, (len(polygons), 3)).astype(np.int16),
        labels,
        polygons.astype(np.int64),
        boxes if outlines else None,
    )


def setting(seed: int = 0) -> Setting:
    made = RULE.setting("s", "year", [domain(60, seed)], domain(45, seed + 1, 100), Problems())
    assert made is not None
    return made


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), parts=st.integers(2, 6), most=st.integers(10, 200))
def test_test_polygons_are_used_for_nothing_else(seed: int, parts: int, most: int) -> None:
    one = setting(seed % 7)
    evaluated = np.zeros(len(one.target), int)
    for split in sample_splits(one, Shares(parts, 0.5, most), seed):
        polygons = one.target.polygons
        assert not set(polygons[split.test]) & set(polygons[split.unlabelled])
        assert set(split.anchors) <= set(split.unlabelled)
        assert set(one.target.labels[split.anchors]) <= {3}
        assert max(len(split.source), len(split.unlabelled)) <= most
        evaluated[split.test] += 1
    assert (evaluated == 1).all()  # every sample evaluates once


def test_anchors_are_half_of_all_perennial_polygons() -> None:
    one = setting()
    woods = np.unique(one.target.polygons[one.target.labels == 3])
    for split in sample_splits(one, Shares(), 3):
        assert len(np.unique(one.target.polygons[split.anchors])) == len(woods) // 2


def test_a_split_is_a_function_of_its_seed() -> None:
    first, again, other = (
        next(iter(sample_splits(setting(), Shares(), seed))) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_source_fields_that_meet_a_target_field_are_dropped() -> None:
    source, target = domain(30, 0, 0, outlines=True), domain(30, 1, 20, outlines=True)
    kept = source.apart_from(target)
    brute = [
        not any(a.intersects(b) for b in target.outlines)  # type: ignore[union-attr]
        for a in source.outlines  # type: ignore[union-attr]
    ]
    assert np.array_equal(kept.polygons, source.polygons[np.array(brute)])


def test_ground_of_both_seasons_is_not_trained_on_while_it_is_tested() -> None:
    source, target = domain(45, 0, 0, outlines=True), domain(45, 0, 0, outlines=True)
    source = replace(source, polygons=source.polygons + 5000)  # other numbers, the same ground
    rule = replace(RULE, same_ground=True)
    made = rule.setting("s", "year", [source], target, Problems())
    assert made is not None
    assert len(made.source) == 90
    for split in sample_splits(made, Shares(), 0):
        learnt = made.source.polygons[split.source] - 5000
        assert not set(learnt) & set(made.target.polygons[split.test])
        assert len(learnt) == 90 - len(split.test)


def test_rare_classes_are_left_out_and_named() -> None:
    problems = Problems()
    source = domain(60, 0)
    few = source.take((source.labels != 2) | (np.arange(len(source)) < 20))
    made = RULE.setting("s", "year", [few], domain(60, 1, 100), problems)
    assert made is not None
    assert tuple(made.classes) == (1, 3)
    assert "maize" in problems.warnings[0].message


def test_one_class_is_an_error() -> None:
    problems = Problems()
    source = domain(60, 0)
    only = source.take(source.labels == 1)
    assert RULE.setting("s", "year", [only], domain(60, 1, 100), problems) is None
    assert problems.errors[0].code == "E-ADAPT-CLASSES"


def test_pooling_refuses_other_features() -> None:
    other = Domain(
        "o", SeriesSpace.plain((0, 10)), *(np.empty((0, 2), np.int16), np.empty(0, np.int32)),
        np.empty(0, np.int64),
    )  # fmt: skip
    with pytest.raises(ValueError, match="features differ"):
        pooled([domain(3, 0), other])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=60))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, said = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    found = accuracy(truth, said, (1, 2, 3, 4), (1, 2))
    present = np.unique(truth)
    expected = f1_score(truth, said, labels=present, average="macro", zero_division=0)
    assert found.overall == pytest.approx(100 * accuracy_score(truth, said))
    assert found.macro_f1 == pytest.approx(100 * expected)
    annual = truth <= 2
    if annual.any():
        assert found.annual == pytest.approx(100 * (truth == said)[annual].mean())


def test_interval_covers_what_polygons_vary_by() -> None:
    rng = np.random.default_rng(0)
    polygon = np.repeat(np.arange(200), 5)
    gain = np.repeat(rng.normal(0.1, 0.3, 200), 5)  # samples of a polygon are alike
    found = paired_interval(polygon, gain, 0.95, 0)
    half = 1.96 * 0.3 / np.sqrt(200)
    assert found.low == pytest.approx(gain.mean() - half, abs=0.01)
    assert found.high == pytest.approx(gain.mean() + half, abs=0.01)


@pytest.mark.parametrize(
    ("better", "worse", "exact", "mid_p"),
    [
        # Airway hyper-responsiveness of 21 children before and after stem cell transplantation:
        # Fagerland et al. 2013, table 1 (Bentur et al. 2009); exact 0.070, mid-p 0.039.
        (7, 1, 0.070, 0.039),
        (1, 7, 0.070, 0.039),
        (0, 0, 1.0, 1.0),
    ],
)
def test_mcnemar_gives_the_published_values(
    better: int, worse: int, exact: float, mid_p: float
) -> None:
    found = McNemar.of(better, worse)
    assert (found.better, found.worse) == (better, worse)
    assert found.p_value == pytest.approx(mid_p, abs=0.0005)
    if better + worse:
        assert binomtest(better, better + worse).pvalue == pytest.approx(exact, abs=0.0005)


def test_mcnemar_is_near_the_chi_square_of_many_units() -> None:
    # Approval of a prime minister twice by 1600 people, 150 and 86 changed their minds: chi-square
    # 17.36 (Agresti 1990, Categorical Data Analysis, section 10.1).
    chi_square = (150 - 86) ** 2 / (150 + 86)
    assert chi_square == pytest.approx(17.36, abs=0.005)
    assert McNemar.of(150, 86).p_value == pytest.approx(chi2.sf(chi_square, 1), rel=0.15)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mid_p_is_a_probability_below_the_exact_one(better: int, worse: int) -> None:
    found = McNemar.of(better, worse)
    assert found.p_value == McNemar.of(worse, better).p_value
    assert 0 < found.p_value <= 1
    if better != worse:
        assert found.p_value < binomtest(better, better + worse).pvalue


def test_units_of_mcnemar_are_polygons_over_all_seeds() -> None:
    polygons = np.array([1, 1, 1, 2, 2, 3, 4, 4, 1, 2])
    gain = np.array([1, 1, -1, -1, 0, 0, 1, -1, 1, -1], float)
    assert mcnemar_of_polygons(polygons, gain) == McNemar.of(1, 1)
    rng = np.random.default_rng(0)
    one_each = rng.choice([-1.0, 0.0, 1.0], 50)
    alone = mcnemar_of_polygons(np.arange(50), one_each)
    assert (alone.better, alone.worse) == ((one_each > 0).sum(), (one_each < 0).sum())


def test_one_polygon_has_no_interval() -> None:
    found = paired_interval(np.zeros(9, np.int64), np.ones(9), 0.95, 0)
    assert found == Interval(None, None)
    assert ratio_interval([1.0], [2.0], 0.95, 0) == Interval(None, None)


def test_gate_counts() -> None:
    def method(adapts: tuple[bool, ...], adapted: float, gated: float) -> MethodSummary:
        parts = tuple(GateOfRun(None, one) for one in adapts)
        test = McNemar.of(0, 0)
        gains = [Gain(d, 0.0, 0.0, Interval(None, None), test, (d,)) for d in (adapted, gated)]
        score = accuracy(np.array([1, 2]), np.array([1, 2]), (1, 2), (1,))
        return MethodSummary(score, gains[0], gains[1], (parts,), ())

    counts = GateCounts.of(
        [
            method((True, True), -3.0, -3.0),  # false accept
            method((False, False), 5.0, 0.0),  # false reject
            method((False, False), -5.0, 0.0),  # loss avoided
            method((True, False), 5.0, 2.0),  # on
            method((False, False), 0.5, 0.0),
        ]
    )
    assert (counts.runs, counts.on) == (5, 2)
    assert (counts.false_accepts, counts.false_rejects, counts.losses_avoided) == (1, 1, 1)


def test_without_perennial_classes_none_is_reported_labels() -> None:
    one = setting()
    bare = Setting("b", "year", one.source, one.target, one.classes, ())
    assert not any(c.anchors for c in fitting(bare, METHODS)[1:])
    assert len(fitting(one, METHODS)) == len(METHODS) + 1


def test_a_placebo_cuts_one_season_in_two() -> None:
    seasons = {2017: domain(60, 0), 2018: domain(90, 1)}
    request = ComparisonRequest(("student",), placebo=True)
    made, _ = setting_of(seasons, RULE, ((2017,), 2018), request)
    assert made.kind == "placebo"
    assert not set(made.source.polygons) & set(made.target.polygons)
    assert len(made.source) + len(made.target) == 180
