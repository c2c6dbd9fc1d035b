"""The land of the simulated world in a past year: the same fields with the crops before.

Perennial covers, towns and relief stay; annual crops rotate, a little grass has been ploughed
since and a little arable land sown with grass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.simulation.world.growing_year import GrowingYear, drawn_gain
from oso_pipeline.simulation.world.land_covers import KINDS, NUMBER, Codes
from oso_pipeline.simulation.world.spec import WorldSpec
from oso_pipeline.simulation.world.world import World

_CHANGED_USE = 0.03
_FROM_GRASS = {"wheat", "maize"}

BEFORE: dict[str, dict[str, float]] = {
    kind.name: {
        **{name: fields / kind.crop.percent for name, fields in kind.crop.before.items()},
        "grassland": _CHANGED_USE if kind.name in _FROM_GRASS else 0.0,
    }
    for kind in KINDS
    if kind.crop
}
BEFORE["grassland"] = {"grassland": 1.0, **dict.fromkeys(sorted(_FROM_GRASS), _CHANGED_USE / 2)}
"""Weights of the kinds in the year before, by the kind of the year of the map."""


class PastWorld(World):
    """The land in the past year of a specification.

    Parameters
    ----------
    spec
        With a past year.

    Raises
    ------
    ValueError
        If `spec` has none.
    """

    def __init__(self, spec: WorldSpec) -> None:
        past = spec.past
        if past is None:
            raise ValueError("the specification has no past year")
        year = spec.year - past.years_before
        of_year = replace(
            spec, year=year, dates_per_orbit=past.dates_per_orbit,
            partial_dates=past.partial_dates, variants=(), past=None,
        )  # fmt: skip
        super().__init__(of_year)
        gains = derived_seed(spec.seed, "radiometry", year)
        gain = drawn_gain(gains, len(SENTINEL2.names), past.gain_spread)
        self.year = GrowingYear(str(year), past.season_shift_days, gain)
        for step in range(past.years_before):
            rng = np.random.default_rng(derived_seed(spec.seed, "rotation", step))
            self.kinds = rotated_back(self.kinds, rng)


def rotated_back(kinds: Codes, rng: np.random.Generator) -> Codes:
    """Return the kind of each field in the year before."""
    lot = rng.uniform(size=kinds.size)
    before = kinds.copy()
    for name, chances in BEFORE.items():
        fields = np.flatnonzero(kinds == NUMBER[name])
        steps = np.cumsum([*chances.values()])
        drawn = np.searchsorted(steps / steps[-1], lot[fields], side="right")
        before[fields] = np.array([NUMBER[earlier] for earlier in chances], dtype=np.int16)[drawn]
    return before
