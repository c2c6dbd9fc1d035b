"""Models that another run has trained: do they fit, and how a run takes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

from oso_pipeline.config.confidence import CONFIDENCE_BANDS
from oso_pipeline.config.learning import LearnerSettings
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import moved
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.learners.registry import model_settings
from oso_pipeline.learning.jobs import GivenModelJob
from oso_pipeline.learning.model_bank import find_models, origin_of
from oso_pipeline.learning.model_description import (
    DESCRIPTION,
    RETRAIN,
    Description,
    arrays_name,
    check_arrays,
    describe_model,
)
from oso_pipeline.learning.model_file import load_model, save_model
from oso_pipeline.reference.split.variants import map_variant
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Cost, Summary, Task
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.vectors.strata import strata_names

_SHOWN = 10
_COPY_AGAIN = (
    "copy the folder again from where the models were trained, or train them with this version"
)
_OF_THE_MODELS = "set it to that of the models, or train models for this configuration"


def check_given(config: Config, folder: Path) -> Problems:
    """Find what keeps the models of a folder from making the map; reads their arrays once."""
    problems = Problems()
    models = fitting_models(config, folder, problems)
    for model in models.values():
        try:
            check_arrays(model)
        except InputDataError as error:
            problems.extend(map(_of_a_copy, error.problems))
    if not problems.errors:
        first = next(iter(models.values()))
        of_run = origin_of(first.path.parent)
        _compare_as_of(config, first, of_run.as_of, problems)
        measured = of_run.overall_accuracy
        accuracy = "" if measured is None else f", overall accuracy there {measured:.3f}"
        year = "" if of_run.year is None else f" of {of_run.year}"
        problems.notes.append(f"learning.model: models{year} from {folder}{accuracy}")
    return problems


def fitting_models(config: Config, folder: Path, problems: Problems) -> dict[str, Description]:
    """Return the model of each stratum of a map, and record all that does not fit.

    Bands, indices and the dates of the season have to be the same, the codes of the nomenclature,
    the learner and the strata. A season of another year is the same where it begins on the same
    day of the year and has as many dates with the same steps, as for past seasons of `adaptation`.
    """
    try:
        found = find_models(folder)
    except InputDataError as error:
        problems.extend(error.problems)
        return {}
    wanted = set[str]()
    with suppress(InputDataError):  # reported by the check of strata
        wanted = set(strata_names(config))
        _compare_strata(config, wanted, set(found), folder, problems)
    models = {}
    for stratum in sorted(wanted & set(found)):
        try:
            model = describe_model(found[stratum])
        except InputDataError as error:
            problems.extend(map(_of_a_copy, error.problems))
            continue
        _compare(model, config, problems)
        if model.stratum != stratum:
            message = f"the folder is called {stratum!r}, the model is of {model.stratum!r}"
            problems.error("E-MODEL-STRATA", message, model.path, _COPY_AGAIN)
        models[stratum] = model
    _compare_settings(models, config.learning, problems)
    return models


def given_tasks(context: PlanContext[Config], folder: Path) -> list[Task]:
    """Return the tasks that take the models of a folder, one per stratum.

    Their keys hold the content of the models, not where they lie.

    Raises
    ------
    InputDataError
        If a model does not fit.
    """
    config, problems = context.config, Problems()
    models = fitting_models(config, folder, problems)
    problems.raise_errors(InputDataError)
    variant = map_variant(config)
    return [
        Task(
            stage="train",
            name=f"{variant}/{stratum}",
            function="oso_pipeline.learning.given_models:take",
            run_dir=context.run_dir,
            outputs=tuple(
                f"models/{variant}/{stratum}/{name}"
                for name in (DESCRIPTION, arrays_name(model.kind))
            ),
            job=GivenModelJob(
                variant=variant,
                stratum=stratum,
                layout=FeatureLayout.of(config),
                date_grid=config.season.grid,
                model=Input.file(model.path.parent, model.sha256),
            ),
            cost=_cost(model),
        )
        for stratum, model in models.items()
    ]


def take(job: GivenModelJob, task: Task) -> Summary:
    """Publish a given model as that of this run, its dates in the season of the map.

    Raises
    ------
    InputDataError
        If the model is damaged, or another one than was planned with.
    """
    folder = Path(job.model.path)
    found = describe_model(folder)
    if found.sha256 != job.model.key:
        message = "the model has changed since the run was planned"
        raise InputDataError(
            Problem("E-INPUT-MODEL", message, str(found.path), "run the same command again")
        )
    model = replace(load_model(folder), layout=job.layout, grid=job.date_grid)
    save_model(task.output().parent, model)
    return {
        "variant": job.variant,
        "stratum": job.stratum,
        "pixels": {str(code): count for code, count in model.counts.items()},
        "polygons": None,
        "learner": model.classifier.kind,
        "facts": dict(model.classifier.facts),
        "origin": origin_of(folder).to_json(),
        "trained_from": found.grid.start.isoformat(),
        "warnings": [],
    }


def _compare(model: Description, config: Config, problems: Problems) -> None:
    """Record where the features, the dates, the classes or the learner are not the model's."""
    layout = FeatureLayout.of(config)
    theirs, ours = ([_undated(g) for g in one.groups] for one in (model.layout, layout))
    if theirs != ours:
        message = f"the model expects {'; '.join(theirs)}, the configuration has {'; '.join(ours)}"
        hint = f"imagery.bands and features: {_OF_THE_MODELS}"
        problems.error("E-MODEL-FEATURES", message, model.path, hint)
    else:
        _compare_dates(model, layout, problems)
    with suppress(ConfigError):  # reported by the check of paths
        codes = set(load_nomenclature(config.nomenclature).codes)
        if codes != set(model.codes):
            message = (
                f"the nomenclature {config.nomenclature} has other classes than the model: codes "
                f"of the model alone: {_listed(set(model.codes) - codes)}; of the nomenclature "
                f"alone: {_listed(codes - set(model.codes))}"
            )
            problems.error(
                "E-MODEL-CLASSES", message, model.path, f"nomenclature: {_OF_THE_MODELS}"
            )
    if config.calibration is not None and not model.calibrated:
        problems.error(
            "E-CONFIDENCE-MODEL",
            "the model has no calibration, which `confidence` or a band of `map.bands` needs",
            model.path,
            "train the models again with the section `confidence`, or remove it and the bands "
            f"{', '.join(CONFIDENCE_BANDS)}",
        )
    if model.kind != config.learning.kind:
        message = f"the model was made by the learner {model.kind}, learning.kind is "
        message += config.learning.kind
        problems.error("E-MODEL-LEARNER", message, model.path, f"set learning.kind: {model.kind}")


