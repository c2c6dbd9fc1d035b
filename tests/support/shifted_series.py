"""Blue of a few kilometres on the dates of a year, each date at its own place.

Images are made of pixels of 10 m and averaged to pixels of 20 m, so that a date can lie a part of a
pixel beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

Land = Literal["fields", "mountains", "coast", "forest", "sea"]

SMALL, LARGE = 96, 192
"""Pixels of 20 m of the side of a window."""

_FINE = 2  # pixels of 10 m in one of 20 m, along a side
_MARGIN = 16  # pixels of 10 m around
_JITTER_M = 2.5  # of both directions: two thirds of the dates lie within it


@dataclass(frozen=True)
class Planted:
    """A series.

    Parameters
    ----------
    values, clear
        Blue reflectance, and what the mask leaves. Shape (dates, 1, side, side).
    place_m
        Where each date lies: metres down and to the right. Shape (dates, 2).
    """

    values: np.ndarray
    clear: np.ndarray
    place_m: np.ndarray


def shifted_series(
    rng: np.random.Generator,
    land: Land,
    moved_m: tuple[float, float] | None = None,
    side: int = SMALL,
) -> Planted:
    """Return a series without error, or of which one date lies so many metres beside its place.

    Crops change through the year, shadows of relief with the sun; snow lies in winter. Clouds are
    masked, but for some of their borders and some thin ones.
    """
    n = int(rng.integers(12, 40))
    days = np.sort(rng.uniform(0, 365, n))
    place = rng.normal(0, _JITTER_M, (n, 2))
    if moved_m is not None:
        place[0] = moved_m
    ground = _Ground(rng, land, side)
    values = np.empty((n, 1, side, side))
    clear = np.ones(values.shape, bool)
    for number in range(n):
        image = _placed(ground.on(days[number], rng), place[number])
        clouds = _clouds(rng, rng.beta(0.5, 0.9) if number else 0.2, side)
        image += 0.35 * np.clip(clouds, 0, 1)
        image += rng.gamma(1.0, 0.02) if rng.random() < 0.3 else 0
        values[number, 0] = image + rng.normal(0, 0.002, image.shape)
        clear[number, 0] = clouds < 0.15  # thin borders stay
    return Planted(values, clear, place)


class _Ground:
    """Land that changes through the year."""

    def __init__(self, rng: np.random.Generator, land: Land, side: int) -> None:
        self.land = land
        self.n = n = side * _FINE + 2 * _MARGIN
        n_fields = int(rng.integers(40, 400))
        seeds = rng.uniform(0, n, (n_fields, 2)) * (1, rng.uniform(0.5, 2))
        at = np.stack(np.indices((n, n)), axis=-1).reshape(-1, 2)
        distance, self.field = (x.reshape(n, n, 2) for x in cKDTree(seeds).query(at, 2))
        self.is_border = distance[..., 1] - distance[..., 0] < rng.uniform(0.5, 1.5)
        self.field = self.field[..., 0]
        self.crop = rng.integers(0, 5, n_fields)
        self.peak = rng.uniform(100, 260, 5)
        self.soil = rng.uniform(0.06, 0.13, n_fields)
        self.green = rng.uniform(0.025, 0.05, n_fields)
        self.border = rng.uniform(0.03, 0.12)
        self.height = _noise(rng, n, 50) * rng.uniform(100, 300)
        self.slope = np.gradient(self.height, 10.0)
        self.fine = _noise(rng, n, 2) * rng.uniform(0.001, 0.005)
        self.shore = _noise(rng, n, 20) + np.linspace(-1.5, 1.5, n)
        self.snow_line = rng.uniform(-60, 60)

    def on(self, day: float, rng: np.random.Generator) -> np.ndarray:
        """Return blue of a day, shape (n, n)."""
        if self.land == "sea":
            return np.full((self.n, self.n), 0.03)
        cover = np.exp(-(((day - self.peak + rng.normal(0, 5, 5)) / 45) ** 2))[self.crop]
        cover = np.clip(cover + rng.normal(0, 0.05, len(cover)), 0, 1)
        if self.land == "forest":
            image = 0.03 + self.fine + 0.01 * (self.soil - 0.09)[self.field]
        else:
            image = (self.soil * (1 - cover) + self.green * cover)[self.field] + self.fine
            image = np.where(self.is_border, self.border, image)
        if self.land == "mountains":
            light = self._light(day)
            image = image * light
            winter = np.cos(2 * np.pi * (day - 20) / 365)
            lying = self.height > self.snow_line + 80 * (1 - winter)
            image = np.where(lying, 0.6 * light, image)
        elif day < 60 and rng.random() < 0.15:
            image = image + 0.4 * (1 - 0.5 * self.is_border)
        if self.land == "coast":
            image = np.where(self.shore > 0, image, 0.03)
        return image

    def _light(self, day: float) -> np.ndarray:
        """Return how much light slopes get, with the sun in the south-east; 1 is the mean."""
        elevation = np.radians(44 - 23 * np.cos(2 * np.pi * (day - 172 + 182) / 365))
        azimuth = np.radians(160 - 12 * np.cos(2 * np.pi * (day - 172) / 365))
        down, right = self.slope
        normal = 1 / np.sqrt(1 + down**2 + right**2)
        # Rows go south: the sun's direction is (south, east, up).
        south, east = -np.cos(azimuth), np.sin(azimuth)
        lit = np.sin(elevation) - np.cos(elevation) * (down * south + right * east)
        return np.clip(lit * normal, 0.1, None) / np.sin(elevation)


def _placed(image: np.ndarray, place_m: np.ndarray) -> np.ndarray:
    """Return the pixels of 20 m of an image that is moved down and to the right."""
    whole = np.floor(place_m / 10).astype(int)
    down, right = place_m / 10 - whole
    side = len(image) - 2 * _MARGIN
    row, column = _MARGIN - 1 - whole
    inner = image[row : row + side + 1, column : column + side + 1]
    inner = inner[1:] * (1 - down) + inner[:-1] * down
    inner = inner[:, 1:] * (1 - right) + inner[:, :-1] * right
    side //= _FINE
    return inner.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))


def _clouds(rng: np.random.Generator, share: float, side: int) -> np.ndarray:
    """Return optical depth of clouds over some share of a window, 0 beside them."""
    field = _noise(rng, side, 5)
    return np.maximum((field - np.quantile(field, 1 - share)) * 1.5, 0)


def _noise(rng: np.random.Generator, side: int, scale: float) -> np.ndarray:
    """Return smooth noise of variance 1."""
    small = max(4, int(side / scale * 2))
    coarse = ndimage.gaussian_filter(rng.normal(size=(small, small)), 1.0)
    part, whole = np.modf(np.linspace(0, small - 1, side))
    low, part = whole.astype(int), part[:, None]
    high = np.minimum(low + 1, small - 1)
    rows = (coarse[low] * (1 - part) + coarse[high] * part).T.copy()
    large = (rows[low] * (1 - part) + rows[high] * part).T
    return (large - large.mean()) / large.std()
