"""The tables of a model that say how far it can be trusted; a part of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.learners.protocol import Arrays, TrainingData
from oso_pipeline.learning.confidence.calibration import PERCENTS, Table, calibration_table
from oso_pipeline.learning.confidence.class_sets import LEVELS, set_thresholds
from oso_pipeline.learning.confidence.out_of_domain import PARTS, entropy_quantiles
from oso_pipeline.learning.confidence.out_of_fold import Fit, Floats, cross_fit

LEAST_POLYGONS = 30
"""With fewer polygons nothing is calibrated."""

PREFIX = "confidence."
"""Names of these arrays in the file of arrays begin with it."""


@dataclass(frozen=True, eq=False)
class ConfidenceTables:
    """What turns the probabilities of a model into statements about known frequency.

    Parameters
    ----------
    probability
        Probability in percent of each vote share in percent, uint8, shape ``(101,)``.
    thresholds
        Least score of each class in a set, by level, float64, shape ``(class, level)``.
    quantiles
        Quantiles of the entropy of known pixels, ascending, float64, shape ``(100,)``.
    polygons
        Polygons that they come from, int64, shape ``(1,)``.
    settings
        Settings of the learner, of those that do not count in training, that they hold for.

    Raises
    ------
    ValueError
        If shapes, types or values cannot be those of sound tables.
    """

    probability: Table
    thresholds: Floats
    quantiles: Floats
    polygons: npt.NDArray[np.int64]
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        classes = self.thresholds.shape[0] if self.thresholds.ndim else 0
        expected: dict[str, tuple[type, tuple[int, ...]]] = {
            "probability": (np.uint8, (PERCENTS,)),
            "thresholds": (np.float64, (classes, len(LEVELS))),
            "quantiles": (np.float64, (PARTS,)),
            "polygons": (np.int64, (1,)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"table {name} is {array.dtype} of shape {array.shape}")
        if self.probability.max() > 100:
            raise ValueError("table probability has more than 100 percent")
        if np.isnan(self.thresholds).any() or (self.thresholds > 1).any():
            raise ValueError("table thresholds has values that are no scores")
        # Not "any descends": a comparison with NaN is false.
        if not (np.isfinite(self.quantiles).all() and (np.diff(self.quantiles) >= 0).all()):
            raise ValueError("table quantiles does not ascend")

    def arrays(self) -> Arrays:
        """Return the tables under their names in the file of arrays."""
        return {f"{PREFIX}{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_arrays(
        cls, arrays: Arrays, n_classes: int, settings: Mapping[str, Any]
    ) -> Self | None:
        """Return the tables of a file of arrays; None where it has none.

        Raises
        ------
        ValueError
            If some are missing, or not those of sound tables of so many classes.
        """
        own = {
            name.removeprefix(PREFIX): a for name, a in arrays.items() if name.startswith(PREFIX)
        }
        if not own:
            return None
        if own.keys() != set(_ARRAYS):
            raise ValueError(f"tables {sorted(own.keys() ^ set(_ARRAYS))} are missing or unknown")
        tables = cls(**own, settings=settings)
        if len(tables.thresholds) != n_classes:
            raise ValueError(f"table thresholds is of {len(tables.thresholds)} classes")
        return tables

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the description of the model says of them."""
        return {"polygons": int(self.polygons[0]), "settings": dict(self.settings)}


_ARRAYS = tuple(one.name for one in fields(ConfidenceTables) if one.name != "settings")


def without_tables(arrays: Arrays) -> Arrays:
    """Return the arrays of a model file that are those of its classifier."""
    return {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}


@dataclass(frozen=True)
class CrossFit:
    """How tables are fitted.

    Parameters
    ----------
    folds
        Parts of the training polygons.
    seed
        Seed of the folds and of their models.
    fit
        Trains in the same way as the model itself.
    settings
        Settings of the learner, of those that do not count in training, that `fit` follows.
    place
        Which model it is, for messages.
    """

    folds: int
    seed: int
    fit: Fit
    settings: Mapping[str, Any]
    place: str


def fit_tables(
    data: TrainingData, polygon_id: npt.NDArray[np.int64], how: CrossFit
) -> ConfidenceTables:
    """Fit the tables of a model on its training polygons, each by models that did not see it.

    Parameters
    ----------
    data
        What trains the model.
    polygon_id
        Polygon of each pixel, int64, shape ``(pixel,)``.
    how
        Folds, seed and learner.

    Raises
    ------
    InputDataError
        If there are fewer than `LEAST_POLYGONS` polygons (``E-CONFIDENCE-POLYGONS``).
    """
    enough = len(np.unique(polygon_id)) >= LEAST_POLYGONS
    known = cross_fit(data, polygon_id, how.folds, how.seed, how.fit) if enough else None
    if known is None or known.polygons < LEAST_POLYGONS:
        found = len(np.unique(polygon_id)) if known is None else known.polygons
        raise InputDataError(
            Problem(
                "E-CONFIDENCE-POLYGONS",
                f"{how.place}: {found} training polygons can be used for calibration, it needs "
                f"{LEAST_POLYGONS}",
                "samples/*.parquet",
                "add polygons, merge the stratum with a neighbour, or remove `confidence` and the "
                "bands probability, set_size and out_of_domain",
            )
        )
    return ConfidenceTables(
        calibration_table(known),
        set_thresholds(known),
        entropy_quantiles(known),
        np.array([known.polygons], np.int64),
        how.settings,
    )
