"""How many clear observations stand behind each date of the grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def observations_per_date(
    clear: npt.NDArray[np.uint8] | npt.NDArray[np.bool_],
    days_in: npt.NDArray[np.int32],
    days: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """Count the clear observations that are nearest to each date of the grid.

    Parameters
    ----------
    clear
        Whether an acquisition counts at a pixel, shape ``(time, pixel)``.
    days_in, days
        Days of the acquisitions and of the grid since one epoch, ascending.

    Returns
    -------
    counts
        uint8, shape ``(date, pixel)``. An acquisition between two dates counts for the nearer
        one, in the middle for the earlier one; before the first or after the last date it does
        not count where it is further away than the grid has steps.

    Examples
    --------
    >>> clear = np.array([[1], [1], [1]], np.uint8)
    >>> seen = observations_per_date(clear, np.int32([1, 4, 8]), np.int32([0, 10]))
    >>> seen.ravel().tolist()
    [2, 1]
    """
    middles = (days[:-1].astype(np.float64) + days[1:]) / 2
    nearest = np.searchsorted(middles, days_in, side="left")
    step = float(np.median(np.diff(days))) if len(days) > 1 else np.inf
    near = np.abs(days_in - days[nearest]) <= step
    counts = np.zeros((len(days), clear.shape[1]), np.uint8)
    for row, place, counted in zip(clear, nearest, near, strict=True):
        if counted:
            counts[place] += row.view(np.uint8)
    return counts
