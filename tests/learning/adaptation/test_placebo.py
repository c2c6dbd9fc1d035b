"""The test of the gate on simulated years: how often it errs, and what it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from oso_pipeline.adaptation import AdaptationOptions, SeriesSpace
from oso_pipeline.adaptation.diagnosis import diagnose
from oso_pipeline.adaptation.domains import Domains, Labelled, Trainer
from oso_pipeline.learners.forest.settings import ForestSettings

DAYS = tuple(range(0, 365, 15))
SPACE = SeriesSpace.plain(DAYS)
FEW = ForestSettings(n_trees=16, min_samples_leaf=1)
COARSE = AdaptationOptions(max_shift_days=30, shift_step_days=10)
PEAK = np.array([100, 130, 160, 250])
PERENNIAL = 3


def fields(n: int, delay: float, rng: np.random.Generator) -> Labelled:
    """Return two pixels of each of `n` fields, whose crops grow when they like."""
    codes = np.repeat(rng.integers(0, len(PEAK), n), 2).astype(np.int32)
    day = PEAK[codes] + delay + np.repeat(rng.normal(0, 18, n), 2)
    series = 2000 + 6000 * np.exp(-(((np.array(DAYS) - day[:, None]) / 40) ** 2))
    series += rng.normal(0, 500, series.shape)
    return Labelled(np.rint(series).astype(np.int16), codes, np.repeat(np.arange(n), 2))


def statistics(delay: float, seed: int, options: AdaptationOptions = COARSE, n: int = 60) -> Any:
    """Return what the gate sees where all crops are `delay` days later."""
    rng = np.random.default_rng(seed)
    source, target = fields(n, 0, rng), fields(n, delay, rng)
    nothing = target.where(np.zeros(len(target), np.bool_))
    domains = Domains(source, target.features, target.polygons, nothing, frozenset({PERENNIAL}))
    trainer = Trainer(SPACE, FEW, options, seed)
    baseline = trainer.bagged("baseline", source.features, source.codes)
    return diagnose(domains, baseline, trainer).statistics


def test_a_clear_shift_opens_and_costs_what_the_labels_say() -> None:
    found = statistics(14, 0, AdaptationOptions(), n=150)
    assert found.decision(AdaptationOptions())[0]
    assert found.placebo.error_growth > 0.2
    assert abs(found.shift_days) > found.placebo.limits(0.05)[0]
    assert 0 < found.placebo.crop_error < found.placebo.crop_error_moved


def test_the_same_seed_gives_the_same_placebo() -> None:
    assert statistics(8, 1) == statistics(8, 1)


def test_halves_of_one_class_show_nothing() -> None:
    rng = np.random.default_rng(0)
    past = fields(40, 0, rng)
    alone = Labelled(past.features, np.zeros_like(past.codes), past.polygons)
    trainer = Trainer(SPACE, FEW, COARSE, 0)
    baseline = trainer.bagged("baseline", alone.features, alone.codes)
    nothing = alone.where(np.zeros(len(alone), np.bool_))
    domains = Domains(alone, past.features + 50, past.polygons, nothing, frozenset())
    found = diagnose(domains, baseline, trainer).statistics
    assert found.placebo is None
    assert not found.decision(AdaptationOptions())[0]


@pytest.mark.slow
def test_where_nothing_differs_signals_count_as_seldom_as_stated() -> None:
    level, n = 0.05, 60
    beyond, opened = np.zeros(3, np.int64), 0
    for seed in range(n):
        found = statistics(0, seed)
        limits = found.placebo.limits(level)
        seen = abs(found.shift_days), found.discrepancy, found.confidence_drop
        beyond += np.array(seen) > np.array(limits)
        opened += found.decision(AdaptationOptions())[0]
    for count in beyond:
        assert binomtest(int(count), n, level, alternative="greater").pvalue > 0.01
    assert binomtest(opened, n, 0.02, alternative="greater").pvalue > 0.05
