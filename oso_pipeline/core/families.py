"""Families of derived features as plain data: what follows from the whole series of a channel.

A channel is a band or an index: one value per date of the grid, without gaps. The kernels compute a
family by its name, the configuration admits the names, a layout of features makes names of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Features that are derived from the series of each channel.

    Parameters
    ----------
    name
        Its name in the configuration, with which the names of its features begin.
    formula
        How it follows from a series x.
    values
        Its values for each channel, by name in their order, with the factor for storage as int16;
        None where a value has the unit of its channel. A single value without a name: one per date.
    """

    name: str
    formula: str
    values: Mapping[str, int | None]

    @property
    def dated(self) -> bool:
        """Whether it has a value per date."""
        return "" in self.values

    def rows(self, n_dates: int) -> int:
        """Return the number of its features for a channel."""
        return n_dates if self.dated else len(self.values)

    def columns(self, channel: str, stamps: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of its features for a channel, one for each stamp where it is dated.

        Examples
        --------
        >>> FAMILIES["relative"].columns("B4", ("20180101", "20180111"))
        ('relative_B4_20180101', 'relative_B4_20180111')
        """
        return tuple(
            f"{self.name}_{channel}_{end}" for end in (stamps if self.dated else self.values)
        )


HARMONIC_TERMS = 3
"""Terms of the family ``harmonics``."""

PERCENTILES = (10, 25, 50, 75, 90)
"""Percentiles of the family ``statistics``."""

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("relative", "(x - mean(x)) / standard deviation(x)", {"": 1000}),
        Family(
            "harmonics",
            "mean; amplitude of the terms of a Fourier series, cosine and sine of their phases",
            {"mean": None}
            | {
                f"{value}{term}": factor
                for term in range(1, HARMONIC_TERMS + 1)
                for value, factor in (("amplitude", None), ("cosine", 1000), ("sine", 1000))
            },
        ),
        Family(
            "statistics",
            "percentiles; max(x) - min(x); days of the maximum and of the minimum",
            {f"p{percentile}": None for percentile in PERCENTILES}
            | {"amplitude": None, "maximumday": 1, "minimumday": 1},
        ),
    )
}
"""Every family, by name."""
