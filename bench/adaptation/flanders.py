"""Two sites of Flanders in two years as domains: grass and maize alone are in both.

See :mod:`bench.accuracy.flanders`.
"""

from __future__ import annotations

from pathlib import Path

from bench.accuracy.flanders import YEARS, flanders, names_of
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule, Setting


def site_pairs(data: Path, work: Path) -> list[Setting]:
    """Return 2018 -> 2019 and back; the sites are sampled."""
    names: dict[int, str] = {}
    for year in YEARS:
        names |= names_of(data, year)
    rule = Rule(names, tuple(code for code, name in names.items() if "grass" in name.lower()))
    first, second = (_site(data, year, work) for year in YEARS)
    made = [
        rule.setting(f"Flanders {a.name}->{b.name}", "site", [a], b, Problems())
        for a, b in ((first, second), (second, first))
    ]
    return [one for one in made if one is not None]


def _site(data: Path, year: int, work: Path) -> Domain:
    one = flanders(data, work, year).samples
    return Domain(str(year), SeriesSpace.of(one.layout), one.features, one.codes, one.polygons)
