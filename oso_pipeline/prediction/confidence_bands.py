"""Bands from the confidence tables of a model: probability, size of the class set, unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.learning.confidence.class_sets import set_sizes
from oso_pipeline.learning.confidence.out_of_domain import strangeness
from oso_pipeline.learning.confidence.tables import ConfidenceTables
from oso_pipeline.prediction.bands import Band, BandSet, Evidence, Shares, Values

if TYPE_CHECKING:
    from oso_pipeline.prediction.band_request import BandRequest


def _one_band(
    name: str, what: str, greatest: int = 100
) -> Callable[[BandRequest], tuple[Band, ...]]:
    return lambda request: (Band(name, name, what, greatest=greatest),)


def _probability(request: BandRequest, evidence: Evidence) -> Values:
    table = _tables(evidence).probability
    return table[evidence.layers[1]].astype(np.uint16)[None]


def _set_size_bands(request: BandRequest) -> tuple[Band, ...]:
    what = f"number of classes in the set that holds the class at {request.set_level} percent"
    return (Band("set_size", "set_size", what, greatest=len(request.codes)),)


def _set_size(request: BandRequest, evidence: Evidence) -> Values:
    level = request.set_level
    if level is None:
        raise ValueError("class sets need a level")
    found = set_sizes(_of_the_model(evidence), _tables(evidence).thresholds, level)
    return found.astype(np.uint16)[None]


def _out_of_domain(request: BandRequest, evidence: Evidence) -> Values:
    found = strangeness(_of_the_model(evidence), _tables(evidence).quantiles)
    return found.astype(np.uint16)[None]


def _of_the_model(evidence: Evidence) -> Shares:
    """Return the probabilities of the classes that the model knows, shape ``(n, class)``."""
    rows = np.searchsorted(evidence.codes, evidence.model.classifier.classes)
    return np.ascontiguousarray(evidence.shares[rows].T)


def _tables(evidence: Evidence) -> ConfidenceTables:
    """Return the tables of the model; InputDataError where it has none."""
    model = evidence.model
    if model.tables is None:
        raise InputDataError(
            Problem(
                "E-CONFIDENCE-MODEL",
                f"the model of stratum {model.stratum} has no calibration, or one for other "
                "settings of `learning`",
                None,
                "train it again with the section `confidence`, or remove the bands probability, "
                "set_size and out_of_domain",
            )
        )
    return model.tables


PROBABILITY = BandSet(
    "probability",
    _one_band("probability", "calibrated probability of the class, percent"),
    _probability,
    seconds=0.2e-9,
)
SET_SIZE = BandSet("set_size", _set_size_bands, _set_size, seconds=7e-9)
OUT_OF_DOMAIN = BandSet(
    "out_of_domain",
    _one_band("out_of_domain", "percentage of known pixels whose votes disagree less"),
    _out_of_domain,
    seconds=22e-9,
)
