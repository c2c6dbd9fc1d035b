"""Charts of the report: coordinates of lines and bars, which the template draws as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _HEIGHT = 360, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24
_MOST_TICKS = 5


@dataclass(frozen=True)
class Tick:
    """A place on an axis in the picture, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line or the outline of bars: its name, also that of its style, and SVG coordinates."""

    name: str
    points: str


@dataclass(frozen=True)
class Chart:
    """A chart ready for the template.

    Parameters
    ----------
    title
        Description of the chart.
    lines
        From back to front.
    x_ticks, y_ticks
        Numbers along the axes.
    mark
        Place of a vertical line; None for none.
    """

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: float | None = None
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM


def line_chart(title: str, x: Sequence[float], series: Mapping[str, Sequence[float]]) -> Chart:
    """Return lines over common places.

    Parameters
    ----------
    title
        Description of the series.
    x
        Places, ascending.
    series
        Values at these places by name.
    """
    values = np.array([*series.values()], dtype=float)
    across = _Scale.around(np.asarray(x, float), _LEFT, _WIDTH - _RIGHT)
    up = _Scale.around(values, _HEIGHT - _BOTTOM, _TOP)
    lines = tuple(
        Line(name, _points(across(x), up(row))) for name, row in zip(series, values, strict=True)
    )
    return Chart(title, lines, across.ticks(), up.ticks())


def bar_chart(title: str, x: Sequence[float], shares: Sequence[float], mark: float) -> Chart:
    """Return bars of shares at evenly spaced places, and a mark on the axis."""
    places, heights = np.asarray(x, float), np.asarray(shares, float)
    half = 0.4 * float(np.diff(places).min()) if places.size > 1 else 0.5
    ends = np.array([places.min() - half, places.max() + half])
    across = _Scale.around(ends, _LEFT, _WIDTH - _RIGHT)
    up = _Scale.around(np.array([0.0, max(heights.max(), 1e-9)]), _HEIGHT - _BOTTOM, _TOP)
    corners_x = np.stack([places - half, places - half, places + half, places + half], axis=1)
    corners_y = np.stack([0 * heights, heights, heights, 0 * heights], axis=1)
    outline = _points(across(corners_x.ravel()), up(corners_y.ravel()))
    marked = float(across([mark])[0])
    return Chart(title, (Line("share", outline),), across.ticks(), up.ticks(), marked)


@dataclass(frozen=True)
class _Scale:
    """From numbers to places in the picture."""

    low: float
    high: float
    first: float
    last: float

    @classmethod
    def around(cls, values: np.ndarray, first: float, last: float) -> _Scale:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        return cls(low, high if high > low else low + 1.0, first, last)

    def __call__(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        share = (np.asarray(values, float) - self.low) / (self.high - self.low)
        return np.asarray(self.first + share * (self.last - self.first))

    def ticks(self) -> tuple[Tick, ...]:
        """Return round numbers inside the scale."""
        raw = (self.high - self.low) / _MOST_TICKS
        power = 10.0 ** np.floor(np.log10(raw))
        step = next(power * n for n in (1, 2, 5, 10) if power * n >= raw)
        numbers = np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 1) * step
        return tuple(Tick(float(self([n])[0]), f"{n + 0.0:.10g}") for n in numbers)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    """Return SVG coordinates; values that are not finite are left out."""
    pairs = np.stack([x, y], axis=1)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in pairs[np.isfinite(pairs).all(axis=1)])
