"""Which variables a section ``series`` asks for, and how each is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from oso_pipeline.config.series import BIOPHYSICAL, Phenology, Series
from oso_pipeline.core.indices import INDICES
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.timeseries.biophysical import FLAGS, INPUT_BANDS, SCALES
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.phenology import PhenologySettings
from oso_pipeline.timeseries.phenology.variables import phenology_variables
from oso_pipeline.timeseries.series_layout import Axis, SeriesLayout, Variable
from oso_pipeline.timeseries.statistics_variables import monthly_variables, statistics_variables
from oso_pipeline.timeseries.temporal_statistics import months_of

NO_DAY = 65_535
"""Stored where there is no day or no number of them."""

_BIOPHYSICAL = {
    "LAI": ("leaf area index", "m2 m-2", "leaf_area_index"),
    "FAPAR": (
        "fraction of absorbed photosynthetically active radiation",
        "1",
        "fraction_of_surface_downwelling_photosynthetic_radiative_flux_absorbed_by_vegetation",
    ),
    "FCOVER": ("fraction of green vegetation cover", "1", ""),
}


def series_layout(
    series: Series, dates: Sequence[date], acquisitions: Sequence[date]
) -> SeriesLayout:
    """Return what the blocks of a tile hold.

    Parameters
    ----------
    series
        The section of the configuration.
    dates
        The date grid of the season.
    acquisitions
        Days with an image of the tile, ascending, each once.
    """
    return SeriesLayout(
        tuple(_variables(series)),
        dates=tuple(dates),
        acquisitions=tuple(acquisitions),
        months=months_of(dates) if series.monthly else (),
        n_seasons=0 if series.phenology is None else series.phenology.seasons,
    )


def bands_needed(variables: Iterable[str], bands: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that variables are computed from, in the order of `bands`.

    Those that are needed but not among `bands` come last: they are missing.

    Examples
    --------
    >>> bands_needed(["NDVI", "B2"], ["B2", "B3", "B4"])
    ('B2', 'B4', 'B8')
    """
    needed: list[str] = []
    for name in variables:
        if name in BIOPHYSICAL:
            needed += INPUT_BANDS
        elif name in INDICES:
            found = INDICES[name].bands
            needed += [SENTINEL2.named(one) for one in found] if found else bands
        else:
            needed.append(name)
    missing = [name for name in dict.fromkeys(needed) if name not in bands]
    return (*(name for name in bands if name in needed), *missing)


def resolution_of(series: Series, name: str) -> int:
    """Return the side of the pixels of a variable, in metres.

    Bands of 20 m have values at each 10 m pixel, as in `open_stack`: its own dates are clear.
    """
    return series.biophysical.resolution_m if name in BIOPHYSICAL else 10


def phenology_settings(phenology: Phenology) -> PhenologySettings:
    """Return what a growing season is, from the section of the configuration."""
    return PhenologySettings(
        phenology.variable,
        phenology.seasons,
        phenology.start_fraction,
        phenology.end_fraction,
        phenology.least_amplitude,
    )


def quality_names(resolution_m: int) -> tuple[str, str]:
    """Return the names of the number of clear dates and of the distance to the nearest one.

    Examples
    --------
    >>> quality_names(20)
    ('clear_dates_20m', 'nearest_clear_days_20m')
    """
    end = "" if resolution_m == 10 else f"_{resolution_m}m"
    return f"clear_dates{end}", f"nearest_clear_days{end}"


def _variables(series: Series) -> Iterator[Variable]:
    axis: Axis = "time" if series.dates == "grid" else "acquisition"
    for name in series.variables:
        base = _base(series, name, axis)
        yield base
        if name in BIOPHYSICAL:
            yield _flags_of(base)
        yield from monthly_variables(base, series.monthly)
        yield from statistics_variables(base, series.statistics)
    if series.quality:
        for resolution_m in sorted({resolution_of(series, name) for name in series.variables}):
            yield from _quality(series, resolution_m)
    if series.phenology is not None:
        settings = phenology_settings(series.phenology)
        yield from phenology_variables(settings, resolution_of(series, settings.variable))


def _base(series: Series, name: str, axis: Axis) -> Variable:
    resolution_m = resolution_of(series, name)
    found = Variable(name, "", "1", axis, "int16", resolution_m, fill=NODATA)
    ancillary: tuple[str, ...] = ()
    if series.quality:
        count, nearest = quality_names(resolution_m)
        ancillary = (count, nearest) if axis == "time" else (count,)
    if name in BIOPHYSICAL:
        long_name, units, standard_name = _BIOPHYSICAL[name]
        return replace(
            found,
            long_name=long_name,
            units=units,
            scale=SCALES[name],
            standard_name=standard_name,
            ancillary=(f"{name}_flags", *ancillary),
        )
    if name in INDICES and INDICES[name].bands:
        scale = 1 / INDICES[name].scale
        formula = f"{name}, {INDICES[name].formula}"
        return replace(found, long_name=formula, scale=scale, ancillary=ancillary)
    if name in INDICES:
        what = "brightness, root of the sum of squared reflectances"
        return replace(found, long_name=what, scale=1e-4, ancillary=ancillary)
    return replace(
        found,
        long_name=f"surface reflectance, band {name} of Sentinel-2",
        scale=1e-4,
        standard_name="surface_bidirectional_reflectance",
        ancillary=ancillary,
    )


def _flags_of(base: Variable) -> Variable:
    return Variable(
        f"{base.name}_flags",
        f"flags of {base.name}: of the observations that a date was made from",
        "1",
        base.axis,
        "uint8",
        base.resolution_m,
        standard_name="quality_flag",
        flag_masks=tuple(FLAGS.values()),
        flag_meanings=tuple(FLAGS),
    )


def _quality(series: Series, resolution_m: int) -> Iterator[Variable]:
    count, nearest = quality_names(resolution_m)
    yield Variable(
        count,
        "number of clear dates",
        "1",
        "",
        "uint16",
        resolution_m,
        fill=NO_DAY,
        standard_name="number_of_observations",
    )
    if series.dates == "grid":
        long_name = "days to the nearest clear date"
        yield Variable(nearest, long_name, "days", "time", "uint16", resolution_m, fill=NO_DAY)
