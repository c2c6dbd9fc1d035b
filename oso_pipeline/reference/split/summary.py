"""What the stage tells about the polygons it prepared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.polygons import event_log as tally
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.reference.polygons.event_log import Tally
from oso_pipeline.reference.polygons.stage import summed
from oso_pipeline.reference.split.split import SplitRules, numbered

_SHOWN = 10
_NEAR = "near validation, unused"
"""How the side `NEAR`, an empty text, is called."""


def classes_summary(seen: Tally, nomenclature: Nomenclature) -> dict[str, Any]:
    """Return per class its name, polygons read and kept, hectares, counts by reason and source."""
    return {
        str(one.code): {
            "name": one.name_en,
            "polygons_read": seen.count(tally.READ, one.code),
            "polygons": seen.count(tally.KEPT, one.code),
            "hectares": round(seen.area_m2(tally.KEPT, one.code) / 10_000, 4),
            "reasons": seen.reasons(one.code),
            "sources": seen.by_source(one.code),
        }
        for one in nomenclature.classes
        if seen.count(tally.READ, one.code)
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


def warn_of_losses(seen: Tally, problems: Problems) -> None:
    """Say in one line each what was lost, as rows 34 to 40 of the bad-input matrix ask."""
    drawn = seen.count(tally.READ)
    for code, reason in (
        ("W-INPUT-036", tally.NO_GEOMETRY),
        ("W-INPUT-034", tally.OFF_THE_MAP),
        ("W-INPUT-035", tally.REPAIRED),
        ("W-INPUT-035", tally.NO_AREA),
        ("W-INPUT-040", tally.DUPLICATE),
        ("W-INPUT-038", tally.ERODED_AWAY),
        ("W-INPUT-038", tally.TOO_SMALL),
    ):
        if count := seen.count(reason):
            problems.warn(code, f"{reason}: {count} of {drawn} polygons, whole or in part")
    for reason in (tally.CONFLICT, tally.DOUBLE):
        if count := seen.count(reason):
            share = 100 * seen.area_m2(reason) / seen.area_m2(tally.READ)
            message = f"{reason}: removed from {count} polygons, {share:.2g} % of the area read"
            problems.warn("W-INPUT-039", message)


def report_unplaced(name: str, total: int, placed: int, problems: Problems) -> None:
    """Warn of features that no cell has met (``W-INPUT-036``)."""
    if placed < total:
        message = (
            f"{total - placed} of {total} features have no geometry or begin outside the cells of "
            "the tiles, and are not counted below"
        )
        problems.warn("W-INPUT-036", message, name)


@dataclass(frozen=True)
class Unknown:
    """Values that no rule knows: how many features have them, and their hectares, by source."""

    counts: Mapping[str, Mapping[str, int]]
    hectares: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Unknown:
        """Return the sums over all cells; those of earlier versions tell no hectares."""
        areas: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for one in records:
            for source, found in one.get("value_hectares", {}).items():
                for value, area in found.items():
                    areas[source][value] += area
        return cls(summed(one["values"] for one in records), areas)


def report_unknown(unknown: Unknown, is_error: bool, problems: Problems) -> None:
    """Report the values that no rule knows, the most frequent first (``E-`` or ``W-INPUT-042``)."""
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
            f"{sum(counts.values())} features have {len(counts)} values that no rule knows, "
            f"{sum(areas.values()):.1f} ha: "
            f"{shown}{more}"
        )
        hint = "map them in rules of your own, or leave them out with `unknown_codes: drop`"
        if is_error:
            problems.error("E-INPUT-042", message, source, hint)
        else:
            problems.warn("W-INPUT-042", message, source, hint)
