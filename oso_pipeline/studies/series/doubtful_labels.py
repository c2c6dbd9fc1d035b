"""Which labels of a table of series look wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from oso_pipeline.learning import label_check
from oso_pipeline.learning.label_stage import FoldForest
from oso_pipeline.learning.training_set import TrainingSet
from oso_pipeline.studies.series.classifier import SeriesClassifier
from oso_pipeline.studies.series.inputs import Usable, untrained_features
from oso_pipeline.studies.series.labels import Legend, numbered, refuse_cut, refuse_folds


def check_labels(
    model: SeriesClassifier,
    X: Any,
    y: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    folds: int = 5,
    n_trees: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    """Return which polygons are likely labelled wrong, the most doubtful first.

    The check of the chain (stage ``labels``): a polygon is assessed by forests that have not seen
    it, as in confident learning (Northcutt, Jiang and Chuang 2021, J. Artif. Intell. Res. 70).

    Parameters
    ----------
    model
        Says what the features are; it need not be trained, and stays as it is.
    X, y
        Series as of :class:`SeriesClassifier`, and their labels. Samples without a label or
        without any observation are left out.
    groups
        Polygon of each sample, which has one label; each sample its own if None.
    folds
        The polygons of a fold are assessed by the forest of the others.
    n_trees
        Trees of each forest.
    seed
        Of the folds and the forests.

    Returns
    -------
    DataFrame
        A row for each polygon: ``group``, ``label``, ``samples``, ``probability`` of its label
        (NaN where no other polygon of the class is known), ``likely_label``,
        ``likely_probability``, and ``doubted``: whether the label is likely wrong.

    Raises
    ------
    InputDataError
        If a polygon has two labels (``E-SERIES-CUT``), there is one class only
        (``E-SERIES-CLASSES``), or the table does not fit.

    Examples
    --------
    >>> from oso_pipeline import SeriesClassifier, check_labels, read_series, simulate_series
    >>> X, y, groups = read_series(simulate_series(120, seed=1), label="crop", group="field")
    >>> y[groups == 3] = "maize" if y[groups == 3][0] != "maize" else "wheat"
    >>> found = check_labels(SeriesClassifier(scale=10_000), X, y, groups)
    >>> bool(found.set_index("group")["doubted"][3])
    True
    """
    known = Usable.of(model, X, y, groups)
    labels, names = known.labels, known.groups
    refuse_cut(labels, names, ("label", "group"))
    refuse_folds(folds, names)
    legend = Legend.of(labels)
    (polygons,) = numbered(names)
    features = untrained_features(clone(model), X)[known.rows]
    everything = TrainingSet(features, legend.encoded(labels), polygons)
    nothing = TrainingSet(features[:0], everything.codes[:0], polygons[:0])
    forests = FoldForest(n_trees, max(1, model.n_jobs or 1))
    found = label_check.check_labels(everything, nothing, folds, seed, forests)
    first = np.unique(polygons, return_index=True)[1]
    table = pd.DataFrame(
        {
            "group": names[first],
            "label": legend.decoded(found.code),
            "samples": found.pixels,
            "probability": found.given,
            "likely_label": legend.decoded(found.likely_code),
            "likely_probability": found.likely,
            "doubted": found.doubted,
        }
    )
    order = np.argsort(found.given - found.likely, kind="stable")
    return table.iloc[order].reset_index(drop=True)
