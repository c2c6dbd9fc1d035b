"""The features of a pixel: which they are, how they are named, in which order they stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from oso_pipeline.core.dates import days_since_epoch

if TYPE_CHECKING:
    import numpy.typing as npt

    from oso_pipeline.config.model import Config

INDEX_BANDS: dict[str, tuple[str, ...]] = {
    "NDVI": ("B4", "B8"),
    "NDWI": ("B8", "B11"),
    "brightness": (),
}
"""Indices that can be computed, and the bands each needs."""


@dataclass(frozen=True)
class FeatureLayout:
    """What the rows of a feature array mean.

    For each date all bands, then each index for all dates, as in the reference chain of
    2016. A model stores its layout and refuses another, so the order is part of the contract.

    Parameters
    ----------
    bands
        Bands in their order, for example ``("B2", "B3")``.
    dates
        Dates of the grid, ascending.
    indices
        Names out of ``NDVI``, ``NDWI`` and ``brightness``, in their order.

    Raises
    ------
    ValueError
        If there is no band or date, the dates do not ascend, a name occurs twice, or an index
        is unknown or lacks a band.

    Examples
    --------
    >>> layout = FeatureLayout(("B4", "B8"), (date(2018, 1, 1), date(2018, 1, 11)), ("NDVI",))
    >>> layout.names[:3], layout.names[-1], layout.size
    (('B4_20180101', 'B8_20180101', 'B4_20180111'), 'NDVI_20180111', 6)
    """

    bands: tuple[str, ...]
    dates: tuple[date, ...]
    indices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.bands or not self.dates:
            raise ValueError("a layout needs at least one band and one date")
        if any(b <= a for a, b in zip(self.dates, self.dates[1:], strict=False)):
            raise ValueError("the dates of a layout must ascend")
        for names in (self.bands, self.indices):
            if len(set(names)) != len(names):
                raise ValueError(f"a name occurs twice in {', '.join(names)}")
        for index in self.indices:
            if index not in INDEX_BANDS:
                raise ValueError(f"unknown index {index!r}, known are {', '.join(INDEX_BANDS)}")
            missing = set(INDEX_BANDS[index]) - set(self.bands)
            if missing:
                raise ValueError(f"{index} needs {', '.join(sorted(missing))} among the bands")

    @classmethod
    def of(cls, config: Config) -> FeatureLayout:
        """Return the layout that a configuration asks for; images have no part in it."""
        return cls(config.imagery.bands, config.season.grid.dates, config.features.indices)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each feature, for example ``B2_20180101`` or ``NDVI_20180101``."""
        stamps = [f"{day:%Y%m%d}" for day in self.dates]
        reflectances = tuple(f"{band}_{stamp}" for stamp in stamps for band in self.bands)
        return reflectances + tuple(f"{name}_{stamp}" for name in self.indices for stamp in stamps)

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.dates) * (len(self.bands) + len(self.indices))

    @property
    def days(self) -> npt.NDArray[np.int32]:
        """The dates as days since 1970-01-01."""
        return days_since_epoch(self.dates)

    def to_json(self) -> dict[str, Any]:
        """Return the layout in types that JSON knows."""
        return {
            "bands": list(self.bands),
            "dates": [day.isoformat() for day in self.dates],
            "indices": list(self.indices),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FeatureLayout:
        """Return the layout that :meth:`to_json` wrote."""
        return cls(
            tuple(content["bands"]),
            tuple(date.fromisoformat(day) for day in content["dates"]),
            tuple(content["indices"]),
        )
