"""A comparison of adaptation methods, as requested by a user, and its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from oso_pipeline.core.commit import digest, publish_bytes, write_sidecar
from oso_pipeline.core.errors import InputDataError, Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.wording import counted, grouped
from oso_pipeline.studies.adaptation.comparison_tables import classes_csv, methods_table
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule, Setting
from oso_pipeline.studies.adaptation.summary import SettingSummary, summarise
from oso_pipeline.studies.adaptation.trial import METHODS, Protocol, run_trial

FOLDER = "evaluation"
"""Folder of the results within that of the run."""


@dataclass(frozen=True)
class ComparisonRequest:
    """Methods to compare and number of repetitions.

    Parameters
    ----------
    methods
        Names of methods; the baseline is always included.
    seeds
        Repetitions, each with another split of the polygons and other forests.
    hide
        ``annual``: the labels of perennial classes hold in the target year, half of the polygons
        are known. ``all``: no label is known.
    placebo
        Split the target year itself in two by polygon: there is no shift to adapt to.
    """

    methods: tuple[str, ...]
    seeds: int = 5
    hide: Literal["annual", "all"] = "annual"
    placebo: bool = False

    def protocol(self, protocol: Protocol) -> Protocol:
        """Return `protocol` with the requested methods."""
        return replace(
            protocol,
            methods=tuple(
                one
                for one in METHODS
                if one.method in self.methods and not (one.anchors and self.hide == "all")
            ),
        )


def setting_of(
    seasons: Mapping[int, Domain],
    rule: Rule,
    years: tuple[Sequence[int], int],
    request: ComparisonRequest,
    stratum: str = "",
) -> tuple[Setting, Problems]:
    """Return the setting to evaluate, and warnings about it; `years` are past and target.

    Raises
    ------
    InputDataError
        If fewer than two classes are left (``E-ADAPT-CLASSES``).
    """
    sources, target = years
    place = f"{stratum}: " if stratum else ""
    problems = Problems()
    if request.placebo:
        halves = _halves(seasons[target])
        setting = rule.setting(
            f"{place}placebo {target}", "placebo", halves[:1], halves[1], problems
        )
    else:
        past = [seasons[year] for year in sources]
        name = f"{place}{'+'.join(map(str, sources))} -> {target}"
        setting = rule.setting(name, "year", past, seasons[target], problems)
    problems.raise_errors(InputDataError)
    if setting is None:
        raise ValueError("a setting is missing without a reason")
    if request.hide == "annual" and not setting.perennial:
        problems.warn(
            "W-ADAPT-ANCHORS",
            "no perennial class has samples enough: all labels of the target year are hidden",
            None,
            "name classes whose labels hold from year to year in perennial",
        )
    return setting, problems


def compare(
    setting: Setting, protocol: Protocol, seeds: int, done: Callable[[int], None]
) -> SettingSummary:
    """Return the comparison over seeds 0, 1 ...; `done` is called after each."""
    trials = []
    for seed in range(seeds):
        trials.append(run_trial(setting, protocol, seed))
        done(seed)
    return summarise(setting, trials)


def as_markdown(summary: SettingSummary, request: ComparisonRequest) -> str:
    """Return the comparison as a page."""
    seeds, source = counted(request.seeds, "seed"), counted(summary.n_source, "sample")
    classes = counted(len(summary.classes), "class", "classes")
    lines = [
        f"# {summary.name}: {seeds}, {request.hide} labels of the target year hidden",
        "",
        f"{source} of past years, {summary.n_target} of the target year; "
        f"{classes}: {', '.join(summary.classes.values())}.",
        "",
        methods_table(summary),
        "",
        "Points of 100, means over seeds. OA: overall accuracy. Gain: against `none`, adapted "
        "whatever the gate says, 95 % interval by resampling polygons. McNemar: polygons better "
        "and worse than with `none`, and the mid-p of the test; polygons are taken to be "
        "independent. Last column: parts of seeds with the gate on, and the gain where the gate "
        "decides.",
    ]
    texts = sorted({text for one in summary.methods.values() for text in one.warnings})
    warnings = grouped(texts)
    lines += ["", *(f"* {text}" for text in warnings)] if warnings else []
    return "\n".join(lines) + "\n"


def write(
    summaries: Sequence[SettingSummary], request: ComparisonRequest, run_dir: Path
) -> list[Path]:
    """Write comparisons as JSON, Markdown and CSV, committed; return the paths."""
    content = {"wish": asdict(request), "settings": [one.to_json() for one in summaries]}
    files = {
        "adaptation.json": json.dumps(content, indent=1, sort_keys=True) + "\n",
        "adaptation.md": "\n".join(as_markdown(one, request) for one in summaries),
        "adaptation_classes.csv": classes_csv(summaries),
    }
    paths = []
    for name, text in files.items():
        path = run_dir / FOLDER / name
        publish_bytes(path, text.encode())
        write_sidecar(path, {"stage": "evaluate-adaptation", "key": digest(content)})
        paths.append(path)
    return paths


def _halves(domain: Domain) -> tuple[Domain, Domain]:
    """Return two halves of a season; a polygon lies in one of them."""
    polygons = np.unique(domain.polygons)
    rng = np.random.default_rng(derived_seed(0, "placebo", domain.name))
    first = np.isin(domain.polygons, rng.permutation(polygons)[: len(polygons) // 2])
    return domain.take(first, f"{domain.name} a"), domain.take(~first, f"{domain.name} b")
