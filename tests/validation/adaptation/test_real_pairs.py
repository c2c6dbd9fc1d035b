"""Adaptation on real pairs of years and regions, and on changes that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.adaptation import changes, settings
from bench.adaptation.central_asia import CentralAsia, year_pairs
from bench.adaptation.report import STUDENTS
from bench.adaptation.simulated import CHANGES, Ground, placebos
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.studies.adaptation.setting import Setting
from oso_pipeline.studies.adaptation.summary import SettingSummary, group, summarise
from oso_pipeline.studies.adaptation.trial import Protocol, run_trial

BRIEF = Protocol(methods=STUDENTS)


def evaluated(setting: Setting, seeds: int, protocol: Protocol = BRIEF) -> SettingSummary:
    return summarise(setting, [run_trial(setting, protocol, seed) for seed in range(seeds)])


@pytest.mark.slow
def test_a_pair_of_years_gains_and_a_placebo_does_not_adapt(shared_data: Path) -> None:
    survey = CentralAsia(shared_data)
    past, now = survey.domain(2016, "Fergana"), survey.domain(2018, "Fergana")
    found = evaluated(survey.setting("Fergana 2016->2018", "year", [past], now), 2)
    assert found.gap > 15
    assert found.methods["student"].gain(True).overall > 10
    assert found.methods["student, no label"].gain(True).overall > 5
    placebo = evaluated(placebos(Ground(past, survey.rule))[0], 2)
    for method in placebo.methods.values():
        assert not any(part.adapts for seed in method.gates for part in seed)
        assert method.gain(True).overall == 0


def test_trials_are_reproducible(shared_data: Path) -> None:
    survey = CentralAsia(shared_data)
    years = survey.domain(2017, "Fergana"), survey.domain(2018, "Fergana")
    setting = survey.setting("Fergana 2017->2018", "year", years[:1], years[1])
    short = replace(BRIEF, methods=STUDENTS[:1], shares=replace(BRIEF.shares, parts=2))
    first, again = (run_trial(setting, short, 4) for _ in range(2))
    assert np.array_equal(
        first.predicted["student, no label"], again.predicted["student, no label"]
    )


def test_changes_of_series_do_what_they_say(shared_data: Path) -> None:
    survey = CentralAsia(shared_data)
    domain = survey.domain(2017, "Fergana")
    late = changes.changed(domain, CHANGES["delay 15 d"], 0)
    weight = 15 / 16  # dates are 16 days apart
    before, after = domain.features[:, :-1].astype(float), domain.features[:, 1:]
    expected = np.rint(before * weight + after * (1 - weight))
    assert np.array_equal(late.features[:, 1:], expected.astype(np.int16))
    low = changes.changed(domain, CHANGES["amplitude 0.8"], 0)
    assert low.features.std() == pytest.approx(0.8 * domain.features.std(), rel=1e-3)
    assert isinstance(domain.space, SeriesSpace)


@pytest.mark.slow
def test_year_pairs_gain_and_none_loses(shared_data: Path, tmp_path: Path) -> None:
    survey = CentralAsia(shared_data)
    found = [evaluated(setting, 2) for setting in year_pairs(survey) if setting.perennial]
    student, alone = group(found, "student"), group(found, "student, no label")
    assert student is not None
    assert alone is not None
    assert student.gap_recovered > 60
    assert student.annual > 5
    assert student.losing == 0
    assert student.worst_macro_f1 > -2
    assert alone.gap_recovered > 40


@pytest.mark.slow
def test_placebos_never_adapt(shared_data: Path) -> None:
    for setting in settings.controlled(shared_data):
        if setting.kind == "placebo":
            for method in evaluated(setting, 2).methods.values():
                assert not any(part.adapts for seed in method.gates for part in seed), setting.name
