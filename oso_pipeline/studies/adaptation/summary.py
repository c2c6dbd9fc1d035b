"""Summary of the trials of a setting, and of several settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from oso_pipeline.studies.adaptation.scores import (
    Accuracy,
    McNemar,
    accuracy,
    in_points,
    interval_over,
    mcnemar_of_polygons,
    paired_interval,
    ratio_interval,
)
from oso_pipeline.studies.adaptation.setting import Setting
from oso_pipeline.studies.adaptation.trial import BASELINE, Codes, GateOfRun, Trial
from oso_pipeline.validation.intervals import Interval

LEVEL = 0.95
_SEED = 0
_NOISE = 1e-12


@dataclass(frozen=True)
class Gain:
    """Differences to the baseline in points, means over seeds.

    Parameters
    ----------
    overall, macro_f1, annual
        Of the overall accuracy, of the mean F-score, of the accuracy of annual classes alone.
    interval
        Of the first, by resampling polygons over all seeds.
    mcnemar
        McNemar's test of the same, each polygon one unit.
    by_seed
        The first, seed by seed.
    """

    overall: float
    macro_f1: float
    annual: float
    interval: Interval
    mcnemar: McNemar
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class MethodSummary:
    """One method in one setting.

    Parameters
    ----------
    scores
        Scores of the method itself, adapted whatever the gate says.
    adapted, gated
        Gain if always adapted, and with the gate; the latter None for methods
        without a gate.
    gates
        The gate of each part of each seed.
    warnings
        Distinct warnings of the adaptations.
    """

    scores: Accuracy
    adapted: Gain
    gated: Gain | None
    gates: tuple[tuple[GateOfRun, ...], ...]
    warnings: tuple[str, ...]

    def gain(self, with_gate: bool) -> Gain:
        """Return what the method gains, with its gate if wanted and if it has one."""
        return self.gated if with_gate and self.gated is not None else self.adapted


@dataclass(frozen=True)
class SettingSummary:
    """All methods in one setting.

    Parameters
    ----------
    name, kind
        Of the setting.
    classes
        Names by code.
    n_source, n_target
        Samples of source and target before any draw.
    upper_bound, baseline
        Scores with the labels of the target season, and of the forest of the past years.
    methods
        By name of the method.
    """

    name: str
    kind: str
    classes: dict[int, str]
    n_source: int
    n_target: int
    upper_bound: Accuracy
    baseline: Accuracy
    methods: dict[str, MethodSummary]

    @property
    def gap(self) -> float:
        """Points of overall accuracy between the past years' forest and the upper bound."""
        return self.upper_bound.overall - self.baseline.overall

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        return _plain({**asdict(self), "gap": self.gap})


def summarise(setting: Setting, trials: Sequence[Trial]) -> SettingSummary:
    """Return means, differences and intervals of the trials of one setting."""
    names = [name for name in trials[0].predicted if name != BASELINE]
    return SettingSummary(
        setting.name,
        setting.kind,
        dict(setting.classes),
        len(setting.source),
        len(setting.target),
        _mean([_scores(setting, trial, trial.bound) for trial in trials]),
        _mean([_scores(setting, trial, trial.predicted[BASELINE]) for trial in trials]),
        {name: _method(setting, trials, name) for name in names},
    )


def _method(setting: Setting, trials: Sequence[Trial], name: str) -> MethodSummary:
    adapted = _gain(setting, trials, [trial.predicted[name] for trial in trials])
    has_gate = name in trials[0].gates
    return MethodSummary(
        _mean([_scores(setting, trial, trial.predicted[name]) for trial in trials]),
        adapted,
        _gated_gain(setting, trials, name) if has_gate else None,
        tuple(trial.gates[name] for trial in trials) if has_gate else (),
        tuple(sorted({text for trial in trials for text in trial.warnings[name]})),
    )


def _gain(setting: Setting, trials: Sequence[Trial], predicted: Sequence[Codes]) -> Gain:
    pairs = list(zip(trials, predicted, strict=True))
    before = _mean([_scores(setting, trial, trial.predicted[BASELINE]) for trial in trials])
    after = _mean([_scores(setting, trial, codes) for trial, codes in pairs])
    gained = [
        (codes == trial.truth).astype(np.float64) - (trial.predicted[BASELINE] == trial.truth)
        for trial, codes in pairs
    ]
    polygons = np.concatenate([trial.polygons for trial in trials])
    of_samples = np.concatenate(gained)
    return Gain(
        after.overall - before.overall,
        after.macro_f1 - before.macro_f1,
        after.annual - before.annual,
        in_points(paired_interval(polygons, of_samples, LEVEL, _SEED)),
        mcnemar_of_polygons(polygons, of_samples),
        tuple(100 * float(one.mean()) for one in gained),
    )


