"""Classes with too few polygons to be split."""

from __future__ import annotations

import geopandas
import numpy as np

from oso_pipeline.config.reference import Reference
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.reference import tally
from oso_pipeline.reference.split import SplitRules
from oso_pipeline.reference.tally import PrepareReport


def without_rare(
    table: geopandas.GeoDataFrame,
    reference: Reference,
    nomenclature: Nomenclature,
    notes: tuple[PrepareReport, Problems],
) -> geopandas.GeoDataFrame:
    """Refuse (``E-INPUT-048``) or drop classes with fewer polygons than a split needs.

    The counts are those of polygons with at least one usable part. Classes of the
    nomenclature that have no polygon in any source are named in a warning.
    """
    report, problems = notes
    left = table.groupby("code")["polygon_id"].nunique()
    drawn = {code: report.count(tally.READ, code) for code in nomenclature.codes}
    rare = [c for c in nomenclature.codes if drawn[c] and left.get(c, 0) < reference.min_polygons]
    absent = [code for code in nomenclature.codes if not drawn[code]]
    if absent:
        names = ", ".join(f"{c} {nomenclature.by_code[c].name_en}" for c in absent)
        problems.warn("W-INPUT-046", f"classes without any polygon, absent from the map: {names}")
    if not rare:
        return table
    counts = "; ".join(
        f"{code} {nomenclature.by_code[code].name_en}: {left.get(code, 0)} of {drawn[code]} left"
        for code in rare
    )
    message = f"classes with fewer than {reference.min_polygons} usable polygons: {counts}"
    hint = "add polygons, lower erosion_m or min_area_m2, or set `rare_classes: drop`"
    if reference.rare_classes == "error":
        problems.error("E-INPUT-048", message, "reference.sources", hint)
        return table
    problems.warn("W-INPUT-048", f"dropped {message}", "reference.sources")
    gone = table["code"].isin(rare).to_numpy()
    report.add(
        tally.RARE,
        table["code"].to_numpy(dtype=np.int32)[gone],
        table.geometry.area.to_numpy(dtype=np.float64)[gone],
    )
    if gone.all():
        problems.error("E-INPUT-048", f"no class is left: {message}", "reference.sources", hint)
    return table[~gone].reset_index(drop=True)


def warn_one_sided(table: geopandas.GeoDataFrame, split: SplitRules, problems: Problems) -> None:
    """Warn of classes that a split leaves without training or without validation polygons."""
    for column in split.columns:
        sides = table.groupby("code")[column].nunique()
        if codes := sides.index[sides < 2].tolist():
            message = f"{column}: classes {codes} are on one side only, their accuracy is unknown"
            problems.warn("W-INPUT-048", message)
