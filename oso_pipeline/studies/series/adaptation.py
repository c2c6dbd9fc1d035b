"""Gain of adaptation from one year to another, measured on tables of series."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from oso_pipeline.adaptation import METHODS, AdaptationOptions, SeriesSpace
from oso_pipeline.core.errors import OsoWarning
from oso_pipeline.learners.forest.settings import ForestSettings
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.evaluate import (
    ComparisonRequest,
    as_markdown,
    compare,
    setting_of,
)
from oso_pipeline.studies.adaptation.scores import Accuracy
from oso_pipeline.studies.adaptation.setting import Rule
from oso_pipeline.studies.adaptation.summary import SettingSummary
from oso_pipeline.studies.adaptation.trial import BASELINE, Protocol
from oso_pipeline.studies.series.classifier import SeriesClassifier
from oso_pipeline.studies.series.faults import listed, refuse, refuse_name
from oso_pipeline.studies.series.features import FeatureSpace
from oso_pipeline.studies.series.inputs import (
    Usable,
    series_of,
    settings_of,
    steering_of,
    wanted_of,
)
from oso_pipeline.studies.series.labels import Labels, Legend, numbered
from oso_pipeline.studies.series.series import Series
from oso_pipeline.studies.series.table import SeriesTable

_NO_OPTIONS = ("gate", "perennial_classes")
"""Keys of section ``adaptation`` that are not options of a method."""


@dataclass(frozen=True, eq=False)
class AdaptationEvaluation:
    """How right methods of adaptation are in a year whose labels were hidden from them.

    Parameters
    ----------
    summary
        All that was measured.
    request
        Methods compared, and number of repetitions.
    """

    summary: SettingSummary
    request: ComparisonRequest

    @cached_property
    def methods(self) -> pd.DataFrame:
        """Scores of each method, a row each, in points of 100.

        ``upper bound`` learnt the labels of the target year, ``none`` is the forest of the past
        years. ``gain`` is the difference in overall accuracy to ``none`` whatever the gate says,
        with ``gain_low`` and ``gain_high`` by resampling polygons; ``gated_gain`` where the gate
        decides.
        """
        found = self.summary
        rows = {"upper bound": _scores(found.upper_bound), BASELINE: _scores(found.baseline)}
        for name, method in found.methods.items():
            gain = method.adapted
            rows[name] = {
                **_scores(method.scores),
                "gain": gain.overall,
                "gain_low": gain.interval.low,
                "gain_high": gain.interval.high,
                "gated_gain": None if method.gated is None else method.gated.overall,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")

    def __str__(self) -> str:
        """Return the comparison as a page in Markdown."""
        return as_markdown(self.summary, self.request)


def evaluate_adaptation(
    model: SeriesClassifier,
    seasons: Mapping[int, SeriesTable],
    target: int,
    *,
    methods: Sequence[str] = ("student",),
    hide: Literal["annual", "all"] = "annual",
    placebo: bool = False,
    seeds: int = 5,
    min_samples: int = 10,
) -> AdaptationEvaluation:
    """Hide the labels of a year, learn from others, and measure what adaptation gains.

    The comparison of ``oso evaluate-adaptation``: the polygons of the target are split into five
    parts, each tests once; a polygon of both years trains nothing while it tests.

    Parameters
    ----------
    model
        Says what the features are, and the settings of forest and adaptation.
    seasons
        Tables with labels by year, as :func:`read_seasons` gives them: the target and those to
        learn from.
    target
        Year whose labels are hidden.
    methods
        ``jitter``, ``aligned``, ``student``, ``cropmix``, ``cropmix+classifmix``; ``none`` always
        takes part.
    hide
        ``annual``: half of the polygons of the perennial classes are known in the target year.
        ``all``: no label is.
    placebo
        Cut the target year in two by polygon instead: there is nothing to adapt to.
    seeds
        Repetitions, each with another split of the polygons.
    min_samples
        A class takes part if sources and target have at least as many samples of it.

    Raises
    ------
    InputDataError
        If the learner cannot adapt, a method is unknown (``E-SERIES-METHOD``), a season has no
        labels, or fewer than two classes are in both.
    UnknownName
        If a year is not there.

    Examples
    --------
    >>> from datetime import date
    >>> from oso_pipeline import DateGrid, SeriesClassifier, evaluate_adaptation
    >>> from oso_pipeline import read_series, simulate_series
    >>> seasons = {
    ...     year: read_series(simulate_series(120, year=year), label="crop", group="field")
    ...     for year in (2017, 2018)
    ... }
    >>> grid = DateGrid(date(2018, 1, 1), date(2018, 12, 31), 20)
    >>> model = SeriesClassifier(("B4", "B8"), grid=grid, scale=10_000, learning={"n_trees": 10})
    >>> found = evaluate_adaptation(model, seasons, 2018, hide="all", seeds=1)
    >>> found.methods.index.to_list()
    ['upper bound', 'none', 'student, no label']
    """
    if target not in seasons:
        refuse_name(
            "E-SERIES-YEAR",
            f"there is no table of {target}, there are those of {listed(seasons)}",
            "name a year of `seasons` as target",
        )
    request = ComparisonRequest(tuple(methods), seeds, hide, placebo)
    protocol = request.protocol(_protocol(model, methods))
    domains, rule = _domains(model, seasons, target, min_samples)
    past = tuple(year for year in seasons if year != target)
    setting, problems = setting_of(domains, rule, (past, target), request)
    for problem in problems.warnings:
        warnings.warn(str(problem), OsoWarning, stacklevel=2)
    return AdaptationEvaluation(compare(setting, protocol, seeds, lambda _: None), request)


def _protocol(model: SeriesClassifier, methods: Sequence[str]) -> Protocol:
    """Return how methods are compared with the forest and the options of a classifier."""
    settings = settings_of(model)
    if not isinstance(settings, ForestSettings):
        refuse(
            "E-SERIES-METHOD",
            f"learner {settings.kind!r} cannot learn from past years",
            "choose learning={'kind': 'forest'}",
        )
    if unknown := sorted(set(methods) - set(METHODS)):
        refuse(
            "E-SERIES-METHOD",
            f"methods {listed(unknown)} are unknown, known are {listed(METHODS)}",
            "name known methods",
        )
    steering = {k: v for k, v in steering_of(model).items() if k not in _NO_OPTIONS}
    try:
        return Protocol(learning=settings, options=AdaptationOptions(**steering))
    except (ValueError, TypeError) as error:
        refuse("E-SERIES-METHOD", f"adaptation: {error}", "see docs/adaptation.md")


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The labelled samples of a season."""

    series: Series
    labels: Labels
    groups: Labels


