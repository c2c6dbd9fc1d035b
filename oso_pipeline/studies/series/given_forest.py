"""Forests of scikit-learn that were trained on the samples of a run, as models of the chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import NoReturn

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.validation import check_is_fitted

from oso_pipeline.core.dates import DateGrid
from oso_pipeline.core.indices import INDICES
from oso_pipeline.learners.forest.classifier import ForestClassifier
from oso_pipeline.learners.forest.forest import Forest
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.learners.registry import model_settings
from oso_pipeline.learning.model_file import Model
from oso_pipeline.studies.series.faults import listed, refuse
from oso_pipeline.timeseries.feature_layout import FeatureLayout

VARIANT = "hand"
"""Variant of a model that no run has trained."""

_FEATURE = re.compile(r"(?P<kind>.+)_(?P<stamp>\d{8})")
_HINT_OF_NAMES = "train on the columns of the samples of a run, in their order"
_LARGEST_FRACTION = 2.0
"""Reflectances from 0 to 1 and indices from -1 to 1 have no threshold beyond."""


def model_of_forest(model: RandomForestClassifier) -> Model:
    """Return the model of the chain that a forest of scikit-learn is, without its classes.

    Raises
    ------
    InputDataError
        If its features are not those of the chain, or it cannot be converted
        (``E-SERIES-MODEL``).
    """
    check_is_fitted(model, "estimators_")
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    if not names:
        refuse_model(
            "the forest does not know the names of its features",
            "train it on a DataFrame with the columns of the samples of a run",
        )
    if model.classes_.dtype.kind not in "iu":
        refuse_model(
            f"labels are {listed(model.classes_)}, expected codes of the nomenclature",
            "train with codes from 1 to 65535 as labels",
        )
    layout = layout_of(names)
    thresholds = np.concatenate([one.tree_.threshold for one in model.estimators_])
    if np.abs(thresholds).max() <= _LARGEST_FRACTION:
        refuse_model(
            "the forest was not trained on the int16 features of the chain: no threshold exceeds "
            f"{_LARGEST_FRACTION}",
            "train it on the samples as they are, in units of 1e-4",
        )
    try:
        forest = Forest.from_sklearn(model)
    except ValueError as error:
        refuse_model(
            f"the forest cannot be converted: {error}", "train with bootstrap, or without weights"
        )
    settings = ForestSettings(n_trees=forest.n_trees, engine="sklearn")
    return Model(
        classifier=ForestClassifier(forest),
        layout=layout,
        grid=grid_of(layout),
        nomenclature={},
        variant=VARIANT,
        stratum="",
        seed=0,
        counts={},
        parameters=model_settings(settings),
        software={"scikit-learn": version("scikit-learn")},
    )


def layout_of(names: Sequence[str]) -> FeatureLayout:
    """Return the layout whose features have these names, in this order.

    Raises
    ------
    InputDataError
        If there is none (``E-SERIES-MODEL``).

    Examples
    --------
    >>> layout_of(["B4_20180101", "B8_20180101", "NDVI_20180101"]).series.indices
    ('NDVI',)
    """
    matches = [_FEATURE.fullmatch(name) for name in names]
    if odd := [name for name, match in zip(names, matches, strict=True) if match is None]:
        refuse_model(f"{listed(odd)} are not features of the chain", _HINT_OF_NAMES)
    found = [match for match in matches if match is not None]
    kinds = dict.fromkeys(match["kind"] for match in found)
    stamps = sorted({match["stamp"] for match in found})
    try:
        layout = FeatureLayout.optical(
            tuple(kind for kind in kinds if kind not in INDICES),
            tuple(datetime.strptime(stamp, "%Y%m%d").date() for stamp in stamps),
            tuple(kind for kind in kinds if kind in INDICES),
        )
    except ValueError as error:
        refuse_model(f"the features are not those of the chain: {error}", _HINT_OF_NAMES)
    if layout.names != tuple(names):
        at = next(
            (n for n, (a, b) in enumerate(zip(layout.names, names, strict=False)) if a != b),
            len(names),
        )
        expected = layout.names[at] if at < layout.size else "none"
        there = names[at] if at < len(names) else "none"
        refuse_model(
            f"feature {at} is {there}, expected {expected}: for each date all bands, then each "
            "index for all dates",
            _HINT_OF_NAMES,
        )
    return layout


def grid_of(layout: FeatureLayout) -> DateGrid:
    """Return the regular dates of a layout; InputDataError (``E-SERIES-MODEL``) for others."""
    dates = layout.series.dates or ()
    step = (dates[1] - dates[0]).days if len(dates) > 1 else 1
    grid = DateGrid(dates[0], dates[-1], step)
    if grid.dates != dates:
        refuse_model("the dates of the features have no regular step", _HINT_OF_NAMES)
    return grid


def refuse_model(message: str, hint: str) -> NoReturn:
    """Raise InputDataError for a model that cannot serve the chain (``E-SERIES-MODEL``)."""
    refuse("E-SERIES-MODEL", message, hint)
