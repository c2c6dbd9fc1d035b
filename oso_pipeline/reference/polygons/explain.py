"""Where a polygon comes from, and what was done to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference.polygons import event_log

_HECTARE_M2 = 10_000
_WHOLE = (event_log.READ, event_log.KEPT)


@dataclass(frozen=True)
class Biography:
    """History of one object of a source.

    Parameters
    ----------
    polygon_id
        Number of the object.
    events
        Events, a row per reason and class, in the order of the steps.
    parts
        Its rows in ``reference.parquet``; none where nothing of it is left.
    assessments
        Results of the label check, a row per variant and stratum.
    """

    polygon_id: int
    events: pd.DataFrame
    parts: pd.DataFrame
    assessments: pd.DataFrame

    def lines(self, nomenclature: Nomenclature) -> Iterator[str]:
        """Yield the history as lines of text."""
        first = self.events.iloc[0]
        yield f"polygon {self.polygon_id}"
        yield f"  source: {first['source']}, object {first['source_id']}"
        for row in self.events.drop_duplicates("code").to_dict("records"):
            known = nomenclature.by_code[row["code"]]
            yield f"  class: {known.code} {known.name_en}, by rule {row['rule']}{self._year()}"
        for row in self.events.to_dict("records"):
            yield f"  {_event_text(row)}"
        for row in self.parts.to_dict("records"):
            sides = ", ".join(f"{name} {row[name]}" for name in _sides(self.parts))
            hectares = shapely.area(shapely.from_wkb(row["geometry"])) / _HECTARE_M2
            yield f"  part {row['part']}: {hectares:.2f} ha, stratum {row['stratum']}, {sides}"
        for row in self.assessments.to_dict("records"):
            yield f"  {_assessment_text(row, nomenclature)}"

    def _year(self) -> str:
        years = [] if self.parts.empty else self.parts["year"].dropna().unique().tolist()
        return f", of {int(years[0])}" if years else ""


def biographies(run_dir: Path, wanted: str) -> list[Biography]:
    """Return what is known of the objects with a number or an identifier of their source.

    Parameters
    ----------
    run_dir
        Folder of a run whose stage ``reference`` is done.
    wanted
        A ``polygon_id``, or the identifier of an îlot, parcel or object in its source.

    Raises
    ------
    InputDataError
        If no object has that number or identifier (``E-POLYGON-UNKNOWN``).
    """
    chosen = pc.field("source_id") == wanted
    if wanted.isdecimal() and len(wanted) <= 18 + 1:
        chosen = chosen | (pc.field("polygon_id") == int(wanted))
    found = [
        pq.read_table(path, filters=chosen).to_pandas()
        for path in sorted((run_dir / "reference" / "events").glob("*.parquet"))
    ]
    events = pd.concat(found) if found else pd.DataFrame()
    if events.empty:
        message = f"no polygon of the sources has the number or identifier {wanted!r}"
        hint = "numbers stand in reference.parquet, identifiers in the files of the sources"
        raise InputDataError(Problem("E-POLYGON-UNKNOWN", message, str(run_dir), hint))
    return [
        _biography(run_dir, int(str(number)), rows) for number, rows in events.groupby("polygon_id")
    ]


def _biography(run_dir: Path, number: int, events: pd.DataFrame) -> Biography:
    how = {"source": "first", "source_id": "first", "rule": "first", "area_m2": "sum"}
    merged = (
        events.astype({"reason": str})
        .groupby(["code", "reason"])
        .agg(how | {"x": "first", "y": "first"})
    )
    merged = merged.reset_index()
    order = merged["reason"].map(event_log.ORDER.index)
    return Biography(
        number,
        merged.iloc[order.argsort(kind="stable")],
        _rows(run_dir / "reference.parquet", number),
        _assessments(run_dir, number),
    )


def _rows(path: Path, number: int) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame()
    columns = [name for name in pq.read_schema(path).names if name != "bbox"]
    chosen = pc.field("polygon_id") == number
    return pq.read_table(path, columns=columns, filters=chosen).to_pandas()


def _assessments(run_dir: Path, number: int) -> pd.DataFrame:
    found = []
    for path in sorted((run_dir / "labels").glob("*/*.parquet")):
        rows = _rows(path, number)
        found.append(rows.assign(variant=path.parent.name))
    return pd.concat(found) if found else pd.DataFrame()


def _sides(parts: pd.DataFrame) -> list[str]:
    return [name for name in map(str, parts) if name == "fold" or name.startswith("split_")]


def _event_text(event: Mapping[Any, Any]) -> str:
    hectares = event["area_m2"] / _HECTARE_M2
    amount = f", {hectares:.2f} ha" if hectares >= 0.005 or event["reason"] in _WHOLE else ""
    place = "" if pd.isna(event["x"]) else f" near x {event['x']:.0f}, y {event['y']:.0f}"
    return f"{event['reason']}{amount}{place}"


def _assessment_text(assessment: Mapping[Any, Any], nomenclature: Nomenclature) -> str:
    given = "not assessed"
    if not pd.isna(assessment["given_probability"]):
        given = f"its label gets {100 * assessment['given_probability']:.0f} %"
    text = f"time series ({assessment['variant']}, {assessment['pixels']} pixels): {given}"
    if assessment["doubted"]:
        likely = nomenclature.by_code[assessment["likely_code"]]
        share = 100 * assessment["likely_probability"]
        text += f"; {likely.code} {likely.name_en} is more likely, {share:.0f} %"
    return text + ("; kept out of training" if assessment["excluded"] else "")
