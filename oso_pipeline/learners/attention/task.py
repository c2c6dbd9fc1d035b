"""What the networks of a classifier are trained on, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oso_pipeline.learners.attention.network import Floats
from oso_pipeline.learners.attention.places import Places
from oso_pipeline.learners.attention.settings import AttentionSettings
from oso_pipeline.learners.protocol import TrainingData

_EXPONENT = {"none": 0.0, "root": 0.5, "full": 1.0}
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Task:
    """What the members of a classifier are trained on.

    Parameters
    ----------
    data
        Training pixels.
    places
        Of the features.
    numbers
        Number of the class of each pixel, int64.
    weights
        How much each pixel counts, float32.
    centre, spread
        Of each feature, over the dates of its channel, float32.
    settings
        Of the learner.
    """

    data: TrainingData
    places: Places
    numbers: npt.NDArray[np.int64]
    weights: Floats
    centre: Floats
    spread: Floats
    settings: AttentionSettings

    @classmethod
    def of(cls, data: TrainingData, settings: AttentionSettings) -> Task:
        """Return the task of training pixels."""
        places = Places.of(data.layout)
        _, numbers, counts = np.unique(data.codes, return_inverse=True, return_counts=True)
        weights = np.ones(len(numbers)) if data.weights is None else data.weights
        rarity = (counts.mean() / counts) ** _EXPONENT[settings.class_weights]
        weights = weights * rarity[numbers]
        centre = data.features.mean(axis=0, dtype=np.float64)
        square = np.array([np.square(one, dtype=np.float64).mean() for one in data.features.T])
        for series in places.series:
            centre_of, square_of = (one[series.rows].mean(axis=0) for one in (centre, square))
            centre[series.rows], square[series.rows] = centre_of, square_of
        spread = np.sqrt(np.maximum(square - centre**2, 0))
        spread[spread < 1] = 1  # of whole numbers: a feature that is the same everywhere
        weights, centre, spread = (
            one.astype(np.float32) for one in (weights / weights.mean(), centre, spread)
        )
        return cls(data, places, numbers, weights, centre, spread, settings)

    def inputs(self, rows: Rows) -> tuple[list[Floats], Floats]:
        """Return what a network takes of some pixels.

        Returns
        -------
        series
            Of each group, shape ``(pixel, date, channel + 1)``, 1 in the last channel.
        static
            Shape ``(pixel, static feature)``.
        """
        values = (self.data.features[rows] - self.centre) / self.spread
        series = []
        for one in self.places.series:
            x = np.ones((len(rows), one.rows.shape[0], one.rows.shape[1] + 1), np.float32)
            x[:, :, :-1] = values[:, one.rows]
            series.append(x)
        return series, np.ascontiguousarray(values[:, self.places.static])

    def held_out(self, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Return which pixels lie in polygons that are held out: a share of those of each class."""
        n_pixels, groups = len(self.numbers), self.data.groups
        names = np.arange(n_pixels) if groups is None else groups
        _, first, polygon = np.unique(names, return_index=True, return_inverse=True)
        out = np.zeros(len(first), np.bool_)
        for number in range(self.numbers.max() + 1):
            own = np.flatnonzero(self.numbers[first] == number)
            out[rng.permutation(own)[: int(self.settings.hold_out * len(own))]] = True
        return np.asarray(out[polygon])
