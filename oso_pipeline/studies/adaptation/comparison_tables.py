"""The comparison as tables: Markdown for people, CSV for spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oso_pipeline.core.csv_tables import csv_text
from oso_pipeline.studies.adaptation.scores import McNemar
from oso_pipeline.studies.adaptation.summary import (
    GroupSummary,
    MethodSummary,
    SettingSummary,
    group,
)
from oso_pipeline.studies.adaptation.trial import BASELINE
from oso_pipeline.validation.intervals import Interval


def methods_table(summary: SettingSummary) -> str:
    """Return one setting, a row per method."""
    low, high = "upper bound (labels of the target)", "past years' forest (none)"
    rows = [
        [low, *_scores(summary.upper_bound), "", "", "", "", ""],
        [high, *_scores(summary.baseline), "", "", "", "", ""],
    ]
    for name, method in summary.methods.items():
        gain = method.gain(True)
        rows.append(
            [
                name,
                *_scores(method.scores),
                signed(method.adapted.overall),
                span(method.adapted.interval),
                _mcnemar(method.adapted.mcnemar),
                gap_share(method, summary),
                f"{_gate(method)}, {signed(gain.overall)}" if method.gated else "",
            ]
        )
    head = ["method", "OA", "macro-F1", "OA annual", "gain OA", "95 %", "McNemar"]
    return markdown([*head, "% of gap", "gate, gain"], rows)


def settings_table(summaries: Sequence[SettingSummary], methods: Sequence[str]) -> str:
    """Return a row per setting: gains in overall accuracy, whatever the gate says."""
    rows = []
    for one in summaries:
        cells = [
            signed(one.methods[name].adapted.overall) if name in one.methods else ""
            for name in methods
        ]
        best = one.methods.get("student") or one.methods["student, no label"]
        rows.append(
            [
                one.name,
                f"{one.n_source}, {one.n_target}",
                f"{one.upper_bound.overall:.1f}",
                f"{one.baseline.overall:.1f}",
                *cells,
                span(best.adapted.interval),
                signed(best.adapted.macro_f1),
                signed(best.adapted.annual),
                _statistics(best),
                _gate(best),
                signed(best.gain(True).overall),
            ]
        )
    head = ["setting", "samples", "bound", "none", *methods, "95 %", "F1", "annual"]
    return markdown([*head, "shift, cmd, drop", "gate on", "gated"], rows)


def groups_table(
    groups: Sequence[tuple[str, Sequence[SettingSummary]]], methods: Sequence[str]
) -> str:
    """Return a row per group of settings and method, gated where the method has a gate."""
    rows = []
    for title, members in groups:
        for name in methods:
            found = group(members, name)
            if found is not None:
                rows.append([title, name, *_group_cells(found)])
    head = ["settings", "method", "n", "gain OA", "95 %", "worst", "< -1", "> +1"]
    return markdown([*head, "% of gap", "95 %", "F1", "worst F1", "annual", "worst annual"], rows)


def gates_table(groups: Sequence[tuple[str, Sequence[SettingSummary]]], method: str) -> str:
    """Return how often the gate was on, right and wrong, a row per group."""
    rows = []
    for title, members in groups:
        found, plain = group(members, method), group(members, method, with_gate=False)
        if found is None or plain is None or found.gates is None:
            continue
        counts = found.gates
        rows.append(
            [
                title,
                *(str(n) for n in (counts.runs, counts.on, counts.false_accepts)),
                *(str(n) for n in (counts.false_rejects, counts.losses_avoided)),
                f"{signed(plain.overall)} ({signed(plain.worst)})",
                f"{signed(found.overall)} ({signed(found.worst)})",
            ]
        )
    head = ["settings", "runs", "on", "false accepts", "false rejects", "losses avoided"]
    return markdown([*head, "gain without gate (worst)", "with gate (worst)"], rows)


def classes_csv(summaries: Sequence[SettingSummary]) -> str:
    """Return a row per setting, method and class: F-score, and what it gains."""
    rows = []
    for one in summaries:
        scores = {"upper bound": one.upper_bound, BASELINE: one.baseline}
        scores |= {name: method.scores for name, method in one.methods.items()}
        for name, score in scores.items():
            for code, value in score.f1.items():
                gain = value - one.baseline.f1.get(code, math.nan)
                cells = [f"{value:.2f}", f"{gain:.2f}"]
                rows.append([one.name, name, code, one.classes[code], *cells])
    return csv_text(["setting", "method", "code", "class", "f1", "gain_f1"], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def signed(value: float | None) -> str:
    """Return points with their sign; empty where undefined."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:+.1f}" if round(value, 1) else "0.0"


def span(interval: Interval) -> str:
    """Return an interval of points; empty where undefined."""
    if interval.low is None or interval.high is None:
        return ""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def gap_share(method: MethodSummary, summary: SettingSummary) -> str:
    """Return the per cent of the gap recovered.

    Empty where there is none to recover: of a placebo, and below two points. A loss recovers
    nothing, whatever it is in per cent.
    """
    if summary.kind == "placebo" or summary.gap < 2:
        return ""
    share = 100 * method.adapted.overall / summary.gap
    return f"{share:.0f}" if share >= 0 else "0 (loses)"


def _group_cells(found: GroupSummary) -> list[str]:
    gap = "" if math.isnan(found.gap_recovered) else f"{found.gap_recovered:.0f}"
    return [
        str(found.settings),
        signed(found.overall),
        span(found.overall_interval),
        signed(found.worst),
        str(found.losing),
        str(found.winning),
        gap,
        span(found.gap_interval) if gap else "",
        signed(found.macro_f1),
        signed(found.worst_macro_f1),
        signed(found.annual),
        signed(found.worst_annual),
    ]


def _mcnemar(test: McNemar) -> str:
    """Return polygons better and worse, and how probable that is by chance."""
    p_value = f"{test.p_value:.3f}" if test.p_value >= 0.001 else "< 0.001"
    return f"{test.better}:{test.worse}, p {p_value}"


def _scores(score: object) -> list[str]:
    return [f"{getattr(score, name):.1f}" for name in ("overall", "macro_f1", "annual")]


def _gate(method: MethodSummary) -> str:
    """Return in how many seeds and parts the gate was on."""
    parts = [part.adapts for seed in method.gates for part in seed]
    return f"{sum(parts)}/{len(parts)}"


def _statistics(method: MethodSummary) -> str:
    """Return the means of what the gate looked at."""
    seen = [part.statistics for seed in method.gates for part in seed if part.statistics]
    if not seen:
        return ""
    names = ("shift_days", "discrepancy", "confidence_drop")
    means = [sum(getattr(one, name) for one in seen) / len(seen) for name in names]
    return f"{means[0]:+.0f} d, {means[1]:.2f}, {means[2]:+.2f}"
