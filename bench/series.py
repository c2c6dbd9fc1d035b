"""The pixels of the bench: a simulated year of Sentinel-2 over fields, with clouds.

Twenty classes with a phenology each, fields of about 200 pixels with their own timing and
vigour, noise per pixel and per image, 40 % of the dates cloudy, 4 % of the training labels
wrong. The same seed gives the same bytes on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
FINE = (0, 1, 2, 6)
"""Positions of the 10 m bands in `BANDS`; the others have 20 m."""
COARSE = (3, 4, 5, 7, 8, 9)
GRID = tuple(date(2018, 1, 1) + timedelta(days=10 * step) for step in range(36))
"""Dates of the features: 36, which makes 468 features of 10 bands and 3 indices."""
N_CLASSES = 20
_FIELD = 14
_EPOCH = date(1970, 1, 1)

Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Scenes:
    """The images of one block.

    Attributes
    ----------
    fine, coarse
        int16 reflectances in 1e-4 units, shapes ``(time, 4, pixel)`` at 10 m and
        ``(time, 6, pixel / 4)`` at 20 m; pixels row by row of a square block.
    clear
        uint8, shape ``(time, pixel)``.
    days
        int32 days since 1970-01-01, shape ``(time,)``.
    truth
        Class of each pixel, 1 to 20, uint16, shape ``(pixel,)``.
    """

    fine: Int16
    coarse: Int16
    clear: npt.NDArray[np.uint8]
    days: npt.NDArray[np.int32]
    truth: npt.NDArray[np.uint16]

    @property
    def side(self) -> int:
        """Rows of the block, which is a square."""
        return round(self.clear.shape[1] ** 0.5)

    @property
    def values(self) -> Int16:
        """All bands at 10 m, int16, shape ``(time, band, pixel)``: what peers are given."""
        half = self.side // 2
        joined = np.empty((len(self.days), len(BANDS), self.clear.shape[1]), np.int16)
        joined[:, FINE] = self.fine
        square = self.coarse.reshape(len(self.days), len(COARSE), half, half)
        wide = square.repeat(2, axis=2).repeat(2, axis=3)
        joined[:, COARSE] = wide.reshape(len(self.days), len(COARSE), -1)
        return joined


def simulate(side: int, n_dates: int = 40, seed: int = 0) -> Scenes:
    """Simulate a block of `side` x `side` pixels; `side` is even.

    Classes and images are the same for one `seed` // 1000: blocks of the seeds 0 and 1 lie in
    one tile, with other fields, and serve as training and test.
    """
    world = np.random.default_rng((seed // 1000, n_dates))
    rng = np.random.default_rng(seed)
    days = np.sort(world.choice(365, n_dates, replace=False)).astype(np.int32)
    image = (world.normal(1, 0.04, (n_dates, 10, 1)), world.normal(0, 40, (n_dates, 10, 1)))
    fields, of_pixel = _fields(side, rng)
    table = _reflectance(fields, days, seed // 1000, rng)  # (time, band, field)
    table = (table * image[0] + image[1]).astype(np.float32)
    cloudy = np.stack([_clouds(side, rng) for _ in range(n_dates)])
    fine = np.empty((n_dates, len(FINE), side * side), np.int16)
    coarse = np.empty((n_dates, len(COARSE), side * side // 4), np.int16)
    quarter = of_pixel.reshape(side, side)[::2, ::2].ravel()
    thin = cloudy.reshape(n_dates, side, side)[:, ::2, ::2].reshape(n_dates, -1)
    for t in range(n_dates):
        for place, band in enumerate(FINE):
            fine[t, place] = _observed(table[t, band, of_pixel], cloudy[t], rng)
        for place, band in enumerate(COARSE):
            coarse[t, place] = _observed(table[t, band, quarter], thin[t], rng)
    epoch_days = days + np.int32((date(2018, 1, 1) - _EPOCH).days)
    truth = (fields + 1).astype(np.uint16)[of_pixel]
    return Scenes(fine, coarse, (~cloudy).astype(np.uint8), epoch_days, truth)


def mislabelled(truth: npt.NDArray[np.uint16], seed: int) -> npt.NDArray[np.uint16]:
    """Return the labels with 4 % of them replaced by any class."""
    rng = np.random.default_rng(seed)
    wrong = rng.uniform(size=truth.size) < 0.04
    return np.where(wrong, rng.integers(1, N_CLASSES + 1, truth.size), truth).astype(np.uint16)


def _fields(side: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray]:
    """Return the class of each field and the field of each pixel."""
    across = -(-side // _FIELD)
    row, column = np.divmod(np.arange(side * side), side)
    classes = rng.permutation(np.arange(across * across) % N_CLASSES)
    return classes, row // _FIELD * across + column // _FIELD


def _reflectance(
    classes: npt.NDArray[np.int64],
    days: npt.NDArray[np.int32],
    world: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Return the mean reflectance of each field, shape ``(time, band, field)``."""
    kinds = np.random.default_rng((world, 7))
    soil = np.linspace(900, 2900, 10) * kinds.uniform(0.6, 1.4, (N_CLASSES, 1))
    leaf = np.array([300, 550, 320, 900, 2700, 3400, 3700, 3900, 1900, 950])
    leaf = leaf * kinds.uniform(0.75, 1.25, (N_CLASSES, 1))
    soil, leaf = (s * kinds.normal(1, 0.05, s.shape) for s in (soil, leaf))
    rise, long = kinds.uniform(60, 200, N_CLASSES), kinds.uniform(60, 170, N_CLASSES)
    height, floor = kinds.uniform(0.15, 0.75, N_CLASSES), kinds.uniform(0.03, 0.35, N_CLASSES)
    n = len(classes)
    start = rise[classes] + rng.normal(0, 14, n)
    end = start + long[classes] + rng.normal(0, 14, n)
    grown = height[classes] * rng.normal(1, 0.18, n).clip(0.5, 1.5)
    up = 1 / (1 + np.exp(-(days[:, None] - start) / 9))
    down = 1 / (1 + np.exp(-(days[:, None] - end) / 9))
    share = (floor[classes] * rng.normal(1, 0.25, n) + grown * (up - down)).clip(0, 0.97)[:, None]
    bright = np.exp(rng.normal(0, 0.10, (n, 1)) + rng.normal(0, 0.05, (n, 10))).T
    table = (soil[classes].T * (1 - share) + leaf[classes].T * share) * bright
    return np.asarray(table)


def _clouds(side: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return where clouds lie on one date, flat: patches that cover 40 % on average."""
    share = rng.beta(0.5, 0.75)
    knots = rng.normal(size=(side // 32 + 2, side // 32 + 2))
    at = np.arange(side) / 32
    low, part = at.astype(np.int64), at % 1
    rows = knots[low] * (1 - part)[:, None] + knots[low + 1] * part[:, None]
    height = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return (height <= np.quantile(height, share)).ravel()


def _observed(
    mean: npt.NDArray[np.float32], cloudy: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Int16:
    noise = rng.standard_normal(mean.size, dtype=np.float32)
    land = mean * (1 + 0.06 * noise) + 60 * rng.standard_normal(mean.size, dtype=np.float32)
    cloud = 6500 + 1500 * noise
    return np.rint(np.where(cloudy, cloud, land)).clip(-500, 20_000).astype(np.int16)
