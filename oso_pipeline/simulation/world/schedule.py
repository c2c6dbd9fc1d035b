"""When which satellite passes over the simulated world."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from oso_pipeline.simulation.world.sky import Overpass
from oso_pipeline.simulation.world.world import World

ORBITS = (94, 51)
"""Relative orbits: 94 covers the west of the world, 51 the east."""
METADATA_ONLY = 6
"""Number of the overpass of each orbit that is nearly all cloud: only metadata are issued."""
SENTINEL2C = 8
"""Number of the overpass of each orbit that Sentinel-2C makes."""

_LAUNCH = {"SENTINEL2A": date(2015, 6, 23), "SENTINEL2B": date(2017, 3, 7)}
# Orbit number minus relative orbit, modulo the 143 orbits of a cycle.
_OFFSET = {"SENTINEL2A": -3, "SENTINEL2B": 26}
# A day on which Sentinel-2A flew the orbit. It returns every 10 days; Sentinel-2B is 5 days off.
_PASSED = {94: date(2019, 4, 19), 51: date(2016, 9, 28)}
_AT = {94: time(11, 6), 51: time(10, 56)}


def overpasses(world: World, orbit: int) -> list[Overpass]:
    """Return the overpasses of an orbit of which images exist, in order.

    One of every two or so possible overpasses, each from its own part of the year: irregular,
    without long gaps.
    """
    spec = world.spec
    rng = np.random.default_rng(world.year.seed(spec.seed, "schedule", orbit))
    days = [date(spec.year, 1, 1) + timedelta(days=n) for n in range(365)]
    possible = [(day, name) for day in days if (name := _platform(day, orbit))]
    count = min(spec.dates_per_orbit, len(possible))
    passes = []
    for number, part in enumerate(np.array_split(np.arange(len(possible)), count)):
        day, platform = possible[int(rng.choice(part))]
        second = timedelta(seconds=int(rng.integers(60)), milliseconds=int(rng.integers(1000)))
        acquired = datetime.combine(day, _AT[orbit], tzinfo=UTC) + second
        share = _cloud_share(rng, day)
        if number == METADATA_ONLY:
            share = 0.97
        if number == SENTINEL2C:
            platform = "SENTINEL2C"
        passes.append(Overpass(acquired, platform, orbit, share))
    return passes


def _platform(day: date, orbit: int) -> str | None:
    """Return the satellite that flies an orbit on a day: each every ten days, once launched."""
    platform = {0: "SENTINEL2A", 5: "SENTINEL2B"}.get((day - _PASSED[orbit]).days % 10)
    return platform if platform and day > _LAUNCH[platform] else None


def main_orbit(world: World, tile: str) -> int:
    """Return the orbit that covers a tile best: 94 for western tiles, 51 for eastern ones."""
    x0, _, x1, _ = world.bounds
    return 94 if world.outlines[tile].centroid.x <= (x0 + x1) / 2 else 51


def partial_passes(world: World, tile: str) -> list[Overpass]:
    """Return the overpasses of the other orbit that see a part of a tile, in order."""
    orbit = next(orbit for orbit in ORBITS if orbit != main_orbit(world, tile))
    passes = overpasses(world, orbit)
    del passes[METADATA_ONLY]
    count = min(world.spec.partial_dates, len(passes))
    if not count:
        return []
    first = len(passes) // count // 2
    return passes[first :: len(passes) // count][:count]


def orbit_number(overpass: Overpass) -> int:
    """Return the absolute orbit: 143 orbits in 10 days, in step with the relative orbit."""
    platform = overpass.platform if overpass.platform in _LAUNCH else "SENTINEL2A"
    flown = 14.3 * (overpass.acquired.date() - _LAUNCH[platform]).days
    first = overpass.orbit + _OFFSET[platform]
    return first + 143 * round((flown - first) / 143)


def _cloud_share(rng: np.random.Generator, day: date) -> float:
    """Draw the share of clouds: often clear, often covered; winters are cloudier."""
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * day.timetuple().tm_yday / 365.25)
    share = float(rng.beta(0.5, 1.4 - 0.5 * winter))
    return 0.0 if share < 0.03 else min(share, 0.9)
