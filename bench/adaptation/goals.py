"""The goals of adaptation and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oso_pipeline.studies.adaptation.comparison_tables import markdown, signed, span
from oso_pipeline.studies.adaptation.scores import interval_over
from oso_pipeline.studies.adaptation.summary import LEVEL, SettingSummary, group
from oso_pipeline.studies.adaptation.trial import UNSUPERVISED

Summaries = Sequence[SettingSummary]


@dataclass(frozen=True)
class Goal:
    """One goal: what to reach, what to aim at, what was measured."""

    name: str
    reach: str
    aim: str
    measured: str
    met: str


def goals(summaries: Summaries) -> list[Goal]:
    """Return the goals, all with the gate as it is by default."""
    years = of_kind(summaries, "year")
    student, alone = group(years, "student"), group(years, UNSUPERVISED)
    if student is None or alone is None:
        raise ValueError("the pairs of years are missing")
    return [
        Goal(
            f"student, year to year, share of the gap recovered ({student.settings} settings)",
            "60 %",
            "75 %",
            f"{student.gap_recovered:.0f} % ({span(student.gap_interval)})",
            _met(student.gap_recovered, 60, 75),
        ),
        _annual(years),
        _losses(summaries),
        Goal(
            f"without any target label, year to year, share of the gap ({alone.settings} settings)",
            "45 %",
            "60 %",
            f"{alone.gap_recovered:.0f} % ({span(alone.gap_interval)})",
            _met(alone.gap_recovered, 45, 60),
        ),
        _against_mixing(years),
        _placebos(summaries),
        _without_shift(summaries),
    ]


def goals_table(found: Sequence[Goal]) -> str:
    """Return the goals as a table."""
    rows = [[goal.name, goal.reach, goal.aim, goal.measured, goal.met] for goal in found]
    return markdown(["goal", "reach", "aim", "measured", ""], rows)


def of_kind(summaries: Summaries, *kinds: str) -> list[SettingSummary]:
    """Return the settings of some kinds."""
    return [one for one in summaries if one.kind in kinds]


def _annual(years: Summaries) -> Goal:
    gains = [one.methods["student"].gain(True).annual for one in years if "student" in one.methods]
    mean = float(np.mean(gains))
    measured = f"{signed(mean)} ({span(interval_over(gains, LEVEL, 0))})"
    name = "student, year to year, annual classes alone, points"
    return Goal(name, "+6", "+9", measured, _met(mean, 6, 9))


def _losses(summaries: Summaries) -> Goal:
    real = of_kind(summaries, "year", "region", "site", "stress")
    losing, n = [], 0
    for one in real:
        for name in ("student", UNSUPERVISED):
            if name in one.methods:
                gain = one.methods[name].gain(True)
                n += 1
                if gain.overall < -1 or gain.macro_f1 < -2:
                    points = f"OA {signed(gain.overall)}, F1 {signed(gain.macro_f1)}"
                    losing.append(f"{one.name}, {name} ({points})")
    listed = f": {'; '.join(losing)}" if losing else ""
    return Goal(
        "real settings below -1 point of OA or -2 of macro-F1, with and without target labels",
        "none",
        "none",
        f"{len(losing)} of {n}{listed}",
        "missed" if losing else "aim",
    )


def _against_mixing(years: Summaries) -> Goal:
    gains = [
        one.methods["student"].gain(True).overall
        - one.methods["cropmix+classifmix"].adapted.overall
        for one in years
        if "student" in one.methods and "cropmix+classifmix" in one.methods
    ]
    mean = float(np.mean(gains))
    return Goal(
        "student minus cropmix+classifmix, year to year, points",
        "+4",
        "+7",
        f"{signed(mean)} ({span(interval_over(gains, LEVEL, 0))}; worst {signed(min(gains))})",
        _met(mean, 4, 7),
    )


def _placebos(summaries: Summaries) -> Goal:
    counts = [
        found.gates
        for kind in ("placebo", "prior")
        if (found := group(of_kind(summaries, kind), UNSUPERVISED)) is not None
        and found.gates is not None
    ]
    text = f"{counts[0].on} of {counts[0].runs} runs"
    if len(counts) > 1:
        text += f"; with other proportions {counts[1].on} of {counts[1].runs}"
    met = "aim" if counts[0].on == 0 else "missed"
    return Goal("gate on placebos", "never on", "never on", text, met)


def _without_shift(summaries: Summaries) -> Goal:
    worst: dict[str, float] = {}
    for one in of_kind(summaries, "placebo", "prior"):
        for name in ("student", UNSUPERVISED):
            if name in one.methods:
                worst[f"{one.name}, {name}"] = one.methods[name].gain(True).overall
    name = min(worst, key=lambda key: worst[key])
    return Goal(
        "no shift, or other proportions alone, gated: worst setting, points of OA",
        "> -1",
        "> -0.5",
        f"{signed(worst[name])} ({name})",
        _met(worst[name], -1, -0.5),
    )


def _met(value: float, reach: float, aim: float) -> str:
    if value >= aim:
        return "aim"
    return "reached" if value >= reach else "missed"
