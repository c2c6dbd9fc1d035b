"""Prediction of table rows, for validation: by the same classifiers as for the map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oso_pipeline.core.nomenclature import NODATA_CODE
from oso_pipeline.learning.model_file import Model


def predict_samples(
    models: Mapping[str, Model], table: pa.Table
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return class and confidence of samples, each by the model of its stratum.

    Parameters
    ----------
    models
        Models of one variant by stratum.
    table
        Samples with the columns ``stratum``, ``validity`` and one int16 column per feature.

    Returns
    -------
    code, confidence
        uint16 and uint8, shape ``(rows,)``, as
        :meth:`~oso_pipeline.learners.protocol.Classifier.classify` gives them; 0 for rows of a
        stratum without a model, as on the map.

    Raises
    ------
    InputDataError
        If a feature that a model expects is not in the table.
    """
    code = np.full(len(table), NODATA_CODE, np.uint16)
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
        code[rows], confidence[rows] = model.classifier.classify(features, validity)
    return code, confidence


def calibrated_percent(
    models: Mapping[str, Model], table: pa.Table, share: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return the probability of the class of samples in percent, uint8, shape ``(rows,)``.

    Parameters
    ----------
    models, table
        As for :func:`predict_samples`.
    share
        Its confidence, shape ``(rows,)``.

    Returns
    -------
    percent
        0 where the model of a stratum has no calibration, and for rows without a model.
    """
    found = np.zeros(len(table), np.uint8)
    strata = np.asarray(table["stratum"])
    for stratum, model in models.items():
        if model.tables is not None:
            rows = np.flatnonzero(strata == stratum)
            found[rows] = model.tables.probability[share[rows]]
    return found
