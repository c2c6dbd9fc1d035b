"""Events of the polygons during preparation: a row per polygon and event, and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from oso_pipeline.vectors.geometry import Floats

READ = "read"
KEPT = "kept"
NO_GEOMETRY = "no geometry"
REPAIRED = "repaired"
NO_AREA = "no area after repair"
OFF_THE_MAP = "cannot be projected to the map"
DUPLICATE = "duplicate"
ERODED_AWAY = "eroded away"
TOO_SMALL = "too small"
OUTRANKED = "covered by a source of higher priority"
CONFLICT = "overlap with another class"
DOUBLE = "overlap within the class"
NO_STRATUM = "outside every stratum"
CAPPED = "above the cap of the class"
RARE = "class too rare"
TAKEN = "taken by erosion from what is left"
ADDED = "added by buffers"

ORDER = (
    READ, NO_GEOMETRY, OFF_THE_MAP, REPAIRED, NO_AREA, DUPLICATE, ERODED_AWAY, TOO_SMALL,
    OUTRANKED, CONFLICT, DOUBLE, NO_STRATUM, CAPPED, RARE, KEPT,
)  # fmt: skip
"""All reasons, in the order of the steps. `TAKEN` and `ADDED` are not events of single polygons."""

_TEXTS = ("source", "source_id", "rule")


_NOBODY = pd.DataFrame({name: [] for name in ("polygon_id", "code", *_TEXTS)})


@dataclass
class EventLog:
    """Collects what happened to polygons.

    A polygon counts once per reason, in however many cells and parts it was met; areas are
    those inside the cell, so sums over cells are right.
    """

    _parts: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self,
        reason: str,
        rows: pd.DataFrame,
        areas_m2: Floats | None = None,
        places: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Note an event of each of `rows`.

        Parameters
        ----------
        reason
            One of `ORDER`.
        rows
            Table with ``polygon_id``, ``code``, ``source``, ``source_id`` and ``rule``.
        areas_m2
            Area concerned, square metres, shape ``(n,)``; none by default.
        places
            Where, in map coordinates, shape ``(n, 2)``.
        """
        nowhere = np.full((len(rows), 2), np.nan)
        x, y = (nowhere if places is None else places).T
        self._parts.append(
            pd.DataFrame(
                {
                    "reason": reason,
                    "polygon_id": rows["polygon_id"].to_numpy(dtype=np.int64),
                    "code": rows["code"].to_numpy(dtype=np.int32),
                    **{name: rows[name].to_numpy(dtype=object) for name in _TEXTS},
                    "area_m2": np.zeros(len(rows)) if areas_m2 is None else areas_m2,
                    "x": x.astype(np.float32),
                    "y": y.astype(np.float32),
                }
            )
        )

    def table(self) -> pd.DataFrame:
        """Return the events, one row per polygon, class and reason."""
        if not self._parts:
            self.add(READ, _NOBODY, places=np.empty((0, 2)))
        return merged(self._parts)


def merged(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join events of several cells; those of one polygon, class and reason become one."""
    whole = pd.concat(parts, ignore_index=True)
    keys = ["reason", "polygon_id", "code"]
    for name in ("reason", "source"):
        whole[name] = whole[name].astype("category")
    how = {"area_m2": "sum"} | {name: "first" for name in whole if name not in (*keys, "area_m2")}
    return whole.groupby(keys, observed=True, sort=True).agg(how).reset_index()


SUMS = ("reason", "code", "source", "polygons", "area_m2", "x_min", "y_min", "x_max", "y_max")
"""Columns of `EventCounts`."""


class EventCounts:
    """Polygons and hectares by reason, class and source.

    Parameters
    ----------
    sums
        Columns `SUMS`, a row per reason, class and source.
    """

    def __init__(self, sums: pd.DataFrame) -> None:
        order = [ORDER.index(reason) for reason in sums["reason"]]
        self._sums = sums.assign(order=order).sort_values(["order", "code", "source"])

    @classmethod
    def of(cls, events: pd.DataFrame) -> EventCounts:
        """Return the sums of a table as of `EventLog.table`, a row per polygon, class, reason."""
        grouped = events.groupby(["reason", "code", "source"], observed=True)
        sums = grouped.agg(
            polygons=("polygon_id", "size"),
            area_m2=("area_m2", "sum"),
            x_min=("x", "min"),
            y_min=("y", "min"),
            x_max=("x", "max"),
            y_max=("y", "max"),
        )
        return cls(sums.reset_index())

    def count(self, reason: str, code: int | None = None) -> int:
        """Return how many polygons a reason concerned, of one class or of all."""
        return int(self._of(reason, code)["polygons"].sum())

    def area_m2(self, reason: str, code: int | None = None) -> float:
        """Return the area in m2 a reason concerned, of one class or of all."""
        return float(self._of(reason, code)["area_m2"].sum())

    def sources(self, reason: str) -> list[str]:
        """Return the sources a reason concerned, sorted."""
        return sorted(set(self._of(reason)["source"].astype(str)))

    def to_json(self) -> dict[str, Any]:
        """Return ``{reason: {code: {count, hectares}}}``, in the order of the steps."""
        result: dict[str, Any] = {}
        for reason in ORDER:
            for code, rows in self._of(reason).groupby("code"):
                result.setdefault(reason, {})[str(code)] = _figures(rows)
        return result

    def by_source(self, code: int) -> dict[str, Any]:
        """Return ``{source: {reason: {count, hectares, bounds}}}`` of one class.

        ``bounds`` are those of the places concerned, in map coordinates, or absent.
        """
        result: dict[str, Any] = {}
        for row in self._sums[self._sums["code"] == code].to_dict("records"):
            box = np.array([row[edge] for edge in ("x_min", "y_min", "x_max", "y_max")])
            where = {} if np.isnan(box).any() else {"bounds": box.round().tolist()}
            hectares = round(row["area_m2"] / 10_000, 4)
            figures = {"count": row["polygons"], "hectares": hectares, **where}
            result.setdefault(row["source"], {})[row["reason"]] = figures
        return result

    def reasons(self, code: int) -> dict[str, int]:
        """Return the counts of one class by reason, in the order of the steps."""
        found = {reason: self.count(reason, code) for reason in ORDER}
        return {reason: count for reason, count in found.items() if count}

    def _of(self, reason: str, code: int | None = None) -> pd.DataFrame:
        chosen = self._sums["reason"] == reason
        return self._sums[chosen if code is None else chosen & (self._sums["code"] == code)]


def _figures(rows: pd.DataFrame) -> dict[str, Any]:
    hectares = round(float(rows["area_m2"].sum()) / 10_000, 4)
    return {"count": int(rows["polygons"].sum()), "hectares": hectares}
