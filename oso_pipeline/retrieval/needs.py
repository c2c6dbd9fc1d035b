"""What a configuration needs: the seasons of its map and of its past, tile by tile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.readers import built_in_readers
from oso_pipeline.config.seasons import past_config, past_years
from oso_pipeline.imagery.season_check import period_of
from oso_pipeline.retrieval.offers import Need


@dataclass(frozen=True, slots=True)
class SeasonNeeds:
    """What one season needs.

    Parameters
    ----------
    year
        Year of the season.
    paths
        Folders whose products serve it: ``imagery.paths``, or those of the past season.
    needs
        One per tile and family.
    """

    year: int
    paths: tuple[Path, ...]
    needs: tuple[Need, ...]


def needs_of(config: Config, offered: Collection[str] | None = None) -> tuple[SeasonNeeds, ...]:
    """Return what the seasons of a configuration need, that of the map first.

    The days are those whose images serve: the season and its margins, up to ``imagery.as_of``.
    A season that mixes families would be warned of, so readers that nobody chose count for one:
    the first of which there are products.

    Parameters
    ----------
    config
        The configuration.
    offered
        Families of which the providers have collections; None where that is not known.
    """
    families = _families(config, offered)
    seasons = (config, *(past_config(config, year) for year in past_years(config)))
    return tuple(_of_season(season, families) for season in seasons)


def _families(config: Config, offered: Collection[str] | None) -> tuple[str, ...]:
    kinds = tuple(one.kind for one in config.imagery.readers)
    if config.imagery.readers != built_in_readers():
        return kinds
    return next(((kind,) for kind in kinds if offered is None or kind in offered), ())


def _of_season(config: Config, families: tuple[str, ...]) -> SeasonNeeds:
    period = period_of(config)
    needs = (
        Need(family, tile, period.first, period.until)
        for tile in config.imagery.tiles
        for family in families
    )
    return SeasonNeeds(config.year, config.imagery.paths, tuple(needs))
