"""Summary of the prepared polygons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.reference.polygons.event_log import EventCounts
from oso_pipeline.reference.polygons.stage import summed
from oso_pipeline.reference.split.split import SplitRules, numbered

_SHOWN = 10
_NEAR = "near validation, unused"
"""How the side `NEAR`, an empty text, is called."""


def classes_summary(seen: EventCounts, nomenclature: Nomenclature) -> dict[str, Any]:
    """Return per class its name, polygons read and kept, hectares, counts by reason and source."""
    return {
        str(one.code): {
            "name": one.name_en,
            "polygons_read": seen.count(event_log.READ, one.code),
            "polygons": seen.count(event_log.KEPT, one.code),
            "hectares": round(seen.area_m2(event_log.KEPT, one.code) / 10_000, 4),
            "reasons": seen.reasons(one.code),
            "sources": seen.by_source(one.code),
        }
        for one in nomenclature.classes
        if seen.count(event_log.READ, one.code)
    }


def splits_summary(parts: pd.DataFrame, split: SplitRules) -> dict[str, Any]:
    """Return polygons and hectares per column and side."""
    result: dict[str, Any] = {}
    hectares = parts["area_m2"].to_numpy() / 10_000
    ids, codes = parts["polygon_id"].to_numpy(), parts["code"].to_numpy()
    for column in split.columns:
        number = numbered(parts[column])
        area = pd.Series(hectares).groupby(number).sum()
        sides = {}
        for one in np.unique(number):
            rows = np.flatnonzero(number == one)
            # As in the books: an object of two classes counts twice.
            polygons = len(ByObject.of(ids[rows], codes[rows]))
            side = str(parts[column].iloc[rows[0]]) or _NEAR
            sides[side] = {"polygons": polygons, "hectares": round(float(area[one]), 4)}
        result[column] = dict(sorted(sides.items()))
    return result


def warn_of_losses(seen: EventCounts, problems: Problems) -> None:
    """Warn of lost polygons, one line per reason (rows 34 to 40 of the bad-input matrix)."""
    drawn = seen.count(event_log.READ)
    for code, reason in (
        ("W-GEOMETRY-MISSING", event_log.NO_GEOMETRY),
        ("W-POLYGON-OFF-MAP", event_log.OFF_THE_MAP),
        ("W-GEOMETRY-INVALID", event_log.REPAIRED),
        ("W-GEOMETRY-INVALID", event_log.NO_AREA),
        ("W-POLYGON-DUPLICATE", event_log.DUPLICATE),
        ("W-POLYGON-SMALL", event_log.ERODED_AWAY),
        ("W-POLYGON-SMALL", event_log.TOO_SMALL),
    ):
        if count := seen.count(reason):
            problems.warn(code, f"{reason}: {count} of {drawn} polygons, whole or in part")
    for reason in (event_log.CONFLICT, event_log.DOUBLE):
        if count := seen.count(reason):
            share = 100 * seen.area_m2(reason) / seen.area_m2(event_log.READ)
            message = f"{reason}: removed from {count} polygons, {share:.2g} % of the area read"
            problems.warn("W-POLYGON-OVERLAP", message)


def report_unplaced(name: str, total: int, placed: int, problems: Problems) -> None:
    """Warn of features that no cell has met (``W-GEOMETRY-MISSING``)."""
    if placed < total:
        message = (
            f"{total - placed} of {total} features have no geometry or begin outside the cells of "
            "the tiles, and are not counted below"
        )
        problems.warn("W-GEOMETRY-MISSING", message, name)


@dataclass(frozen=True)
class Unknown:
    """Values without a rule: number of features and hectares, by source."""

    counts: Mapping[str, Mapping[str, int]]
    hectares: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Unknown:
        """Return the sums over all cells; those of earlier versions have no hectares."""
        areas: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for one in records:
            for source, found in one.get("value_hectares", {}).items():
                for value, area in found.items():
                    areas[source][value] += area
        return cls(summed(one["values"] for one in records), areas)


def report_unknown(unknown: Unknown, is_error: bool, problems: Problems) -> None:
    """Report the values without a rule, the most frequent first (``E-`` or ``W-CLASS-UNKNOWN``)."""
    for source, counts in unknown.counts.items():
        areas = unknown.hectares.get(source, {})
        if not counts:
            continue
        listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(
            f"{value!r}: {count} ({areas.get(value, 0.0):.1f} ha)"
            for value, count in listed[:_SHOWN]
        )
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        message = (
            f"{sum(counts.values())} features have {len(counts)} values without a rule, "
            f"{sum(areas.values()):.1f} ha: "
            f"{shown}{more}"
        )
        hint = "map them in rules of your own, or leave them out with `unknown_codes: drop`"
        if is_error:
            problems.error("E-CLASS-UNKNOWN", message, source, hint)
        else:
            problems.warn("W-CLASS-UNKNOWN", message, source, hint)
