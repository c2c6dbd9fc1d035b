"""The land of the simulated world in a past year: the same fields with the crops before.

Perennial covers, towns and relief stay; annual crops rotate, a little grass has been ploughed
since and a little arable land sown with grass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.model import SENTINEL2_BANDS
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.simulation.growing_year import GrowingYear, drawn_gain
from oso_pipeline.simulation.spec import WorldSpec
from oso_pipeline.simulation.world import World

# Chances of the land use in the year before, by that of today: rape and cereals follow each
# other or maize and sunflower, maize often follows maize, leys last some years.
BEFORE: dict[int, dict[int, float]] = {
    11: {11: 0.40, 12: 0.57, 211: 0.03},
    12: {11: 0.44, 12: 0.53, 211: 0.03},
    211: {11: 0.015, 12: 0.015, 211: 0.97},
}
"""Chances of a class in the year before, by the class of the year of the map."""


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
        gain = drawn_gain(gains, len(SENTINEL2_BANDS), past.gain_spread)
        self.year = GrowingYear(str(year), past.season_shift_days, gain)
        for step in range(past.years_before):
            rng = np.random.default_rng(derived_seed(spec.seed, "rotation", step))
            self.codes = rotated_back(self.codes, rng)


def rotated_back(codes: npt.NDArray[np.int16], rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Return the class of each field in the year before."""
    lot = rng.uniform(size=codes.size)
    before = codes.copy()
    for code, chances in BEFORE.items():
        fields = np.flatnonzero(codes == code)
        steps = np.cumsum([*chances.values()])
        drawn = np.searchsorted(steps / steps[-1], lot[fields], side="right")
        before[fields] = np.array([*chances], dtype=np.int16)[drawn]
    return before
