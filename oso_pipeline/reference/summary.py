"""What the stage tells about the polygons it prepared."""

from __future__ import annotations

from typing import Any

import geopandas
import pandas as pd

from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference import tally
from oso_pipeline.reference.split import SplitRules
from oso_pipeline.reference.tally import PrepareReport


def classes_summary(report: PrepareReport, nomenclature: Nomenclature) -> dict[str, Any]:
    """Return per class its name, polygons read and kept, hectares and counts by reason."""
    return {
        str(one.code): {
            "name": one.name_en,
            "polygons_read": report.count(tally.READ, one.code),
            "polygons": report.count(tally.KEPT, one.code),
            "hectares": round(report.area_m2(tally.KEPT, one.code) / 10_000, 4),
            "reasons": report.reasons(one.code),
        }
        for one in nomenclature.classes
        if report.count(tally.READ, one.code)
    }


def splits_summary(table: geopandas.GeoDataFrame, split: SplitRules) -> dict[str, Any]:
    """Return polygons and hectares per column and side."""
    hectares = pd.Series(table.geometry.area.to_numpy() / 10_000)
    result: dict[str, Any] = {}
    for column in split.columns:
        groups = pd.Series(table[column].to_numpy()).astype(str)
        polygons = pd.Series(table["polygon_id"].to_numpy()).groupby(groups).nunique()
        area = hectares.groupby(groups).sum()
        result[column] = {
            str(side): {"polygons": int(polygons[side]), "hectares": round(float(area[side]), 4)}
            for side in polygons.index
        }
    return result
