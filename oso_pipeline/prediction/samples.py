"""Prediction of table rows, for validation: the same forest walk as for the map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oso_pipeline.learners.forest.compiled import Vote
from oso_pipeline.learners.forest.votes import NODATA_CLASS, classify
from oso_pipeline.learning.model_file import Model


def predict_samples(
    models: Mapping[str, Model], table: pa.Table, vote: Vote = "hard"
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return class and confidence of samples, each by the model of its stratum.

    Parameters
    ----------
    models
        Models of one variant by stratum.
    table
        Samples with the columns ``stratum``, ``validity`` and one int16 column per feature.
    vote
        How trees vote, as on the map.

    Returns
    -------
    code, confidence
        uint16 and uint8, shape ``(rows,)``, as
        :func:`~oso_pipeline.learners.forest.votes.classify` gives them; 0 for rows of a stratum
        without a model, as on the map.

    Raises
    ------
    InputDataError
        If a feature that a model expects is not in the table.
    """
    code = np.full(len(table), NODATA_CLASS, np.uint16)
    confidence = np.zeros(len(table), np.uint8)
    strata = np.asarray(table["stratum"])
    for stratum, model in models.items():
        rows = np.flatnonzero(strata == stratum)
        if len(rows) == 0:
            continue
        model.refuse_columns(table.column_names)
        part = table.take(rows)
        features = np.stack([part[name].to_numpy() for name in model.layout.names])
        validity = part["validity"].to_numpy()
        code[rows], confidence[rows] = classify(model.forest, features, validity, vote)
    return code, confidence
