"""How metrics of phenology are stored: units, scales, no data, meanings of the quality flag."""

from __future__ import annotations

from oso_pipeline.timeseries.phenology.pixels import (
    DAYS,
    METRICS,
    NO_DATA,
    PRODUCTIVITY_SCALE,
    SLOPES,
    VALUES,
)
from oso_pipeline.timeseries.phenology.settings import PhenologySettings
from oso_pipeline.timeseries.series_layout import Variable

QUALITY_MEANINGS = (
    "no_data",
    "no_season",
    "no_clear_observation_in_the_season",
    "too_few_clear_observations_in_every_stage",
    "green_up_observed",
    "green_down_observed",
    "peak_observed",
    "green_up_and_peak_observed",
    "green_up_and_green_down_observed",
    "green_down_and_peak_observed",
    "green_up_peak_and_green_down_observed",
)
"""Meanings of QFLAG 0 to 10. 0, 1, and 7 to 10 are those of HR-VPP; 4 to 6 are low there too."""

_LONG_NAMES = {
    "SOSD": "start of season, YYDOY",
    "EOSD": "end of season, YYDOY",
    "MAXD": "day of the maximum of the season, YYDOY",
    "SOSV": "{} at the start of season",
    "EOSV": "{} at the end of season",
    "MAXV": "{} at the maximum of the season",
    "MINV": "base level of {} of the season",
    "AMPL": "amplitude of {} of the season",
    "LSLOPE": "rise of {} per day at the start of season",
    "RSLOPE": "fall of {} per day at the end of season",
    "LENGTH": "length of season",
    "SPROD": "seasonal productivity: sum of daily {} above the base level",
    "TPROD": "total productivity: sum of daily {}",
}


def phenology_variables(settings: PhenologySettings, resolution_m: int) -> tuple[Variable, ...]:
    """Return the variables of :func:`phenology`, along the axis ``season``.

    Parameters
    ----------
    settings
        Of the analysis; LAI has other units and a coarser scale.
    resolution_m
        Side of a pixel of the variable, 10 or 20.

    Examples
    --------
    >>> variables = phenology_variables(PhenologySettings("NDVI"), 10)
    >>> [variable.name for variable in variables][:4]
    ['SOSD', 'EOSD', 'MAXD', 'SOSV']
    >>> variables[-1].name, variables[-1].flag_values[-1], variables[-1].flag_meanings[1]
    ('QFLAG', 10, 'no_season')
    """
    flag = Variable(
        "QFLAG",
        "quality of the growing season",
        "1",
        "season",
        "uint8",
        resolution_m,
        standard_name="quality_flag",
        valid_range=(0, len(QUALITY_MEANINGS) - 1),
        flag_values=tuple(range(len(QUALITY_MEANINGS))),
        flag_meanings=QUALITY_MEANINGS,
    )
    return (*(_metric(name, settings, resolution_m) for name in METRICS), flag)


def _metric(name: str, settings: PhenologySettings, resolution_m: int) -> Variable:
    return Variable(
        name,
        _LONG_NAMES[name].format(settings.variable),
        _units(name, settings.variable),
        "season",
        "uint16",
        resolution_m,
        scale=_scale(name, settings),
        fill=NO_DATA[name],
        valid_range=_valid_range(name),
        ancillary=("QFLAG",),
    )


def _units(name: str, variable: str) -> str:
    leaves = "m2 m-2" if variable == "LAI" else ""
    if name in DAYS:
        return "1"
    if name == "LENGTH":
        return "days"
    if name in VALUES:
        return leaves or "1"
    return f"{leaves} day-1".strip() if name in SLOPES else f"{leaves} day".strip()


def _scale(name: str, settings: PhenologySettings) -> float:
    if name in DAYS or name == "LENGTH":
        return 1.0
    return settings.value_scale if name in (*VALUES, *SLOPES) else PRODUCTIVITY_SCALE


def _valid_range(name: str) -> tuple[int, int]:
    if name in DAYS:
        return 1, 65366
    if name == "LENGTH":
        return 1, 1096
    return (0, 32767) if name in (*VALUES, *SLOPES) else (0, 65534)
