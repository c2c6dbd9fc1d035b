"""A scikit-learn classifier of series, with the features, learners and votes of the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from oso_pipeline.adaptation import AdaptationRecord
from oso_pipeline.adaptation.methods import counts_of
from oso_pipeline.config.learning import OF_NO_LEARNER
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.indices import Index
from oso_pipeline.learners.protocol import Classifier, TrainingData
from oso_pipeline.learners.registry import late_settings, learner_of
from oso_pipeline.studies.series.adapted import adapted_classifier, target_of
from oso_pipeline.studies.series.faults import listed, refuse
from oso_pipeline.studies.series.features import indices_of
from oso_pipeline.studies.series.inputs import series_of, settings_of, space_of
from oso_pipeline.studies.series.labels import Legend, class_labels, group_names, numbered
from oso_pipeline.timeseries.feature_layout import FeatureLayout

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config


class SeriesClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of time series that does with a table what the chain does with images.

    Gaps are filled linearly in days on the dates of a grid, indices are computed, and a learner of
    the chain is trained on these int16 features. Series of a table get the features and the
    votes that the same series get in the map.

    ``X`` is a DataFrame whose columns are named as ``B4_20180115`` (a band on a date) or
    ``NDVI_d15`` (on day 15 of the season), in any order, others are left aside; or an array of
    shape ``(sample, date, band)`` or ``(sample, date * band)``, whose `dates` and `bands` are
    given here. NaN means that nothing was observed; a date counts for a sample if all bands were
    observed.

    Parameters
    ----------
    bands
        Bands to use, in their order. None: all of a DataFrame; a single one of an array.
    dates
        Dates of arrays: dates, texts as ``2018-01-15``, or whole days of the season, ascending.
        None: arrays have one date a day.
    grid
        Dates of the features, as section ``season`` of a configuration gives them. Series of
        another year are brought to the same days of the season. None: the dates of the table
        that trains.
    indices
        Indices to add: ``NDVI``, ``NDWI``, ``brightness``, names of the catalogue, or indices of
        your own, ``Index.defined("DVI", "nir - red", 10_000)``.
    derived
        Families of derived features to add: ``relative``, ``harmonics``.
    scale
        Values times this are reflectances in units of 1e-4, which the map works with: 10000 for
        reflectances from 0 to 1. None: whole numbers within int16 are taken as they are; other
        numbers are spread band by band over int16, so that no index can be computed from them.
    learning
        The learner and its settings, the keys of section ``learning``: for example
        ``{"kind": "forest", "n_trees": 200, "vote": "soft"}``. None: the forest of the chain.
    method
        How labels of past years are made to serve another one: ``none``, ``jitter``, ``aligned``,
        ``student``. All but ``none`` need `target` in `fit`.
    adaptation
        Keys of section ``adaptation`` that steer the method: ``gate`` (``auto`` adapts where the
        series show that the seasons differ; ``always``; ``never``), ``perennial_classes`` (labels
        that stay from year to year; by default the known labels of the target),
        ``max_shift_days`` and the like.
    no_data
        Label that `predict` gives to samples without any observation, for example 0 or
        ``"no data"``. None: such samples are an error, never a class made from nothing.
    random_state
        Seed, generator or None, as in scikit-learn. A number is the seed of the learner.
    n_jobs
        Threads of the training; they do not change the model.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, ascending.
    classifier_ : Classifier
        Fitted classifier of the learner.
    space_ : FeatureSpace
        Dates, bands and indices of the features.
    adaptation_ : AdaptationRecord or None
        Statistics, decisions and actions of the adaptation.
    n_left_out_ : int
        Training samples without any observation, which taught nothing.

    See Also
    --------
    cross_validate : Accuracy with intervals; no polygon is cut.
    check_labels : Which labels look wrong.
    save_model : From here into the chain.

    Examples
    --------
    >>> from oso_pipeline import SeriesClassifier, simulate_series
    >>> table = simulate_series(120, seed=1)
    >>> model = SeriesClassifier(indices=("NDVI",), scale=10_000, learning={"n_trees": 30})
    >>> model = model.fit(table[::2], table["crop"][::2], table["field"][::2])
    >>> bool(model.score(table[1::2], table["crop"][1::2]) > 0.8)
    True
    """

    def __init__(
        self,
        bands: Sequence[str] | None = None,
        dates: Sequence[Any] | None = None,
        grid: DateGrid | None = None,
        indices: Sequence[str | Index] = (),
        derived: Sequence[str] = (),
        scale: float | None = None,
        learning: Mapping[str, Any] | None = None,
        method: str = "none",
        adaptation: Mapping[str, Any] | None = None,
        no_data: Any = None,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.bands = bands
        self.dates = dates
        self.grid = grid
        self.indices = indices
        self.derived = derived
        self.scale = scale
        self.learning = learning
        self.method = method
        self.adaptation = adaptation
        self.no_data = no_data
        self.random_state = random_state
        self.n_jobs = n_jobs

    @classmethod
    def of(cls, config: Config, **parameters: Any) -> Self:
        """Return the classifier that a configuration asks for, not trained yet.

        Bands, dates and indices, the learner and its settings are those of the run; values are
        in units of 1e-4, as those of its samples. Other parameters may be given.
        """
        learning = config.learning
        known: dict[str, Any] = {
            "bands": config.imagery.bands,
            "grid": config.season.grid,
            "indices": indices_of(FeatureLayout.of(config).series),
            "derived": config.features.derived,
            "scale": 1,
            "learning": learning.model_dump(exclude=set(OF_NO_LEARNER)),
        }
        return cls(**{**known, **parameters})

    def fit(
        self,
        X: Any,
        y: npt.ArrayLike | None,
        groups: npt.ArrayLike | None = None,
        *,
        target: Any = None,
        target_labels: npt.ArrayLike | None = None,
        target_groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Train on labelled series, and adapt to those of another year.

        Parameters
        ----------
        X, y
            Series, and the label of each: whole numbers or texts, shape ``(sample,)``.
        groups
            Polygon of each sample, shape ``(sample,)``; each its own if None. Adaptation counts
            polygons, not samples.
        target
            Series of the year that is to be mapped, drawn by area; needed by `method`.
        target_labels
            Labels of the target that are known, None, NaN or ``""`` elsewhere.
        target_groups
            Polygon of each sample of the target.

        Raises
        ------
        InputDataError
            If shapes, dates, values or labels do not fit; which, the message says. It is a
            ValueError too.
        UnknownName
            If a band or index is not there. It is a KeyError too.
        ConfigError
            If the learner or its settings cannot be used. It is a ValueError too.
        """
        settings = settings_of(self)
        series = series_of(self, X, trains=True)
        labels = class_labels(y, len(series))
        names = group_names(groups, len(series))
        taught = series.validity > 0
        space = space_of(self, series)
        features, _ = space.features(series)
        rows = np.ascontiguousarray(features.T[taught])
        wanted = target_of(self, space, target, target_labels, target_groups)
        labels, names = labels[taught], names[taught]
        known = labels if wanted is None else np.concatenate([labels, wanted.known_labels(labels)])
        legend = Legend.of(known)
        self.n_left_out_ = int((~taught).sum())
        self.space_, self.legend_, self.classes_ = space, legend, legend.labels
        self.settings_, self.seed_ = settings, self._seed()
        self.adaptation_: AdaptationRecord | None = None
        (polygons,) = numbered(names)
        data = TrainingData(rows, legend.encoded(labels), space.layout, groups=polygons)
        self.counts_ = counts_of(data.codes)
        if wanted is None:
            learner = learner_of(settings.kind)
            made = learner.fit(data, settings, self.seed_, self._threads)
            self.classifier_: Classifier = made.with_settings(late_settings(settings))
        else:
            self.classifier_, self.adaptation_ = adapted_classifier(
                data, names, wanted, legend, self, settings
            )
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the label of each sample, that of the map: ties go to the first label.

        Raises
        ------
        InputDataError
            If a sample has no observation and `no_data` is None (``E-SERIES-EMPTY``), or the
            series do not fit.
        """
        features, validity = self._features(X)
        codes, _ = self.classifier_.classify(features, validity)
        labels = self.legend_.decoded(np.where(validity > 0, codes, self.legend_.codes[0]))
        if (validity > 0).all():
            return labels
        mixed = labels.astype(np.result_type(labels, np.asarray(self.no_data)))
        mixed[validity == 0] = self.no_data
        return mixed

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes, shape ``(sample, class)``.

        Of a forest: the shares of its trees that voted for each, or with ``vote: soft`` the mean
        shares in their leaves. NaN for samples without observation where `no_data` is given.
        """
        features, validity = self._features(X)
        shares = np.zeros((features.shape[1], len(self.classes_)))
        places = np.searchsorted(self.legend_.codes, self.classifier_.classes)
        shares[:, places] = self.classifier_.probabilities(features).T
        shares[validity == 0] = np.nan
        return shares

    def confidence(self, X: Any) -> npt.NDArray[np.uint8]:
        """Return the confidence that the map gives, 0 to 100, shape ``(sample,)``."""
        return self.classifier_.classify(*self._features(X))[1]

    def validity(self, X: Any) -> npt.NDArray[np.uint16]:
        """Return the number of clear dates of each sample; the classifier need not be trained."""
        return series_of(self, X).validity

    def features(self, X: Any) -> pd.DataFrame:
        """Return the features of samples as the map computes them.

        Returns
        -------
        DataFrame
            int16, a row for each sample, columns as ``B4_20180115`` and ``NDVI_20180115``;
            -10000 for samples without observation.
        """
        check_is_fitted(self, "classifier_")
        features, _ = self.space_.features(series_of(self, X))
        return pd.DataFrame(features.T, columns=list(self.space_.names))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def _threads(self) -> int:
        return max(1, self.n_jobs or 1)

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _features(self, X: Any) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
        check_is_fitted(self, "classifier_")
        features, validity = self.space_.features(series_of(self, X))
        if self.no_data is None and (empty := np.flatnonzero(validity == 0)).size:
            refuse(
                "E-SERIES-EMPTY",
                f"{len(empty)} of {len(validity)} samples have no observation: rows "
                f"{listed(empty)}",
                "leave them out (see `validity`), or set `no_data` to the label that they get",
            )
        return features, validity
