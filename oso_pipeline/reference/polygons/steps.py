"""The events of all cells, reason by reason, as numbers for the bookkeeping and sums.

Tens of millions of events do not fit in memory as a table with texts. Of each reason the sums are
kept, and a number for each polygon; a reason at a time is put in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from oso_pipeline.core.coded_texts import CodedTexts
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.vectors.geometry import Floats

Columns = dict[str, npt.NDArray[Any]]
"""Arrays of one length, `_NUMBERS` and the number of the ``source``."""

_NUMBERS = ("polygon_id", "code", "area_m2", "x", "y")
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Multiples of it differ in all bits, as identifiers do."""


@dataclass(frozen=True, eq=False)
class Step:
    """Events of polygons for one reason.

    Parameters
    ----------
    reason
        One of `event_log.ORDER`.
    polygon
        A number for each object and class, uint64, shape ``(n,)``; that two share one is as good
        as impossible.
    area_m2
        The area concerned of each, square metres, shape ``(n,)``; empty where only the sum
        counts, at the two ends.
    total_m2
        Its sum.
    sums
        Polygons, area and bounds by class and source, as `EventCounts` wants them.
    """

    reason: str
    polygon: npt.NDArray[np.uint64]
    area_m2: Floats
    total_m2: float
    sums: pd.DataFrame

    @classmethod
    def of(cls, reason: str, columns: Columns, sources: Sequence[str]) -> Step:
        """Join events, of which those of one polygon and class become one.

        Parameters
        ----------
        reason
            The reason.
        columns
            The events in the order of the cells; emptied on the way.
        sources
            Names of the sources by number.
        """
        merged = _merged(columns)
        sums = _sums(reason, merged, sources)
        area = merged["area_m2"]
        polygon = _polygons(merged["polygon_id"], merged["code"])
        no_loss = reason in (event_log.READ, event_log.KEPT)
        return cls(reason, polygon, area[:0] if no_loss else area, _total(area), sums)


def read_steps(paths: Iterable[Path]) -> dict[str, Step]:
    """Return the steps of all cells by reason, one file in memory at a time."""
    reasons, sources = CodedTexts(), CodedTexts()
    parts: dict[int, list[Columns]] = defaultdict(list)
    texts = ["reason", "source"]
    for path in paths:
        table = pq.read_table(path, columns=[*texts, *_NUMBERS], read_dictionary=texts)
        whole = {name: table[name].to_numpy() for name in _NUMBERS}
        whole["source"] = sources.codes(table["source"])
        reason = reasons.codes(table["reason"])
        for number in np.unique(reason):
            rows = np.flatnonzero(reason == number)
            parts[int(number)].append({name: values[rows] for name, values in whole.items()})
    names = reasons.texts
    return {
        names[number]: Step.of(names[number], _joined(parts.pop(number)), sources.texts)
        for number in [*parts]
    }


def steps_of(events: pd.DataFrame) -> dict[str, Step]:
    """Return the steps of a table of events, as of `event_log.merged`."""
    return {
        str(reason): _of_table(str(reason), rows)
        for reason, rows in events.groupby(events["reason"].astype(str))
    }


def step_of_pieces(reason: str, pieces: pd.DataFrame) -> Step:
    """Return the step that meets all of these pieces of polygons whole."""
    return _of_table(reason, pieces)


def _of_table(reason: str, rows: pd.DataFrame) -> Step:
    source = rows["source"].astype("category")
    columns = {name: rows[name].to_numpy() for name in _NUMBERS}
    columns["source"] = source.cat.codes.to_numpy()
    return Step.of(reason, columns, [*map(str, source.cat.categories)])


def counts_of(steps: Mapping[str, Step]) -> event_log.EventCounts:
    """Return the sums of all steps."""
    sums = [pd.DataFrame(columns=[*event_log.SUMS]), *(step.sums for step in steps.values())]
    return event_log.EventCounts(
        pd.concat([one for one in sums if len(one)] or sums, ignore_index=True)
    )


def _joined(parts: Sequence[Columns]) -> Columns:
    """Put the parts of each column together, and let go of them at once."""
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in [*parts[0]]}


def _merged(columns: Columns) -> Columns:
    """Return one row per polygon and class, ascending: areas add up, the first place counts."""
    objects = ByObject.of(columns["polygon_id"], columns["code"])
    sizes = objects.sizes
    again = np.repeat(sizes > 1, sizes)
    if not again.any():
        return {name: columns.pop(name)[objects.rows] for name in [*columns]}
    several = ByObject(objects.rows[again], _starts(sizes[sizes > 1]))
    how = {"area_m2": "sum", "x": "first", "y": "first"}
    united = []
    for rows in several.chunks():
        # In the order of the cells: pandas adds up in another way where polygons are in order.
        order = np.argsort(rows)
        table = pd.DataFrame({name: columns[name][rows[order]] for name in how})
        united.append(table.groupby(_numbers(columns, rows)[order], sort=True).agg(how))
    found = {name: np.concatenate([one[name].to_numpy() for one in united]) for name in how}
    result = {name: columns.pop(name)[objects.first] for name in [*columns]}
    for name, values in found.items():
        result[name][sizes > 1] = values
    return result


def _starts(sizes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.cumsum(sizes) - sizes


def _numbers(columns: Columns, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Return a number per object of rows that stand object by object."""
    ids, codes = columns["polygon_id"][rows], columns["code"][rows]
    return np.cumsum(np.r_[True, (ids[1:] != ids[:-1]) | (codes[1:] != codes[:-1])])


def _sums(reason: str, columns: Columns, sources: Sequence[str]) -> pd.DataFrame:
    key = columns["code"].astype(np.int64) * len(sources) + columns["source"]
    table = pd.DataFrame({name: columns[name] for name in ("area_m2", "x", "y")}, copy=False)
    found = table.groupby(key, sort=True).agg(
        polygons=("area_m2", "size"),
        area_m2=("area_m2", "sum"),
        x_min=("x", "min"),
        y_min=("y", "min"),
        x_max=("x", "max"),
        y_max=("y", "max"),
    )
    places = [f"{axis}_{end}" for axis in "xy" for end in ("min", "max")]
    return found.astype(dict.fromkeys(places, np.float64)).assign(
        reason=reason,
        code=found.index.to_numpy() // len(sources),
        source=[sources[number] for number in found.index.to_numpy() % len(sources)],
    )[[*event_log.SUMS]]


def _total(values: Floats) -> float:
    """Return the sum to the last bit as groups of pandas have it."""
    return float(np.add.reduceat(values, [0])[0]) if len(values) else 0.0


def _polygons(
    polygon_id: npt.NDArray[np.int64], code: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint64]:
    hashed = code.astype(np.uint64)
    hashed *= _HASH_FACTOR
    hashed ^= polygon_id.view(np.uint64)
    return hashed
