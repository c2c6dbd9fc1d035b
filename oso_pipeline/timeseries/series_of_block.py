"""The series of a block from its images: all variables of a layout, as they are stored.

Every variable follows from clear observations and their days. Bands and indices are filled by the
kernel of the features, so that they equal those of training and prediction; what networks estimate
of each clear image is filled by `gapfill`, the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.config.series import BIOPHYSICAL, Series
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.indices import INDICES
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.timeseries.biophysical import block_biophysical
from oso_pipeline.timeseries.clear_dates import flags_on_dates, nearest_clear_days
from oso_pipeline.timeseries.derived_series import (
    Layers,
    Observations,
    composites,
    courses,
    growing_seasons,
)
from oso_pipeline.timeseries.gapfill import gapfill, gapfill_unrounded
from oso_pipeline.timeseries.kernels.chunks import (
    Source,
    index_plan,
    recipe,
    staged_features,
)
from oso_pipeline.timeseries.series import BlockSeries, coarse_places
from oso_pipeline.timeseries.series_layout import SeriesBlock, SeriesLayout, rows_and_columns
from oso_pipeline.timeseries.series_variables import (
    bands_needed,
    phenology_settings,
    quality_names,
)

CHUNK_PIXELS = 16_384
"""Pixels whose series are in memory at once, beside the images and the result."""

_LARGEST_RATIO = np.float32(32.767)
"""Largest index that 16 bits hold; reflectances below zero may give larger ones."""

Target = Mapping[str, npt.NDArray[Any]]
"""Where variables go: arrays of shape ``(step, rows, columns)`` of the grid of each."""


@dataclass(frozen=True)
class SeriesRecipe:
    """What is made of the images of a block.

    Parameters
    ----------
    settings
        The section of the configuration.
    bands
        Bands of the images, in the order in which they are read.
    layout
        Variables and dates.
    """

    settings: Series
    bands: tuple[str, ...]
    layout: SeriesLayout


def empty_series(layout: SeriesLayout, block: Block) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a block with no data in every layer."""
    return {
        one.name: np.full(layout.shape(one, block), one.fill or 0, one.dtype)
        for one in layout.variables
    }


def series_of_block(
    images: BlockSeries, made: SeriesRecipe, angles: Sequence[Angles] = ()
) -> SeriesBlock:
    """Return the series of a block.

    Parameters
    ----------
    images
        The images of the block, with the bands of `made`.
    made
        Variables, dates and how they are computed.
    angles
        Of each image, if a network runs.

    Returns
    -------
    SeriesBlock
        Every variable of the layout. Bands and indices on linear dates equal those of
        `oso_pipeline.open_stack`, integer by integer.

    Examples
    --------
    >>> from datetime import date
    >>> from oso_pipeline.timeseries.series_variables import series_layout
    >>> values = np.array([1000, 3000, 2000, 4000], np.int16).reshape(2, 2, 1)
    >>> days = days_since_epoch([date(2018, 1, 1), date(2018, 1, 21)])
    >>> images = BlockSeries.of(values, np.ones((2, 1), np.uint8), days)
    >>> settings = Series(variables=("B8", "NDVI"))
    >>> layout = series_layout(settings, [date(2018, 1, 11)], [])
    >>> found = series_of_block(images, SeriesRecipe(settings, ("B4", "B8"), layout)).values
    >>> [int(found[name][0, 0, 0]) for name in ("B8", "NDVI", "nearest_clear_days")]
    [3500, 400, 10]
    """
    block = Block("", 0, 0, *images.shape)
    target = empty_series(made.layout, block)
    write_series(images, made, angles, target)
    return SeriesBlock(target)


def write_series(
    images: BlockSeries, made: SeriesRecipe, angles: Sequence[Angles], target: Target
) -> None:
    """Write the series of a block into arrays; otherwise as `series_of_block`."""
    whole = Block("", 0, 0, *images.shape)
    names = [name for name in made.settings.variables if name not in BIOPHYSICAL]
    if names:
        rows, width = rows_and_columns(whole, 10)
        for top, bottom in _strips(rows, width):
            pixels = slice(top * width, bottom * width)
            seen = Observations(
                lambda days, at=pixels: _filled(images, made.bands, names, days, at),  # type: ignore[misc]
                images.clear[:, pixels],
                images.days,
                lambda name, days, at=pixels: _unrounded(images, made.bands, name, days, at),  # type: ignore[misc]
            )
            _write_strip(seen, made, names, target, (top, bottom, 10))
    for number, name in enumerate(n for n in made.settings.variables if n in BIOPHYSICAL):
        _write_biophysical(images, made, angles, target, (name, number == 0))


