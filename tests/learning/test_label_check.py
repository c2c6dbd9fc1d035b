"""Likely wrong labels: what is found, what is spared, and what is kept out of training."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from support.learning_tools import LAYOUT

from oso_pipeline.learning.label_check import (
    LabelAssessment,
    assign_folds,
    believed,
    check_labels,
    most_doubtful,
)
from oso_pipeline.learning.label_stage import FoldForest, LabelsJob, excluded_polygons
from oso_pipeline.learning.training_set import Choice, TrainingSet, read_training_set
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task
from oso_pipeline.tasks.worker import do


def alone(known: TrainingSet, n_trees: int = 30) -> LabelAssessment:
    """Assess the polygons that train, without any that are held out."""
    nothing = TrainingSet(known.features[:0], known.codes[:0], known.polygon_id[:0])
    return check_labels(known, nothing, 4, 0, FoldForest(n_trees, 1))


def seasons(n_polygons: int, seed: int = 0, n_classes: int = 8) -> TrainingSet:
    """Return fields whose greenest time, which varies from field to field, tells the class."""
    rng = np.random.default_rng(seed)
    code = np.arange(n_polygons) % n_classes + 1
    peak = code * 4 + rng.normal(0, 1, n_polygons)
    height = rng.normal(3000, 600, n_polygons)
    curve = height[:, None] * np.exp(-((np.arange(36) - peak[:, None]) ** 2) / 30)
    pixels = np.repeat(curve, 6, axis=0) + rng.normal(1000, 400, (n_polygons * 6, 36))
    polygons = np.repeat(np.arange(n_polygons, dtype=np.int64), 6)
    return TrainingSet(pixels.astype(np.int16), np.repeat(code, 6).astype(np.int32), polygons)


def spoilt(known: TrainingSet, share: float, seed: int) -> tuple[TrainingSet, set[int]]:
    """Return the set with the labels of a share of the polygons replaced by another class."""
    rng = np.random.default_rng(seed)
    polygons, first, place = np.unique(known.polygon_id, return_index=True, return_inverse=True)
    code = known.codes[first].copy()
    classes = np.unique(code)
    wrong = rng.permutation(len(polygons))[: round(share * len(polygons))]
    for row in wrong:
        code[row] = rng.choice(classes[classes != code[row]])
    return TrainingSet(known.features, code[place], known.polygon_id), set(polygons[wrong].tolist())


def precision_and_recall(assessment: LabelAssessment, wrong: set[int]) -> tuple[float, float]:
    doubted = set(assessment.polygon_id[assessment.doubted].tolist())
    found = len(doubted & wrong)
    return found / max(1, len(doubted)), found / len(wrong)


def surveyed_fields(folder: Path) -> TrainingSet:
    """Return the fields of four crops surveyed in 2018, NDVI x1000, gaps interpolated."""
    fields = geopandas.read_parquet(folder / "central_asia_fields" / "fields.parquet")
    fields = fields[fields["year"].astype(str) == "2018"]
    label = fields["label_1"].astype(str)
    label = label.where(~label.str.startswith("wheat"), "wheat")
    dates = [name for name in fields.columns if name.startswith("doy")]
    series = fields[dates].astype(float).interpolate(axis=1, limit_direction="both").fillna(0)
    chosen = label.isin(["wheat", "cotton", "orchard", "fallow"]).to_numpy()
    codes = np.unique(label[chosen], return_inverse=True)[1] + 1
    features = (series.to_numpy()[chosen] * 1000).astype(np.int16)
    return TrainingSet(features, codes.astype(np.int32), np.arange(len(codes), dtype=np.int64))


def test_one_label_in_five_planted_wrong_is_found() -> None:
    known, wrong = spoilt(seasons(400), 0.2, seed=1)
    precision, recall = precision_and_recall(alone(known), wrong)
    assert precision > 0.85
    assert recall > 0.85


def test_planted_labels_are_found_among_surveyed_fields(shared_data: Path) -> None:
    known, wrong = spoilt(surveyed_fields(shared_data), 0.2, seed=1)
    precision, recall = precision_and_recall(alone(known, 50), wrong)
    assert precision > 0.86  # 0.91 measured
    assert recall > 0.86  # 0.91 measured


def test_right_labels_are_rarely_doubted() -> None:
    assessment = alone(seasons(400))
    assert assessment.doubted.mean() < 0.04


def test_the_likely_label_is_the_right_one() -> None:
    truth = seasons(400)
    known, wrong = spoilt(truth, 0.2, seed=1)
    assessment = alone(known)
    right = dict(zip(truth.polygon_id.tolist(), truth.codes.tolist(), strict=True))
    found = [
        right[p] == c
        for p, c, d in zip(
            assessment.polygon_id.tolist(), assessment.likely_code, assessment.doubted, strict=True
        )
        if d and p in wrong
    ]
    assert np.mean(found) > 0.85


def test_validation_polygons_are_evaluated_but_teach_nothing() -> None:
    known, held_out = seasons(200), seasons(200, seed=5)
    other = TrainingSet(held_out.features, held_out.codes, held_out.polygon_id + 1000)
    spoilt_other, wrong = spoilt(other, 0.2, seed=2)
    assessment = check_labels(known, spoilt_other, 4, 0, FoldForest(30, 1))
    only = alone(known)
    inside = assessment.polygon_id < 1000
    np.testing.assert_array_equal(assessment.given[inside], only.given)
    found = set(assessment.polygon_id[assessment.doubted & ~inside].tolist())
    assert len(found & wrong) / len(wrong) > 0.8


def confused(known: TrainingSet, share: float, seed: int) -> tuple[TrainingSet, set[int]]:
    """Return the set with labels replaced by that of the class whose season comes next."""
    rng = np.random.default_rng(seed)
    polygons, first, place = np.unique(known.polygon_id, return_index=True, return_inverse=True)
    code = known.codes[first].copy()
    wrong = rng.permutation(len(polygons))[: round(share * len(polygons))]
    code[wrong] = code[wrong] % code.max() + 1
    return TrainingSet(known.features, code[place], known.polygon_id), set(polygons[wrong].tolist())


def test_an_expected_share_decides_how_many_labels_are_listed() -> None:
    known, wrong = confused(seasons(240), 0.2, seed=1)
    nothing = TrainingSet(known.features[:0], known.codes[:0], known.polygon_id[:0])
    forest = FoldForest(20, 1)
    two = check_labels(known, nothing, 4, 0, forest, expected_share=0.2)
    assert two.doubted.sum() == round(1.06 * 0.2 * 240)
    one = alone(known, 20)
    assert min(precision_and_recall(two, wrong)) > min(precision_and_recall(one, wrong))


def test_the_most_doubtful_come_first() -> None:
    mean = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [np.nan, 0.1, 0.9]])
    column = np.array([0, 0, 0, 0])
    given = np.array([0.9, 0.2, 0.3, np.nan])
    assert most_doubtful(mean, given, column, 0.33).tolist() == [0, 1, 0, 0]
    assert most_doubtful(mean, given, column, 0.49).tolist() == [0, 1, 2, 0]


def test_a_class_of_one_polygon_is_not_evaluated() -> None:
    known = seasons(80)
    lonely = np.where(known.polygon_id == 7, 99, known.codes).astype(np.int32)
    assessment = alone(TrainingSet(known.features, lonely, known.polygon_id), 10)
    assert not assessment.doubted[assessment.code == 99].any()
    assert np.isnan(assessment.given[assessment.code == 99]).all()


@given(st.integers(1, 60), st.integers(2, 6), st.integers(1, 5), st.integers(0, 99))
def test_polygons_are_split_whole_and_evenly(
    n_polygons: int, folds: int, n_classes: int, seed: int
) -> None:
    polygon = np.repeat(np.arange(n_polygons, dtype=np.int64), 3)
    code = (polygon % n_classes).astype(np.int32)
    fold = assign_folds(polygon, code, folds, seed)
    assert (fold.reshape(-1, 3) == fold[::3, None]).all()
    for one in np.unique(code):
        counts = np.bincount(fold[::3][code[::3] == one], minlength=folds)
        assert counts.max() - counts.min() <= 1


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(2, 5), st.integers(0, 99))
def test_belief_follows_the_definition(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.dirichlet(np.ones(k), n)
    column = rng.integers(0, k, n)
    own = mean[np.arange(n), column]
    result = believed(mean, own, column)
    for i in range(n):
        for j in range(k):
            mine: npt.NDArray[np.float64] = own[column == j]
            if j == column[i]:
                assert result[i, j] == own[i]
            elif len(mine) and mean[i, j] >= 0.8 * mine.mean() and mean[i, j] >= 2 * own[i]:
                assert result[i, j] == mean[i, j]
            else:
                assert result[i, j] == -1


def fields(folder: Path) -> set[int]:
    """Write the samples of 60 fields of three classes; return those labelled wrong."""
    rng = np.random.default_rng(0)
    polygon = np.repeat(np.arange(60, dtype=np.int64), 5)
    truth = polygon % 3 + 1
    wrong = {3, 16, 29, 41}
    code = np.where(np.isin(polygon, list(wrong)), truth % 3 + 1, truth).astype(np.int32)
    content = {
        "polygon_id": polygon,
        "code": code,
        "stratum": np.full(len(polygon), "all"),
        "draw": rng.integers(0, 2**63, len(polygon)).astype(np.uint64),
        "split_0": np.where(polygon < 40, "train", "validation"),
    }
    noise = rng.integers(-600, 600, (len(LAYOUT.names), len(polygon)))
    for name, values in zip(LAYOUT.names, noise + truth * 2000, strict=True):
        content[name] = values.astype(np.int16)
    (folder / "samples").mkdir()
    pq.write_table(pa.table(content), folder / "samples" / "31TCJ.parquet")
    pq.write_table(pa.table(content), folder / "reference.parquet")
    return wrong


def checked(folder: Path, exclude_below: float | None) -> pd.DataFrame:
    task = Task(
        "labels",
        "run0/all",
        "oso_pipeline.learning.label_stage:check",
        folder,
        ("labels/run0/all.parquet",),
        job=LabelsJob(
            variant="run0",
            stratum="all",
            columns=("split_0",),
            layout=LAYOUT,
            folds=4,
            max_pixels=1000,
            n_trees=20,
            exclude_below=exclude_below,
            seed=0,
            samples={"samples/31TCJ": Input("-", "samples/31TCJ.parquet")},
        ),
    )
    result = do(task)
    assert result.status == "done", result.error
    assert result.summary["doubted"] == pd.read_parquet(task.output())["doubted"].sum()
    return pd.read_parquet(task.output()).set_index("polygon_id")


def test_polygons_stay_out_of_training_only_on_demand(tmp_path: Path) -> None:
    wrong = fields(tmp_path)
    table = checked(tmp_path, None)
    assert set(table.index[table["doubted"]]) == wrong
    assert set(table.index[table["side"] == "validation"]) == set(range(40, 60))
    assert not table["excluded"].any()
    table = checked(tmp_path, 0.3)
    assert set(table.index[table["excluded"]]) == {3, 16, 29}  # 41 evaluates the map
    out = excluded_polygons(tmp_path / "labels" / "run0" / "all.parquet")
    samples = [tmp_path / "samples" / "31TCJ.parquet"]
    used = read_training_set(samples, Choice("run0", "all", ("split_0",), None, out), LAYOUT)
    assert set(used.polygon_id.tolist()) == set(range(40)) - {3, 16, 29}
