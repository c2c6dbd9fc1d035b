"""A chunk of pixels from images to features, in scratch memory that stays in the cache.

Everything works on rows of `CHUNK` pixels, a vector of pixels at a time. Rows lie one after the
other in flat arrays. Positions beyond the last pixel are computed like pixels without a clear date.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.indices import Index, index_named, lacking
from oso_pipeline.core.kernels import kernel
from oso_pipeline.core.sensors import SENTINEL2, Sensor
from oso_pipeline.timeseries.kernels.derived import Derived, derived_chunk, derived_plan
from oso_pipeline.timeseries.kernels.interpolate import fill, weigh
from oso_pipeline.timeseries.kernels.load import gather_band, gather_masks, side_by_side
from oso_pipeline.timeseries.kernels.programs import new_registers, run_program
from oso_pipeline.timeseries.kernels.rows import CHUNK, aligned, aligned_empty, chunk_row
from oso_pipeline.timeseries.kernels.simd import (
    WIDTH,
    add_square,
    everywhere,
    load,
    ratio,
    root,
    store,
    store_past_caches,
)
from oso_pipeline.timeseries.kernels.steps import Programs, programs_of

NODATA = -10_000
"""Every feature of a pixel without a clear date."""

_CACHED_BYTES = 2**25
"""Size beyond which no cache keeps the features: they are written straight to memory."""

NDVI, NDWI, BRIGHTNESS, FIRST_FORMULA = 0, 1, 2, 3
"""Numbers of the indices; those that are defined by formulas come last."""

INDEX_NUMBERS = {"NDVI": NDVI, "NDWI": NDWI, "brightness": BRIGHTNESS}
"""Indices that the kernels compute without a formula, by the name in `core.indices`."""

_NO_PROGRAMS = programs_of((), (), SENTINEL2)


class IndexPlan(NamedTuple):
    """Which indices are computed, and from which bands.

    Parameters
    ----------
    numbers
        Numbers of the indices.
    red, nir, swir
        Which band is which; 0 where no index looks at it.
    programs
        The formulas of the other indices.
    """

    numbers: tuple[int, ...] = ()
    red: int = 0
    nir: int = 0
    swir: int = 0
    programs: Programs = _NO_PROGRAMS


class Source(NamedTuple):
    """Where the pixels of a block come from, see `series.BlockSeries`."""

    fine: npt.NDArray[np.int16]
    coarse: npt.NDArray[np.int16]
    slots: npt.NDArray[np.int32]
    clear: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]
    halves: npt.NDArray[np.int64]


class Recipe(NamedTuple):
    """Indices and derived features to compute.

    Parameters
    ----------
    days_in, days_out
        Days of the images and of the grid, float32, since the first image.
    splits
        Number of images up to each day of the grid, int64.
    indices
        Numbers of the indices, int64.
    red, nir, swir
        Which band is which.
    programs
        The formulas of the other indices.
    derived
        Families of derived features.
    """

    days_in: npt.NDArray[np.float32]
    days_out: npt.NDArray[np.float32]
    splits: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    red: int
    nir: int
    swir: int
    programs: Programs
    derived: Derived


class Scratch(NamedTuple):
    """Flat rows of `CHUNK` pixels; `features` and `validity` are the result."""

    raw: Any
    seen: Any
    future: Any
    days_past: Any
    days_future: Any
    weights: Any
    features: Any
    validity: Any
    registers: Any


def index_plan(
    indices: tuple[str, ...],
    bands: tuple[str, ...],
    sensor: Sensor,
    defined: tuple[Index, ...] = (),
) -> IndexPlan:
    """Return how indices are computed from bands of a sensor, in the order of both.

    Parameters
    ----------
    indices
        Names of `core.indices.INDICES` or of `defined`.
    bands, sensor
        The bands that there are.
    defined
        Indices that are defined by a formula.

    Raises
    ------
    ValueError
        If an index is not known, or it needs a band that is not there.
    """
    place: dict[str, int] = {}
    formulas = [index_named(name, defined) for name in indices if name not in INDEX_NUMBERS]
    for name in indices:
        index = index_named(name, defined)
        if missing := lacking(index, bands, sensor):
            raise ValueError(f"{name} needs {', '.join(missing)} among the bands")
        place |= {common: bands.index(sensor.named(common)) for common in index.bands}
    known = INDEX_NUMBERS | {index.name: FIRST_FORMULA + n for n, index in enumerate(formulas)}
    red, nir, swir = (place.get(common, 0) for common in ("red", "nir", "swir16"))
    numbers = tuple(known[name] for name in indices)
    return IndexPlan(numbers, red, nir, swir, programs_of(formulas, bands, sensor))


def recipe(
    days_in: npt.NDArray[np.int32],
    days_out: npt.NDArray[np.int32],
    indices: IndexPlan = IndexPlan(),  # noqa: B008  (immutable)
    derived: tuple[str, ...] = (),
) -> Recipe:
    """Return what is computed on days since any epoch; ValueError for an unknown family."""
    first = days_in[0] if len(days_in) else 0
    return Recipe(
        (days_in - first).astype(np.float32),
        (days_out - first).astype(np.float32),
        np.searchsorted(days_in, days_out, side="right").astype(np.int64),
        np.array(indices.numbers, dtype=np.int64),
        *indices[1:],
        derived_plan(derived, days_out),
    )


def staged_features(
    source: Source, plan: Recipe
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Return the features of all pixels, shape ``(feature, pixel)``, and their validity."""
    n_pixels, n_channels = len(source.places), len(source.slots) + len(plan.indices)
    n_features = n_channels * (len(plan.days_out) + plan.derived.rows)
    flat = aligned_empty(n_features * n_pixels)
    validity = np.empty(n_pixels, dtype=np.uint16)
    past_caches = flat.nbytes > _CACHED_BYTES and n_pixels % WIDTH == 0
    (_stage_past_caches if past_caches else _stage)(source, plan, flat, validity)
    return flat.reshape(n_features, n_pixels), validity


