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

from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.by_object import among
from oso_pipeline.reference.polygons.steps import Step

Mask = npt.NDArray[np.bool_]

OUTSIDE = "outside the cells of the tiles"
ROUNDING = "not accounted for"
_ENDS = (event_log.READ, event_log.KEPT)
_NO_LOSS = (*_ENDS, event_log.REPAIRED)
_M2 = 10_000
_SHOWN_HA = 0.005


def bookkeeping(steps: Mapping[str, Step], grown: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the lines of the books.

    Parameters
    ----------
    steps
        Events by reason, kept polygons included.
    grown
        Square metres by which erosion (negative) and buffers changed what they left, by step.

    Returns
    -------
    list of dict
        ``step``; ``polygons``: read, lost as a whole (negative), kept; ``in_part``: how many lost
        a part; ``hectares``: read, lost (negative) or added, kept. The last line is the sum of
        those before it.
    """
    kept = (
        np.unique(steps[event_log.KEPT].polygon)
        if event_log.KEPT in steps
        else np.empty(0, np.uint64)
    )
    lost = {reason: ~among(step.polygon, kept) for reason, step in steps.items()}
    met_by_lost = {reason: int(rows.sum()) for reason, rows in lost.items()}
    touched = {reason: len(rows) for reason, rows in lost.items()}
    areas = {reason: step.total_m2 for reason, step in steps.items()}
    whole = _reasons_of_lost(steps, lost)
    # Polygons that were read but have no part inside a cell.
    whole[OUTSIDE] = max(0, met_by_lost.get(event_log.READ, 0) - whole.total())
    lines = [_line(event_log.READ, touched.get(event_log.READ, 0), areas.get(event_log.READ, 0.0))]
    for step in (*(one for one in event_log.ORDER if one not in _NO_LOSS), OUTSIDE):
        in_part = touched.get(step, 0) - met_by_lost.get(step, 0)
        if in_part or whole[step] or areas.get(step, 0.0):
            lines.append(_line(step, -whole[step], -areas.get(step, 0.0), in_part))
    lines += [_line(step, 0, area) for step, area in grown.items() if area]
    end = _line(event_log.KEPT, len(kept), areas.get(event_log.KEPT, 0.0))
    rest = end["hectares"] - sum(one["hectares"] for one in lines)
    missing = end["polygons"] - sum(one["polygons"] for one in lines)
    if abs(rest) >= _SHOWN_HA or missing:
        lines.append(_line(ROUNDING, missing, rest * _M2))
    return [*lines, end]


def summed_growth(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what erosion and buffers changed in all cells, square metres by step.

    Cells of earlier versions lack them.
    """
    total: Counter[str] = Counter()
    for one in records:
        total.update(one.get("grown_m2", {}))
    return dict(sorted(total.items()))


def _reasons_of_lost(steps: Mapping[str, Step], lost: Mapping[str, Mask]) -> Counter[str]:
    """Return for how many polygons, of which nothing is kept, each reason took most of it."""
    losses = [step for reason, step in steps.items() if reason not in _NO_LOSS]
    if not losses:
        return Counter()
    rows = [lost[step.reason] for step in losses]
    polygon, area = (
        np.concatenate([values[chosen] for values, chosen in zip(arrays, rows, strict=True)])
        for arrays in ([step.polygon for step in losses], [step.area_m2 for step in losses])
    )
    counts = [int(chosen.sum()) for chosen in rows]
    place = [event_log.ORDER.index(step.reason) for step in losses]
    order = np.repeat(np.array(place, np.int8), counts)
    ranked = np.lexsort((order, area, polygon))
    ordered = polygon[ranked]
    last = np.r_[ordered[1:] != ordered[:-1], np.ones(min(1, len(ordered)), bool)]
    reasons, numbers = np.unique(order[ranked][last], return_counts=True)
    return Counter({event_log.ORDER[one]: int(n) for one, n in zip(reasons, numbers, strict=True)})


def _line(step: str, polygons: int, area_m2: float, in_part: int = 0) -> dict[str, Any]:
    hectares = round(float(area_m2) / _M2, 4) + 0.0  # no minus before nothing
    return {"step": step, "polygons": polygons, "in_part": in_part, "hectares": hectares}
