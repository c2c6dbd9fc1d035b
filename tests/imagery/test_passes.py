"""Missing passes: planted gaps, satellites that come and go, oddities, and real dates."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from support import ROOT
from support.real_data import real_data

from oso_pipeline.imagery.passes import Completeness, Pass, completeness

FIRST, LAST = date(2018, 1, 1), date(2018, 12, 31)
NOON = (10, 54)


def flown(
    first: date, last: date = LAST, platform: str = "S2A", tile: str = "31TCJ", at: tuple = NOON
) -> list[Pass]:
    """Return the passes of one orbit, at times that vary by minutes as the real ones do."""
    rng = np.random.default_rng(first.toordinal())
    start = datetime(first.year, first.month, first.day, *at, tzinfo=UTC)
    return [
        Pass(tile, platform, start + timedelta(days=day, seconds=int(rng.integers(-200, 200))))
        for day in range(0, (last - first).days + 1, 10)
    ]


def both(tile: str = "31TCJ", **other: object) -> list[Pass]:
    """Return a year of an orbit by two satellites, 5 days apart: 73 passes."""
    return [
        *flown(date(2018, 1, 1), tile=tile, **other),
        *flown(date(2018, 1, 6), platform="S2B", tile=tile, **other),
    ]


def without(passes: Iterable[Pass], *days: str) -> list[Pass]:
    return [one for one in passes if f"{one.acquired:%Y-%m-%d}" not in days]


def found(passes: Iterable[Pass], first: date = FIRST, last: date = LAST) -> Completeness:
    (one,) = completeness(passes, first, last).values()
    assert one is not None
    return one


def test_a_complete_year_has_73_passes_and_none_is_missing() -> None:
    one = found(both())
    assert (one.n_expected, one.n_missing, one.missing) == (73, 0, {})
    assert one.expected["2018-03"] == 6


def test_planted_gaps_are_counted_by_month() -> None:
    gaps = ("2018-03-02", "2018-03-07", "2018-03-12", "2018-07-05")
    one = found(without(both(), *gaps))
    assert (one.n_expected, dict(one.missing)) == (73, {"2018-03": 3, "2018-07": 1})


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_as_many_are_missing_as_were_taken_away(share: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        two = [*both(), *flown(date(2018, 1, 4), at=(11, 4)), *flown(date(2018, 1, 9), LAST, "S2B")]
        kept = [one for one in two if rng.random() > share]
        one = completeness([*kept, *both("31TDJ")], FIRST, LAST)["31TCJ"]
        assert one is not None
        assert one.n_missing == len(two) - len(kept)


def test_months_without_any_image_count_at_either_end_of_the_season() -> None:
    kept = [one for one in both() if 2 < one.acquired.month < 10]
    assert found(kept).missing == {
        "2018-01": 7, "2018-02": 5, "2018-10": 6, "2018-11": 6, "2018-12": 6
    }  # fmt: skip


def test_several_images_of_a_pass_count_once() -> None:
    later = [Pass(one.tile, one.platform, one.acquired + timedelta(seconds=15)) for one in both()]
    assert found([*both(), *later]).n_expected == 73


def test_a_satellite_is_expected_from_launch_to_replacement() -> None:
    old = flown(date(2018, 1, 1), date(2018, 5, 20))
    new = flown(date(2018, 6, 10), platform="S2C")
    other = flown(date(2018, 1, 6), platform="S2B")
    one = found([*old, *new, *other])
    assert (one.n_expected, one.n_missing) == (len(old) + len(new) + len(other), 0)


def test_another_tile_tells_that_a_satellite_still_flies() -> None:
    cut = [one for one in both("31TCJ") if one.platform == "S2A" or one.acquired.month < 7]
    one = completeness([*cut, *both("31TDJ")], FIRST, LAST)["31TCJ"]
    assert one is not None
    assert one.n_missing == sum(e.platform == "S2B" and e.acquired.month > 6 for e in both())


def test_images_of_the_year_before_tell_that_a_satellite_flew_in_january() -> None:
    late = [one for one in both() if one.platform == "S2A" or one.acquired.month > 3]
    assert found(late).n_missing == 0  # as if it was launched in April
    before = flown(date(2017, 12, 2), date(2017, 12, 30), "S2B")
    assert found([*late, *before]).n_missing == 9


def test_a_satellite_that_was_moved_has_another_phase_from_then_on() -> None:
    """As Sentinel-2A in 2025."""
    before, after = flown(date(2018, 1, 1), date(2018, 3, 2)), flown(date(2018, 3, 14))
    one = found([*before, *after])
    assert (one.n_expected, one.n_missing) == (len(before) + len(after), 0)
    one = found(without([*before, *after], "2018-02-10", "2018-09-10"))
    assert dict(one.missing) == {"2018-02": 1, "2018-09": 1}


@pytest.mark.parametrize("times", [1, 2])
def test_an_orbit_seen_once_or_twice_is_an_oddity(times: int) -> None:
    odd = flown(date(2018, 5, 4))[:times]
    assert (found([*both(), *odd]).n_expected, found([*both(), *odd]).n_missing) == (73, 0)


def test_an_orbit_seen_three_times_is_expected() -> None:
    assert found([*both(), *flown(date(2018, 1, 4))[::13]]).n_missing == 34


def test_a_satellite_seen_twice_on_the_orbit_of_another_is_missing() -> None:
    kept = [one for one in both() if one.platform == "S2A" or one.acquired.month == 8][:-1]
    one = completeness([*kept, *both("31TDJ")], FIRST, LAST)["31TCJ"]
    assert one is not None
    assert one.n_missing == 73 - len(kept)


def test_passes_near_midnight_are_of_one_phase() -> None:
    one = found(without(both(at=(0, 0)), "2018-06-10"))
    assert (one.n_expected, one.n_missing <= 1) == (73, True)


@pytest.mark.parametrize("platforms", [("S2A",), ("S2A", "S2B")])
def test_dates_without_a_cycle_are_not_counted(platforms: tuple[str, ...]) -> None:
    rng = np.random.default_rng(3)
    start = datetime(2018, 1, 1, 10, 54, tzinfo=UTC)
    days = rng.choice(365, 60, replace=False)
    made = [
        Pass("31TCJ", platforms[n % len(platforms)], start + timedelta(days=int(day)))
        for n, day in enumerate(days)
    ]
    assert completeness(made, FIRST, LAST) == {"31TCJ": None}


def test_two_satellites_on_one_day_are_not_counted() -> None:
    made = [*flown(date(2018, 1, 1)), *flown(date(2018, 1, 1), platform="S2B")]
    assert completeness(made, FIRST, LAST) == {"31TCJ": None}


def test_one_image_or_none_tells_nothing() -> None:
    assert completeness([], FIRST, LAST) == {}
    assert completeness(flown(date(2018, 1, 1))[:1], FIRST, LAST) == {"31TCJ": None}


def read_flanders(year: int) -> Iterator[tuple[Pass, str]]:
    """Return the products of a real catalogue, with the relative orbit that it names."""
    path = real_data(ROOT.parent / "shared" / "data" / f"flanders_{year}") / "products.csv"
    with path.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            moment = datetime.fromisoformat(row["acquisition_utc"].replace("Z", "+00:00"))
            yield Pass("31UDS", row["platform"], moment), row["relative_orbit"]


@pytest.mark.parametrize("year", [2018, 2019])
def test_gaps_of_a_real_catalogue_are_those_between_its_own_orbits(year: int) -> None:
    """Passes by the relative orbits that it names: the days between two of them, by tens."""
    tracks: dict[tuple[str, str], set[date]] = {}
    passes = []
    for one, orbit in read_flanders(year):
        tracks.setdefault((one.platform, orbit), set()).add(one.acquired.date())
        passes.append(one)
    first, last = max(map(min, tracks.values())), min(map(max, tracks.values()))
    gaps = [
        day
        for days in tracks.values()
        for earlier, later in pairwise(sorted(days))
        for n in range(10, (later - earlier).days, 10)
        if first <= (day := earlier + timedelta(days=n)) <= last
    ]
    one = found(passes, first, last)
    assert one.n_missing == len(gaps)
    assert one.n_expected == len(gaps) + sum(
        first <= day <= last for days in tracks.values() for day in days
    )
