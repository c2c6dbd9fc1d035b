"""The dates of the feature space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class DateGrid:
    """Regular dates onto which every pixel's series is interpolated.

    The grid comes from the configuration and never from the images at hand, so the
    features of a model mean the same in every tile and year.

    Parameters
    ----------
    start, end
        First date, and the date that the last one does not exceed.
    step_days
        Days between two dates.

    Examples
    --------
    >>> grid = DateGrid(date(2015, 11, 29), date(2016, 10, 15), 10)
    >>> len(grid), grid.dates[-1].isoformat()
    (33, '2016-10-14')
    """

    start: date
    end: date
    step_days: int = 10

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")
        if self.step_days < 1:
            raise ValueError(f"step_days must be at least 1, got {self.step_days}")

    def __len__(self) -> int:
        return (self.end - self.start).days // self.step_days + 1

    @property
    def dates(self) -> tuple[date, ...]:
        """All dates, in order."""
        return tuple(self.start + timedelta(days=i * self.step_days) for i in range(len(self)))

    @property
    def days(self) -> npt.NDArray[np.int32]:
        """All dates as days since 1970-01-01, shape ``(len(self),)``."""
        return days_since_epoch(self.dates)

    def to_json(self) -> dict[str, Any]:
        """Return the grid as JSON types."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "step_days": self.step_days,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> DateGrid:
        """Return the grid that :meth:`to_json` wrote."""
        start, end = (date.fromisoformat(content[name]) for name in ("start", "end"))
        return cls(start, end, content["step_days"])


def days_since_epoch(dates: tuple[date, ...] | list[date]) -> npt.NDArray[np.int32]:
    """Return dates as whole days since 1970-01-01.

    Real days, not days of the year: a leap year or a series over New Year needs no rule.
    """
    return np.array([(d - date(1970, 1, 1)).days for d in dates], dtype=np.int32)
