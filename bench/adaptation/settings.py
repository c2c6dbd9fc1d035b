"""All settings of the report, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path

from bench.adaptation import central_asia, flanders, france, simulated
from bench.adaptation.central_asia import CentralAsia
from bench.adaptation.simulated import Ground
from oso_pipeline.studies.adaptation.setting import Setting


@cache
def all_settings(data: Path, work: Path) -> dict[str, Setting]:
    """Return every setting; :func:`bench.accuracy.flanders.prepare` has been called before."""
    made = chain(real(data, work), controlled(data))
    return {setting.name: setting for setting in made}


def real(data: Path, work: Path) -> Iterator[Setting]:
    """Yield pairs of years, of regions, and of both."""
    survey, raw = CentralAsia(data), CentralAsia(data, raw=True)
    yield from central_asia.year_pairs(survey)
    past = [raw.domain(2015), raw.domain(2016)]
    yield raw.setting("all 15+16->18, labels as written", "stress", past, raw.domain(2018))
    yield from central_asia.region_pairs(survey)
    yield from france.region_pairs(data)
    yield from flanders.site_pairs(data, work)


def controlled(data: Path) -> Iterator[Setting]:
    """Yield halves of one year and region, as they are and changed."""
    survey = CentralAsia(data)
    places = ((2015, "Khorezm"), (2016, "Fergana"), (2016, "Samarkand"), (2018, "Kashkadarya"))
    grounds = {region: Ground(survey.domain(year, region), survey.rule) for year, region in places}
    parcels, _, rule = france.parcels(data)
    # Few parcels: half of them hold five of a class at least.
    grounds["France"] = Ground(parcels, replace(rule, min_samples=5))
    for ground in grounds.values():
        yield from simulated.placebos(ground)
    for name in ("Fergana", "Kashkadarya", "France"):
        yield from simulated.simulated(grounds[name])
