"""Polygons and hectares from what was read to what is kept, line by line, so that they add up.

A polygon is an object of a source with one class. Each that was read is kept or lost, and a lost
one counts once: for the reason that took most of it. Losses of a part count as such. Hectares are
those of each step, whoever they belonged to; erosion takes them, buffers add some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.reference.polygons import event_log as tally

OUTSIDE = "outside the cells of the tiles"
ROUNDING = "not accounted for"
_ENDS = (tally.READ, tally.KEPT)
_NO_LOSS = (*_ENDS, tally.REPAIRED)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Multiples of it differ in all bits, as identifiers do."""
_M2 = 10_000
_SHOWN_HA = 0.005


def bookkeeping(events: pd.DataFrame, grown: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the lines of the books.

    Parameters
    ----------
    events
        A row per polygon, class and reason, as of `merged`, with what is kept.
    grown
        Square metres by which erosion (negative) and buffers changed what they left, by step.

    Returns
    -------
    list of dict
        ``step``; ``polygons``: read, lost as a whole (negative), kept; ``in_part``: how many lost
        a part; ``hectares``: read, lost (negative) or added, kept. The last line is the sum of
        those before it.
    """
    polygon, reason = _polygons(events), events["reason"]
    kept = np.unique(polygon[(reason == tally.KEPT).to_numpy()])
    lost = events[~np.isin(polygon, kept)]
    whole = Counter(_reason_of_each(lost))
    touched, met_by_lost = reason.value_counts(), lost["reason"].value_counts()
    areas = events.groupby("reason", observed=True)["area_m2"].sum()
    lines = [_line(tally.READ, int(touched.get(tally.READ, 0)), areas.get(tally.READ, 0.0))]
    for step in (*(one for one in tally.ORDER if one not in _NO_LOSS), OUTSIDE):
        in_part = int(touched.get(step, 0) - met_by_lost.get(step, 0))
        if in_part or whole[step] or areas.get(step, 0.0):
            lines.append(_line(step, -whole[step], -areas.get(step, 0.0), in_part))
    lines += [_line(step, 0, area) for step, area in grown.items() if area]
    end = _line(tally.KEPT, len(kept), areas.get(tally.KEPT, 0.0))
    rest = end["hectares"] - sum(one["hectares"] for one in lines)
    missing = end["polygons"] - sum(one["polygons"] for one in lines)
    if abs(rest) >= _SHOWN_HA or missing:
        lines.append(_line(ROUNDING, missing, rest * _M2))
    return [*lines, end]


def summed_growth(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what erosion and buffers changed in all cells, square metres by step.

    Cells of earlier versions do not tell.
    """
    total: Counter[str] = Counter()
    for one in records:
        total.update(one.get("grown_m2", {}))
    return dict(sorted(total.items()))


def _reason_of_each(lost: pd.DataFrame) -> list[str]:
    """Return why each polygon is lost of which nothing is kept: what took most of it."""
    losses = lost[~lost["reason"].isin(_NO_LOSS)]
    order = losses["reason"].map(tally.ORDER.index).astype(int)
    known = losses[["reason", "area_m2"]].assign(order=order, polygon=_polygons(losses))
    last = known.sort_values(["area_m2", "order"]).drop_duplicates("polygon", keep="last")
    # What was met but has no part inside a cell belongs to nobody here.
    n_read = int((lost["reason"] == tally.READ).sum())
    return [*last["reason"].astype(str), *[OUTSIDE] * max(0, n_read - len(last))]


def _polygons(events: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """Return one number per object and class; that two share one is as good as impossible."""
    code = events["code"].to_numpy().astype(np.uint64)
    return events["polygon_id"].to_numpy().astype(np.uint64) ^ (code * _SPREAD)


def _line(step: str, polygons: int, area_m2: float, in_part: int = 0) -> dict[str, Any]:
    hectares = round(float(area_m2) / _M2, 4) + 0.0  # no minus before nothing
    return {"step": step, "polygons": polygons, "in_part": in_part, "hectares": hectares}