@kernel
def _stage(source, plan, flat, validity):  # type: ignore[no-untyped-def]
    scratch, n_pixels = new_scratch(source, plan), len(source.places)
    for start in range(0, n_pixels, CHUNK):
        size = features_chunk(source, plan, start, scratch)
        validity[start : start + size] = scratch.validity[:size]
        for row in range(len(flat) // n_pixels):
            first = row * n_pixels + start
            out, values = flat[first : first + size], chunk_row(scratch.features, row)
            for p in range(size):
                out[p] = values[p]


@kernel
def _stage_past_caches(source, plan, flat, validity):  # type: ignore[no-untyped-def]
    """Compute as `_stage`; rows hold whole vectors."""
    scratch, n_pixels = new_scratch(source, plan), len(source.places)
    for start in range(0, n_pixels, CHUNK):
        size = features_chunk(source, plan, start, scratch)
        validity[start : start + size] = scratch.validity[:size]
        for row in range(len(flat) // n_pixels):
            for offset in range(0, size, WIDTH):
                values = load(scratch.features, row * CHUNK + offset)
                store_past_caches(flat, row * n_pixels + start + offset, values)


@kernel
def new_scratch(source, plan):  # type: ignore[no-untyped-def]
    """Return the memory for one chunk at a time."""
    n_in, n_bands, n_out = source.clear.shape[0], len(source.slots), len(plan.days_out)
    n_features = (n_bands + len(plan.indices)) * (n_out + plan.derived.rows)
    return Scratch(
        aligned(2 * n_in * CHUNK).view(np.int16),
        aligned(2 * n_in * CHUNK).view(np.int16),
        aligned(2 * (n_in + 1) * WIDTH).view(np.int16),
        aligned(4 * (n_in + 1) * CHUNK).view(np.float32),
        aligned(4 * (n_in + 1) * CHUNK).view(np.float32),
        aligned(4 * n_out * CHUNK).view(np.float32),
        aligned(2 * n_features * CHUNK).view(np.int16),
        aligned(2 * CHUNK).view(np.int16),
        new_registers(plan.programs),
    )


@kernel
def features_chunk(source, plan, start, scratch):  # type: ignore[no-untyped-def]
    """Compute features and validity of the pixels from `start` on; return how many they are."""
    size = min(len(source.places) - start, CHUNK)
    n_in, n_bands = source.clear.shape[0], len(source.slots)
    places, halves = source.places[start : start + size], source.halves[start : start + size]
    together = side_by_side(source, start, size)
    gather_masks(source, start, size, together, scratch)
    if not _any_clear(scratch):
        scratch.features[:] = NODATA
        return size
    weigh(plan, n_in, scratch)
    fine, raw = source.fine.ravel(), scratch.raw
    n_fine, n_pixels = source.fine.shape[1], source.fine.shape[2]
    for band in range(n_bands):
        slot = source.slots[band]
        if slot >= 0 and together:
            first = slot * n_pixels + places[0]
            fill(plan, fine, first, n_fine * n_pixels, band, n_bands, n_in, scratch)
        else:
            if slot >= 0:
                gather_band(source.fine, slot, places, False, raw)
            else:
                gather_band(source.coarse, -1 - slot, halves, together, raw)
            fill(plan, raw, 0, CHUNK, band, n_bands, n_in, scratch)
    row = indices_chunk(plan, n_bands, scratch)
    _blank(scratch, row)
    return size


@kernel
def _any_clear(scratch):  # type: ignore[no-untyped-def]
    """Return whether some pixel of a chunk has a clear date."""
    most = np.int16(0)
    for p in range(CHUNK):
        most |= scratch.validity[p]
    return most != 0


@kernel
def indices_chunk(plan, n_bands, scratch):  # type: ignore[no-untyped-def]
    """Compute indices and derived features from the bands of a chunk, and count its rows.

    Parameters
    ----------
    plan
        Of it only the dates (how many), the indices, the places of their bands, the formulas, and
        the families.
    n_bands
        Number of bands.
    scratch
        Of it only ``features``, with the bands written, and ``registers``.
    """
    n_out = len(plan.days_out)
    row = n_out * n_bands
    for code in plan.indices:
        for date in range(n_out):
            if code >= FIRST_FORMULA:
                number = code - FIRST_FORMULA
                run_program(plan.programs, number, date * n_bands, row, scratch)
            else:
                _index(code, plan, date * n_bands, n_bands, row, scratch.features)
            row += 1
    return derived_chunk(plan, n_bands, row, scratch.features)


@kernel
def _index(code, plan, first, n_bands, row, features):  # type: ignore[no-untyped-def]
    """Write an index of one date, whose bands begin at row `first`, into `row`."""
    for offset in range(0, CHUNK, WIDTH):
        if code == BRIGHTNESS:
            total = everywhere(np.uint32(0))
            for band in range(first, first + n_bands):
                total = add_square(total, load(features, band * CHUNK + offset))
            store(features, row * CHUNK + offset, root(total))
        else:
            nir = load(features, (first + plan.nir) * CHUNK + offset)
            if code == NDVI:
                red = load(features, (first + plan.red) * CHUNK + offset)
                store(features, row * CHUNK + offset, ratio(nir, red))
            else:
                swir = load(features, (first + plan.swir) * CHUNK + offset)
                store(features, row * CHUNK + offset, ratio(swir, nir))


@kernel
def _blank(scratch, n_rows):  # type: ignore[no-untyped-def]
    """Write no data into the pixels without a clear date."""
    for p in range(CHUNK):
        if scratch.validity[p] == 0:
            for row in range(n_rows):
                scratch.features[row * CHUNK + p] = NODATA
