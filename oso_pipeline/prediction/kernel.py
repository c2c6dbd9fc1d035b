"""From the images of a block to its bands, each pixel by the model of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.learners.protocol import (
    BlockPixels,
    Classifier,
    Layers,
    Shares,
    hands_out_shares,
    has_kernel,
)
from oso_pipeline.learners.staged import classify_staged, staged_shares
from oso_pipeline.learning.model_file import Model
from oso_pipeline.prediction.band_request import BandRequest
from oso_pipeline.prediction.bands import Evidence
from oso_pipeline.timeseries.reading.memory import CHUNK_PIXELS


def classify_block(block: BlockPixels, classifiers: Mapping[int, Classifier]) -> Layers:
    """Classify pixels of a block straight from its images, each by the classifier of its label.

    Parameters
    ----------
    block
        Pixels of a block.
    classifiers
        Classifiers by label; pixels of other labels get no class.

    Returns
    -------
    layers
        Class, confidence and validity, uint16, shape ``(3, n)``, as
        :meth:`~oso_pipeline.learners.protocol.Classifier.classify` gives them; 0 in all of them
        for a label without a classifier.

    Raises
    ------
    ValueError
        If shapes do not fit or a pixel lies outside the block.
    """
    return classify_runs(block, [classifiers])[0]


def classify_runs(block: BlockPixels, runs: Sequence[Mapping[int, Classifier]]) -> Layers:
    """Classify pixels by the classifiers of several runs.

    Features are computed once for all classifiers of a kind. Parameters and errors are those of
    :func:`classify_block`, `runs` being the classifiers of each run by label. The layers have
    the shape ``(run, 3, n)``.
    """
    kinds = list(dict.fromkeys(type(one) for run in runs for one in run.values()))
    if len(kinds) == 1:
        return _of_one_kind(kinds[0], block, runs)
    layers = np.zeros((len(runs), 3, len(block.pixels)), np.uint16)
    for kind in kinds:
        own = [{label: one for label, one in run.items() if type(one) is kind} for run in runs]
        labels = sorted({label for run in own for label in run})
        rows = np.flatnonzero(np.isin(block.labels, labels))
        # 0 where the classifier of a run is of another kind.
        layers[:, :, rows] += _of_one_kind(kind, block.take(rows), own)
    return layers


def classify_with_bands(
    block: BlockPixels, models: Mapping[int, Model], request: BandRequest
) -> Layers:
    """Classify pixels and compute more bands from the probabilities of all classes.

    Parameters
    ----------
    block
        Pixels of a block.
    models
        Models by label; pixels of other labels get no class.
    request
        The bands.

    Returns
    -------
    layers
        Class, confidence and validity as of :func:`classify_block`, then the bands of `request`,
        their nodata where there is no class; uint16, shape ``(3 + band, n)``.

    Raises
    ------
    InputDataError
        If a model has a class that the nomenclature does not have (``E-BAND-CLASSES``).
    ValueError
        If shapes do not fit or a pixel lies outside the block.
    """
    layers = np.zeros((3 + len(request.bands), len(block.pixels)), np.uint16)
    layers[3:] = np.array([band.nodata for band in request.bands], np.uint16)[:, None]
    codes = np.array(request.codes, np.int32)
    for start in range(0, len(block.pixels), CHUNK_PIXELS):
        labels = block.labels[start : start + CHUNK_PIXELS]
        for label, model in sorted(models.items()):
            rows = start + np.flatnonzero(labels == label)
            if not len(rows):
                continue
            part = block.take(rows)
            layers[:3, rows], found = _with_shares(part, model.classifier)
            seen = np.flatnonzero(layers[2, rows])
            shares = _of_all_classes(found[:, seen], model, codes)
            own = layers[:3, rows[seen]]
            layers[3:, rows[seen]] = request.compute(
                Evidence(model, codes, shares, own, part.take(seen))
            )
    return layers


def _with_shares(block: BlockPixels, classifier: Classifier) -> tuple[Layers, Shares]:
    if hands_out_shares(classifier):
        return classifier.block_shares(block)
    return staged_shares(block, classifier)


def _of_all_classes(shares: Shares, model: Model, codes: npt.NDArray[np.int32]) -> Shares:
    """Return the shares of the classes of the map; a model need not know all of them."""
    known = model.classifier.classes
    if np.array_equal(known, codes):
        return shares
    if len(unknown := np.setdiff1d(known, codes)):
        message = f"the model has classes {unknown.tolist()} that the nomenclature does not have"
        hint = "use the nomenclature of the model, or leave out map.bands and map.legends"
        raise InputDataError(Problem("E-BAND-CLASSES", message, model.stratum, hint))
    whole = np.zeros((len(codes), shares.shape[1]))
    whole[np.searchsorted(codes, known)] = shares
    return whole


def _of_one_kind(
    kind: type[Classifier], block: BlockPixels, runs: Sequence[Mapping[int, Any]]
) -> Layers:
    return kind.classify_block(block, runs) if has_kernel(kind) else classify_staged(block, runs)
