"""``oso evaluate-adaptation``: from a file to a comparison of methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import (
    any_label,
    past_config,
    past_years,
    perennial_codes,
    target_config,
)
from oso_pipeline.core.errors import ConfigError, InputDataError, Problem, Problems
from oso_pipeline.runtime import session
from oso_pipeline.runtime.folder.ownership import claim
from oso_pipeline.runtime.runner import Selection
from oso_pipeline.studies.adaptation.description import is_evaluation, load_evaluation
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.evaluate import (
    FOLDER,
    ComparisonRequest,
    compare,
    setting_of,
    write,
)
from oso_pipeline.studies.adaptation.run_reader import protocol_of, read_run_season, rule_of
from oso_pipeline.studies.adaptation.setting import Rule
from oso_pipeline.studies.adaptation.summary import SettingSummary
from oso_pipeline.studies.adaptation.table_reader import read_seasons
from oso_pipeline.studies.adaptation.trial import Protocol
from oso_pipeline.studies.goal_runs import GoalFailed, Surroundings

Years = tuple[tuple[int, ...], int | None]
"""Past years and the target year in place of those of the file; none and None where not."""


@dataclass(frozen=True, eq=False)
class Material:
    """Content of a description file: seasons by stratum and year, years, classes, output folder."""

    strata: Mapping[str, Mapping[int, Domain]]
    sources: tuple[int, ...]
    target: int
    rule: Rule
    protocol: Protocol
    run_dir: Path


@dataclass(frozen=True)
class Evaluation:
    """Results of a comparison by stratum, and their files."""

    summaries: tuple[SettingSummary, ...]
    files: tuple[Path, ...]


def evaluate_adaptation(
    path: Path,
    overrides: list[str] | None,
    request: ComparisonRequest,
    years: Years = ((), None),
    around: Surroundings | None = None,
) -> Evaluation:
    """Compare methods on what a file describes and write the comparison.

    Parameters
    ----------
    path
        Configuration of a run with past seasons, or description of a table of series.
    overrides
        Settings ``a.b=value`` of a run; a table has none.
    request
        Methods to compare, and repetitions.
    years
        Years in place of those of the file.
    around
        How plans are run and progress is reported; silent by default.

    Raises
    ------
    GoalFailed
        If the samples of a season could not be drawn.
    OsoError
        As for every command.
    """
    around = around or Surroundings()
    if is_evaluation(path):
        material = _of_table(path, years)
    else:
        material = _of_run(path, overrides, request, years, around)
    summaries = []
    for stratum, seasons in material.strata.items():
        chosen = material.sources, material.target
        setting, problems = setting_of(seasons, material.rule, chosen, request, stratum)
        for warning in problems.warnings:
            around.say(str(warning))
        protocol = request.protocol(material.protocol)
        done = _reporter(setting.name, request, around.say)
        summaries.append(compare(setting, protocol, request.seeds, done))
    return Evaluation(tuple(summaries), tuple(write(summaries, request, material.run_dir)))


def _of_table(path: Path, years: Years) -> Material:
    evaluation = load_evaluation(path)
    sources = years[0] or evaluation.sources
    target = years[1] if years[1] is not None else evaluation.target
    _refuse_same_year(sources, target, path)
    evaluation = evaluation.model_copy(update={"sources": sources, "target": target})
    seasons, rule = read_seasons(evaluation)
    return Material({"": seasons}, sources, target, rule, Protocol(), evaluation.run_dir)


def _of_run(
    path: Path,
    overrides: list[str] | None,
    request: ComparisonRequest,
    years: Years,
    around: Surroundings,
) -> Material:
    loaded = session.load(path, overrides)
    for warning in loaded.warnings:
        around.say(str(warning))
    config = loaded.config
    if config.adaptation is None:
        raise ConfigError(
            Problem(
                "E-ADAPT-SOURCES",
                "the configuration has no section adaptation, so there is no past season",
                str(path),
                "name past seasons in adaptation.sources, or describe a table of series",
            )
        )
    target = years[1] if years[1] is not None else config.year
    sources = years[0] or tuple(year for year in past_years(config) if year != target)
    known = (*past_years(config), config.year)
    unknown = [year for year in (*sources, target) if year not in known]
    if unknown or not sources:
        raise ConfigError(
            Problem(
                "E-ADAPT-YEAR",
                f"no season of {', '.join(map(str, unknown)) or 'a past year'}; the configuration "
                f"has {', '.join(map(str, known))}",
                str(path),
                "choose among these, or add the year to adaptation.sources",
            )
        )
    _refuse_same_year(sources, target, path)
    rule = rule_of(config)
    needed = (target,) if request.placebo else (*sources, target)
    _refuse_without_labels(config, needed, path)
    _refuse_perennial_alone(config, target, path)
    claim(config.run_dir)
    seasons = {year: _sampled(config, year, around) for year in needed}
    _refuse_without_annual(seasons[target], rule, target, path)
    common = sorted(set.intersection(*(set(strata) for strata in seasons.values())))
    if not common:
        raise InputDataError(
            Problem(
                "E-ADAPT-STRATA",
                "no stratum has samples in all of the years",
                str(path),
                "the seasons must cover the same ground",
            )
        )
    strata = {one: {year: seasons[year][one] for year in needed} for one in common}
    return Material(strata, sources, target, rule, protocol_of(config), config.run_dir)


def _sampled(config: Config, year: int, around: Surroundings) -> dict[str, Domain]:
    """Return the samples of a season, drawn in a run of its own where they are missing."""
    seen = _seen_in(config, year)
    # A run of its own with all labels of its year: nothing of it serves the map.
    folder = config.run_dir / FOLDER / "seasons" / str(year)
    alone = seen.model_copy(update={"run_dir": folder, "adaptation": None})
    outcome = around.run(session.planner_of(alone), Selection(until="samples"), ())
    if outcome.failures:
        raise GoalFailed(alone, outcome)
    return read_run_season(alone, year)


def _refuse_without_labels(config: Config, years: Sequence[int], path: Path) -> None:
    """Refuse years without labels of their own; before any image is read."""
    problems = Problems()
    for year in years:
        if not any_label(_seen_in(config, year).reference):
            problems.error(
                "E-ADAPT-YEAR",
                f"no item of reference.sources has labels that hold in {year}, so that nothing "
                "can be trained on that season or evaluated in it",
                str(path),
                "add labels of that year to reference.sources, or choose another year",
            )
    problems.raise_errors(ConfigError)


def _refuse_perennial_alone(config: Config, target: int, path: Path) -> None:
    """Refuse a target whose sources can only give perennial labels; before any image is read."""
    perennial = set(perennial_codes(config))
    sources = _seen_in(config, target).reference.sources
    given = [source.classes for source in sources if getattr(source, "labels", True)]
    if all(classes is not None and set(classes) <= perennial for classes in given):
        raise InputDataError(_nothing_to_hide(target, path))


def _nothing_to_hide(target: int, path: Path) -> Problem:
    return Problem(
        "E-ADAPT-LABELS",
        f"{target} has no label of an annual class, so there is nothing to hide",
        str(path),
        "choose a past year with labels as --target-year",
    )


def _seen_in(config: Config, year: int) -> Config:
    """Return the configuration as a season sees it."""
    return target_config(config) if year == config.year else past_config(config, year)


def _refuse_same_year(sources: Sequence[int], target: int, path: Path) -> None:
    if target in sources:
        raise ConfigError(
            Problem(
                "E-ADAPT-YEAR",
                f"{target} is both a past year and the target year",
                str(path),
                "name years that differ; --placebo compares a year with itself",
            )
        )


def _refuse_without_annual(
    strata: Mapping[str, Domain], rule: Rule, target: int, path: Path
) -> None:
    codes = {code for one in strata.values() for code in one.counts()}
    if not codes - set(rule.perennial):
        raise InputDataError(_nothing_to_hide(target, path))


def _reporter(
    name: str, request: ComparisonRequest, say: Callable[[str], object]
) -> Callable[[int], None]:
    def done(seed: int) -> None:
        say(f"{name}: seed {seed + 1} of {request.seeds} done")

    return done
