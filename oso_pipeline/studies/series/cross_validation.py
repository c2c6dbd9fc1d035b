"""Accuracy of a classifier of series by cross-validation: no polygon is cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from oso_pipeline.core.wording import counted
from oso_pipeline.learning.label_check import assign_folds
from oso_pipeline.studies.series.classifier import SeriesClassifier
from oso_pipeline.studies.series.faults import listed, refuse
from oso_pipeline.studies.series.inputs import Usable
from oso_pipeline.studies.series.labels import (
    Labels,
    Legend,
    group_names,
    numbered,
    refuse_cut,
    refuse_folds,
)
from oso_pipeline.validation.figures import Estimate
from oso_pipeline.validation.intervals import ClusteredPairs, Interval, ScoreIntervals, bootstrap

REPLICATES = 1000
"""Resamplings behind an interval."""


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Predictions of a classifier for samples that it was not trained on.

    Parameters
    ----------
    predictions
        A row for each test sample, in the order of the table, with the index of its row:
        ``label``, ``predicted``, ``probability`` (of the predicted class), ``group``, ``fold``.
    left_out
        Samples without a label or without any observation, which take no part.
    level, seed
        Of the intervals: share of resamples inside, and the seed of the resampling.
    """

    predictions: pd.DataFrame
    left_out: int
    level: float = 0.95
    seed: int = 0

    @property
    def overall_accuracy(self) -> Estimate:
        """Share of samples that are right, with its interval by resampling polygons."""
        return self._estimate("overall_accuracy")

    @property
    def kappa(self) -> Estimate:
        """Cohen's kappa, with its interval by resampling polygons."""
        return self._estimate("kappa")

    @cached_property
    def classes(self) -> pd.DataFrame:
        """Scores of each class, a row for each label.

        ``precision``, ``recall`` and ``f_score``, each with ``_low`` and ``_high``, NaN where
        undefined; ``samples`` and ``groups`` of the class.
        """
        found, columns = self._pairs.confusion, dict[str, Any]()
        for name in ("precision", "recall", "f_score"):
            ends: tuple[Interval, ...] = getattr(self._intervals, name)
            columns[name] = getattr(found.scores, name)
            columns[f"{name}_low"] = np.array([end.low for end in ends], np.float64)
            columns[f"{name}_high"] = np.array([end.high for end in ends], np.float64)
        columns["samples"] = found.counts.sum(axis=1)
        columns["groups"] = self._pairs.polygons_per_class
        return pd.DataFrame(columns, index=pd.Index(self._legend.labels, name="label"))

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """Samples by label (rows) and prediction (columns)."""
        names = self._legend.labels
        return pd.DataFrame(
            self._pairs.confusion.counts,
            index=pd.Index(names, name="label"),
            columns=pd.Index(names, name="predicted"),
        )

    def __str__(self) -> str:
        """Return the accuracy in two lines."""
        groups = counted(self.predictions["group"].nunique(), "group")
        samples = counted(len(self.predictions), "sample")
        folds = counted(self.predictions["fold"].nunique(), "fold")
        left = f"; {self.left_out} left out" if self.left_out else ""
        return (
            f"overall accuracy {self.overall_accuracy}, kappa {self.kappa}\n"
            f"{samples} of {groups} in {folds}{left}; intervals ({self.level:.0%}) by "
            "resampling groups"
        )

    def _estimate(self, name: str) -> Estimate:
        value = float(getattr(self._pairs.confusion.scores, name))
        ends: Interval = getattr(self._intervals, name)
        return Estimate(None if np.isnan(value) else value, ends.low, ends.high)

    @cached_property
    def _legend(self) -> Legend:
        table = self.predictions
        labels = np.concatenate([table["label"].to_numpy(), table["predicted"].to_numpy()])
        return Legend.of(np.array(labels.tolist()))

    @cached_property
    def _pairs(self) -> ClusteredPairs:
        table, legend = self.predictions, self._legend
        (polygons,) = numbered(table["group"].to_numpy())
        codes = (legend.encoded(np.array(table[name].to_list())) for name in ("label", "predicted"))
        return ClusteredPairs.of(legend.codes.tolist(), polygons, *codes)

    @cached_property
    def _intervals(self) -> ScoreIntervals:
        return bootstrap(self._pairs, REPLICATES, self.level, self.seed)


