"""What a growing season is: settings of phenology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oso_pipeline.core.errors import ConfigError, Problem

PHENOLOGY_VARIABLES: Mapping[str, float] = MappingProxyType(
    {"NDVI": 0.15, "LAI": 0.5, "FAPAR": 0.1, "FCOVER": 0.1}
)
"""Variables that rise as plants grow, and the least amplitude of a growing season by default."""

SHORTEST_DAYS = 180
"""Days that a series covers at least: half a year, from one minimum to the next of a crop."""

SECOND_SEASON_DAYS = 120
"""Days that a series covers at least in addition where two growing seasons are sought."""

FEWEST_DATES = 8
"""Dates that a series has at least."""


@dataclass(frozen=True)
class PhenologySettings:
    """How growing seasons are found in the series of a pixel.

    Parameters
    ----------
    variable
        One of `PHENOLOGY_VARIABLES`.
    seasons
        Most growing seasons of a pixel, 1 or 2.
    start_fraction
        The season starts where the curve has risen by this share of the way from the minimum
        before to the maximum.
    end_fraction
        It ends where the curve has fallen to this share of the way from the minimum after it to
        the maximum.
    least_amplitude
        A season rises from the minimum before it, and falls to the one after it, by at least so
        much, in units of the variable; by default as `PHENOLOGY_VARIABLES` says.
    second_share
        Between two seasons the curve falls, and rises again, by at least this share of its range.

    Raises
    ------
    ConfigError
        If the variable does not rise as plants grow, or a number is out of range.

    Examples
    --------
    >>> PhenologySettings("LAI", 2).least
    0.5
    """

    variable: str
    seasons: int = 2
    start_fraction: float = 0.25
    end_fraction: float = 0.15
    least_amplitude: float | None = None
    second_share: float = 0.3

    def __post_init__(self) -> None:
        if self.variable not in PHENOLOGY_VARIABLES:
            raise _refused(
                f"phenology.variable: found {self.variable}, "
                f"allowed: {', '.join(PHENOLOGY_VARIABLES)}",
                "choose a variable that rises as plants grow",
            )
        if self.seasons not in (1, 2):
            raise _refused(f"phenology.seasons: found {self.seasons}, allowed: 1 or 2")
        for name in ("start_fraction", "end_fraction", "second_share"):
            if not 0 < getattr(self, name) < 1:
                raise _refused(
                    f"phenology.{name}: found {getattr(self, name)}, allowed: between 0 and 1"
                )
        if not self.least > 0:
            raise _refused(f"phenology.least_amplitude: found {self.least}, allowed: above 0")

    @property
    def least(self) -> float:
        """Least rise and fall of a growing season, in units of the variable."""
        chosen = self.least_amplitude
        return PHENOLOGY_VARIABLES[self.variable] if chosen is None else chosen

    @property
    def shortest_days(self) -> int:
        """Days between the first and the last date of a series, at least."""
        return SHORTEST_DAYS + (self.seasons - 1) * SECOND_SEASON_DAYS

    @property
    def value_scale(self) -> float:
        """What one stored unit of a value or a slope is worth: as in HR-VPP, except for LAI.

        HR-VPP stores PPI, at most 3, in 1e-4. LAI reaches 8, which 16 bits cannot hold in 1e-4.
        """
        return 1e-3 if self.variable == "LAI" else 1e-4


def _refused(message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(Problem("E-SERIES-PHENOLOGY", message, hint=hint))
