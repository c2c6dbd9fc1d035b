"""Dates in the encoding of HR-VPP: two digits of the year and three of the day in the year."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt

_FIRST = (date(2000, 1, 1) - date(1970, 1, 1)).days
_LAST = (date(2065, 6, 30) - date(1970, 1, 1)).days  # 65366 would be the last code of 16 bits


def yydoy(days: npt.ArrayLike) -> npt.NDArray[np.uint16]:
    """Return days since 1970-01-01 as YYDOY, uint16 of the same shape.

    Raises
    ------
    ValueError
        If a day lies before 2000 or after June 2065.

    Examples
    --------
    >>> from oso_pipeline.core.dates import days_since_epoch
    >>> yydoy(days_since_epoch([date(2018, 1, 1), date(2020, 12, 31)])).tolist()
    [18001, 20366]
    """
    given = np.asarray(days, dtype=np.int64)
    if given.size and not (given.min() >= _FIRST and given.max() <= _LAST):
        raise ValueError("YYDOY counts from 2000-01-01 to 2065-06-30")
    moments = given.astype("datetime64[D]")
    years = moments.astype("datetime64[Y]")
    in_year = (moments - years.astype("datetime64[D]")).astype(np.int64) + 1
    return ((years.astype(np.int64) - 30) * 1000 + in_year).astype(np.uint16)


def dates_of(codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.datetime64]:
    """Return YYDOY as dates, ``datetime64[D]`` of the same shape; 0 becomes ``NaT``.

    Examples
    --------
    >>> dates_of(np.array([18001, 0], np.uint16)).astype(str).tolist()
    ['2018-01-01', 'NaT']
    """
    years, in_year = np.divmod(codes.astype(np.int64), 1000)
    first = (years + 30).astype("datetime64[Y]").astype("datetime64[D]")
    return np.where(codes == 0, np.datetime64("NaT", "D"), first + (in_year - 1))
