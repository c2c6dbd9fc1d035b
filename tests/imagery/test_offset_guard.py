"""The guard against missing and double offsets, on 2,000 simulated series."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from support.land_series import Mix, land_series, moved

from oso_pipeline.imagery.offset_guard import LEAST, Series, comparable, find_shifts

EACH = 250  # series of each of four mixes


@pytest.mark.parametrize("mix", get_args(Mix))
def test_no_false_alarm_in_a_thousand_series(mix: Mix) -> None:
    rng = np.random.default_rng(2018)
    assert not [number for number in range(EACH) if find_shifts(land_series(rng, mix))]


@pytest.mark.parametrize("by", [0.1, -0.1])
@pytest.mark.parametrize("mix", ["switch", "interleaved"])
def test_every_planted_offset_is_found_in_a_thousand_series(mix: Mix, by: float) -> None:
    rng = np.random.default_rng(2019)
    planted, lost = 0, []
    while planted < EACH:
        series = land_series(rng, mix)
        group = str(rng.choice(sorted(set(series.groups))))
        series = moved(series, group, by)
        if group not in comparable(series):
            continue
        planted += 1
        found = [(one.group, one.offset) for one in find_shifts(series)]
        if found != [(group, "missing" if by > 0 else "twice")]:
            lost.append((planted, group, found))
    assert not lost


def plain(groups: list[str], by: dict[str, float]) -> Series:
    days = np.arange(len(groups)) * 5.0
    values = np.array([[0.05 + by.get(one, 0.0), 0.07 + by.get(one, 0.0)] for one in groups]).T
    return Series(days, values, groups)


def test_the_products_of_the_group_are_named() -> None:
    groups = ["02.12"] * 6 + ["05.00"] * 6
    (one,) = find_shifts(plain(groups, {"05.00": 0.1}))
    assert (one.group, one.offset, one.numbers) == ("05.00", "missing", tuple(range(6, 12)))
    (one,) = find_shifts(plain(groups, {"02.12": -0.1}))
    assert (one.group, one.offset, one.numbers) == ("02.12", "twice", tuple(range(6)))


def test_too_few_products_another_step_or_one_baseline_are_no_finding() -> None:
    few = ["02.12"] * 6 + ["05.00"] * (LEAST - 1)
    assert not find_shifts(plain(few, {"05.00": 0.1}))
    assert not find_shifts(plain(["02.12"] * 6 + ["05.00"] * 6, {"05.00": 0.2}))
    assert not find_shifts(plain(["05.00"] * 12, {"05.00": 0.1}))
    far = plain(["02.12"] * 6 + ["05.00"] * 6, {"05.00": 0.1})
    far = Series(far.days + 100 * (far.days >= 30), far.values, far.groups)
    assert not find_shifts(far)
