"""Spectral indices as plain data: defined once, attached to by name.

The kernels compute an index by its name, the configuration admits the names, a layout of
features checks that the bands are there. Formulas name bands by their common name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oso_pipeline.core.sensors import Sensor


@dataclass(frozen=True, slots=True)
class Index:
    """An index of one date.

    Parameters
    ----------
    name
        Its name in the configuration and in the names of features.
    bands
        Bands that it needs, by common name; none where it takes all bands there are.
    formula
        How it follows from them.
    scale
        Factor for storage as int16, truncated toward zero.
    """

    name: str
    bands: tuple[str, ...]
    formula: str
    scale: int


INDICES: Mapping[str, Index] = {
    index.name: index
    for index in (
        Index("NDVI", ("red", "nir"), "(nir - red) / (nir + red)", 1000),
        Index("NDWI", ("nir", "swir16"), "(swir16 - nir) / (swir16 + nir)", 1000),
        Index("brightness", (), "sqrt(sum(band ** 2 for band in bands))", 1),
    )
}
"""Every index, by name."""


def lacking(name: str, bands: Iterable[str], sensor: Sensor) -> tuple[str, ...]:
    """Return the bands that an index needs and that are not among `bands`, by their names.

    Raises
    ------
    ValueError
        If the index is unknown, or the sensor has no band of that kind.
    """
    if name not in INDICES:
        raise ValueError(f"unknown index {name!r}, known are {', '.join(INDICES)}")
    try:
        needed = {sensor.named(common_name) for common_name in INDICES[name].bands}
    except ValueError as error:
        raise ValueError(f"{name} cannot be computed: {error}") from error
    return tuple(sorted(needed - set(bands)))
