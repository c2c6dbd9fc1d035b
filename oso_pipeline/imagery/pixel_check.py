"""Check a tile by a few pixels of its products: offsets, cloud masks, and where the images lie.

Serves products on this machine; images on the web are left out until they are copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from odc.geo.geobox import GeoBox

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.mask_guard import compare_brightness
from oso_pipeline.imagery.offset_check import check_offsets
from oso_pipeline.imagery.sample_windows import COARSE, PIXEL_M, Samples, Windows, read_samples
from oso_pipeline.imagery.shift_guard import find_shifts

MOST_SHIFTED_M = 11.0
"""Metres from the other dates above which a date is named. Of two real series of 2018 and 2019, on
64 pixels, 95 % of the dates lie within 6 m and all within 8 m."""

_SHOWN = 6


def check_pixels(used: Sequence[Acquisition], grid: GeoBox, tile: str, problems: Problems) -> None:
    """Check the products of a tile by some windows of their pixels.

    Parameters
    ----------
    used
        The products that are used, whose files have been checked.
    grid
        Their grid at 10 m.
    tile
        Name of the tile, for messages.
    problems
        Takes ``E-IMAGE-OFFSET`` for offsets of reflectance that are missing or applied twice,
        ``W-IMAGE-UNMASKED`` for products whose quality layers hide next to nothing of a cloudy
        scene, ``W-IMAGE-SHIFT`` for products that lie more than a pixel beside the others.
    """
    samples = read_samples(used, Windows.of(grid))
    if samples.items:
        check_offsets(samples, tile, problems)
        _check_masks(samples, tile, problems)
        _check_places(samples, tile, problems)


def _check_masks(samples: Samples, tile: str, problems: Problems) -> None:
    """Warn of products that look cloudy and are hidden next to nowhere."""
    coarse = (slice(None), slice(None), slice(None, None, COARSE), slice(None, None, COARSE))
    flat = (len(samples.items), -1)
    found = compare_brightness(
        samples.blue[coarse].reshape(flat).astype(np.float32),
        samples.infrared.reshape(flat).astype(np.float32),
        samples.clear[coarse].reshape(flat),
    )
    if not found.unmasked:
        return
    names = [
        f"{samples.items[number].product_id} (blue {found.blue[number]:.2f}, "
        f"{found.like_cloud[number]:.0%} like cloud, {found.hidden[number]:.0%} hidden)"
        for number in found.unmasked
    ]
    problems.warn(
        "W-IMAGE-UNMASKED",
        f"the quality layers of {counted(len(names), 'product')} hide next to nothing, but the "
        f"scene is bright as cloud; blue of the tile on dark dates is {found.normal:.2f}: "
        f"{_listed(names)}",
        f"tile {tile}",
        "look at the products; fetch them again, or take them out of imagery.paths",
    )


def _check_places(samples: Samples, tile: str, problems: Problems) -> None:
    """Warn of products that lie more than a pixel beside the others."""
    shifts = find_shifts(samples.blue, samples.clear)
    metres = shifts.pixels * PIXEL_M
    names = [
        f"{samples.items[number].product_id} ({_direction(*metres[number])})"
        for number in shifts.beyond(MOST_SHIFTED_M / PIXEL_M)
    ]
    if not names:
        return
    known = int(np.isfinite(shifts.correlation).sum())
    problems.warn(
        "W-IMAGE-SHIFT",
        f"{counted(len(names), 'product')} of the {known} whose place could be compared "
        f"{'lies' if len(names) == 1 else 'lie'} more than a pixel beside the others: "
        f"{_listed(names)}",
        f"tile {tile}",
        "compare them with the others in a GIS; fetch them again, or take them out of "
        "imagery.paths",
    )


def _direction(down: float, right: float) -> str:
    """Return a shift in words: ``20 m south, 5 m east``."""
    return (
        f"{abs(down):.0f} m {'south' if down > 0 else 'north'}, "
        f"{abs(right):.0f} m {'east' if right > 0 else 'west'}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
