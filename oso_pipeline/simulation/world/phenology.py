"""How the land looks through the year: reflectance of each field in each band.

A field is bare ground partly covered by green leaves. The green share follows double
logistic curves (Zhang et al. 2003, Remote Sensing of Environment 84), one for each growing
season of the class; each field has its own timing, vigour and brightness.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.growing_year import USUAL_YEAR, GrowingYear
from oso_pipeline.simulation.world.land_covers import KINDS, OSO17, Codes, Growth
from oso_pipeline.simulation.world.world import Floats

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
    "petals": (45, 165, 140, 190, 320, 390, 420, 440, 200, 105),
    "snow": (880, 870, 860, 850, 820, 800, 780, 760, 120, 90),
}
SNOW = np.array(_SPECTRA["snow"], dtype=np.float32) / 1000
"""Reflectance of snow per band."""
_PETALS = np.array(_SPECTRA["petals"], dtype=np.float64) / 1000


class Land(Protocol):
    """Fields with a kind of cover and a height: a world, or a part of one."""

    kinds: Codes
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
        Weather and growth of the year; the brightness of the ground is the same in all.
    """

    def __init__(self, land: Land, year: GrowingYear = USUAL_YEAR) -> None:
        self._year = year
        self._kinds = land.kinds
        self._codes = OSO17[land.kinds]
        self._heights = land.heights
        n = land.kinds.size
        rng = np.random.default_rng(derived_seed(land.seed, "phenology"))
        looks = [KINDS[int(kind)].look for kind in land.kinds]
        self._timing = rng.standard_normal(n) * [look.timing_days for look in looks]
        self._floor = rng.standard_normal(n) * [look.floor_spread for look in looks]
        self._vigour = np.clip(rng.normal(1, 0.14, n), 0.6, 1.25)
        bands = len(SENTINEL2.names)
        variation = np.array([look.brightness for look in looks])
        self._bare = _spectra([look.bare for look in looks]) * np.exp(
            rng.standard_normal(n)[:, None] * variation[:, None] + rng.normal(0, 0.03, (n, bands))
        )
        self._green = _spectra([look.green for look in looks]) * np.exp(
            rng.normal(0, 0.06, n)[:, None] + rng.normal(0, 0.02, (n, bands))
        )
        self._mown = rng.uniform(140, 172, n)
        if year.name:
            rng = np.random.default_rng(year.seed(land.seed, "phenology"))
            self._timing = rng.standard_normal(n) * [look.timing_days for look in looks]
            self._vigour = np.clip(rng.normal(1, 0.14, n), 0.6, 1.25)
            self._mown = rng.uniform(140, 172, n)
        self._ripening = rng.standard_normal(n) * [look.ripening_days for look in looks]

    def green_share(self, day_of_year: float) -> Floats:
        """Return the share of the ground under green leaves, 0 to 1, shape ``(field,)``."""
        share = np.zeros(self._codes.size)
        season_day = day_of_year - self._year.shift_days
        for number, kind in enumerate(KINDS):
            look, at = kind.look, np.flatnonzero(self._kinds == number)
            days, later = season_day - self._timing[at], self._ripening[at]
            grown = sum((_grown(growth, days, later) for growth in look.growths), np.zeros(at.size))
            if look.mown:
                since = season_day - self._mown[at]
                grown -= np.where(since >= 0, 0.38 * np.exp(-np.maximum(since, 0) / 16), 0)
            share[at] = look.floor + self._floor[at] + grown * self._vigour[at]
        return np.clip(share, 0, 0.97)

    def flower_share(self, day_of_year: float) -> Floats:
        """Return the share of the leaves that petals hide, 0 to 1, shape ``(field,)``."""
        share = np.zeros(self._kinds.size)
        season_day = day_of_year - self._year.shift_days
        for number, kind in enumerate(KINDS):
            if kind.look.flowers is not None:
                at = np.flatnonzero(self._kinds == number)
                share[at] = _grown(kind.look.flowers, season_day - self._timing[at])
        return np.clip(share, 0, 1)

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
        petals = self.flower_share(day_of_year)[:, None]
        plants = self._green * (1 - petals) + _PETALS * petals
        table = self._bare * (1 - share) + plants * share
        snow = self.snow(day_of_year) & (self._codes != 53)
        table[snow] = 0.2 * table[snow] + 0.8 * SNOW
        table *= self._year.gain
        return table.astype(np.float32)


def _grown(growth: Growth, days: Floats, later: Floats | float = 0.0) -> Floats:
    """Return the double logistic curve, its end `later` days later; it may run over New Year."""
    total = np.zeros(days.shape)
    for years in (-1, 0, 1):
        day = days + 365.25 * years
        up = 1 / (1 + np.exp(-(day - growth.rise) / growth.rise_days))
        down = 1 / (1 + np.exp(-(day - growth.fall - later) / growth.fall_days))
        total += growth.height * (up - down)
    return total


def _spectra(names: list[str]) -> Floats:
    return np.array([_SPECTRA[name] for name in names], dtype=np.float64) / 1000
