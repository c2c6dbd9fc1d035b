"""Seasons: the configuration as one of them sees it.

A past season is mapped by nobody, but its images and labels are prepared as those of the year
of the map are. So each stage sees a configuration whose year, dates, images and labels are
those of one season, and need not consider the others.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from oso_pipeline.config.adaptation import PastSeason
from oso_pipeline.config.cache import Cache
from oso_pipeline.config.model import Config, Season
from oso_pipeline.config.reference import AnySource, Reference
from oso_pipeline.core.nomenclature import PACKAGED, load_nomenclature

ANNUAL_CROPS = 110
"""Parent of the annual crops in the nomenclatures of the package."""


def past_years(config: Config) -> tuple[int, ...]:
    """Return the years of the past seasons as configured; none without ``adaptation``."""
    return () if config.adaptation is None else tuple(s.year for s in config.adaptation.sources)


def past_config(config: Config, year: int) -> Config:
    """Return the configuration as a past season sees it.

    Tiles, bands and everything else are those of the map; year, dates, images and the labels
    that hold are those of the season.
    """
    past = _past(config, year)
    imagery = {
        "paths": past.imagery.paths,
        "allow_missing_tiles": past.imagery.allow_missing_tiles,
        "as_of": past_as_of(config, past),
        "cache": cache_of_season(config),
    }
    return config.model_copy(
        update={
            "year": year,
            "season": past_season(config, past),
            "imagery": config.imagery.model_copy(update=imagery),
            "reference": _reference_of(config, year),
            "adaptation": None,
        }
    )


def cache_of_season(config: Config) -> Cache:
    """Return the limits of the copies of one season: an equal share of all."""
    whole = config.imagery.cache
    if whole.max_gb is None:
        return whole
    return Cache(max_gb=whole.max_gb / (1 + len(past_years(config))))


def target_config(config: Config) -> Config:
    """Return the configuration with the labels alone that hold in the year of the map."""
    if config.adaptation is None:
        return config
    return config.model_copy(update={"reference": _reference_of(config, config.year)})


def past_season(config: Config, past: PastSeason) -> Season:
    """Return the dates of a past season: as many as `season` has, on the same days of it.

    Days are counted from the first date, so that a leap year moves nothing but the name of a
    day after February.
    """
    season = config.season
    start = moved(season.start, past.year - config.year)
    if past.season is not None:
        start = past.season.start
    end = start + (season.end - season.start)
    if past.season is not None and past.season.end is not None:
        end = past.season.end
    # Not validated: the checks of a mapped season require years with Sentinel-2.
    return Season.model_construct(start=start, end=end, step_days=season.step_days)


def past_as_of(config: Config, past: PastSeason) -> date | None:
    """Return the day of a past season up to which its images count; None for all of them.

    It is the same day of the season as that of the map: what is learnt from whole seasons would not
    fit one that ends in July.
    """
    as_of = config.imagery.as_of
    return (
        None if as_of is None else past_season(config, past).start + (as_of - config.season.start)
    )


def moved(day: date, years: int) -> date:
    """Return the same day of another year; 28 February for the 29th where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def shift_days(config: Config, past: PastSeason) -> int:
    """Return by how many days a past season begins later in its year than that of the map."""
    usual = moved(config.season.start, past.year - config.year)
    return (past_season(config, past).start - usual) // timedelta(days=1)


def perennial_codes(config: Config) -> tuple[int, ...]:
    """Return the codes whose labels hold for years, ascending.

    As configured, or all but the annual crops of a nomenclature of the package; none is known
    of other nomenclatures.
    """
    adaptation = config.adaptation
    if adaptation is not None and adaptation.perennial_classes is not None:
        return tuple(sorted(set(adaptation.perennial_classes)))
    if config.nomenclature not in PACKAGED:
        return ()
    nomenclature = load_nomenclature(config.nomenclature, Path())
    return tuple(c for c in nomenclature.codes if nomenclature.level1_of(c) != ANNUAL_CROPS)


def sources_in(config: Config, year: int) -> tuple[AnySource, ...]:
    """Return the sources whose labels hold in a season, with the classes that do.

    A source of that very year gives all its classes, one within ``perennial_span_years`` the
    perennial ones. A source that only helps others, such as land cover for built-up units, is used
    in every season.
    """
    perennial, held = set(perennial_codes(config)), []
    for source in config.reference.sources:
        if source.year == year or not source.gives_labels:
            held.append(source)
            continue
        requested = perennial if source.classes is None else perennial & set(source.classes)
        if requested and holds(config, source, year):
            held.append(source.model_copy(update={"classes": tuple(sorted(requested))}))
        elif (helper := source.without_labels()) is not None:
            held.append(helper)
    return tuple(held)


def has_labels(config: Config) -> bool:
    """Return whether a label holds in the season of the map.

    Without ``adaptation`` labels are what a map is made from: then it is taken for granted. None
    is read where models are given.
    """
    if config.learning.model is not None:
        return False
    return config.adaptation is None or any_label(target_config(config).reference)


def any_label(reference: Reference) -> bool:
    """Return whether some source gives labels, rather than help to others only."""
    return any(source.gives_labels for source in reference.sources)


def holds(config: Config, source: AnySource, year: int) -> bool:
    """Return whether the perennial labels of a source hold in a season."""
    if config.adaptation is None or source.year is None:
        return False
    return abs(source.year - year) <= config.adaptation.perennial_span_years


def _past(config: Config, year: int) -> PastSeason:
    assert config.adaptation is not None  # the year is one of its past years
    return next(source for source in config.adaptation.sources if source.year == year)


def _reference_of(config: Config, year: int) -> Reference:
    return config.reference.model_copy(update={"sources": sources_in(config, year)})
