"""The daily curve of a pixel: a cubic spline through the dates of the grid.

Dates of growing seasons are wanted to the day, the grid has steps of about ten. Straight lines
between its dates miss a maximum by up to half a step. The natural cubic spline (two continuous
derivatives; de Boor, A Practical Guide to Splines, 1978, chapter IV) meets it to a fraction of a
day as long as the curve takes about three steps to rise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel


class CurvePlan(NamedTuple):
    """What all pixels of a grid share.

    Parameters
    ----------
    places
        Days of the grid after its first one, int64.
    steps
        Days between neighbours, float64.
    per_day
        Their reciprocals: the kernel multiplies, which costs less than to divide.
    upper, solved
        The factorised matrix of the second derivatives at the inner dates: above the diagonal,
        and the reciprocals of the pivots.
    """

    places: npt.NDArray[np.int64]
    steps: npt.NDArray[np.float64]
    per_day: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    solved: npt.NDArray[np.float64]

    @property
    def n_days(self) -> int:
        """Days of the daily curve."""
        return int(self.places[-1]) + 1


def curve_plan(days: npt.NDArray[np.int32]) -> CurvePlan:
    """Return the plan of a grid with at least three ascending days."""
    places = days.astype(np.int64) - int(days[0])
    steps = np.diff(places).astype(np.float64)
    inner = len(days) - 2
    upper, pivots = np.zeros(inner), np.zeros(inner)
    for i in range(inner):
        pivots[i] = 2 * (steps[i] + steps[i + 1])
        if i:
            pivots[i] -= steps[i] * upper[i - 1]
        upper[i] = steps[i + 1] / pivots[i]
    return CurvePlan(places, steps, 1 / steps, upper, 1 / pivots)


@kernel(error_model="numpy")
def draw_curve(plan, row, bends, curve):  # type: ignore[no-untyped-def]
    """Write the value of each day: `row` holds the dates, `bends` is scratch of the same length."""
    places, steps, per_day, n = plan.places, plan.steps, plan.per_day, len(row)
    bends[0] = bends[n - 1] = 0.0
    rise = (row[1] - row[0]) * per_day[0]
    for i in range(n - 2):
        next_rise = (row[i + 2] - row[i + 1]) * per_day[i + 1]
        bends[i + 1] = (6.0 * (next_rise - rise) - steps[i] * bends[i]) * plan.solved[i]
        rise = next_rise
    for i in range(n - 4, -1, -1):
        bends[i + 1] -= plan.upper[i] * bends[i + 2]
    for i in range(n - 1):
        step, first = steps[i], places[i]
        # The cubic of the step in powers of the days since its first date.
        bend, change, own = bends[i], bends[i + 1] - bends[i], per_day[i]
        slope = (row[i + 1] - row[i]) * own - step * (3.0 * bend + change) * (1.0 / 6.0)
        square, cube = bend * 0.5, change * own * (1.0 / 6.0)
        for day in range(places[i + 1] - first):
            t = float(day)
            curve[first + day] = row[i] + t * (slope + t * (square + t * cube))
    curve[places[n - 1]] = row[n - 1]


@kernel
def complete(places, row):  # type: ignore[no-untyped-def]
    """Fill dates without a number linearly in days, constant at the ends; return how many had one.

    `row` is changed in place.
    """
    last, seen = -1, 0
    for i in range(len(row)):
        if np.isfinite(row[i]):
            held, first = row[last] if last >= 0 else row[i], places[max(last, 0)]
            for k in range(last + 1, i):
                row[k] = held + (row[i] - held) * (places[k] - first) / (places[i] - first)
            last, seen = i, seen + 1
    for k in range(last + 1, len(row)):
        row[k] = row[last] if last >= 0 else row[k]
    return seen
