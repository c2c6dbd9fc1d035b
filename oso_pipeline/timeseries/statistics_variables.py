"""How monthly composites and statistics of a variable are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oso_pipeline.timeseries.series_layout import Variable
from oso_pipeline.timeseries.temporal_statistics import DAYS_OF


def monthly_variables(variable: Variable, kinds: Sequence[str]) -> tuple[Variable, ...]:
    """Return the composites of a variable, for example ``NDVI_monthly_mean``.

    Examples
    --------
    >>> ndvi = Variable("NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=-10000)
    >>> [(one.name, one.axis) for one in monthly_variables(ndvi, ["mean", "max"])]
    [('NDVI_monthly_mean', 'month'), ('NDVI_monthly_max', 'month')]
    """
    return tuple(
        replace(
            variable,
            name=f"{variable.name}_monthly_{kind}",
            long_name=f"{_words(kind)} of the clear observations of a month of {_what(variable)}",
            axis="month",
            ancillary=(),
        )
        for kind in kinds
    )


def statistics_variables(variable: Variable, names: Sequence[str]) -> tuple[Variable, ...]:
    """Return the statistics of a variable, for example ``NDVI_p90``, ``NDVI_day_of_maximum``.

    Examples
    --------
    >>> ndvi = Variable("NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=-10000)
    >>> for one in statistics_variables(ndvi, ["p90", "day_of_maximum"]):
    ...     print(one.name, one.dtype, one.fill, one.long_name)
    NDVI_p90 int16 -10000 percentile 90 of NDVI over the season
    NDVI_day_of_maximum uint16 0 day of maximum of NDVI over the season, YYDOY
    """
    return tuple(_statistic(variable, name) for name in names)


def _statistic(variable: Variable, name: str) -> Variable:
    long_name = f"{_words(name)} of {_what(variable)} over the season"
    own = replace(
        variable,
        name=f"{variable.name}_{name}",
        long_name=long_name,
        axis="",
        ancillary=(),
    )
    if name in DAYS_OF:
        return Variable(
            own.name,
            f"{long_name}, YYDOY",
            "1",
            "",
            "uint16",
            variable.resolution_m,
            fill=0,
            valid_range=(1, 65366),
        )
    if name in ("standard_deviation", "amplitude"):
        # Differences: no offset, and not the quantity whose standard name the variable has.
        return replace(own, offset=0.0, standard_name="", valid_range=None)
    return own


def _words(name: str) -> str:
    return f"percentile {name[1:]}" if name[1:].isdigit() else name.replace("_", " ")


def _what(variable: Variable) -> str:
    return variable.long_name or variable.name
