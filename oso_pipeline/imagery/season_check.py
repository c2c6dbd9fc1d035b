"""Whether every season has images at all, told by the names of the products before any work."""

from __future__ import annotations

from oso_pipeline.config.model import Config
from oso_pipeline.config.seasons import past_config, past_years
from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.inventory_builder import Period
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products


def check_seasons(config: Config) -> Problems:
    """Find seasons without a single product of Sentinel-2 (``E-INPUT-030``).

    Looks at names only, and only where past seasons are named, as their folders are easily
    mistaken for each other. What is wrong with single tiles or files is found by the inventory.
    """
    problems = Problems()
    if config.adaptation is None:
        return problems
    _check(config, "imagery.paths", problems)
    for number, year in enumerate(past_years(config)):
        key = f"adaptation.sources[{number}].imagery.paths"
        _check(past_config(config, year), key, problems)
    return problems


def _check(config: Config, key: str, problems: Problems) -> None:
    findings = find_products(config.imagery.paths, Readers.of(config.imagery.readers), Problems())
    # Without its margins, which hold images of the years before and after.
    period = Period(config.season.start, config.season.end)
    own = [c for tile in config.imagery.tiles for c in findings.of_tile(tile)]
    if any(candidate.acquired in period for candidate in own):
        return
    if own:
        days = sorted(candidate.acquired.date() for candidate in own)
        found = f"{len(own)} products of {days[0]} to {days[-1]}"
    elif findings.strangers:
        names = ", ".join(one.path.name for one in findings.strangers[:3])
        found = f"only what is of another sensor or kind ({names})"
    else:
        found = "no product of the tiles"
    problems.error(
        "E-INPUT-030",
        f"{key}: the season {config.year} has no image; expected Sentinel-2 products of "
        f"{period.first} to {period.last}, found {found}",
        ", ".join(map(str, config.imagery.paths)),
        "add the products of that season, or correct the folders and the dates",
    )
