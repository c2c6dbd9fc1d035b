"""Which passes of the satellites are missing from a set of images, by names and dates alone.

A Sentinel-2 satellite flies 143 orbits in 10 days and then repeats them. So a tile that an orbit
covers is seen by one satellite every 10 days: the number of the day modulo 10, the phase, tells
its orbits apart. The start time in the names of products does not, as it moves by minutes.

An orbit of which no image is there at all cannot be known from the images.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

CYCLE_DAYS = 10
"""Days after which a satellite repeats its orbits."""
OPPOSITE_DAYS = 5
"""A second satellite flies the orbits of the first this many days later."""
MOST_ORBITS = 5
"""So many orbits of a satellite see a tile at most; images of more have invented dates."""

_RARE = 2  # passes of an orbit that may be an oddity: a strip at the edge of the tile, a wrong date
_RARE_SHARE = 0.2  # unless these are so much of all that there can be
_TOGETHER_DAYS = 3 * CYCLE_DAYS  # satellites that begin or end together did so for lack of images
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Pass:
    """An image of a tile: which satellite took it, and when (UTC)."""

    tile: str
    platform: str
    acquired: datetime


@dataclass(frozen=True)
class Completeness:
    """Passes of a tile by month.

    Parameters
    ----------
    tile
        Name of the tile.
    expected, missing
        Number of passes by month, ``2018-03``.
    """

    tile: str
    expected: Mapping[str, int]
    missing: Mapping[str, int]

    @property
    def n_expected(self) -> int:
        """Passes of all months."""
        return sum(self.expected.values())

    @property
    def n_missing(self) -> int:
        """Missing passes of all months."""
        return sum(self.missing.values())


def has_cycle(platform: str) -> bool:
    """Return whether the passes of a satellite can be counted: of Sentinel-2."""
    return platform.startswith("S2")


def completeness(passes: Iterable[Pass], first: date, last: date) -> dict[str, Completeness | None]:
    """Compare the images of each tile with the passes that the orbit cycle lets expect.

    Parameters
    ----------
    passes
        All images that were found, also those that are not used; several of one pass count once.
        Images of other seasons tell since when and until when a satellite flies.
    first, last
        Days between which passes are expected, both included.

    Returns
    -------
    dict
        By tile, in order of name; None for a tile whose dates do not follow the cycle.
    """
    moments: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for one in passes:
        moments[one.tile][one.platform].append(one.acquired)
    days = {tile: _days_of(found) for tile, found in moments.items()}
    flying = _flying(days.values(), _number(first), _number(last))
    return {tile: _of_tile(tile, days[tile], flying) for tile in sorted(days)}


def _of_tile(
    tile: str, days: Mapping[str, set[int]], flying: Mapping[str, range]
) -> Completeness | None:
    """Return the passes of a tile; None where its dates do not follow the cycle."""
    inside = {one: {d for d in days[one] if d in flying[one]} for one in days if one in flying}
    phases = _phases(inside, flying)
    if any(len(of_one) > MOST_ORBITS for of_one in phases.values()):
        return None
    expected: dict[str, set[int]] = {
        platform: {
            day
            for phase, span in _in_turn(of_one, flying[platform])
            for day in _recurring(phase, span)
        }
        for platform, of_one in phases.items()
    }
    counts = [day for some in expected.values() for day in some]
    if not counts or len(set(counts)) < len(counts):
        return None  # two satellites never see a tile on one day
    missing = [day for one, some in expected.items() for day in some - inside[one]]
    return Completeness(tile, _by_month(counts), _by_month(missing))


def _days_of(moments: Mapping[str, list[datetime]]) -> dict[str, set[int]]:
    """Return the days of the images of a tile, counted so that none of its passes is at midnight.

    The time of day hardly changes from pass to pass; where it is near midnight, a pass some
    minutes early is of the same phase all the same.
    """
    seconds = {one: np.array([m.timestamp() for m in some]) for one, some in moments.items()}
    angles = np.concatenate(list(seconds.values())) % 86_400 * (2 * np.pi / 86_400)
    mean = np.arctan2(np.sin(angles).sum(), np.cos(angles).sum()) % (2 * np.pi) / (2 * np.pi)
    return {
        one: set(np.rint(some / 86_400 - mean).astype(int).tolist())
        for one, some in seconds.items()
    }


def _flying(days: Iterable[Mapping[str, set[int]]], first: int, last: int) -> dict[str, range]:
    """Return the days of the season on which each satellite flies.

    From the first to the last image of it anywhere, as satellites are launched and replaced.
    Where several begin together, or one is the first of all, it is the images that begin.
    """
    seen: dict[str, set[int]] = defaultdict(set)
    for of_tile in days:
        for platform, some in of_tile.items():
            seen[platform] |= some
    if not seen:
        return {}
    begin, end = min(map(min, seen.values())), max(map(max, seen.values()))
    flying = {}
    for platform, some in seen.items():
        start = first if min(some) <= begin + _TOGETHER_DAYS else max(first, min(some))
        stop = last if max(some) >= end - _TOGETHER_DAYS else min(last, max(some))
        if start <= stop:
            flying[platform] = range(start, stop + 1)
    return flying


def _phases(
    days: Mapping[str, set[int]], flying: Mapping[str, range]
) -> dict[str, dict[int, list[int]]]:
    """Return the days of each phase of each satellite, without oddities.

    A phase seen once or twice in many cycles is an oddity, unless another satellite sees the
    tile from the same orbit, 5 days later: then its images are missing.
    """
    found: dict[str, dict[int, list[int]]] = {}
    sure: dict[int, set[str]] = defaultdict(set)
    for platform, some in days.items():
        found[platform] = defaultdict(list)
        for day in sorted(some):
            found[platform][day % CYCLE_DAYS].append(day)
        for phase, seen in found[platform].items():
            possible = len(_recurring(phase, flying[platform]))
            if len(seen) > _RARE or len(seen) >= _RARE_SHARE * possible:
                sure[phase].add(platform)
    return {
        platform: {
            phase: seen
            for phase, seen in of_one.items()
            if platform in sure[phase] or sure[(phase + OPPOSITE_DAYS) % CYCLE_DAYS] - {platform}
        }
        for platform, of_one in found.items()
    }


def _in_turn(phases: Mapping[int, list[int]], flying: range) -> list[tuple[int, range]]:
    """Return the days between which each phase is flown.

    All days on which the satellite flies. Where all phases of a part of the season end before
    all others begin, the satellite was moved, as Sentinel-2A was in 2025: then up to there.
    """
    turns: list[list[int]] = []
    until = -1
    for phase in sorted(phases, key=lambda one: phases[one][0]):
        if not turns or phases[phase][0] > until:
            turns.append([])
        turns[-1].append(phase)
        until = max(until, phases[phase][-1])
    spans = []
    for number, turn in enumerate(turns):
        start = min(phases[phase][0] for phase in turn) if number else flying.start
        is_last = number == len(turns) - 1
        stop = flying.stop if is_last else max(phases[phase][-1] for phase in turn) + 1
        spans += [(phase, range(start, stop)) for phase in turn]
    return spans


def _recurring(phase: int, span: range) -> range:
    """Return the days of a phase."""
    return range(span.start + (phase - span.start) % CYCLE_DAYS, span.stop, CYCLE_DAYS)


def _by_month(days: Iterable[int]) -> dict[str, int]:
    months = Counter(f"{_EPOCH + timedelta(days=day):%Y-%m}" for day in days)
    return dict(sorted(months.items()))


def _number(day: date) -> int:
    return (day - _EPOCH).days
