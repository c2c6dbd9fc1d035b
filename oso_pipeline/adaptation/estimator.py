"""The classifier that adapts: scikit-learn's interface around the methods and the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from oso_pipeline.adaptation.account import Account, Notes, record_of
from oso_pipeline.adaptation.aligned import aligned
from oso_pipeline.adaptation.classifmix import classifmix
from oso_pipeline.adaptation.cropmix import cropmix
from oso_pipeline.adaptation.diagnosis import Diagnosis, diagnose
from oso_pipeline.adaptation.domains import Domains, Labelled, Trainer, shares_of
from oso_pipeline.adaptation.gate import Gate
from oso_pipeline.adaptation.jitter import NO_SHIFT, jitter, jittered_forest
from oso_pipeline.adaptation.methods import Adapted, Method
from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.adaptation.plain import none
from oso_pipeline.adaptation.scale import Scale
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.adaptation.student import student
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings

MethodName = Literal["none", "jitter", "aligned", "student", "cropmix", "cropmix+classifmix"]

METHODS: Mapping[str, Method] = {
    "none": none,
    "jitter": jitter,
    "aligned": aligned,
    "student": student,
    "cropmix": cropmix,
    "cropmix+classifmix": classifmix,
}
"""The methods by name; the last two are there to be compared with."""

LEAST_TARGET = 50
"""Fewer unlabelled samples than this show nothing."""


class AdaptedForestClassifier(ClassifierMixin, BaseEstimator):
    """A random forest of past years, adapted to the year to be mapped where that helps.

    Parameters
    ----------
    method
        ``none``, ``jitter``, ``aligned``, ``student`` (recommended), or, for comparison only,
        ``cropmix`` and ``cropmix+classifmix``.
    space
        Meaning of the columns. None: a single date, every column a band of its own, so that
        nothing can be shifted.
    forest
        Settings of the forest; the defaults of the configuration if None.
    options
        Options of the methods and thresholds of the gate.
    gate
        ``auto`` adapts where the statistics show a shift, ``always`` without a test, ``never``
        not at all.
    random_state
        Seed, generator or None, as in scikit-learn.
    n_jobs
        Trees grown at once; does not change the forest.

    Attributes
    ----------
    forest_ : Forest
        The forest to map with, over the features as they are.
    baseline_ : Forest
        The plain forest of the past years.
    record_ : AdaptationRecord
        Statistics, decisions and actions of the adaptation.
    classes_ : ndarray of shape (n_classes,)
        All labels of source and anchors.
    """

    def __init__(
        self,
        method: MethodName = "student",
        space: SeriesSpace | None = None,
        forest: ForestSettings | None = None,
        options: AdaptationOptions | None = None,
        gate: Gate = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int = 1,
    ) -> None:
        self.method = method
        self.space = space
        self.forest = forest
        self.options = options
        self.gate = gate
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        polygons: npt.ArrayLike | None = None,
        target: npt.ArrayLike | None = None,
        target_polygons: npt.ArrayLike | None = None,
        anchors: npt.ArrayLike | None = None,
        anchor_labels: npt.ArrayLike | None = None,
        anchor_polygons: npt.ArrayLike | None = None,
        perennial_classes: npt.ArrayLike = (),
        target_classes: npt.ArrayLike = (),
    ) -> Self:
        """Train on past years and adapt.

        Parameters
        ----------
        X, y
            Samples of the past years, shape ``(sample, feature)``, and their labels.
        polygons
            Polygon of each; each sample its own if None.
        target
            Unlabelled samples of the year to be mapped, drawn by area.
        target_polygons
            Known polygon of each, as in `anchor_polygons`, negative for none: predictions
            within a labelled polygon never teach.
        anchors, anchor_labels
            Labelled samples of that year; of the classes that stay.
        anchor_polygons
            Polygon of each anchor; each sample its own if None.
        perennial_classes
            Labels that stay from year to year; those of the anchors if none are given.
        target_classes
            Labels known to occur in that year; the record says which can never be predicted.

        Raises
        ------
        ValueError
            If shapes, types or options do not fit, or values are not finite.
        """
        table, known = self._source(X, y)
        self._refuse_parameters()
        tables = [self._table(given) for given in (target, anchors)]
        labels = np.asarray(() if anchor_labels is None else anchor_labels)
        if len(labels) != len(tables[1]):
            raise ValueError(f"{len(tables[1])} anchors have {len(labels)} labels")
        self.classes_ = np.unique(np.concatenate([known, labels]) if len(labels) else known)
        self._codes = _codes_of(self.classes_)
        trainer = self._trainer(table.shape[1])
        self._scale = Scale.of(trainer.space, table, *tables)
        notes = Notes()
        domains = Domains(
            self._labelled(table, known, polygons),
            self._scale.apply(tables[0]),
            _polygons(target_polygons, len(tables[0]), -1),
            notes.usable_anchors(self._labelled(tables[1], labels, anchor_polygons), self._names),
            frozenset(self._perennial(perennial_classes, labels)),
        )
        self._adapt(domains, trainer, notes, np.asarray(target_classes))
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the mean shares of the classes in the leaves, shape ``(sample, class)``."""
        check_is_fitted(self, "forest_")
        table: npt.NDArray[Any] = validate_data(self, X, dtype="numeric", reset=False)
        shares = np.zeros((len(table), len(self.classes_)))
        places = np.searchsorted(self._codes, self.forest_.classes)
        shares[:, places] = shares_of(self.forest_, self._scale.apply(table))
        return shares

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the label with the largest mean share, shape ``(sample,)``."""
        shares = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[shares.argmax(axis=1)]
        return labels

    def _adapt(
        self,
        domains: Domains,
        trainer: Trainer,
        notes: Notes,
        target_classes: npt.NDArray[Any],
    ) -> None:
        source = domains.source
        baseline = trainer.bagged("baseline", source.features, source.codes)
        self.baseline_ = baseline.forest
        diagnosis = None
        if notes.can_look_at(domains, LEAST_TARGET):
            diagnosis = diagnose(domains, baseline, trainer)
        adapts, reason = self._decide(diagnosis, trainer.options)
        if adapts and diagnosis is not None:
            result = METHODS[self.method](domains, diagnosis, trainer)
        elif adapts:
            result = Adapted(jittered_forest("jitter", source, NO_SHIFT, trainer))
        else:
            result = Adapted(baseline.forest)
        self.forest_: Forest = result.forest
        account = Account(self.method, self.gate, adapts, reason, domains, diagnosis, result)
        self.record_ = record_of(account, trainer, notes, self._names, target_classes)

    def _decide(self, diagnosis: Diagnosis | None, options: AdaptationOptions) -> tuple[bool, str]:
        """Return whether to adapt, and why."""
        if self.method == "none":
            return False, "no adaptation is requested"
        if self.gate == "never":
            return False, "the gate is set to never"
        if diagnosis is None:
            if self.method == "jitter" and self.gate == "always":
                return True, "the gate is set to always; jitter needs no target"
            return False, "there are no target samples"
        if self.gate == "always":
            return True, "the gate is set to always"
        return diagnosis.statistics.decision(options)

    def _trainer(self, n_features: int) -> Trainer:
        space = self.space or SeriesSpace.plain((0,), n_features)
        if space.size != n_features:
            raise ValueError(f"the space of series has {space.size} columns, X has {n_features}")
        return Trainer(
            space,
            self.forest or ForestSettings(),
            self.options or AdaptationOptions(),
            int(check_random_state(self.random_state).randint(2**31 - 1)),
            max(1, self.n_jobs),
        )

    def _labelled(
        self, table: npt.NDArray[Any], labels: npt.NDArray[Any], polygons: npt.ArrayLike | None
    ) -> Labelled:
        return Labelled(
            self._scale.apply(table),
            self._encoded(labels),
            _polygons(polygons, len(labels), None),
        )

    def _refuse_parameters(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        if self.gate not in ("auto", "always", "never"):
            raise ValueError(f"gate must be auto, always or never, got {self.gate!r}")

    def _source(
        self, X: npt.ArrayLike, y: npt.ArrayLike
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        table, labels = validate_data(self, X, y, dtype="numeric")
        check_classification_targets(labels)
        return table, labels

    def _table(self, table: npt.ArrayLike | None) -> npt.NDArray[Any]:
        """Return samples of the target year; an empty table for None."""
        if table is None:
            return np.empty((0, self.n_features_in_), np.int16)
        checked = check_array(table, dtype="numeric", ensure_min_samples=0)
        if checked.shape[1] != self.n_features_in_:
            raise ValueError(
                f"samples of the target year have {checked.shape[1]} features, those of the "
                f"past years {self.n_features_in_}"
            )
        return checked

    def _encoded(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        if not len(labels):
            return np.empty(0, np.int32)
        return self._codes[np.searchsorted(self.classes_, labels)]

    def _perennial(self, classes: npt.ArrayLike, anchor_labels: npt.NDArray[Any]) -> list[int]:
        named = np.asarray(classes)
        if not named.size:
            named = anchor_labels
        if not named.size:
            return []
        return self._codes[np.isin(self.classes_, named)].tolist()

    @property
    def _names(self) -> dict[int, str]:
        """The label of each code, as text."""
        return {int(c): str(label) for c, label in zip(self._codes, self.classes_, strict=True)}


def _codes_of(labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return a number for each label: itself where it is a whole number that fits."""
    if np.issubdtype(labels.dtype, np.integer):
        limits = np.iinfo(np.int32)
        if labels[0] >= limits.min and labels[-1] <= limits.max:
            return labels.astype(np.int32)
    return np.arange(len(labels), dtype=np.int32)


def _polygons(polygons: npt.ArrayLike | None, n: int, missing: int | None) -> npt.NDArray[np.int64]:
    if polygons is None:
        return np.arange(n) if missing is None else np.full(n, missing)
    numbers = np.asarray(polygons, np.int64)
    if numbers.shape != (n,):
        raise ValueError(f"{n} samples have polygons of shape {numbers.shape}")
    return numbers
