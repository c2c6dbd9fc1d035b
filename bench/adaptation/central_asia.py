"""Fields of Uzbekistan and Tajikistan: NDVI of MODIS at 23 days of four years.

Survey of Remelgado et al. (2020, doi:10.1038/s41597-020-00591-2). A field has one series; the
crops of a year are coded in its own way, so they are brought to common classes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import numpy as np

from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Kind, Rule, Setting
from oso_pipeline.timeseries.gapfill import gapfill

DAYS = tuple(range(1, 354, 16))
_WOODY = ("orchard", "vineyard")
_VEGETABLES = (
    "vegetables", "carrots", "tomatoes", "onions", "cabbages", "melons", "potatoes", "potato",
    "pumpkin", "beans",
)  # fmt: skip


def harmonised(label: str) -> str:
    """Return the common class of a crop: that of the main crop, first in the name.

    Examples
    --------
    >>> harmonised("wheat-maize"), harmonised("vineyard"), harmonised("onions-maize")
    ('wheat', 'woody', 'vegetables')
    """
    main = label.split("-")[0]
    if main in _WOODY:
        return "woody"
    return "vegetables" if main in _VEGETABLES else main


def untouched(label: str) -> str:
    """Return the label of the survey, which changes with the year, but for woody crops."""
    return "woody" if label in _WOODY else label


@dataclass(frozen=True)
class CentralAsia:
    """The survey under one way to name classes.

    Parameters
    ----------
    path
        ``fields.parquet``.
    raw
        Keep the labels as they were written, which are not consistent between years.
    """

    path: Path
    raw: bool = False
    problems: Problems = field(default_factory=Problems)

    @cached_property
    def rule(self) -> Rule:
        """Classes and which of them is perennial."""
        names = dict(enumerate(sorted(set(self._names)), start=1))
        return Rule(names, tuple(code for code, name in names.items() if name == "woody"))

    def domain(self, year: int, region: str | None = None) -> Domain:
        """Return the fields of a year, of one region or of all."""
        rows = (self._table["year"] == str(year)).to_numpy()
        name = f"all {year}" if region is None else f"{region} {year}"
        if region is not None:
            rows &= (self._table["region"] == region).to_numpy()
        return self._all.take(rows, name)

    def setting(self, name: str, kind: Kind, sources: Sequence[Domain], target: Domain) -> Setting:
        """Return a setting, which is known to have classes enough."""
        made = self.rule.setting(name, kind, sources, target, self.problems)
        if made is None:
            raise ValueError(str(self.problems.errors[-1]))
        return made

    @cached_property
    def _table(self) -> gpd.GeoDataFrame:
        return gpd.read_parquet(self.path)

    @cached_property
    def _names(self) -> list[str]:
        name = untouched if self.raw else harmonised
        return [name(label) for label in self._table["label_1"]]

    @cached_property
    def _all(self) -> Domain:
        values = self._table[[f"doy{day:03d}" for day in DAYS]].to_numpy(np.float64)
        clear = np.isfinite(values)
        days = np.array(DAYS, np.int32)
        scaled = np.rint(np.where(clear, values, 0) * 10_000).astype(np.int16)
        filled, _ = gapfill(scaled.T[:, None, :], clear.T.copy(), days, days)
        code = {name: number for number, name in self.rule.classes.items()}
        outlines = self._table.geometry.to_numpy()
        # Surveyed twice, a field has two rows and one outline.
        same = self._table.geometry.to_wkb()
        _, polygons = np.unique(same.to_numpy(), return_inverse=True)
        return Domain(
            "all",
            SeriesSpace.plain(DAYS),
            np.ascontiguousarray(filled[:, 0, :].T),
            np.array([code[name] for name in self._names], np.int32),
            polygons.astype(np.int64),
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
