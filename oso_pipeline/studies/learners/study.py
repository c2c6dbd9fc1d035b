"""``oso evaluate-learners``: from a configuration or a training table to a comparison."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from oso_pipeline.config.learning import LearnerSettings, default_learner
from oso_pipeline.config.loader import load_config
from oso_pipeline.config.model import Config
from oso_pipeline.core import machine
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.learners.registry import missing_software
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder.ownership import claim
from oso_pipeline.runtime.selection import Selection
from oso_pipeline.studies.goal_runs import GoalFailed, Surroundings
from oso_pipeline.studies.learners.feature_sets import ALL, FeatureSet, check_sets
from oso_pipeline.studies.learners.methods import LearnerMethod, Method, settings_of
from oso_pipeline.studies.learners.page import as_html, as_markdown
from oso_pipeline.studies.learners.result import LearnerComparison, compared
from oso_pipeline.studies.learners.samples import LabelledSamples
from oso_pipeline.studies.learners.splits import (
    QUADRANT,
    Plan,
    column_plan,
    folds_plan,
    refuse_few,
)
from oso_pipeline.studies.learners.table_reader import is_table, read_run, read_table
from oso_pipeline.studies.learners.trial import Entry, entries_of
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.studies.result_files import write_results

FOLDER, NAME, STAGE = "evaluation", "learners", "evaluate-learners"


@dataclass(frozen=True)
class LearnerRequest:
    """What to compare, and how.

    Parameters
    ----------
    learners
        By name; they are compared with the learner of the configuration, or with the default
        forest, which comes first.
    features
        Sets of features, as :class:`~oso_pipeline.studies.learners.feature_sets.FeatureSet` names
        them.
    seeds, folds
        Repetitions with other folds, and folds of whole polygons.
    leave_out
        Columns whose values are left out in turn: ``stratum``, ``tile``, ``season``, ``region``,
        ``year``, ``quadrant``.
    max_samples
        Most samples of a class; None takes all.
    """

    learners: Mapping[str, LearnerSettings] = field(default_factory=dict)
    features: tuple[str, ...] = (ALL,)
    seeds: int = 3
    folds: int = 5
    leave_out: tuple[str, ...] = ()
    max_samples: int | None = None


def evaluate_learners(
    source: str | os.PathLike[str],
    learners: Mapping[str, Mapping[str, Any]] | Sequence[str] = (),
    *,
    features: Sequence[str] = (ALL,),
    seeds: int = 3,
    folds: int = 5,
    leave_out: Sequence[str] = (),
    max_samples: int | None = None,
) -> LearnerComparison:
    """Compare learners on samples whose polygons they have not seen.

    The comparison of ``oso evaluate-learners``. Its files go to ``evaluation`` in the run folder,
    or beside the table.

    Parameters
    ----------
    source
        Configuration of a run, whose samples are drawn if they are missing; or ``samples.parquet``
        of a training set.
    learners
        Sections ``learning`` by name, or kinds. They are compared with the learner of the
        configuration; with the default forest for a table.
    features
        Sets of features: ``all``, ``bands``, ``indices``, names of bands and indices, and ``xy``
        for the coordinates, joined by ``+``.
    seeds, folds
        Repetitions, and folds of whole polygons, the same ones for all learners.
    leave_out
        Columns whose values are left out in turn, for example ``stratum`` or ``quadrant``.
    max_samples
        Most samples of a class; None takes all.

    Raises
    ------
    ConfigError
        If a learner, a set of features or a number cannot be used.
    InputDataError
        If the samples cannot be used.
    GoalFailed
        If the samples of the run could not be drawn.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> oso.export_dataset("demo/run_one_year", "compared").name
    'metadata.json'
    >>> found = oso.evaluate_learners(
    ...     "compared/samples.parquet",
    ...     {"ten trees": {"n_trees": 10}},
    ...     seeds=1,
    ...     folds=2,
    ...     max_samples=40,
    ... )
    >>> [one.name for one in found.plans[0].entries]
    ['forest', 'ten trees']
    """
    sections = (
        learners if isinstance(learners, Mapping) else {one: {"kind": one} for one in learners}
    )
    problems, settings = Problems(), dict[str, LearnerSettings]()
    for name, section in sections.items():
        try:
            settings[name] = settings_of(section, name)
        except ConfigError as error:
            problems.extend(error.problems)
    problems.raise_errors(ConfigError)
    request = LearnerRequest(settings, tuple(features), seeds, folds, tuple(leave_out), max_samples)
    return evaluate(Path(source), None, request)


def evaluate(
    path: Path,
    overrides: list[str] | None,
    request: LearnerRequest,
    around: Surroundings | None = None,
) -> LearnerComparison:
    """Compare learners on what a file names and write the comparison; see `evaluate_learners`.

    Parameters
    ----------
    path
        Configuration or training table.
    overrides
        Settings ``a.b=value`` of a configuration.
    request
        What to compare.
    around
        How plans are run and progress is reported; silent by default.
    """
    around = around or Surroundings()
    _refuse_numbers(request)
    if is_table(path):
        samples, first, folder = read_table(path), default_learner(), path.parent
    else:
        config = load_config(path, overrides or ())
        claim(config.run_dir)
        samples, first, folder = _sampled(config, around), config.learning, config.run_dir
    methods = _methods(first, request)
    found = compare(samples, methods, request, around)
    files = write_results(
        folder / FOLDER, NAME, STAGE, found.to_json(), as_markdown(found), as_html(found)
    )
    return replace(found, files=tuple(files))


def compare(
    samples: LabelledSamples,
    methods: Sequence[Method],
    request: LearnerRequest,
    around: Surroundings | None = None,
) -> LearnerComparison:
    """Return the comparison of methods, each on each set of features; the first is the baseline.

    Errors are those of :func:`compare_entries`.
    """
    sets = tuple(FeatureSet(name) for name in dict.fromkeys(request.features))
    return compare_entries(samples, entries_of(methods, sets), request, around)


def compare_entries(
    samples: LabelledSamples,
    entries: Sequence[Entry],
    request: LearnerRequest,
    around: Surroundings | None = None,
) -> LearnerComparison:
    """Return the comparison of entries on samples; the first is the baseline.

    Classes with fewer polygons than folds take no part (``W-LEARNERS-RARE``).

    Raises
    ------
    ConfigError
        If a set of features does not fit (``E-LEARNERS-FEATURES``).
    InputDataError
        If fewer than two classes are left (``E-LEARNERS-CLASSES``), or a column cannot be left
        out (``E-TABLE-COLUMN``, ``E-LEARNERS-SPLIT``).
    """
    around = around or Surroundings()
    check_sets([one.features for one in entries], samples)
    kept = _capped(samples, request.max_samples).with_polygons(request.folds)
    refuse_few(kept, request.folds, list(samples.classes.values()))
    problems = Problems()
    if rare := [name for code, name in samples.classes.items() if code not in kept.classes]:
        problems.warn(
            "W-LEARNERS-RARE",
            f"classes with fewer than {request.folds} polygons take no part: {', '.join(rare)}",
        )
    plans: list[Plan | None] = [folds_plan(kept, request.folds, request.seeds)]
    columns = list(dict.fromkeys(request.leave_out))
    if not columns and any(one.features.has_place for one in entries):
        columns = [QUADRANT]  # within a region coordinates promise more than they hold elsewhere
    plans += [column_plan(kept, column, request.seeds, problems) for column in columns]
    problems.raise_errors(InputDataError)
    for warning in problems.warnings:
        around.say(str(warning))
    pairs = np.unique(np.stack([kept.codes, kept.polygons]), axis=1)
    return LearnerComparison(
        kept.name,
        kept.classes,
        {code: int((pairs[0] == code).sum()) for code in kept.classes},
        request.seeds,
        max((getattr(one.method, "threads", 1) for one in entries), default=1),
        tuple(compared(kept, plan, entries, around.say) for plan in plans if plan is not None),
        tuple(str(warning) for warning in problems.warnings),
    )


def _methods(first: LearnerSettings, request: LearnerRequest) -> list[LearnerMethod]:
    """Return the learner to compare with, and the others."""
    threads = machine.cores()
    name = first.kind
    if name in request.learners and request.learners[name] != first:
        raise ConfigError(
            Problem(
                "E-LEARNERS-NAME",
                f"{name} is the name of the learner that all are compared with",
                None,
                f"give the other one a name: 'second {name}: {{kind: {name}, ...}}'",
            )
        )
    learners = {name: first} | dict(request.learners)
    problems = Problems(one for own in learners.values() for one in missing_software(own))
    problems.raise_errors(ConfigError)
    return [LearnerMethod(name, settings, threads) for name, settings in learners.items()]


def _sampled(config: Config, around: Surroundings) -> LabelledSamples:
    """Return the samples of a run, drawn where they are missing."""
    outcome = around.run(session.planner_of(config), Selection(until="samples"), ())
    if outcome.failures:
        raise GoalFailed(config, outcome)
    return read_run(Run(config.run_dir, config))


def _capped(samples: LabelledSamples, most: int | None) -> LabelledSamples:
    """Return at most so many samples of each class, in their order."""
    if most is None:
        return samples
    kept = []
    for code in samples.classes:
        rows = np.flatnonzero(samples.codes == code)
        rng = np.random.default_rng(derived_seed(0, "learners samples", code))
        kept.append(rng.permutation(rows)[:most])
    return samples.take(np.sort(np.concatenate(kept)))


def _refuse_numbers(request: LearnerRequest) -> None:
    problems = Problems()
    for name, value, least in (
        ("seeds", request.seeds, 1),
        ("folds", request.folds, 2),
        ("max_samples", request.max_samples or 1, 1),
    ):
        if value < least:
            message = f"{name}: found {value}, expected {least} or more"
            problems.error("E-LEARNERS-NUMBER", message)
    problems.raise_errors(ConfigError)
