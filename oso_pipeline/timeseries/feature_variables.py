"""The features of a group as variables: what is one series, or one number per pixel."""

from __future__ import annotations

from dataclasses import dataclass

from oso_pipeline.core.families import FAMILIES
from oso_pipeline.timeseries.feature_layout import FeatureGroup

_BAND_SCALE = 1e-4


@dataclass(frozen=True)
class FeatureVariable:
    """Some features of a group that belong together.

    Parameters
    ----------
    name
        For example ``NDVI``, ``relative_NDVI``, ``harmonics_NDVI_mean``.
    channel
        The band or index that it is, or is derived from.
    rows
        Its features: one per date, or a single one.
    dated
        Whether it has dates.
    scale
        What the stored integers are multiplied by.
    """

    name: str
    channel: str
    rows: slice
    dated: bool
    scale: float


def variables_of(group: FeatureGroup) -> tuple[FeatureVariable, ...]:
    """Return the variables of a group with dates, in its order.

    Examples
    --------
    >>> from datetime import date
    >>> days = date(2018, 1, 1), date(2018, 1, 11)
    >>> group = FeatureGroup("sentinel2", ("B4", "B8"), days, derived=("relative",))
    >>> [(one.name, one.rows.start) for one in variables_of(group)]
    [('B4', 0), ('B8', 1), ('relative_B4', 4), ('relative_B8', 6)]
    """
    n_dates, n_bands = len(group.days), len(group.bands)
    scales = {name: _scale(name, group) for name in group.channels}
    found = [
        FeatureVariable(name, name, slice(n, n_bands * n_dates, n_bands), True, scales[name])
        for n, name in enumerate(group.bands)
    ]
    row = n_bands * n_dates
    for name in group.indices:
        found.append(FeatureVariable(name, name, slice(row, row + n_dates), True, scales[name]))
        row += n_dates
    for family in (FAMILIES[name] for name in group.derived):
        for channel in group.channels:
            for value, factor in family.values.items():
                name = "_".join((family.name, channel, *((value,) if value else ())))
                rows = slice(row, row + (n_dates if family.dated else 1))
                scale = scales[channel] if factor is None else 1 / factor
                found.append(FeatureVariable(name, channel, rows, family.dated, scale))
                row = rows.stop
    return tuple(found)


def _scale(name: str, group: FeatureGroup) -> float:
    index = None if name in group.bands else group.index(name)
    return _BAND_SCALE if index is None or not index.bands else 1 / index.scale
