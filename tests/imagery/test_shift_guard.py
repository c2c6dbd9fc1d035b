"""Dates that lie beside the others, on 1,000 simulated series."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from support.shifted_series import LARGE, Land, shifted_series

from oso_pipeline.imagery.pixel_check import MOST_SHIFTED_M
from oso_pipeline.imagery.sample_windows import PIXEL_M
from oso_pipeline.imagery.shift_guard import LEAST_DATES, find_shifts

FAR = MOST_SHIFTED_M / PIXEL_M
FAST, EACH = 2, 200  # series of each land
Case = tuple[Land, int]


def false_alarms(land: Land, n: int) -> list[tuple[int, int, float]]:
    rng, found = np.random.default_rng(2018), []
    for number in range(n):
        series = shifted_series(rng, land)
        away = np.hypot(*(series.place_m - np.median(series.place_m, axis=0)).T)
        named = find_shifts(series.values, series.clear).beyond(FAR)
        found += [(number, date, away[date]) for date in named if away[date] < 10]
    return found


def planted(land: Land, n: int) -> tuple[int, list[tuple[float, float]]]:
    """Move a date of `n` series by 1.5 to 12 pixels of 10 m; every second one by 1.5.

    Windows are 3.8 km wide. Returns of how many the place is known, and those of them that are
    not named.
    """
    rng, known, missing = np.random.default_rng(2019), 0, list[tuple[float, float]]()
    for number in range(n):
        length, angle = rng.uniform(15, 120) if number % 2 else 15.0, rng.uniform(0, 2 * np.pi)
        by = length * np.cos(angle), length * np.sin(angle)
        series = shifted_series(rng, land, by, LARGE)
        found = find_shifts(series.values, series.clear)
        known += bool(np.isfinite(found.correlation[0]))
        if np.isfinite(found.correlation[0]) and 0 not in found.beyond(FAR):
            missing.append(by)
    return known, missing


@pytest.mark.parametrize("land", ["fields", "mountains"])
def test_no_date_in_its_place_is_named(land: Land) -> None:
    assert not false_alarms(land, FAST)


def test_planted_shifts_are_found() -> None:
    known, missing = planted("fields", FAST)
    assert known
    assert not missing


@pytest.mark.slow
@pytest.mark.parametrize("land", get_args(Land))
def test_no_date_in_its_place_is_named_in_a_thousand_series(land: Land) -> None:
    assert not false_alarms(land, EACH)


@pytest.mark.slow
@pytest.mark.parametrize("land", ["fields", "coast"])
def test_every_planted_shift_whose_place_is_known_is_found(land: Land) -> None:
    known, missing = planted(land, 120)
    assert known >= 60  # the land of the others is too cloudy, or looks unlike that of other dates
    assert not missing


def textured(n_dates: int, side: int = 48) -> np.ndarray:
    rng = np.random.default_rng(1)
    ground = np.kron(rng.uniform(0.03, 0.12, (side // 4, side // 4)), np.ones((4, 4)))
    return ground + rng.normal(0, 0.001, (n_dates, 1, side, side))


def test_places_are_measured_to_parts_of_a_pixel_and_by_their_direction() -> None:
    values = textured(10)
    clear = np.ones(values.shape, bool)
    values[3] = np.roll(values[3], (2, -3), axis=(1, 2))  # down and to the left
    shifts = find_shifts(values, clear)
    np.testing.assert_allclose(shifts.pixels[3], (2, -3), atol=0.1)
    np.testing.assert_allclose(np.delete(shifts.pixels, 3, axis=0), 0, atol=0.1)
    assert shifts.beyond(0.6) == (3,)


def test_without_common_edges_or_enough_dates_there_is_no_verdict() -> None:
    values = textured(LEAST_DATES + 1)
    clear = np.ones(values.shape, bool)
    assert np.isfinite(find_shifts(values, clear).correlation).all()
    assert np.isnan(find_shifts(values[1:], clear[1:]).correlation).all()
    flat = np.full(values.shape, 0.03)
    assert np.isnan(find_shifts(flat, clear).correlation).all()
    values[2] = np.random.default_rng(2).uniform(0.03, 0.12, values[2].shape)
    assert np.isnan(find_shifts(values, clear).correlation[2])
    clear[1, :, 8:] = False
    assert np.isnan(find_shifts(values, clear).correlation[1])


def test_without_data_is_no_edge() -> None:
    values = textured(10)
    values[:4, :, :, :12] = np.nan  # beside the swath
    shifts = find_shifts(values, np.ones(values.shape, bool))
    np.testing.assert_allclose(shifts.pixels, 0, atol=0.1)
