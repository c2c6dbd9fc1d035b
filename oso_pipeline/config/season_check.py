"""Checks of the section ``adaptation`` against the rest of the configuration."""

from __future__ import annotations

from oso_pipeline.config.adaptation import Adaptation, PastSeason
from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import has_labels, past_season, perennial_codes, shift_days
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature


def check_adaptation(config: Config, nomenclature: Nomenclature) -> Problems:
    """Check that past seasons and labels fit the season of the map.

    Finds seasons without common dates (``E-SEASON-DATES``), labels without a year
    (``E-SOURCE-YEAR``), past seasons without labels (``E-SEASON-NO-LABELS``), and classes that are
    not marked as annual or perennial (``E-CLASS-PERENNIAL``). Without a label that is valid in the
    season of the map all classes are learnt from past seasons (``W-SEASON-NO-LABELS``). Images and
    labels themselves are checked by the stages.
    """
    problems = Problems()
    adaptation = config.adaptation
    if adaptation is None:
        return problems
    for number, past in enumerate(adaptation.sources):
        _check_dates(config, past, f"adaptation.sources[{number}]", problems)
    known = _check_classes(config, nomenclature, problems)
    if known and _check_years(config, problems):
        _check_labels(config, adaptation, problems)
    return problems


def _check_dates(config: Config, past: PastSeason, key: str, problems: Problems) -> None:
    if past.year == config.year:
        problems.error(
            "E-SEASON-DATES",
            f"{key}.year: is {past.year}, the year of the map itself",
            None,
            "name a past year; labels of the year of the map need no adaptation",
        )
        return
    season, here = past_season(config, past), config.season
    shown = f"{season.start} to {season.end}"
    if season.end < season.start or len(season.grid) != len(here.grid):
        dates = len(season.grid) if season.end >= season.start else 0
        problems.error(
            "E-SEASON-DATES",
            f"{key}.season: {shown} has {dates} dates every {here.step_days} days, `season` "
            f"({here.start} to {here.end}) has {len(here.grid)}; features would not be the same",
            None,
            f"leave out {key}.season.end, it follows from the start",
        )
    most = config.adaptation.max_shift_days if config.adaptation else 0
    if past.season is not None and abs(off := shift_days(config, past)) > most:
        problems.error(
            "E-SEASON-DATES",
            f"{key}.season.start: {season.start} lies {abs(off)} days "
            f"{'after' if off > 0 else 'before'} the day of the year of season.start "
            f"({here.start}), at most {most} can be made up for; the seasons have no common dates",
            None,
            f"leave out {key}.season, it then is `season` in {past.year}",
        )


def _check_classes(config: Config, nomenclature: Nomenclature, problems: Problems) -> bool:
    perennial = set(perennial_codes(config))
    unknown = sorted(perennial - set(nomenclature.codes))
    if unknown:
        problems.error(
            "E-CLASS-PERENNIAL",
            f"adaptation.perennial_classes: {', '.join(map(str, unknown))} "
            f"{'is not a class' if len(unknown) == 1 else 'are not classes'} of the nomenclature "
            f"{config.nomenclature}, allowed: {', '.join(map(str, nomenclature.codes))}",
            None,
            "correct the codes",
        )
    elif not perennial:
        problems.error(
            "E-CLASS-PERENNIAL",
            f"adaptation.perennial_classes: is not given, and those of the nomenclature "
            f"{config.nomenclature} are unknown",
            None,
            "list the codes of the classes that do not change from year to year",
        )
    return bool(perennial) and not unknown


def _check_years(config: Config, problems: Problems) -> bool:
    """Find sources of labels that do not say which year they describe."""
    without = [
        number
        for number, source in enumerate(config.reference.sources)
        if source.year is None and source.gives_labels
    ]
    for number in without:
        problems.error(
            "E-SOURCE-YEAR",
            f"reference.sources[{number}].year: is missing; with `adaptation` every source of "
            "labels says which year it describes",
            None,
            "give the year of the labels",
        )
    return not without


def _check_labels(config: Config, adaptation: Adaptation, problems: Problems) -> None:
    years = sorted({source.year for source in config.reference.sources if source.year})
    shown = ", ".join(map(str, years))
    for number, past in enumerate(adaptation.sources):
        if past.year not in years and past.year != config.year:
            problems.error(
                "E-SEASON-NO-LABELS",
                f"adaptation.sources[{number}].year: no item of reference.sources has labels of "
                f"{past.year}, they have {shown}",
                None,
                f"add labels of {past.year}, or take the season out",
            )
    if not has_labels(config):
        problems.warn(
            "W-SEASON-NO-LABELS",
            f"reference.sources: no label holds in {config.year}, the year of the map: they are "
            f"of {shown}, and perennial classes hold for {adaptation.perennial_span_years} years; "
            "all classes are learnt from the past, and nothing evaluates the map "
            f"{_instead(config)}",
            None,
            "add labels of perennial classes nearer to that year, or raise "
            "adaptation.perennial_span_years; `oso evaluate-adaptation --hide all` tests a past "
            "year in the same way",
        )


def _instead(config: Config) -> str:
    """Return the condition under which the map is validated without held-out polygons."""
    if config.validation.independent is None:
        return "unless validation.independent names a set that does"
    return "but validation.independent"
