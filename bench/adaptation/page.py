"""The tables of the report, put between the marks of the page, and the results beside it."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bench import PROJECT, RESULTS
from bench.adaptation.goals import goals, goals_table, of_kind
from oso_pipeline.adaptation.options import AdaptationOptions
from oso_pipeline.studies.adaptation.comparison_tables import (
    classes_csv,
    gates_table,
    groups_table,
    markdown,
    settings_table,
)
from oso_pipeline.studies.adaptation.summary import SettingSummary
from oso_pipeline.studies.adaptation.trial import UNSUPERVISED

PAGE = PROJECT / "docs" / "adaptation.md"
FIGURES = RESULTS / "adaptation.json.gz"
CLASSES = RESULTS / "adaptation_classes.csv"
METHODS = ("jitter", "aligned", UNSUPERVISED, "student", "cropmix", "cropmix+classifmix")
THRESHOLDS = (
    (4, 0.2, 0.05, 0.6),
    (4, 0.25, 0.08, 0.6),
    (6, 0.15, 0.03, 0.6),
    (8, 0.2, 0.05, 0.6),
    (4, 0.2, 0.05, 0.4),
    (4, 0.2, 0.05, 1.0),
    (4, 0.2, 0.05, 9),
    (4, 9, 9, 9),
)
"""Thresholds that are tried beside those of the defaults, which stand first."""


def write(summaries: Sequence[SettingSummary], n_seeds: int) -> None:
    """Write the page, the results and the scores of the classes."""
    content = {
        "seeds": n_seeds,
        "commit": _commit(),
        "goals": [goal.__dict__ for goal in goals(summaries)],
        "settings": [one.to_json() for one in summaries],
    }
    text = json.dumps(content, separators=(",", ":"))
    FIGURES.write_bytes(gzip.compress(text.encode(), mtime=0))  # the same figures, the same bytes
    CLASSES.write_text(classes_csv(summaries), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables(summaries, n_seeds).items():
        begin, end = (
            f"<!-- {name}: written by make adaptation-report -->",
            f"<!-- end of {name} -->",
        )
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


def tables(summaries: Sequence[SettingSummary], n_seeds: int) -> dict[str, str]:
    """Return every table of the page by its name."""
    groups = [
        ("year to year", of_kind(summaries, "year")),
        ("region to region", of_kind(summaries, "region")),
        ("year and region", of_kind(summaries, "year", "region")),
        ("Flanders, site and year", of_kind(summaries, "site")),
        ("labels of changing meaning", of_kind(summaries, "stress")),
        ("simulated shifts", of_kind(summaries, "simulated")),
        ("no shift", of_kind(summaries, "placebo")),
        ("other proportions alone", of_kind(summaries, "prior")),
    ]
    real = of_kind(summaries, "year", "region", "site", "stress")
    known = of_kind(summaries, "simulated", "placebo", "prior")
    when = f"*{n_seeds} seeds, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit `{_commit()}`.*"
    return {
        "goals": f"{when}\n\n{goals_table(goals(summaries))}",
        "groups": groups_table(groups, METHODS),
        "real": settings_table(real, METHODS),
        "simulated": settings_table(known, METHODS),
        "gate": "\n\n".join(
            f"`{name}`:\n\n{gates_table(groups, name)}" for name in ("student", UNSUPERVISED)
        ),
        "thresholds": _thresholds(summaries),
    }


def _thresholds(summaries: Sequence[SettingSummary]) -> str:
    """Return how often other thresholds would have opened the gate, in parts of seeds."""
    groups = {
        "real pairs": of_kind(summaries, "year", "region", "site", "stress"),
        "simulated shifts": of_kind(summaries, "simulated"),
        "no shift": of_kind(summaries, "placebo"),
        "other proportions": of_kind(summaries, "prior"),
    }
    rows = []
    for limits in THRESHOLDS:
        named = dict(
            zip(
                (
                    "gate_min_shift_days",
                    "gate_min_discrepancy",
                    "gate_min_accuracy_drop",
                    "gate_large_discrepancy",
                ),
                limits,
                strict=True,
            )
        )
        options = replace(AdaptationOptions(), **named)
        cells = [_decided(members, options) for members in groups.values()]
        rows.append([", ".join(f"{limit:g}" for limit in limits), *cells])
    return markdown(["shift d, discrepancy, drop, large discrepancy", *groups], rows)


def _decided(members: Sequence[SettingSummary], options: AdaptationOptions) -> str:
    """Return runs on, false accepts and false rejects under other thresholds."""
    runs = [
        (
            any(p.statistics.decision(options)[0] for p in parts if p.statistics),
            gain,
        )
        for one in members
        for method in [one.methods[UNSUPERVISED]]
        for parts, gain in zip(method.gates, method.adapted.by_seed, strict=True)
    ]
    on = sum(adapts for adapts, _ in runs)
    accepts = sum(adapts and gain < -1 for adapts, gain in runs)
    rejects = sum(not adapts and gain > 1 for adapts, gain in runs)
    return f"on {on} of {len(runs)}, {accepts} false accepts, {rejects} false rejects"


def _commit() -> str:
    command = ["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