def cross_validate(
    model: SeriesClassifier,
    X: Any,
    y: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    folds: int | npt.ArrayLike = 5,
    polygons: npt.ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> CrossValidation:
    """Return the accuracy of a classifier on samples of groups that it has not seen.

    Whole groups are split into folds, class by class; each fold is predicted by a copy of the
    classifier that was trained on the others. Intervals resample groups, since samples of one
    polygon are alike.

    Parameters
    ----------
    model
        Stays as it is; copies are trained.
    X, y
        Series as of :class:`SeriesClassifier`, and their labels. Samples without a label or
        without any observation are left out and counted.
    groups
        Polygon of each sample, or a region of several; each sample its own if None.
    folds
        How many, or the fold of each sample, for example its year or region.
    polygons
        Polygon of each sample, where `groups` are larger.
    level
        Share of resamples inside the intervals.
    seed
        Of the folds and of the resampling.

    Raises
    ------
    InputDataError
        If folds cut groups or groups cut polygons (``E-SERIES-CUT``), there are fewer groups
        than folds or one class only, or the table does not fit.

    Examples
    --------
    >>> from oso_pipeline import SeriesClassifier, cross_validate, read_series, simulate_series
    >>> table = read_series(simulate_series(120, seed=1), label="crop", group="field")
    >>> model = SeriesClassifier(indices=("NDVI",), scale=10_000, learning={"n_trees": 30})
    >>> found = cross_validate(model, *table)
    >>> found.overall_accuracy.estimate > 0.8, len(found.classes)
    (True, 7)
    """
    if isinstance(model, SeriesClassifier) and model.method != "none":
        refuse(
            "E-SERIES-METHOD",
            f"cross-validation tests labels of the same year, method is {model.method!r}",
            "use evaluate_adaptation, or set method='none'",
        )
    if not 0 < level < 1:
        refuse("E-SERIES-LEVEL", f"level: found {level}, expected 0 to 1", "for example 0.95")
    known = Usable.of(model, X, y, groups)
    labels, names = known.labels, known.groups
    legend = Legend.of(labels)
    if polygons is not None:
        whole = group_names(polygons, known.n_rows, "polygons")[known.rows]
        refuse_cut(names, whole, ("group", "polygon"))
    fold = _folds(folds, known, legend.encoded(labels), seed)
    content = {"label": labels, **_predictions(model, _at_hand(X, known.rows), labels, names, fold)}
    predictions = pd.DataFrame({**content, "group": names, "fold": fold}, index=known.rows)
    return CrossValidation(predictions, known.left_out, level, seed)


def _predictions(
    model: SeriesClassifier, X: Any, labels: Labels, groups: Labels, fold: Labels
) -> dict[str, npt.NDArray[Any]]:
    """Return what copies trained on the other folds say about each sample."""
    predicted = np.empty(len(labels), labels.dtype)
    probability = np.full(len(labels), np.nan)
    for number in np.unique(fold):
        tested = fold == number
        taught = np.flatnonzero(~tested)
        if len(known := np.unique(labels[taught])) < 2:
            refuse(
                "E-SERIES-CLASSES",
                f"without fold {number} the labels show one class only, {listed(known)}",
                "use other folds, or add groups of other classes",
            )
        trained = clone(model).fit(_at_hand(X, taught), labels[taught], groups[taught])
        own = _at_hand(X, np.flatnonzero(tested))
        predicted[tested] = trained.predict(own)
        probability[tested] = trained.predict_proba(own).max(axis=1)
    return {"predicted": predicted, "probability": probability}


def _folds(
    folds: int | npt.ArrayLike, known: Usable, codes: npt.NDArray[np.int32], seed: int
) -> Labels:
    """Return the fold of each sample; no group lies in two."""
    groups = known.groups
    if not isinstance(folds, int | np.integer):
        given = group_names(folds, known.n_rows, "folds")[known.rows]
        refuse_cut(given, groups, ("fold", "group"))
        if len(np.unique(given)) < 2:
            refuse("E-SERIES-FOLDS", "all samples are in one fold", "give at least two folds")
        return given
    refuse_folds(int(folds), groups)
    (numbers,) = numbered(groups)
    return assign_folds(numbers, codes, int(folds), seed)


def _at_hand(X: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Return some rows of a table."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else np.asarray(X)[rows]
