"""How good the series behind a map are: counts of pixels, and what to warn of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.errors import Problems
from oso_pipeline.timeseries.feature_layout import FeatureLayout
from oso_pipeline.timeseries.gapfill import longest_gap_days
from oso_pipeline.timeseries.series import BlockSeries

LONG_GAP_DAYS = 60
"""A pixel without a clear date for longer is counted: a whole growth stage may be missed."""

_COUNTS = ("classified", "nodata", "insufficient", "long_gap", "clipped")


def count_quality(
    series: BlockSeries,
    wanted: npt.NDArray[np.bool_],
    validity: npt.NDArray[np.uint16],
    layout: FeatureLayout,
) -> dict[str, int]:
    """Count the pixels of a block by the quality of their series.

    Parameters
    ----------
    series
        Images of the block.
    wanted
        Pixels that the map takes from the block, shape ``(pixel,)``.
    validity
        Number of clear dates, shape ``(pixel,)``.
    layout
        Its dates bound the season within which gaps are looked for.

    Returns
    -------
    counts
        ``classified`` pixels with a class; ``nodata`` pixels without any clear date;
        ``insufficient`` pixels with fewer than two, those without any included; ``long_gap``
        pixels with a class and more than `LONG_GAP_DAYS` days without a clear date;
        ``clipped`` values (not pixels) of the block out of the range that is stored. Where some
        are, ``blank`` observations that are 0 in every band and not used, and ``observed`` ones
        of these blocks that no mask hides, blank ones included.
    """
    classified = wanted & (validity > 0)
    days = layout.series.days
    gaps = longest_gap_days(series.clear, series.days, int(days[0]), int(days[-1]))
    blank = {}
    if series.blank:
        blank = {"blank": series.blank, "observed": series.blank + int(series.clear.sum())}
    return {
        "classified": int(np.count_nonzero(classified)),
        "nodata": int(np.count_nonzero(wanted & (validity == 0))),
        "insufficient": int(np.count_nonzero(wanted & (validity < 2))),
        "long_gap": int(np.count_nonzero(classified & (gaps > LONG_GAP_DAYS))),
        "clipped": series.clipped,
        **blank,
    }


def total_quality(found: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Sum up the counts of blocks; blocks committed before a count existed have none of it."""
    totals = dict.fromkeys(_COUNTS, 0)
    for counts in found:
        for name in _COUNTS:
            totals[name] += int(counts.get(name, 0))
        for name in counts.keys() & {"blank", "observed"}:
            totals[name] = totals.get(name, 0) + int(counts[name])
    return totals


def quality_warnings(totals: Mapping[str, int]) -> list[str]:
    """Return the warnings ``W-SERIES-...`` about the series of all blocks."""
    pixels = totals["classified"] + totals["nodata"]
    found = (
        (
            "CLIPPED",
            "clipped",
            "values of clear pixels lay outside -0.9999 to 3.2767 and were clipped",
        ),
        ("FEW-DATES", "insufficient", "have fewer than two clear dates"),
        ("NO-DATE", "nodata", "have no clear date and get no class"),
        ("GAP", "long_gap", f"have a gap of more than {LONG_GAP_DAYS} days between clear dates"),
    )
    problems = Problems()
    if blank := totals.get("blank", 0):
        problems.warn(
            "W-SERIES-ZERO",
            f"{blank} observations, {blank / totals['observed']:.1%} of those in the blocks "
            "concerned, are 0 in every band and hidden by no mask; they count as no data",
            "blocks",
            "products of MAJA 4.5.2 have this fault: fetch them again where they were made again",
        )
    for kind, name, text in found:
        if totals[name]:
            share = "" if name == "clipped" else f"of {pixels} pixels "
            problems.warn(f"W-SERIES-{kind}", f"{totals[name]} {share}{text}", "blocks")
    return [str(problem) for problem in problems.warnings]