def _domains(
    model: SeriesClassifier, seasons: Mapping[int, SeriesTable], target: int, min_samples: int
) -> tuple[dict[int, Domain], Rule]:
    """Return the seasons with features and codes, and the classes that take part."""
    known = {year: _labelled(model, year, table) for year, table in seasons.items()}
    legend = Legend.of(np.concatenate([one.labels for one in known.values()]))
    space = FeatureSpace.of(known[target].series, model.grid, wanted_of(model), model.scale)
    polygons = numbered(*(one.groups for one in known.values()))
    domains = {
        year: Domain(
            str(year),
            SeriesSpace.of(space.layout),
            np.ascontiguousarray(space.features(one.series)[0].T),
            legend.encoded(one.labels),
            numbers,
        )
        for (year, one), numbers in zip(known.items(), polygons, strict=True)
    }
    perennial = legend.known(steering_of(model).get("perennial_classes", ()))
    return domains, Rule(legend.names, tuple(perennial.tolist()), min_samples, same_ground=True)


def _labelled(model: SeriesClassifier, year: int, table: SeriesTable) -> _Labelled:
    if not isinstance(table, SeriesTable):
        refuse(
            "E-SERIES-TABLE",
            f"seasons: {year} is a {type(table).__name__}, expected a table with labels",
            "read it with read_series, or write SeriesTable(X, y, groups)",
        )
    if table.y is None:
        refuse(
            "E-SERIES-LABELS",
            f"the table of {year} has no labels",
            "read it with `label`, the name of the column",
        )
    known = Usable.of(model, table.X, table.y, table.groups)
    groups = known.groups
    if table.groups is None:  # a row of one year is not that of another
        groups = np.array([f"{year}/{row}" for row in known.rows])
    return _Labelled(series_of(clone(model), table.X.iloc[known.rows]), known.labels, groups)


def _scores(found: Accuracy) -> dict[str, float | None]:
    return {
        "overall_accuracy": found.overall,
        "macro_f1": found.macro_f1,
        "annual_accuracy": found.annual,
    }
