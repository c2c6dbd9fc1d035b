"""How the land looks through the year: reflectance of each field in each band.

A field is bare ground partly covered by green leaves. The green share follows double
logistic curves (Zhang et al. 2003, Remote Sensing of Environment 84), one for each growing
season of the class; each field has its own timing, vigour and brightness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import SENTINEL2_BANDS
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.growing_year import USUAL_YEAR, GrowingYear
from oso_pipeline.simulation.world import Floats

# Reflectance x 1000 in B2, B3, B4, B5, B6, B7, B8, B8A, B11, B12: rounded values of the order
# found in spectral libraries.
_SPECTRA = {
    "crop": (30, 60, 30, 90, 300, 400, 430, 450, 200, 100),
    "leaves": (25, 50, 26, 80, 265, 350, 380, 400, 180, 85),
    "needles": (20, 35, 22, 50, 140, 180, 200, 212, 100, 50),
    "heath": (30, 48, 42, 78, 170, 212, 235, 250, 190, 108),
    "litter": (50, 70, 90, 130, 165, 190, 210, 230, 260, 170),
    "dry grass": (58, 88, 115, 155, 205, 238, 268, 290, 330, 220),
    "soil": (80, 110, 140, 168, 190, 210, 230, 248, 320, 270),
    "concrete": (120, 140, 158, 170, 180, 190, 200, 210, 240, 220),
    "roofs": (195, 215, 228, 238, 248, 256, 265, 272, 290, 270),
    "asphalt": (88, 98, 108, 114, 120, 125, 130, 135, 152, 142),
    "rock": (138, 165, 195, 212, 225, 238, 250, 260, 305, 280),
    "sand": (195, 255, 305, 335, 355, 370, 385, 395, 455, 415),
    "water": (45, 42, 27, 21, 16, 15, 12, 12, 6, 4),
    "snow": (880, 870, 860, 850, 820, 800, 780, 760, 120, 90),
}
SNOW = np.array(_SPECTRA["snow"], dtype=np.float32) / 1000
"""Reflectance of snow per band."""


@dataclass(frozen=True)
class Growth:
    """One growing season: from the day half grown to the day half gone, and how high."""

    rise: float
    fall: float
    height: float
    rise_days: float = 10.0
    fall_days: float = 9.0


@dataclass(frozen=True)
class Cover:
    """A land cover: bare ground, green leaves, and how much of them through the year."""

    bare: str
    green: str
    floor: float
    growths: tuple[Growth, ...] = ()
    floor_spread: float = 0.03
    timing_days: float = 9.0
    brightness: float = 0.12
    mown: bool = False


_COVERS = {
    11: Cover("soil", "crop", 0.06, (Growth(166, 262, 0.82, 9, 7),), timing_days=12),
    12: Cover("soil", "crop", 0.08, (Growth(310, 545, 0.28, 14, 7), Growth(82, 178, 0.55, 11, 6))),
    31: Cover("litter", "leaves", 0.14, (Growth(108, 303, 0.78, 6, 9),), timing_days=7),
    32: Cover("litter", "needles", 0.86, (Growth(120, 290, 0.05, 20, 20),), brightness=0.10),
    34: Cover("dry grass", "crop", 0.20, (Growth(88, 185, 0.34, 14, 16),), 0.07, 13),
    36: Cover("dry grass", "heath", 0.50, (Growth(105, 285, 0.22, 16, 18),), 0.10, 11),
    41: Cover("concrete", "leaves", 0.10, (Growth(108, 300, 0.07),), 0.06),
    42: Cover("concrete", "leaves", 0.27, (Growth(106, 302, 0.17),), 0.07),
    43: Cover("roofs", "crop", 0.04, (Growth(100, 290, 0.03),), 0.03, brightness=0.20),
    44: Cover("asphalt", "crop", 0.06, (Growth(90, 290, 0.04),), 0.03, brightness=0.14),
    45: Cover("rock", "heath", 0.05, (Growth(140, 270, 0.06),), 0.03, brightness=0.14),
    46: Cover("sand", "dry grass", 0.08, (), 0.05, brightness=0.14),
    51: Cover("water", "water", 0.0, (), 0.0, brightness=0.20),
    53: Cover("snow", "snow", 0.0, (), 0.0, brightness=0.05),
    211: Cover("dry grass", "crop", 0.46, (Growth(76, 320, 0.40, 13, 18),), 0.09, 12, mown=True),
    221: Cover("dry grass", "leaves", 0.26, (Growth(98, 300, 0.38, 9, 11),), 0.08, 9),
    222: Cover("soil", "leaves", 0.12, (Growth(132, 288, 0.36, 10, 10),), 0.06, 9),
}


class Land(Protocol):
    """Fields with a class and a height: a world, or a part of one."""

    codes: npt.NDArray[np.int16]
    heights: Floats

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        ...


class Phenology:
    """Reflectance of every field of a world through the year.

    Parameters
    ----------
    land
        Each of its fields gets a timing, vigour and brightness of its own.
    year
        What the year is like; the brightness of the ground is the same in all.
    """

    def __init__(self, land: Land, year: GrowingYear = USUAL_YEAR) -> None:
        self._year = year
        self._codes = land.codes
        self._heights = land.heights
        n = land.codes.size
        rng = np.random.default_rng(derived_seed(land.seed, "phenology"))
        covers = [_COVERS[int(code)] for code in land.codes]
        self._timing = rng.standard_normal(n) * [c.timing_days for c in covers]
        self._floor = rng.standard_normal(n) * [c.floor_spread for c in covers]
        self._vigour = np.clip(rng.normal(1, 0.14, n), 0.6, 1.25)
        bands = len(SENTINEL2_BANDS)
        spread = np.array([c.brightness for c in covers])
        self._bare = _spectra([c.bare for c in covers]) * np.exp(
            rng.standard_normal(n)[:, None] * spread[:, None] + rng.normal(0, 0.03, (n, bands))
        )
        self._green = _spectra([c.green for c in covers]) * np.exp(
            rng.normal(0, 0.06, n)[:, None] + rng.normal(0, 0.02, (n, bands))
        )
        self._mown = rng.uniform(140, 172, n)
        if year.name:
            rng = np.random.default_rng(year.seed(land.seed, "phenology"))
            self._timing = rng.standard_normal(n) * [c.timing_days for c in covers]
            self._vigour = np.clip(rng.normal(1, 0.14, n), 0.6, 1.25)
            self._mown = rng.uniform(140, 172, n)

    def green_share(self, day_of_year: float) -> Floats:
        """Return the share of the ground under green leaves, 0 to 1, shape ``(field,)``."""
        share = np.zeros(self._codes.size)
        season_day = day_of_year - self._year.shift_days
        for code, cover in _COVERS.items():
            at = np.flatnonzero(self._codes == code)
            days = season_day - self._timing[at]
            grown = sum((_grown(growth, days) for growth in cover.growths), np.zeros(at.size))
            if cover.mown:
                since = season_day - self._mown[at]
                grown -= np.where(since >= 0, 0.38 * np.exp(-np.maximum(since, 0) / 16), 0)
            share[at] = cover.floor + self._floor[at] + grown * self._vigour[at]
        return np.clip(share, 0, 0.97)

    def snow(self, day_of_year: float) -> npt.NDArray[np.bool_]:
        """Return which fields lie under snow, shape ``(field,)``: glaciers, and in winter heights.

        The snow line falls in November and rises in March and April.
        """
        winter = 0.5 + 0.5 * np.cos(2 * np.pi * (day_of_year - 30) / 365.25)
        line = 1.0 - 0.16 * np.clip((winter - 0.62) / 0.3, 0, 1)
        is_high = np.isin(self._codes, (34, 36, 45)) & (self._heights > line)
        return is_high | (self._codes == 53)

    def reflectance(self, day_of_year: float) -> npt.NDArray[np.float32]:
        """Return surface reflectance per field and band, shape ``(field, band)``, unitless.

        As the processor of the year sees it.
        """
        share = self.green_share(day_of_year)[:, None]
        table = self._bare * (1 - share) + self._green * share
        snow = self.snow(day_of_year) & (self._codes != 53)
        table[snow] = 0.2 * table[snow] + 0.8 * SNOW
        table *= self._year.gain
        return table.astype(np.float32)


def _grown(growth: Growth, days: Floats) -> Floats:
    """Return the double logistic curve; a season may run over New Year."""
    total = np.zeros(days.shape)
    for years in (-1, 0, 1):
        day = days + 365.25 * years
        up = 1 / (1 + np.exp(-(day - growth.rise) / growth.rise_days))
        down = 1 / (1 + np.exp(-(day - growth.fall) / growth.fall_days))
        total += growth.height * (up - down)
    return total


def _spectra(names: list[str]) -> Floats:
    return np.array([_SPECTRA[name] for name in names], dtype=np.float64) / 1000
