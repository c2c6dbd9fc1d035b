"""Products whose quality layers hide next to nothing although the scene is cloudy.

A pixel is like a cloud where blue is high, far above what the place has on its dark dates, and
short-wave infrared is not as low as that of snow (Hall et al. 1995 tell snow from cloud by the
normalised difference of visible light and 1.6 µm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

LEAST_DATES = 4
"""Dates that show a place, below which its normal brightness is not known."""
LEAST_PIXELS = 50
"""Pixels with data that a product must show."""

_QUANTILE = 0.25  # of blue over the dates: clouds and snow brighten
_BLUE, _ABOVE = 0.18, 0.1  # reflectance of blue, and how far above normal
_INFRARED = 0.16  # of clouds at least; of snow less
_SNOW_INDEX, _ICE_INFRARED = 0.4, 0.25  # snow lies above the index; ice clouds too, but are bright
_MOST_HIDDEN, _LEAST_LIKE_CLOUD = 0.05, 0.3  # of the pixels with data


@dataclass(frozen=True)
class Brightness:
    """How cloudy the products of a tile look.

    Parameters
    ----------
    normal
        Median over the tile of blue on dark dates, reflectance; NaN where it is not known.
    blue
        Median of each product. Shape (dates,), float64; NaN where it shows too little.
    like_cloud
        Part of what a product shows that looks like cloud and is not hidden, 0-1. Same shape.
    hidden
        Part that is hidden, 0-1. Same shape.
    """

    normal: float
    blue: npt.NDArray[np.float64]
    like_cloud: npt.NDArray[np.float64]
    hidden: npt.NDArray[np.float64]

    @property
    def unmasked(self) -> tuple[int, ...]:
        """The numbers of the products whose layers hide next to nothing of a cloudy scene."""
        is_open = (self.hidden <= _MOST_HIDDEN) & (self.like_cloud >= _LEAST_LIKE_CLOUD)
        return tuple(np.flatnonzero(is_open).tolist())


def compare_brightness(blue: Floats, infrared: Floats, clear: Bools) -> Brightness:
    """Return how cloudy the products of a tile look.

    Parameters
    ----------
    blue, infrared
        Reflectance of B2 and of B11 or B12, NaN where there is no data. Shape (dates, pixels).
    clear
        What the quality layers leave. Same shape.
    """
    shown = np.isfinite(blue) & np.isfinite(infrared)
    normal = _normal(np.where(shown, blue, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        index = (blue - infrared) / (blue + infrared)
        is_snow = (index > _SNOW_INDEX) & (infrared < _ICE_INFRARED)
        is_bright = (blue > _BLUE) & (blue > normal + _ABOVE)
        like_cloud = shown & clear & is_bright & (infrared > _INFRARED) & ~is_snow
    count = shown.sum(axis=1)
    is_known = count >= LEAST_PIXELS
    medians = [
        float(np.median(values[one])) if known else np.nan
        for values, one, known in zip(blue, shown, is_known, strict=True)
    ]
    share = np.where(is_known, np.maximum(count, 1), np.nan)
    return Brightness(
        float(np.nanmedian(normal)) if np.isfinite(normal).any() else np.nan,
        np.array(medians),
        like_cloud.sum(axis=1) / share,
        (shown & ~clear).sum(axis=1) / share,
    )


def _normal(blue: Floats) -> Floats:
    """Return blue of each place on its dark dates, NaN where too few dates show it."""
    ordered = np.sort(blue, axis=0)  # NaN last
    count = np.isfinite(blue).sum(axis=0)
    at = np.minimum((_QUANTILE * count).astype(np.intp), len(blue) - 1)
    dark: Floats = np.take_along_axis(ordered, at[None], axis=0)[0]
    return np.where(count >= LEAST_DATES, dark, np.nan)
