"""Medians of blue and red over clear land of a year, as a tile of France shows them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from oso_pipeline.imagery.offset_guard import Series

Mix = Literal["switch", "interleaved", "three", "one"]


def land_series(rng: np.random.Generator, mix: Mix) -> Series:
    """Return a series without any error.

    Land of some brightness with a seasonal course of crops, snow in winter, haze and cirrus that
    the masks miss, and noise; some dates show too little land.
    """
    n = int(rng.integers(25, 80))
    days = np.sort(rng.uniform(0, 365, n))
    blue_level, red_level = rng.uniform(0.025, 0.075), rng.uniform(0.03, 0.1)
    season = np.cos(2 * np.pi * (days - rng.uniform(150, 250)) / 365)
    harvest = rng.uniform(0, 0.06) / (1 + np.exp(-(days - rng.uniform(170, 230)) / 8))
    blue = blue_level + rng.uniform(-0.01, 0.01) * season + 0.3 * harvest
    red = red_level + rng.uniform(-0.03, 0.03) * season + harvest
    for _ in range(rng.integers(0, 4)):  # spells of snow, partly masked
        start, length = rng.uniform(-20, 90) % 365, rng.uniform(3, 25)
        lying = (days - start) % 365 < length
        depth = rng.uniform(0.02, 0.6) * rng.uniform(0.5, 1.2, n)
        blue, red = blue + lying * depth, red + lying * depth * 0.97
    hazy = rng.random(n) < rng.uniform(0, 0.25)
    haze = rng.gamma(2.0, 0.02, n) * hazy
    colour = rng.uniform(0.5, 1.0, n)  # 1 is white, as thin cirrus
    blue, red = blue + haze, red + haze * colour
    blue, red = blue + rng.normal(0, 0.006, n), red + rng.normal(0, 0.01, n)
    values = np.stack([blue, red])
    values[:, rng.random(n) < 0.1] = np.nan
    return Series(days, values, _groups(rng, mix, days))


def _groups(rng: np.random.Generator, mix: Mix, days: np.ndarray) -> list[str]:
    if mix == "one":
        return ["05.11"] * len(days)
    if mix == "switch":  # as on 25 January 2022, or on any day
        switch = rng.uniform(40, 325)
        return ["03.01" if day < switch else "04.00" for day in days]
    names = ["02.12", "05.00"] if mix == "interleaved" else ["02.12", "03.01", "05.11"]
    shares = rng.dirichlet([4.0] * len(names))
    return [str(one) for one in rng.choice(names, len(days), p=shares)]


def moved(series: Series, group: str, by: float) -> Series:
    """Return the series with all products of a group moved."""
    chosen = np.array([one == group for one in series.groups])
    return Series(series.days, series.values + by * chosen, series.groups)
