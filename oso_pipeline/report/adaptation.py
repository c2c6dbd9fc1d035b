"""Report section on adaptation: decision of the gate, shift, classes, mean series."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from oso_pipeline.adaptation.record import AdaptationRecord, GateRecord
from oso_pipeline.core.nomenclature import LandCoverClass, Nomenclature
from oso_pipeline.report.charts import Chart, bar_chart, line_chart
from oso_pipeline.tasks.run_files import RunFiles

FIRST_SHOWN = ("NDVI", "NDWI", "brightness")
"""Series of the picture, if they are there; those of the bands follow folded up."""


def adaptation_section(
    files: RunFiles, failed: Callable[[str, Exception], object]
) -> list[dict[str, Any]]:
    """Return what adaptation did in each stratum of the map; empty without adaptation.

    `failed` is called with each chart that could not be made, and why; the rest is shown.
    """
    models = list(zip(files.committed_files("train"), files.summaries("train"), strict=False))
    map_variant = next((summary.get("variant") for _, summary in models), None)
    found = []
    for path, summary in models:
        record = _record(path) if summary.get("variant") == map_variant else None
        if record is not None:
            found.append(
                {"stratum": summary.get("stratum"), **_shown(record, files.nomenclature, failed)}
            )
    return found


def _record(path: Path) -> AdaptationRecord | None:
    """Return the record in a model file; None where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["adaptation"]
        return AdaptationRecord.from_json(content)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _shown(
    record: AdaptationRecord, nomenclature: Nomenclature, failed: Callable[[str, Exception], object]
) -> dict[str, Any]:
    profiles = []
    for profile in record.profiles:
        lines = {"source": profile.source, "aligned": profile.aligned, "target": profile.target}
        draw = partial(line_chart, profile.name, profile.days, lines)
        chart = _drawn(f"chart of {profile.name}", draw, failed)
        if chart is not None:
            profiles.append((profile.name, chart))
    first = [chart for name, chart in profiles if name in FIRST_SHOWN] or [
        chart for _, chart in profiles[:1]
    ]
    return {
        "record": record,
        "statistics": _statistics(record.gate),
        "posterior": _drawn("chart of the shift", partial(_posterior, record), failed),
        "profiles": first,
        "more_profiles": [chart for _, chart in profiles if chart not in first],
        "rows": _classes(record, nomenclature),
        "never": [_known(nomenclature, code) for code in record.never_predicted],
    }


def _drawn(
    title: str, draw: Callable[[], Chart | None], failed: Callable[[str, Exception], object]
) -> Chart | None:
    try:
        return draw()
    except Exception as error:  # noqa: BLE001  (one chart does not take the section with it)
        failed(title, error)
        return None


def _statistics(gate: GateRecord) -> list[dict[str, Any]]:
    """Return name, value, threshold and unit of what the gate looks at."""
    return [
        _statistic("Shift of the season", gate.shift_days, gate.min_shift_days, "days"),
        _statistic("Discrepancy of the classes", gate.discrepancy, gate.min_discrepancy),
        _statistic("Loss of confidence", gate.confidence_drop, gate.min_confidence_drop),
        _statistic("Discrepancy that counts alone", gate.discrepancy, gate.large_discrepancy),
        _statistic("Polygons of past years", gate.source_polygons, gate.min_source_polygons),
    ]


def _statistic(name: str, value: float | None, threshold: float, unit: str = "") -> dict[str, Any]:
    known = value is not None and math.isfinite(value)
    return {
        "name": name,
        "value": value if known else None,
        "threshold": threshold,
        "unit": unit,
        "reached": known and abs(value or 0.0) >= threshold,
    }


def _posterior(record: AdaptationRecord) -> Chart | None:
    shift = record.shift
    if shift is None or not shift.days:
        return None
    return bar_chart("Probability of each shift", shift.days, shift.weight, shift.mean_days)


def _classes(record: AdaptationRecord, nomenclature: Nomenclature) -> list[dict[str, Any]]:
    """Return one row per class of the forests, in the order of the nomenclature."""
    tables: list[Mapping[str, float]] = [
        record.proportions_before, record.proportions_after, record.pseudo_labels,
    ]  # fmt: skip
    seen = {code for table in tables for code in table}
    seen |= {*record.perennial_from_target, *record.perennial_with_past}
    order = {str(one.code): place for place, one in enumerate(nomenclature.classes)}
    rows = []
    for code in sorted(seen, key=lambda one: (order.get(one, len(order)), one)):
        learnt = "past years"
        if code in record.perennial_from_target:
            learnt = "year of the map"
        elif code in record.perennial_with_past:
            learnt = "both"
        elif record.pseudo_labels.get(code):
            learnt = "past years and pseudo-labels"
        rows.append({
            "class": _known(nomenclature, code),
            "before": record.proportions_before.get(code),
            "after": record.proportions_after.get(code),
            "pseudo_labels": record.pseudo_labels.get(code, 0),
            "learnt": learnt if record.gate.adapted else "past years",
        })  # fmt: skip
    return rows


def _known(nomenclature: Nomenclature, code: str) -> LandCoverClass | dict[str, Any]:
    """Return the class of a code; one that the nomenclature lacks is shown as it is."""
    found = next((one for one in nomenclature.classes if str(one.code) == code), None)
    return found or {"code": code, "colour": "#999999", "name_en": "?", "name_fr": "?"}
