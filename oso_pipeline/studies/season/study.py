"""``oso evaluate-season``: train and evaluate with the images up to each of some days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.findings import Findings
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.season_check import check_products, period_of
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder import cleaning
from oso_pipeline.runtime.folder.lock import RunLock
from oso_pipeline.runtime.folder.ownership import claim
from oso_pipeline.runtime.stages import STAGES
from oso_pipeline.studies.goal_runs import Surroundings, reach
from oso_pipeline.studies.held_out import Resampling, counting_variants, read_held_out
from oso_pipeline.studies.season.result import DayAccuracy, SeasonSummary, summarise, write
from oso_pipeline.tasks.stage import summaries

FOLDER = "evaluation/season"
"""Within the run folder: results, and a run of its own for each day."""
_GOAL = "validate"
_TOO_EARLY = "E-IMAGE-AS-OF"


@dataclass(frozen=True)
class SeasonRequest:
    """Days to evaluate, and the target accuracy.

    Parameters
    ----------
    days
        Up to which images count; none for the last day of each month of the season.
    reach
        Fraction of the final accuracy to reach, 0 to 1.
    """

    days: tuple[date, ...] = ()
    reach: float = 0.95


def evaluate_season(
    config: Config, request: SeasonRequest, around: Surroundings | None = None
) -> tuple[SeasonSummary, list[Path]]:
    """Return how accurate a map is by day, and the files that say so.

    Training and test polygons are the same for all days. Committed results of a day are not made
    again. The samples of a day are removed after its evaluation, since they need most disk space.

    Parameters
    ----------
    config
        A configuration that was checked.
    request
        Days, and the share of the final accuracy that is looked for.
    around
        How plans are run and progress is reported; silent by default.

    Raises
    ------
    GoalFailed
        If the run of a day has failed.
    ConfigError, InputDataError
        If a day lies outside the season or before the first image, or nothing is held out that
        could evaluate.
    """
    around = around or Surroundings()
    if not session.planner_of(config).tasks(_GOAL):
        message = (
            "no polygon of the season is held out, so a map of a part of it cannot be evaluated"
        )
        hint = "give labels of the year of the map, and no `learning.model`"
        raise ConfigError(Problem("E-SEASON-LABELS", message, None, hint))
    claim(config.run_dir)
    days = _days(config, request, _found(config), around)
    whole = _evaluated(config, None, config.run_dir, around)
    before = _folder(config, None)
    accuracies = [_evaluated(config, day, before, around) for day in days]
    summary = summarise(
        [*accuracies, whole],
        (config.name, config.year),
        request.reach,
        Resampling.of(config),
    )
    return summary, write(summary, config.run_dir / FOLDER)


def month_ends(config: Config) -> tuple[date, ...]:
    """Return the last day of each month that ends within the season, up to `imagery.as_of`."""
    day, last, ends = config.season.start, _last(config), list[date]()
    while day <= config.season.end:
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        end = following - timedelta(days=1)
        if end <= min(config.season.end, last):
            ends.append(end)
        day = following
    return tuple(ends)


def _last(config: Config) -> date:
    return period_of(config).until


def _days(
    config: Config, request: SeasonRequest, findings: Findings, around: Surroundings
) -> tuple[date, ...]:
    """Return the days to evaluate, ascending; months before the first image are left out."""
    if not request.days:
        days = []
        for day in month_ends(config):
            errors = check_products(_at(config, day), findings).errors
            if {one.code for one in errors} == {_TOO_EARLY}:
                around.say(f"{day}: left out, {errors[0].message.partition(': ')[2]}")
            else:
                days.append(day)
        return tuple(days)
    problems, first, last = Problems(), config.season.start, _last(config)
    for day in request.days:
        if not first <= day <= last:
            message = f"{day} is not a day of the season, {first} to {last}"
            problems.error("E-SEASON-DAY", message, None, "name days of the season by --dates")
    problems.raise_errors(ConfigError)
    for day in request.days:
        problems.extend(check_products(_at(config, day), findings))
    problems.raise_errors(InputDataError)
    return tuple(sorted(set(request.days)))


def _found(config: Config) -> Findings:
    problems = Problems()
    readers = Readers.of(config.imagery.readers)
    findings = find_products(config.imagery.paths, readers, problems)
    problems.raise_errors(InputDataError)
    return findings


def _evaluated(config: Config, day: date | None, before: Path, around: Surroundings) -> DayAccuracy:
    """Train and validate with the images of up to a day, in a run of its own."""
    seen = _at(config, day).model_copy(update={"run_dir": _folder(config, day)})
    planner = session.planner_of(seen)
    if reach(_GOAL, planner, [before], around) and day is not None:
        _remove_samples(seen.run_dir)
    used = sum(int(one["used"]) for one in summaries(planner.tasks("inventory")))
    found = read_held_out(seen.run_dir, counting_variants(config))
    accuracy = DayAccuracy(found.overall, found.right, found.pixels, day, used)
    shown = accuracy.overall["estimate"]
    text = "-" if shown is None else f"{shown:.3f}"
    around.say(f"{day or 'the whole season'}: {counted(used, 'product')}, overall accuracy {text}")
    return accuracy


def _at(config: Config, day: date | None) -> Config:
    """Return the configuration with the images of up to a day; as it is for None."""
    if day is None:
        return config
    imagery = config.imagery.model_copy(update={"as_of": day})
    return config.model_copy(update={"imagery": imagery})


def _folder(config: Config, day: date | None) -> Path:
    return config.run_dir / FOLDER / ("whole" if day is None else day.isoformat())


def _remove_samples(run_dir: Path) -> None:
    with RunLock(run_dir):
        cleaning.remove(run_dir, cleaning.look(run_dir, STAGES, None).kinds["samples"])