def _compare_dates(model: Description, layout: FeatureLayout, problems: Problems) -> None:
    hint = f"season: {_OF_THE_MODELS}; another year of the same days does"
    for theirs, ours in zip(model.layout.groups, layout.groups, strict=True):
        if theirs.dates is None or ours.dates is None:
            continue
        first, start = theirs.dates[0], ours.dates[0]
        years = start.year - first.year
        if [d - first for d in theirs.dates] != [d - start for d in ours.dates]:
            message = f"the model expects {_season(theirs)}, the configuration has {_season(ours)}"
        elif moved(first, years) != start and moved(start, -years) != first:
            message = (
                f"the season of the model begins on {first}, this one on {start}: the days of "
            )
            message += "the year differ"
        else:
            continue
        problems.error("E-MODEL-DATES", message, model.path, hint)


def _compare_as_of(
    config: Config, model: Description, theirs: date | None, problems: Problems
) -> None:
    """Warn where the images of the training ended on another day of the season."""
    ours = config.imagery.as_of
    ends = [
        None if day is None else day - start
        for day, start in ((theirs, model.grid.start), (ours, config.season.start))
    ]
    if ends[0] != ends[1]:
        there, here = (
            "the whole season" if d is None else f"images up to {d}" for d in (theirs, ours)
        )
        problems.warn(
            "W-MODEL-AS-OF",
            f"the models were trained with {there}, the map is made with {here}; dates after the "
            "last image have its values, which these models do not expect",
            "imagery.as_of",
            "take models that were trained with the same days of their season, by "
            "`imagery.as_of` in the run that trains them",
        )


def _compare_strata(
    config: Config, wanted: set[str], found: set[str], folder: Path, problems: Problems
) -> None:
    if missing := wanted - found:
        message = f"no model of {_listed(missing)}; the folder has models of {_listed(found)}"
        remove = "name the regions of the models in `strata`, or remove the section"
        hint = remove if config.strata else "name the regions of the models in `strata`"
        problems.error("E-MODEL-STRATA", message, folder, hint)
    elif unused := found - wanted:
        message = f"models of {_listed(unused)} are not used: the strata have no such region"
        problems.warn("W-MODEL-STRATA", message, folder)


def _compare_settings(
    models: dict[str, Description], learning: LearnerSettings, problems: Problems
) -> None:
    """Warn of settings that differ: those that the models were trained with hold."""
    requested, differing = model_settings(learning), set[str]()
    for model in models.values():
        if model.kind == learning.kind:
            theirs = model.parameters
            differing |= {
                f"{name} {theirs[name]} (here {requested[name]})"
                for name in requested.keys() & theirs.keys()
                if requested[name] != theirs[name]
            }
    if differing:
        message = f"the models have other settings, which stay in effect: {_listed(differing)}"
        hint = "set them here too: the plan estimates memory and time from them"
        problems.warn("W-MODEL-SETTINGS", message, "learning", hint)


def _cost(model: Description) -> Cost:
    size = 0
    with suppress(OSError):  # a task then says what is missing
        size = model.arrays.stat().st_size
    return Cost(
        bytes_read=size,
        memory_bytes=400_000_000 + 4 * size,
        core_seconds=1.0 + 1e-8 * size,
        bytes_written=size,
    )


def _of_a_copy(problem: Problem) -> Problem:
    """Return a finding of a model file with what helps where nothing is trained."""
    return replace(problem, hint=_COPY_AGAIN) if problem.hint == RETRAIN else problem


def _undated(group: FeatureGroup) -> str:
    kind = "without dates" if group.dates is None else f"indices {', '.join(group.indices) or '-'}"
    if group.derived:
        kind += f", derived {', '.join(group.derived)}"
    kind += "".join(f", {one.definition}" for one in sorted(group.defined, key=lambda i: i.name))
    return f"{group.sensor} bands {', '.join(group.bands)}, {kind}"


def _season(group: FeatureGroup) -> str:
    dates = group.dates or ()
    steps = {(b - a).days for a, b in pairwise(dates)}
    return f"{len(dates)} dates from {dates[0]} every {_listed(steps)} days"


def _listed(names: set[str] | set[int]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return (", ".join(map(str, ordered[:_SHOWN])) + more) or "none"
