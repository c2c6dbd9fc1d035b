"""Parcels of France in two regions as domains: see :mod:`bench.accuracy.france`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.accuracy.france import france
from oso_pipeline.adaptation.space import SeriesSpace
from oso_pipeline.core.errors import Problems
from oso_pipeline.studies.adaptation.domain import Domain
from oso_pipeline.studies.adaptation.setting import Rule, Setting

PERENNIAL = (13, 14, 15)
"""Grassland, orchards and vineyards of the nomenclature of 23 classes."""


def parcels(data: Path) -> tuple[Domain, npt.NDArray[np.str_], Rule]:
    """Return all parcels of a known class as one domain, the tile of each, and the classes."""
    found = france(data).samples
    everything = Domain(
        "France", SeriesSpace.of(found.layout), found.features, found.codes, found.polygons
    )
    return everything, found.columns["region"], Rule(found.classes, PERENNIAL)


def region_pairs(data: Path) -> list[Setting]:
    """Return 30TYP -> 30UYU and back."""
    everything, tile, rule = parcels(data)
    north = everything.take(tile == "30UYU", "30UYU")
    south = everything.take(tile == "30TYP", "30TYP")
    made = [
        rule.setting(f"France {a.name}->{b.name}", "region", [a], b, Problems())
        for a, b in ((south, north), (north, south))
    ]
    return [one for one in made if one is not None]
