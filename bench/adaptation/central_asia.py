"""Fields of Uzbekistan and Tajikistan by year and region as domains.

See :mod:`bench.accuracy.central_asia`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from bench.accuracy.central_asia import DAYS, central_asia, harmonised, read_fields, untouched
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Kind, Rule, Setting
from oso_pipeline.studies.learners.samples import LabelledSamples


@dataclass(frozen=True)
class CentralAsia:
    """The survey under one way to name classes.

    Parameters
    ----------
    path
        Folder of the sample data.
    raw
        Keep the labels as they were written, which are not consistent between years.
    """

    path: Path
    raw: bool = False
    problems: Problems = field(default_factory=Problems)

    @cached_property
    def rule(self) -> Rule:
        """Classes and which of them is perennial."""
        names = self._samples.classes
        return Rule(names, tuple(code for code, name in names.items() if name == "woody"))

    def domain(self, year: int, region: str | None = None) -> Domain:
        """Return the fields of a year, of one region or of all."""
        rows = self._samples.columns["year"] == str(year)
        name = f"all {year}" if region is None else f"{region} {year}"
        if region is not None:
            rows &= self._samples.columns["region"] == region
        return self._all.take(rows, name)

    def setting(self, name: str, kind: Kind, sources: Sequence[Domain], target: Domain) -> Setting:
        """Return a setting, which is known to have classes enough."""
        made = self.rule.setting(name, kind, sources, target, self.problems)
        if made is None:
            raise ValueError(str(self.problems.errors[-1]))
        return made

    @cached_property
    def _samples(self) -> LabelledSamples:
        return central_asia(self.path, untouched if self.raw else harmonised).samples

    @cached_property
    def _all(self) -> Domain:
        found = self._samples
        outlines = read_fields(self.path).geometry.to_numpy()
        return Domain(
            "all",
            SeriesSpace.plain(DAYS),
            found.features,
            found.codes,
            found.polygons,
            np.asarray(outlines, dtype=object),
        )


def year_pairs(survey: CentralAsia) -> list[Setting]:
    """Return every pair of years with enough fields, in Fergana and overall, and pooled years."""
    settings = []
    for region, years in (("Fergana", (2015, 2016, 2017, 2018)), (None, (2015, 2016, 2018))):
        of = {year: survey.domain(year, region) for year in years}
        place = region or "all"
        settings += [
            survey.setting(f"{place} {a}->{b}", "year", [of[a]], of[b])
            for a in years
            for b in years
            if a != b
        ]
        pools = [((2015, 2016, 2017), 2018), ((2016, 2017, 2018), 2015)] if region else []
        pools += [] if region else [((2015, 2016), 2018)]
        settings += [
            survey.setting(
                f"{place} {'+'.join(str(y % 100) for y in many)}->{one % 100}",
                "year",
                [of[year] for year in many],
                of[one],
            )
            for many, one in pools
        ]
    return settings


def region_pairs(survey: CentralAsia) -> list[Setting]:
    """Return the pairs of regions surveyed in one year."""
    pairs = [(2015, "Fergana", "Khorezm"), (2016, "Fergana", "Samarkand")]
    pairs += [(2018, "Fergana", "Kashkadarya")]
    both = [p for year, a, b in pairs for p in ((year, a, b), (year, b, a))]
    return [
        survey.setting(
            f"{year} {a}->{b}", "region", [survey.domain(year, a)], survey.domain(year, b)
        )
        for year, a, b in both
    ]
