"""Time to compute features beyond bands and built-in indices; for planning only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from oso_pipeline.core.sensors import sensor_of
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.kernels import steps as op
from oso_pipeline.timeseries.kernels.steps import programs_of

_SECONDS_PER_FORMULA = 2e-9
_SECONDS_PER_STEP = 0.25e-9
_SECONDS: Mapping[int, float] = {
    op.DIVIDE: 1.1e-9,
    op.ROOT: 1.6e-9,
    op.EXP: 50e-9,
    op.LOG: 23e-9,
    op.POWER: 95e-9,
}
"""Per pixel and date, one core of the machine of `runtime.calibration.NOMINAL`."""
_SECONDS_PER_DERIVED = {"relative": 0.28e-9, "harmonics": 0.3e-9, "statistics": 0.55e-9}
"""Per pixel, channel and date."""


def feature_seconds(layout: FeatureLayout) -> float:
    """Return the core seconds per pixel of formulas and derived features.

    Measured on 37 dates of 10 bands: an index such as EVI takes 0.2 us per pixel, each power with a
    broken exponent 3.5 us.
    """
    return sum(_formulas(group) + _derived(group) for group in layout.groups)


def _formulas(group: FeatureGroup) -> float:
    if not group.defined:
        return 0.0
    programs = programs_of(group.defined, group.bands, sensor_of(group.sensor))
    kinds, counts = np.unique(programs.steps[:, 0], return_counts=True)
    steps = sum(
        count * _SECONDS.get(kind, _SECONDS_PER_STEP)
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True)
    )
    return len(group.days) * (len(group.defined) * _SECONDS_PER_FORMULA + float(steps))


def _derived(group: FeatureGroup) -> float:
    per_value = sum(_SECONDS_PER_DERIVED[name] for name in group.derived)
    return len(group.channels) * len(group.days) * per_value
