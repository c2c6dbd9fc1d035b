"""Input of a classifier of series: its tables, and the settings of its learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ValidationError
from sklearn.base import clone
from sklearn.utils.validation import check_array, validate_data

from oso_pipeline.config.learning import DEFAULT_KIND, LearnerSettings
from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.studies.series.faults import refuse, refuse_settings
from oso_pipeline.studies.series.features import Computed, FeatureSpace
from oso_pipeline.studies.series.labels import (
    Labels,
    class_labels,
    group_names,
    partly_labelled,
)
from oso_pipeline.studies.series.series import (
    Series,
    days_of,
    flat,
    has_series,
    series_of_array,
    series_of_frame,
)

if TYPE_CHECKING:
    from oso_pipeline.studies.series.classifier import SeriesClassifier

_PLAIN_BAND = "value"
_CHECKS: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": "allow-nan"}


def series_of(model: SeriesClassifier, X: Any, trains: bool = False) -> Series:
    """Return the series of a table as a classifier reads them.

    Parameters
    ----------
    model
        Names bands and dates. Where the table trains it, it remembers what the table looks like.
    X
        As of :class:`~oso_pipeline.studies.series.classifier.SeriesClassifier`.
    trains
        Whether the classifier is being trained.
    """
    if isinstance(X, pd.DataFrame) and has_series(X):
        return _of_named_columns(model, X, trains)
    bands = names_of(model.bands) or (_PLAIN_BAND,)
    days, dated = (None, False) if model.dates is None else days_of(model.dates)
    sides = (None if days is None else len(days), None if model.bands is None else len(bands))
    # scikit-learn checks what is not an array, or has other than two or three sides.
    table = flat(X, *sides) if isinstance(X, np.ndarray) and X.ndim in (2, 3) else X
    if trains or hasattr(model, "n_features_in_"):
        table = validate_data(model, table, reset=trains, **_CHECKS)
    else:
        table = check_array(table, **_CHECKS)
    if days is None:
        if table.shape[1] % len(bands):
            refuse(
                "E-SERIES-SHAPE",
                f"found {table.shape[1]} columns, expected a multiple of {len(bands)} bands",
                "give for each date all bands",
            )
        days = np.arange(table.shape[1] // len(bands), dtype=np.int32)
    return series_of_array(flat(table, len(days), len(bands)), days, bands, dated)


@dataclass(frozen=True, eq=False)
class Usable:
    """Samples of a table that have a label and an observation.

    Parameters
    ----------
    rows
        Which rows of the table they are, ascending.
    labels, groups
        Of each of them, shape ``(sample,)``.
    left_out
        Number of the other rows.
    """

    rows: npt.NDArray[np.intp]
    labels: Labels
    groups: Labels
    left_out: int

    @classmethod
    def of(cls, model: SeriesClassifier, X: Any, y: Any, groups: Any) -> Usable:
        """Return them; the classifier stays as it is."""
        validity = series_of(clone(model), X).validity
        given, known = partly_labelled(y, len(validity))
        rows = np.flatnonzero(known & (validity > 0))
        if not len(rows):
            refuse(
                "E-SERIES-EMPTY",
                f"none of {len(validity)} samples has a label and an observation",
                "give the label of each sample",
            )
        labels = class_labels(np.array(given[rows].tolist()), len(rows))
        names = group_names(groups, len(validity))[rows]
        return cls(rows, labels, names, len(validity) - len(rows))

    @property
    def n_rows(self) -> int:
        """Number of rows of the table."""
        return len(self.rows) + self.left_out


def untrained_features(model: SeriesClassifier, X: Any) -> npt.NDArray[np.int16]:
    """Return the features that training on `X` would see, shape ``(sample, feature)``."""
    series = series_of(model, X)
    space = space_of(model, series)
    return np.ascontiguousarray(space.features(series)[0].T)


def space_of(model: SeriesClassifier, series: Series) -> FeatureSpace:
    """Return the features that a classifier makes of the series that train it."""
    if not (series.validity > 0).any():
        refuse("E-SERIES-EMPTY", "no sample has an observation", "give series with values")
    if model.grid is not None and not isinstance(model.grid, DateGrid):
        refuse(
            "E-SERIES-GRID",
            f"grid: found {model.grid!r}, expected dates at a regular step",
            "write oso_pipeline.DateGrid(start, end, step_days)",
        )
    return FeatureSpace.of(series, model.grid, wanted_of(model), model.scale)


def wanted_of(model: SeriesClassifier) -> Computed:
    """Return what a classifier computes from the bands."""
    indices = (model.indices,) if isinstance(model.indices, str) else model.indices or ()
    return Computed.of(indices, names_of(model.derived) or ())


def names_of(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names as a tuple; a single one may stand alone."""
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)


def steering_of(model: SeriesClassifier) -> dict[str, Any]:
    """Return the keys of section ``adaptation`` that a classifier sets."""
    return _mapping("adaptation", model.adaptation)


def settings_of(model: SeriesClassifier) -> LearnerSettings:
    """Return the settings of the learner of a classifier.

    Raises
    ------
    ConfigError
        If the learner is not there (``E-PLUGIN-KIND``), or a setting cannot be used
        (``E-SERIES-SETTINGS``).
    """
    chosen = {"kind": DEFAULT_KIND, **_mapping("learning", model.learning)}
    made = plugin_of("learners", chosen["kind"]).settings
    try:
        found = made(**chosen)
    except ValidationError as error:
        refuse_settings(error)
    assert isinstance(found, LearnerSettings)
    return found


def _mapping(name: str, given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        refuse(
            "E-SERIES-SETTINGS",
            f"{name}: found {given!r}, expected keys and values",
            f"write a dictionary with the keys of section `{name}`",
        )
    return dict(given or {})


def _of_named_columns(model: SeriesClassifier, X: pd.DataFrame, trains: bool) -> Series:
    bands = names_of(model.bands)
    if bands is None and not trains and hasattr(model, "space_"):
        bands = model.space_.layout.series.bands
    series = series_of_frame(X, bands, wanted_of(model).indices)
    if trains:
        model.n_features_in_ = len(series.days) * len(series.bands)
        model.feature_names_in_ = np.array([*map(str, X.columns)], object)
    return series
