"""A set of real samples, with the series that its features come from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from oso_pipeline.studies.learners.samples import LabelledSamples, Rows
from oso_pipeline.timeseries.series import BlockSeries

MIN_POLYGONS = 10
"""Classes with fewer polygons are left out: five folds would hold one each."""


@dataclass(frozen=True, eq=False)
class RealSet:
    """Labelled samples and, where it is known, what was observed.

    Parameters
    ----------
    samples
        Features, classes, polygons; columns ``region`` and ``year``.
    series
        Observations with their gaps, a pixel per sample; None where only features are stored.
    """

    samples: LabelledSamples
    series: BlockSeries | None = None

    def take(self, rows: Rows) -> RealSet:
        """Return some of the samples with their series."""
        series = self.series
        if series is not None:
            places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
            values, clear = series.take(places)
            series = BlockSeries.of(values, clear, series.days)
        return RealSet(self.samples.take(rows), series)

    def frequent(self, least: int = MIN_POLYGONS) -> RealSet:
        """Return the samples of the classes that `least` polygons or more have."""
        kept = self.samples.with_polygons(least)
        found = self.take(np.isin(self.samples.codes, list(kept.classes)))
        return replace(found, samples=kept)