def _write_biophysical(
    images: BlockSeries,
    made: SeriesRecipe,
    angles: Sequence[Angles],
    target: Target,
    which: tuple[str, bool],
) -> None:
    """Write a variable of a network, and the quality of its grid where it is the first one."""
    name, is_first = which
    resolution_m = made.settings.biophysical.resolution_m
    values, clear, flags = block_biophysical(images, made.bands, name, angles, resolution_m)
    rows, width = rows_and_columns(Block("", 0, 0, *images.shape), resolution_m)
    has_quality = is_first and not _is_on_grid_of_bands(made.settings)
    for top, bottom in _strips(rows, width):
        pixels = slice(top * width, bottom * width)
        seen = Observations(
            lambda days, at=pixels: {  # type: ignore[misc]
                name: gapfill(
                    values[:, None, at],
                    clear[:, at],
                    images.days,
                    days,
                )[0][:, 0]
            },
            clear[:, pixels],
            images.days,
            lambda name, days, at=pixels: (
                gapfill_unrounded(  # type: ignore[misc]
                    values[:, at], clear[:, at], images.days, days
                )
                * np.float32(made.layout[name].scale)
            ),
        )
        place = (top, bottom, resolution_m)
        _write_strip(seen, made, [name], target, place, has_quality)
        layout = made.layout
        raw = made.settings.dates == "raw"
        days = days_since_epoch(layout.acquisitions if raw else layout.dates)
        bits = flags_on_dates(flags[:, pixels], clear[:, pixels], images.days, days)
        if raw:
            bits *= seen.clear_on(days)
        _put(target, {f"{name}_flags": bits}, place)


def _is_on_grid_of_bands(settings: Series) -> bool:
    """Whether bands or indices share the grid of the networks, and so its quality."""
    others = any(name not in BIOPHYSICAL for name in settings.variables)
    return others and settings.biophysical.resolution_m == 10


def _write_strip(
    seen: Observations,
    made: SeriesRecipe,
    names: Sequence[str],
    target: Target,
    place: tuple[int, int, int],
    has_quality: bool = True,
) -> None:
    """Write all that follows from some rows of observations."""
    settings, layout = made.settings, made.layout
    found = courses(seen, settings, layout)
    _put(target, {name: found[name] for name in names}, place)
    for name in names:
        variable = layout[name]
        _put(target, composites(found[name], variable, seen, settings, layout), place)
        if settings.phenology is not None and settings.phenology.variable == name:
            what = phenology_settings(settings.phenology)
            metrics = growing_seasons(seen, what, settings.smoothing, layout)
            _put(target, metrics, place)
    if settings.quality and has_quality:
        count, nearest = quality_names(place[2])
        layers: Layers = {count: seen.clear.sum(axis=0, dtype=np.uint16)[None]}
        if settings.dates == "grid":
            days = days_since_epoch(layout.dates)
            layers[nearest] = nearest_clear_days(seen.clear, seen.days, days)
        _put(target, layers, place)


def _put(
    target: Target, layers: Mapping[str, npt.NDArray[Any]], place: tuple[int, int, int]
) -> None:
    top, bottom, _ = place
    for name, layer in layers.items():
        into = target[name]
        into[:, top:bottom] = layer.reshape(len(layer), bottom - top, into.shape[2])


def _filled(
    images: BlockSeries,
    bands: tuple[str, ...],
    names: Sequence[str],
    days: npt.NDArray[np.int32],
    pixels: slice,
) -> Layers:
    """Return bands and indices on some days, linearly between the nearest clear ones."""
    chosen = bands_needed(names, bands)
    indices = tuple(name for name in names if name in INDICES)
    slots = np.array([images.slots[bands.index(band)] for band in chosen], np.int32)
    places = np.arange(pixels.start, pixels.stop)
    source = Source(
        np.ascontiguousarray(images.fine),
        np.ascontiguousarray(images.coarse),
        slots,
        np.ascontiguousarray(images.clear),
        places,
        coarse_places(places, images.shape[1]),
    )
    plan = recipe(images.days, days, index_plan(indices, chosen, SENTINEL2))
    features, _ = staged_features(source, plan)
    n_days, n_bands = len(days), len(chosen)
    of_bands = features[: n_days * n_bands].reshape(n_days, n_bands, len(places))
    of_indices = features[n_days * n_bands :].reshape(len(indices), n_days, len(places))
    return {
        name: of_indices[indices.index(name)]
        if name in INDICES
        else of_bands[:, chosen.index(name)]
        for name in names
    }


def _unrounded(
    images: BlockSeries,
    bands: tuple[str, ...],
    name: str,
    days: npt.NDArray[np.int32],
    pixels: slice,
) -> npt.NDArray[np.float32]:
    """Return the normalised difference `name` of bands on some days, none of them rounded."""
    low, high = (bands.index(SENTINEL2.named(one)) for one in INDICES[name].bands)
    pair = replace(images, slots=images.slots[[low, high]])
    values, clear = pair.take(np.arange(pixels.start, pixels.stop))
    red, nir = (
        gapfill_unrounded(np.ascontiguousarray(band), clear, images.days, days)
        for band in values.swapaxes(0, 1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(nir + red == 0, np.float32(0), (nir - red) / (nir + red))
    return np.clip(ratio, -_LARGEST_RATIO, _LARGEST_RATIO)


def _strips(rows: int, width: int) -> list[tuple[int, int]]:
    """Return first rows, and those past the last, of strips of few pixels."""
    height = max(1, CHUNK_PIXELS // width)
    return [(top, min(top + height, rows)) for top in range(0, rows, height)]
