"""Check the offsets of reflectance of a tile by a few pixels of its products.

Runs only where products are of several baselines, scales or offsets, and enough of each lie next to
others. It reads small windows of blue and red and of the quality assets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rasterio.errors import RasterioError

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.offset_guard import STEP, Series, Shift, comparable, find_shifts
from oso_pipeline.imagery.sample_windows import BLUE, Samples, read_band

RED = "B4"
_LEAST_SHARE = 0.05  # of the pixels read have to be clear
_SHOWN = 6


def check_offsets(samples: Samples, tile: str, problems: Problems) -> None:
    """Stop where the offset of products is missing or applied twice (``E-IMAGE-OFFSET``).

    Parameters
    ----------
    samples
        Windows of the products that are used.
    tile
        Name of the tile, for the message.
    problems
        Takes an error for each group of products, with their names.
    """
    chosen = [number for number, item in enumerate(samples.items) if RED in item.bands]
    some = [samples.items[number] for number in chosen]
    groups = [_group(item) for item in some]
    days = np.array([item.acquired.timestamp() / 86_400 for item in some])
    if len(set(groups)) < 2 or not comparable(Series(days, np.zeros((2, len(some))), groups)):
        return
    values = np.array([clear_medians(samples, number) for number in chosen]).T
    for shift in find_shifts(Series(days, values, groups)):
        _report(shift, [some[number].product_id for number in shift.numbers], tile, problems)


def clear_medians(samples: Samples, number: int) -> tuple[float, float]:
    """Return the medians of blue and red of a product over clear pixels, NaN where few are clear.

    Red is read here, and only where products have to be compared.
    """
    blue = samples.blue[number].astype(np.float32)
    try:
        red = read_band(samples.items[number].bands[RED], samples.windows)
    except (RasterioError, OSError):
        return np.nan, np.nan  # reading for the map reports it
    clear = samples.clear[number] & np.isfinite(blue) & np.isfinite(red)
    if clear.mean() < _LEAST_SHARE:
        return np.nan, np.nan
    return float(np.median(blue[clear])), float(np.median(red[clear]))


def _group(item: Acquisition) -> str:
    bands = [item.bands[band] for band in (BLUE, RED)]
    scales = dict.fromkeys(f"scale {one.scale:g}, offset {one.offset:g}" for one in bands)
    return f"baseline {item.processing.baseline or 'unknown'}, {', '.join(scales)}"


def _report(shift: Shift, names: Sequence[str], tile: str, problems: Problems) -> None:
    how = "brighter" if shift.offset == "missing" else "darker"
    why = "seems to be missing" if shift.offset == "missing" else "seems to be applied twice"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    problems.error(
        "E-IMAGE-OFFSET",
        f"{counted(len(names), 'product')} of one kind ({shift.group}) are {STEP:g} {how} in blue "
        f"and red than those next to them of another; the offset {why}: "
        f"{', '.join(names[:_SHOWN])}{more}",
        f"tile {tile}",
        "fetch these products from another archive, or take them out of imagery.paths",
    )