def _gated_gain(setting: Setting, trials: Sequence[Trial], name: str) -> Gain:
    """Return the gain where the gate decides; exactly none where it never opens."""
    gain = _gain(setting, trials, [trial.gated[name] for trial in trials])
    opened = any(part.adapts for trial in trials for part in trial.gates[name])
    return gain if opened else replace(gain, interval=Interval(0.0, 0.0))


@dataclass(frozen=True)
class GateCounts:
    """Decisions of the gate over the seeds of several settings.

    Parameters
    ----------
    runs, on
        Seeds in all, and those in which the gate was on in a part or more.
    false_accepts
        On, and the seed lost more than a point by it.
    false_rejects
        Off in every part, although adapting would have gained more than a point.
    losses_avoided
        Off in every part, where adapting would have lost more than a point.
    """

    runs: int
    on: int
    false_accepts: int
    false_rejects: int
    losses_avoided: int

    @classmethod
    def of(cls, summaries: Sequence[MethodSummary]) -> GateCounts:
        """Count the decisions of one method in several settings."""
        runs = [
            (any(part.adapts for part in parts), adapted, gated)
            for one in summaries
            if one.gated is not None
            for parts, adapted, gated in zip(
                one.gates, one.adapted.by_seed, one.gated.by_seed, strict=True
            )
        ]
        return cls(
            len(runs),
            sum(on for on, _, _ in runs),
            sum(on and gated < -1 for on, _, gated in runs),
            sum(not on and adapted > 1 for on, adapted, _ in runs),
            sum(not on and adapted < -1 for on, adapted, _ in runs),
        )


@dataclass(frozen=True)
class GroupSummary:
    """One method over several settings, in points against the baseline; a setting counts once.

    Parameters
    ----------
    settings
        How many.
    overall, overall_interval
        Mean difference, and its interval by resampling settings: optimistic, since settings
        share fields.
    worst, losing, winning
        Least difference of a setting; settings below -1 and above +1.
    gap_recovered, gap_interval
        Per cent of the gap to the upper bound, sums over settings.
    macro_f1, worst_macro_f1, annual, worst_annual
        Means and least differences.
    gates
        Decisions of the gate, run by run; None for methods without.
    """

    settings: int
    overall: float
    overall_interval: Interval
    worst: float
    losing: int
    winning: int
    gap_recovered: float
    gap_interval: Interval
    macro_f1: float
    worst_macro_f1: float
    annual: float
    worst_annual: float
    gates: GateCounts | None


def group(
    summaries: Sequence[SettingSummary], method: str, with_gate: bool = True
) -> GroupSummary | None:
    """Return what a method gives over the settings that tried it, None where there is none.

    Parameters
    ----------
    summaries
        Settings.
    method
        Name of the method.
    with_gate
        Whether its gate counts, where it has one.
    """
    tried = [(s, s.methods[method]) for s in summaries if method in s.methods]
    if not tried:
        return None
    gains = [m.gain(with_gate) for _, m in tried]
    overall, f1, annual = (
        np.array([getattr(one, name) for one in gains])
        for name in ("overall", "macro_f1", "annual")
    )
    gap = np.array([s.gap for s, _ in tried])
    return GroupSummary(
        len(tried),
        float(overall.mean()),
        interval_over(overall, LEVEL, _SEED),
        float(overall.min()),
        int((overall < -1).sum()),
        int((overall > 1).sum()),
        100 * float(overall.sum() / gap.sum()) if gap.sum() > 0 else float("nan"),
        in_points(ratio_interval(overall, gap, LEVEL, _SEED)),
        float(f1.mean()),
        float(f1.min()),
        float(np.nanmean(annual)),
        float(np.nanmin(annual)),
        GateCounts.of([m for _, m in tried]) if any(m.gates for _, m in tried) else None,
    )


def _scores(setting: Setting, trial: Trial, predicted: Codes) -> Accuracy:
    return accuracy(trial.truth, predicted, tuple(setting.classes), setting.annual)


def _mean(found: Sequence[Accuracy]) -> Accuracy:
    codes = sorted({code for one in found for code in one.f1})
    return Accuracy(
        float(np.mean([one.overall for one in found])),
        float(np.mean([one.macro_f1 for one in found])),
        float(np.mean([one.annual for one in found])),
        {code: float(np.mean([o.f1[code] for o in found if code in o.f1])) for code in codes},
    )


def _plain(value: Any) -> Any:
    """Return a value for JSON: rounded numbers, None for what is undefined."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        # A small probability is shown as such, not as 0.
        return round(value, 4) or (float(f"{value:.2g}") if abs(value) > _NOISE else 0.0)
    return value
