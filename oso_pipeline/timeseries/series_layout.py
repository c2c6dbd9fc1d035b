"""What a block of exported series holds: its variables, their steps, and how they are encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from math import ceil
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.blocks import Block

Axis = Literal["time", "acquisition", "month", "season", ""]
"""Along what the layers of a variable follow each other; empty where there is one layer."""


@dataclass(frozen=True)
class Variable:
    """A variable as it is stored: integers, and what turns them into physical values.

    Parameters
    ----------
    name
        Its name in files, for example ``NDVI``, ``LAI_flags``, ``SOSD``.
    long_name
        What it is, in words.
    units
        As in CF: ``1``, ``days``, ``m2 m-2``.
    axis
        ``time``: the dates of the season; ``acquisition``: the days of the images; ``month``;
        ``season``; empty for one layer.
    dtype
        ``int16``, ``uint16`` or ``uint8``.
    resolution_m
        Side of a pixel, 10 or 20.
    scale, offset
        The physical value is ``stored * scale + offset``.
    fill
        The stored value without meaning; None where all have one.
    standard_name
        Of the table of CF; empty where it has none.
    valid_range
        Least and greatest stored value, where it is narrower than the type.
    flag_values, flag_masks
        Stored values, or bits, that have a meaning each.
    flag_meanings
        One word for each of them.
    ancillary
        Names of the variables that tell the quality of this one.
    """

    name: str
    long_name: str
    units: str
    axis: Axis
    dtype: str
    resolution_m: int
    scale: float = 1.0
    offset: float = 0.0
    fill: int | None = None
    standard_name: str = ""
    valid_range: tuple[int, int] | None = None
    flag_values: tuple[int, ...] = ()
    flag_masks: tuple[int, ...] = ()
    flag_meanings: tuple[str, ...] = ()
    ancillary: tuple[str, ...] = ()

    def physical(self, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Return stored integers as physical values, float32 of the same shape, NaN for `fill`.

        Examples
        --------
        >>> ndvi = Variable("NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=-10000)
        >>> ndvi.physical(np.array([250, -10000], np.int16)).tolist()
        [0.25, nan]
        """
        values = (stored.astype(np.float64) * self.scale + self.offset).astype(np.float32)
        if self.fill is not None:
            values[stored == self.fill] = np.nan
        return values

    def to_json(self) -> dict[str, Any]:
        """Return the variable as JSON values, without what is left at its default."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Variable:
        """Return the variable that `to_json` wrote."""
        known: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in content.items()
        }
        return cls(**known)


@dataclass(frozen=True)
class SeriesLayout:
    """What the blocks of a tile hold.

    Parameters
    ----------
    variables
        In the order of the files.
    dates
        The date grid of the season.
    acquisitions
        The days of the images of the tile, ascending, each once.
    months
        First days of the months of the composites.
    n_seasons
        Growing seasons per pixel, 0 to 2.
    """

    variables: tuple[Variable, ...]
    dates: tuple[date, ...] = ()
    acquisitions: tuple[date, ...] = ()
    months: tuple[date, ...] = ()
    n_seasons: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(variable.name for variable in self.variables)

    @property
    def resolutions_m(self) -> tuple[int, ...]:
        """Sides of pixels that occur, the finest first."""
        return tuple(sorted({variable.resolution_m for variable in self.variables}))

    def __getitem__(self, name: str) -> Variable:
        """Return a variable by its name; KeyError if there is none."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def steps(self, axis: str) -> int:
        """Return how many layers a variable of an axis has.

        Raises
        ------
        ValueError
            If there is no such axis.
        """
        lengths = {
            "time": len(self.dates),
            "acquisition": len(self.acquisitions),
            "month": len(self.months),
            "season": self.n_seasons,
            "": 1,
        }
        if axis not in lengths:
            raise ValueError(f"unknown axis {axis!r}, known are {', '.join(lengths)}")
        return lengths[axis]

    def shape(self, variable: Variable, block: Block) -> tuple[int, int, int]:
        """Return layers, rows and columns of a variable in a block."""
        return (self.steps(variable.axis), *rows_and_columns(block, variable.resolution_m))

    def of_resolution(self, resolution_m: int) -> SeriesLayout:
        """Return the layout with the variables of one grid alone."""
        some = (one for one in self.variables if one.resolution_m == resolution_m)
        return replace(self, variables=tuple(some))

    def only(self, names: Iterable[str]) -> SeriesLayout:
        """Return the layout with these variables alone, in its own order."""
        kept = set(names)
        return replace(self, variables=tuple(one for one in self.variables if one.name in kept))

    def to_json(self) -> dict[str, Any]:
        """Return the layout as JSON values."""
        days = {k: [day.isoformat() for day in getattr(self, k)] for k in _DAYS}
        variables = [variable.to_json() for variable in self.variables]
        return {"variables": variables, **days, "n_seasons": self.n_seasons}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SeriesLayout:
        """Return the layout that `to_json` wrote."""
        days = {k: tuple(date.fromisoformat(day) for day in content[k]) for k in _DAYS}
        variables = tuple(Variable.from_json(one) for one in content["variables"])
        return cls(variables, **days, n_seasons=content["n_seasons"])


_DAYS = ("dates", "acquisitions", "months")


@dataclass(frozen=True)
class SeriesBlock:
    """The series of a block, as stored integers.

    Parameters
    ----------
    values
        By name of the variable, shape ``(step, rows, columns)`` on the block's grid of its
        resolution.
    """

    values: Mapping[str, npt.NDArray[Any]]


def rows_and_columns(block: Block, resolution_m: int) -> tuple[int, int]:
    """Return the size of a block in pixels of 10 m or 20 m.

    The origin of a block is even, so its first 20 m pixel begins where the block does.

    Examples
    --------
    >>> rows_and_columns(Block("31TCJ", 0, 0, 5, 4), 20)
    (3, 2)
    """
    if resolution_m not in (10, 20):
        raise ValueError(f"found pixels of {resolution_m} m, expected 10 or 20")
    part = resolution_m // 10
    return ceil(block.height / part), ceil(block.width / part)
