"""Dates whose image lies beside those of the other dates.

Each date is compared with the sum of the others by the cross-correlation of edges, as fields change
their colours within a year and keep their borders. Edges are square roots of the magnitude of
gradients, in units of their standard deviation, so that neither haze nor single bright edges
decide. Bright pixels are left out, as the borders of snow and clouds move. The place of the highest
correlation is refined to parts of a pixel by parabolas through its neighbours. Windows are padded,
so nothing correlates across their borders.

Dates with too few clear pixels, or without an edge that the others show too, are not placed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

LEAST_DATES = 5
"""Other dates that a date is compared with, at least."""
LEAST_SIDE = 16
"""Pixels of the side of a window, below which nothing is compared."""

_MOST = 24  # dates that are summed: the clearest
_LEAST_CLEAR = 0.3  # of a window, below which it does not count
_LEAST_SHARE = 0.5  # of all windows of a date
_LEAST_CORRELATION = 0.65  # of edges at the best place; below, shadows of relief may decide it
_BY_CHANCE = 12.0  # over the root of the pixels: the highest of 10,000 places without common edges,
# where six pixels count as one, as edges are that wide
_BRIGHT = 0.2  # blue of snow and clouds, whose borders move
_REACH = 0.25  # of the side of a window: further is not looked
_CLIPPED = 3.0  # standard deviations


@dataclass(frozen=True)
class Shifts:
    """Where the image of each date lies, against the middle of all dates.

    Parameters
    ----------
    pixels
        Rows down and columns to the right. Shape (dates, 2), float64; NaN where it is not known.
    correlation
        Of edges at that place. Shape (dates,), float64; NaN where it is not known.
    """

    pixels: npt.NDArray[np.float64]
    correlation: npt.NDArray[np.float64]

    def beyond(self, pixels: float) -> tuple[int, ...]:
        """Return the numbers of the dates that lie further from the middle."""
        return tuple(np.flatnonzero(np.hypot(*self.pixels.T) > pixels).tolist())


def find_shifts(values: Floats, clear: Bools) -> Shifts:
    """Return where the image of each date lies.

    Parameters
    ----------
    values
        Reflectance of blue in windows, the same of each date; NaN where there is no data. Shape
        (dates, windows, rows, columns).
    clear
        What the quality layers leave. Same shape.
    """
    n_dates, _, height, width = values.shape
    places, correlation = np.full((n_dates, 2), np.nan), np.full(n_dates, np.nan)
    if min(height, width) >= LEAST_SIDE and n_dates > LEAST_DATES:
        for number, place, best in _compared(values, clear):
            places[number], correlation[number] = place, best
    if np.isfinite(correlation).any():
        places -= np.nanmedian(places, axis=0)
    return Shifts(places, correlation)


def edges(values: Floats, clear: Bools) -> npt.NDArray[np.float32]:
    """Return edges in units of their standard deviation, less their mean; 0 where unknown.

    Parameters
    ----------
    values, clear
        A band, and what shows clear land. Shape (windows, rows, columns).
    """
    land = np.where(clear, values, 0).astype(np.float32)
    known = clear.copy()
    known[:, [0, -1]] = known[:, :, [0, -1]] = False
    known[:, 1:-1] &= clear[:, 2:] & clear[:, :-2]
    known[:, :, 1:-1] &= clear[:, :, 2:] & clear[:, :, :-2]
    known &= known.mean(axis=(1, 2), keepdims=True) >= _LEAST_CLEAR
    down, right = np.zeros_like(land), np.zeros_like(land)
    down[:, 1:-1] = land[:, 2:] - land[:, :-2]
    right[:, :, 1:-1] = land[:, :, 2:] - land[:, :, :-2]
    found = np.sqrt(np.hypot(down, right))
    count = np.maximum(known.sum(axis=(1, 2), keepdims=True), 1)
    found = np.where(known, found - _sum(found * known) / count, 0)
    spread = np.sqrt(_sum(found**2) / count)
    return np.clip(found / np.maximum(spread, 1e-9), -_CLIPPED, _CLIPPED).astype(np.float32)


def _sum(values: Floats) -> Floats:
    return values.sum(axis=(1, 2), keepdims=True)


def _compared(values: Floats, clear: Bools) -> Iterator[tuple[int, tuple[float, float], float]]:
    """Yield number, place and correlation of each date whose place is known."""
    n_dates, _, height, width = values.shape
    reach = max(1, int(_REACH * min(height, width)))
    around = np.arange(-reach, reach + 1)
    size = [scipy.fft.next_fast_len(side + reach, real=True) for side in (height, width)]
    found = np.empty(values.shape, np.float16)  # half the memory; of a whole tile it counts
    for number in range(n_dates):
        is_land = clear[number] & _is_dark(values[number])
        found[number] = edges(values[number], is_land)
    share = np.array([np.count_nonzero(one) / one.size for one in found])
    order = np.argsort(-share, kind="stable")[:_MOST]
    summed = set(order[share[order] >= _LEAST_SHARE].tolist())
    total = found[sorted(summed)].sum(axis=0, dtype=np.float32)
    spectrum = scipy.fft.rfft2(total, size)
    for number in np.flatnonzero(share >= _LEAST_SHARE).tolist():
        is_summed = number in summed
        if len(summed) - is_summed < LEAST_DATES:
            continue
        one = found[number].astype(np.float32)
        own = scipy.fft.rfft2(one, size)
        others = spectrum - own if is_summed else spectrum
        surface = scipy.fft.irfft2((own * others.conj()).sum(axis=0), size)
        rest = (total - one if is_summed else total)[one != 0]
        energy = float((one**2).sum()) * float((rest**2).sum())
        near = surface[np.ix_(around, around)] / (energy**0.5 + 1e-9)
        best = float(near.max())
        if best >= max(_LEAST_CORRELATION, _BY_CHANCE / np.count_nonzero(one) ** 0.5):
            yield number, _top(near), best


def _is_dark(blue: Floats) -> Bools:
    """Return which pixels are neither bright nor without data, nor next to such a pixel.

    A pixel next to snow or cloud is a mixture, and would be an edge one pixel beside the border.
    """
    known = np.pad(blue < _BRIGHT, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    known = known[:, :-2] & known[:, 1:-1] & known[:, 2:]
    dark: Bools = known[:, :, :-2] & known[:, :, 1:-1] & known[:, :, 2:]
    return dark


def _top(surface: Floats) -> tuple[float, float]:
    """Return where a surface is highest, rows and columns from its middle."""
    row, column = (int(index) for index in np.unravel_index(surface.argmax(), surface.shape))
    reach = len(surface) // 2
    down, right = _refined(surface[:, column], row), _refined(surface[row], column)
    return row - reach + down, column - reach + right


def _refined(values: Floats, top: int) -> float:
    """Return where the parabola through three values is highest, from the middle one."""
    if not 0 < top < len(values) - 1:
        return 0.0
    left, middle, right = (float(value) for value in values[top - 1 : top + 2])
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
